"""Calls the functions out of an unpacked Lambda package, under an interpreter that has nothing else.

Run as ``python -I -S zip_main.py FOLDER RESULT_FILE`` with the work as JSON on standard input. What the
handlers print is their own; results go to the file.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

__all__ = ["main"]


class _Context:
    """Lambda's context object, as far as the handlers read it."""

    aws_request_id = "00000000-0000-0000-0000-000000000001"
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:relay"

    def __init__(self) -> None:
        self._until = time.monotonic() + 30

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._until - time.monotonic()) * 1000))


def main(folder: str, result_file: Path) -> None:
    """Invoke each function as told, make the single calls, and write down what came of both."""
    sys.path.insert(0, folder)
    job = json.load(sys.stdin)
    document = {
        "invocations": [_invoke(step) for step in job["invocations"]],
        "faults": asyncio.run(_call(job["endpoint_url"], job["calls"])),
        "metric": _emit_metric(),
        **_look_at_modules(folder),
    }
    result_file.write_text(json.dumps(document), encoding="utf-8")


def _invoke(step: dict[str, Any]) -> Any:
    from outbox_sdk.lambda_handler import RelayHandler
    from outbox_sdk.sweeper_handler import SweeperHandler

    os.environ.update(step["environment"])
    function = RelayHandler() if step["role"] == "relay" else SweeperHandler()
    try:
        return function(step["event"], _Context())
    finally:
        function.close()


async def _call(endpoint_url: str, calls: list[dict[str, Any]]) -> list[list[Any]]:
    """Make each call by itself; give the code and the status of what the client raised."""
    from botocore import xform_name

    from outbox_sdk.shell.aws.access import AwsAccess
    from outbox_sdk.shell.aws.errors import translate_error
    from outbox_sdk.shell.aws.session import open_client

    access = AwsAccess(region="us-east-1", endpoint_url=endpoint_url, credentials=("faults", "local"))
    faults: list[list[Any]] = []
    for call in calls:
        async with open_client(call["service"], access) as client:
            try:
                await getattr(client, xform_name(call["operation"]))(**call["parameters"])
            except Exception as error:
                fault = translate_error(error)
                faults.append([fault.code, fault.status, type(error).__name__])
            else:
                faults.append([])
    return faults


def _look_at_modules(folder: str) -> dict[str, list[str]]:
    """Name what was loaded from elsewhere, and what had to be compiled."""
    files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
    library = str(Path(os.__file__).parent)
    ours = {name: file for name, file in files.items() if file.startswith(folder)}
    foreign = [
        name
        for name, file in files.items()
        if file and name not in ours and name != "__main__" and not file.startswith(library)
    ]
    cached = {name: getattr(sys.modules[name], "__cached__", None) for name in ours}
    uncompiled = [
        name
        for name, file in ours.items()
        if not file.endswith((".pyc", ".so")) and not Path(cached[name] or "missing").exists()
    ]
    return {"foreign": sorted(foreign), "without_byte_code": sorted(uncompiled)}


def _emit_metric() -> str:
    from aws_lambda_powertools import Metrics
    from aws_lambda_powertools.metrics import MetricUnit

    metrics = Metrics(namespace="outbox", service="relay")
    metrics.add_metric(name="relayed", unit=MetricUnit.Count, value=1)
    return json.dumps(metrics.serialize_metric_set())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
