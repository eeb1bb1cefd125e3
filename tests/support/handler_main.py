"""Calls the Lambda handler in a process of its own, one invocation after the other, as the runtime does.

Run by path as ``python handler_main.py RESULT_FILE`` with the invocations as JSON on standard input. What the
handler prints is its own; results go to the file.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from aiohttp import TCPConnector

__all__ = ["main"]

_ROOT = Path(__file__).parents[2]


class _Context:
    """Lambda's context object, as far as it is documented."""

    function_name = "relay"
    function_version = "$LATEST"
    memory_limit_in_mb = "512"

    def __init__(self, function_arn: str, remaining_seconds: float, number: int) -> None:
        self.invoked_function_arn = function_arn
        self.aws_request_id = f"00000000-0000-0000-0000-{number:012}"
        self._until = time.monotonic() + remaining_seconds

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._until - time.monotonic()) * 1000))


def main(result_file: Path) -> None:
    """Invoke, and write down what each invocation returned or raised, and how many pools were opened."""
    pools: list[TCPConnector] = []
    open_pool = TCPConnector.__init__

    def counting(self: TCPConnector, *args: Any, **kwargs: Any) -> None:
        pools.append(self)
        open_pool(self, *args, **kwargs)

    TCPConnector.__init__ = counting  # type: ignore[method-assign]
    job = json.load(sys.stdin)
    from outbox_sdk.lambda_handler import handler

    opened_by_import = len(pools)
    # Only now: it brings modules along that the handler is to import by itself.
    sys.path.insert(0, str(_ROOT))
    from tests.support import recorded_calls

    recorded_calls.install()
    results: list[dict[str, Any]] = []
    for number, event in enumerate(job["events"]):
        context = _Context(job["function_arn"], job["remaining_seconds"], number)
        try:
            results.append({"response": handler(event, context)})
        except Exception as error:
            results.append({"error": type(error).__name__, "text": str(error)})
    document = {
        "results": results,
        "pools": len(pools),
        "pools_opened_by_import": opened_by_import,
        "findings": recorded_calls.take_findings(),
        "calls": recorded_calls.count_calls(),
    }
    result_file.write_text(json.dumps(document), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    # Lambda ends a process without asking it to tidy up.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
