"""A stand-in for AWS in a process of its own: it counts calls, and answers each after a set delay.

It answers every operation that the relays under comparison use with success, in as few steps as it can, so
that what is measured is the caller. It is no test double: signatures and arguments are not looked at.
"""

import asyncio
import json
import re
import subprocess
import sys
import urllib.request
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

__all__ = ["ACCOUNT_ID", "Endpoint", "open_endpoint"]

ACCOUNT_ID = "123456789012"
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TARGET = re.compile(rb"\r\nx-amz-target: *DynamoDB_20120810\.(\w+)", re.IGNORECASE)
_ACTION = re.compile(rb"(?:^|&)Action=(\w+)")
_ENTRY = re.compile(rb"member\.\d+\.Id=")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The endpoint as its users see it."""

    url: str

    def set_delay(self, milliseconds: float) -> None:
        """Wait so long before each answer from now on."""
        self._control(f"/delay/{milliseconds}")

    def take_counts(self) -> dict[str, int]:
        """Give the calls by operation since they were last taken, and ``connections``."""
        counts: dict[str, int] = json.loads(self._control("/counts"))
        return counts

    def keep_requests(self) -> None:
        """Keep the requests that arrive from now on, until they are taken."""
        self._control("/keep")

    def take_requests(self) -> list[tuple[dict[str, str], bytes]]:
        """Give the headers and the bodies of the requests that were kept, in the order of their arrival."""
        kept = json.loads(self._control("/kept"))
        return [(headers, b64decode(body)) for headers, body in kept]

    def _control(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:  # noqa: S310 - our own loopback
            content: bytes = answer.read()
        return content


@contextmanager
def open_endpoint(milliseconds: float = 0.0) -> Iterator[Endpoint]:
    """Run an endpoint on a free port of loopback, for the length of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.harness.endpoint"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        endpoint = Endpoint(process.stdout.readline().decode().strip())
        endpoint.set_delay(milliseconds)
        yield endpoint
    finally:
        process.stdin.close()  # its sign to end, which also comes when this process dies
        process.wait(10)
        process.stdout.close()


class _State:
    def __init__(self) -> None:
        self.delay = 0.0
        self.counts: Counter[str] = Counter()
        self.keeps = False
        self.kept: list[tuple[dict[str, str], str]] = []


class _Connection(asyncio.Protocol):
    """One connection; requests come one after the other."""

    def __init__(self, state: _State) -> None:
        self._state = state
        self._received = bytearray()
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._state.counts["connections"] += 1

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._received[:end])
        length = _CONTENT_LENGTH.search(head)
        whole = end + 4 + (int(length[1]) if length else 0)
        if len(self._received) < whole:
            if b"100-continue" in head.lower():
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return
        body = bytes(self._received[end + 4 : whole])
        del self._received[:whole]
        if head.startswith(b"GET"):
            self._state.counts["connections"] -= 1
            self._send(self._control(head), "application/json")
            return
        if self._state.keeps:
            lines = (line.partition(":") for line in head.decode().split("\r\n")[1:])
            headers = {name: value.strip() for name, _, value in lines}
            self._state.kept.append((headers, b64encode(body).decode()))
        answer, kind = self._answer(head, body)
        if self._state.delay:
            asyncio.get_running_loop().call_later(self._state.delay, self._send, answer, kind)
        else:
            self._send(answer, kind)

    def _send(self, body: bytes, kind: str) -> None:
        if self._transport.is_closing():
            return
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        self._transport.write(f"{head}x-amzn-RequestId: {'0' * 36}\r\n\r\n".encode() + body)

    def _control(self, head: bytes) -> bytes:
        path = head.split(b" ", 2)[1].decode()
        if path.startswith("/delay/"):
            self._state.delay = float(path.removeprefix("/delay/")) / 1000
            return b"{}"
        if path in ("/keep", "/kept"):
            self._state.keeps = path == "/keep"
            kept, self._state.kept = self._state.kept, []
            return json.dumps(kept).encode()
        counts, self._state.counts = self._state.counts, Counter()
        return json.dumps(+counts).encode()

    def _answer(self, head: bytes, body: bytes) -> tuple[bytes, str]:
        target = _TARGET.search(head)
        if target is not None:
            operation = target[1].decode()
            self._state.counts[operation] += 1
            return _json_answer(operation, body), "application/x-amz-json-1.0"
        action = _ACTION.search(body)
        operation = action[1].decode() if action else "unknown"
        self._state.counts[operation] += 1
        return _xml_answer(operation, body), "text/xml"


def _json_answer(operation: str, body: bytes) -> bytes:
    if operation == "BatchExecuteStatement":
        return b'{"Responses":[%s]}' % b",".join([b'{"TableName":"outbox"}'] * body.count(b'"Statement"'))
    return {"BatchWriteItem": b'{"UnprocessedItems":{}}'}.get(operation, b"{}")


def _xml_answer(operation: str, body: bytes) -> bytes:
    result = "<MessageId>00000000-0000-5000-8000-000000000000</MessageId>"
    if operation == "PublishBatch":
        members = "".join(
            f"<member><Id>{number}</Id><MessageId>00000000-0000-5000-8000-{number:012}</MessageId></member>"
            for number in range(len(_ENTRY.findall(body)))
        )
        result = f"<Failed/><Successful>{members}</Successful>"
    return (
        f'<{operation}Response xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><{operation}Result>'
        f"{result}</{operation}Result><ResponseMetadata><RequestId>{'0' * 36}</RequestId>"
        f"</ResponseMetadata></{operation}Response>"
    ).encode()


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    state = _State()
    server = await loop.create_server(lambda: _Connection(state), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())
