"""Starts the Lambda handler in a fresh process, with an environment that holds what is given and no more."""

import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outbox_sdk.embedded_stack import EmbeddedStack
from tests.support import recorded_calls

__all__ = ["Invocations", "invoke"]

_MAIN = Path(__file__).with_name("handler_main.py")


@dataclass(frozen=True, slots=True)
class Invocations:
    """What a process did. ``results`` has ``{"response": …}`` or ``{"error": …, "text": …}`` an event."""

    results: list[dict[str, Any]]
    pools: int
    pools_opened_by_import: int
    stdout: str
    stderr: str

    @property
    def log(self) -> list[dict[str, Any]]:
        """The log's lines on standard output."""
        return [line for line in self._documents if "_aws" not in line]

    @property
    def figures(self) -> list[dict[str, Any]]:
        """The lines of metrics on standard output."""
        return [line for line in self._documents if "_aws" in line]

    @property
    def _documents(self) -> list[dict[str, Any]]:
        """All lines, each a JSON document."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def responses(self) -> list[Any]:
        """What the handler returned, one for each event; an invocation that raised is an error here."""
        return [result["response"] for result in self.results]


async def invoke(
    stack: EmbeddedStack,
    variables: Mapping[str, str],
    events: Sequence[Any],
    *,
    remaining_seconds: float = 30.0,
    function_arn: str | None = None,
) -> Invocations:
    """Invoke the handler with each event in turn, at an embedded stack."""
    environment = {
        "AWS_ACCESS_KEY_ID": stack.access_key_id,
        "AWS_SECRET_ACCESS_KEY": stack.secret_access_key,
        "AWS_ENDPOINT_URL": stack.endpoint_url,
        **variables,
    }
    job = {
        "events": list(events),
        "remaining_seconds": remaining_seconds,
        "function_arn": function_arn or f"arn:aws:lambda:{stack.region}:{stack.account_id}:function:relay",
    }
    with tempfile.TemporaryDirectory() as scratch:
        result_file = Path(scratch) / "results.json"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(_MAIN),
            str(result_file),
            env=environment,
            cwd=scratch,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        stdout, stderr = await asyncio.wait_for(process.communicate(json.dumps(job).encode()), timeout=60)
        assert process.returncode == 0, stderr.decode()
        document = json.loads(result_file.read_text(encoding="utf-8"))
    recorded_calls.merge_calls(document.pop("findings"), document.pop("calls"))
    return Invocations(**document, stdout=stdout.decode(), stderr=stderr.decode())
