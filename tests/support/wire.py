"""An AWS endpoint that tests write the answers of, and that counts what reaches it: requests and connections.

It speaks as much of SNS, SQS, EventBridge, Kinesis, DynamoDB and STS as the relay uses, and of S3 as the
sweeper does. What is not scripted succeeds.
"""

import asyncio
import json
import socket
import struct
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl
from uuid import uuid4
from xml.sax.saxutils import escape

from aiohttp import web

__all__ = [
    "ACCOUNT_ID",
    "Answer",
    "Call",
    "Reply",
    "Wire",
    "dynamodb_error",
    "items_answer",
    "objects_answer",
    "open_wire",
    "publish_answer",
    "raw_answer",
    "s3_error",
    "sns_error",
    "statements_answer",
]

ACCOUNT_ID = "123456789012"
_REQUEST_ID = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it arrived. ``body`` is the JSON document, or the form's fields.

    ``access_key`` is the id of the key that it is signed with.
    """

    operation: str
    body: dict[str, Any]
    access_key: str = ""

    @property
    def entry_ids(self) -> list[str]:
        """The ids of the entries of a ``PublishBatch``."""
        ids: list[str] = []
        while (name := f"PublishBatchRequestEntries.member.{len(ids) + 1}.Id") in self.body:
            ids.append(self.body[name])
        return ids

    @property
    def messages(self) -> list[str]:
        """The bodies of the entries of a ``PublishBatch``."""
        return [
            self.body[f"PublishBatchRequestEntries.member.{position + 1}.Message"]
            for position in range(len(self.entry_ids))
        ]


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back."""

    status: int
    content_type: str
    text: str


Answer = Literal["hang", "close", "reset", "cut"] | Callable[[Call], Reply]
"""One answer: never, the connection closed or reset before it, or in the middle of it, or a function."""


@dataclass(slots=True)
class Wire:
    """A running endpoint. Counts are of what has arrived, answered or not."""

    endpoint_url: str
    calls: list[Call] = field(default_factory=list)
    connections: int = 0
    most_in_flight: int = 0
    delay_seconds: float = 0.0
    _in_flight: int = 0
    _script: dict[str, deque[Answer]] = field(default_factory=lambda: defaultdict(deque))
    _always: dict[str, Answer] = field(default_factory=dict)
    _transports: set[asyncio.BaseTransport] = field(default_factory=set)
    _loop: asyncio.AbstractEventLoop | None = None

    def script(self, operation: str, *answers: Answer) -> None:
        """Give the answers of the next calls of an operation, in order."""
        self._script[operation].extend(answers)

    def always(self, operation: str, answer: Answer) -> None:
        """Give the answer of all calls of an operation that are not scripted."""
        self._always[operation] = answer

    def reset(self) -> None:
        """Forget what was scripted and counted; connections stay open."""
        self._script.clear()
        self._always.clear()
        self.calls.clear()
        self.connections = self.most_in_flight = 0
        self.delay_seconds = 0.0

    def counts(self) -> dict[str, int]:
        """Count requests by operation."""
        return dict(Counter(call.operation for call in self.calls))

    def calls_of(self, operation: str) -> list[Call]:
        """List the requests of one operation in the order of their arrival."""
        return [call for call in self.calls if call.operation == operation]

    def published(self) -> list[str]:
        """List the bodies of all messages that were sent, in the order of their arrival."""
        return [body for call in self.calls_of("PublishBatch") for body in call.messages]

    def marked(self) -> list[str]:
        """List the partition keys of all statements that were sent, in the order of their arrival."""
        return [
            # The values of three clauses come first.
            statement["Parameters"][3]["S"]
            for call in self.calls_of("BatchExecuteStatement")
            for statement in call.body["Statements"]
        ]

    def close_connections(self, *, reset: bool = False) -> None:
        """Close every open connection from this side, as an idle one is after a while, or reset it."""
        done = threading.Event()

        def close() -> None:
            for transport in list(self._transports):
                if reset:
                    _reset(transport)
                else:
                    transport.close()
            done.set()

        assert self._loop is not None
        self._loop.call_soon_threadsafe(close)
        assert done.wait(10)

    def _next(self, call: Call) -> Answer:
        self.calls.append(call)
        script = self._script.get(call.operation)
        return script.popleft() if script else self._always.get(call.operation) or _DEFAULTS[call.operation]


@contextmanager
def open_wire() -> Iterator[Wire]:
    """Run an endpoint on a free port of loopback, in a thread of its own, for the length of the block."""
    wire = Wire("")
    started: Future[None] = Future()
    stop = asyncio.Event()
    thread = threading.Thread(target=_serve_in_thread, args=(wire, started, stop), name="wire", daemon=True)
    thread.start()
    started.result(timeout=10)
    try:
        yield wire
    finally:
        assert wire._loop is not None
        wire._loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        assert not thread.is_alive()


def _serve_in_thread(wire: Wire, started: "Future[None]", stop: asyncio.Event) -> None:
    try:
        asyncio.run(_serve(wire, started, stop))
    except Exception as error:
        if started.done():
            raise
        started.set_exception(error)


async def _serve(wire: Wire, started: "Future[None]", stop: asyncio.Event) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await _handle(wire, request)

    wire._loop = asyncio.get_running_loop()
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    handlers = runner.server
    assert handlers is not None
    server = await wire._loop.create_server(lambda: _Counted(wire, handlers()), "127.0.0.1", 0)
    wire.endpoint_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    started.set_result(None)
    await stop.wait()
    server.close()
    await runner.cleanup()


class _Counted(asyncio.Protocol):
    """Stands before aiohttp's protocol of one connection, which takes no attributes of others."""

    def __init__(self, wire: Wire, protocol: asyncio.Protocol) -> None:
        self._wire, self._protocol = wire, protocol
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire.connections += 1
        self._wire._transports.add(transport)
        self._transport = transport
        self._protocol.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._wire._transports.discard(self._transport)
        self._protocol.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()


async def _handle(wire: Wire, request: web.Request) -> web.StreamResponse:
    wire._in_flight += 1
    wire.most_in_flight = max(wire.most_in_flight, wire._in_flight)
    try:
        return await _answer(wire, request)
    finally:
        wire._in_flight -= 1


async def _answer(wire: Wire, request: web.Request) -> web.StreamResponse:
    call = await _read_call(request)
    await asyncio.sleep(wire.delay_seconds)
    answer = wire._next(call)
    assert request.transport is not None
    if answer == "hang":
        await asyncio.sleep(3600)
    if answer in ("close", "reset"):
        if answer == "reset":
            _reset(request.transport)
        request.transport.abort()
        return web.Response()
    if answer == "cut":
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"{")
        request.transport.close()
        return response
    assert callable(answer)
    reply = answer(call)
    return web.Response(
        status=reply.status,
        body=reply.text.encode(),
        headers={"Content-Type": reply.content_type, "x-amzn-RequestId": _REQUEST_ID},
    )


def _reset(transport: asyncio.BaseTransport) -> None:
    """Close a connection without a word of farewell: the other side meets `Connection reset by peer`."""
    at_once = struct.pack("ii", 1, 0)  # linger for no time
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    transport.close()


async def _read_call(request: web.Request) -> Call:
    body = await request.read()
    target = request.headers.get("X-Amz-Target")
    access_key = request.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]
    if target is not None:
        assert request.headers["Content-Type"] in ("application/x-amz-json-1.0", "application/x-amz-json-1.1")
        return Call(target.rpartition(".")[2], json.loads(body), access_key)
    if request.path != "/":
        return Call(_s3_operation(request), {"path": request.path, **request.query}, access_key)
    fields = dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True))
    return Call(fields["Action"], fields, access_key)


def _s3_operation(request: web.Request) -> str:
    """Tell what is asked of S3, which has no word for it in a request."""
    names = {
        ("GET", "list-type"): "ListObjectsV2",
        ("POST", "delete"): "DeleteObjects",
        ("PUT", ""): "PutObject",
    }
    marks = [name for name in ("list-type", "delete") if name in request.query]
    return names[request.method, marks[0] if marks else ""]


# Answers of S3


def s3_error(status: int, code: str) -> Answer:
    """Refuse a request as S3 does: an ``Error`` in XML, without anything around it."""
    document = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
    return lambda _: Reply(status, "application/xml", document)


def objects_answer(*keys: str) -> Answer:
    """List those of some keys that are asked for, written long ago."""

    def answer(call: Call) -> Reply:
        found = "".join(
            f"<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for key in keys
            if key.startswith(call.body["prefix"])
        )
        document = f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>"
        return Reply(200, "application/xml", document)

    return answer


# Answers of SNS and STS


def publish_answer(**failed: str) -> Answer:
    """Accept the entries of a ``PublishBatch`` but those named: ``publish_answer(e3="KMSThrottling")``."""
    return lambda call: _publish_reply(call, {name.removeprefix("e"): code for name, code in failed.items()})


def _publish_reply(call: Call, failed: dict[str, str]) -> Reply:
    successful = "".join(
        f"<member><Id>{entry_id}</Id><MessageId>{uuid4()}</MessageId></member>"
        for entry_id in call.entry_ids
        if entry_id not in failed
    )
    failures = "".join(
        f"<member><Id>{entry_id}</Id><Code>{code}</Code><Message>{code}</Message>"
        f"<SenderFault>{str(code.startswith('Invalid')).lower()}</SenderFault></member>"
        for entry_id, code in failed.items()
        if entry_id in call.entry_ids and code != "absent"
    )
    return _query_reply(
        "sns/doc/2010-03-31",
        "PublishBatch",
        f"<Successful>{successful}</Successful><Failed>{failures}</Failed>",
    )


def sns_error(status: int, code: str, text: str) -> Answer:
    """Refuse a request as SNS does: an ``ErrorResponse`` in XML."""
    fault = "Sender" if status < 500 else "Receiver"
    document = (
        '<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">'
        f"<Error><Type>{fault}</Type><Code>{code}</Code><Message>{escape(text)}</Message></Error>"
        f"<RequestId>{_REQUEST_ID}</RequestId></ErrorResponse>"
    )
    return lambda _: Reply(status, "text/xml", document)


def _identity_reply(_: Call) -> Reply:
    return _query_reply(
        "sts/doc/2011-06-15",
        "GetCallerIdentity",
        f"<Arn>arn:aws:iam::{ACCOUNT_ID}:user/relay</Arn><UserId>AIDAEXAMPLE</UserId>"
        f"<Account>{ACCOUNT_ID}</Account>",
    )


def _query_reply(namespace: str, operation: str, result: str) -> Reply:
    document = (
        f'<{operation}Response xmlns="https://{namespace}/"><{operation}Result>{result}</{operation}Result>'
        f"<ResponseMetadata><RequestId>{_REQUEST_ID}</RequestId></ResponseMetadata></{operation}Response>"
    )
    return Reply(200, "text/xml", document)


# Answers of DynamoDB


def statements_answer(**failed: str) -> Answer:
    """Carry out the statements of a batch but those named: ``statements_answer(s0="ThrottlingError")``."""

    def answer(call: Call) -> Reply:
        responses: list[dict[str, Any]] = []
        for position in range(len(call.body["Statements"])):
            code = failed.get(f"s{position}")
            error = {"Error": {"Code": code, "Message": code}}
            responses.append({"TableName": "outbox"} | ({} if code is None else error))
        return _json_reply({"Responses": responses})

    return answer


def dynamodb_error(status: int, code: str) -> Answer:
    """Refuse a request as DynamoDB does: a JSON document that names the error by its type."""
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": code}
    return lambda _: _json_reply(body, status)


def raw_answer(status: int, text: str, content_type: str = "text/html") -> Answer:
    """Answer with any text, as a proxy on the way would."""
    return lambda _: Reply(status, content_type, text)


def items_answer(marker: str | None = "03") -> Answer:
    """Find every item that a ``BatchGetItem`` asks for, with ``marker`` or with none."""

    def answer(call: Call) -> Reply:
        marked = {} if marker is None else {"NotDispatched": {"S": marker}}
        found = {
            table: [key | marked for key in asked["Keys"]]
            for table, asked in call.body["RequestItems"].items()
        }
        return _json_reply({"Responses": found, "UnprocessedKeys": {}})

    return answer


def _json_reply(body: dict[str, Any], status: int = 200) -> Reply:
    return Reply(status, "application/x-amz-json-1.0", json.dumps(body))


_DEFAULTS: dict[str, Answer] = {
    "BatchExecuteStatement": statements_answer(),
    "BatchGetItem": items_answer(),
    "BatchWriteItem": lambda _: _json_reply({"UnprocessedItems": {}}),
    "DescribeEventBus": lambda call: _json_reply(
        {"Arn": f"arn:aws:events:us-east-1:123456789012:event-bus/{call.body['Name']}"}
    ),
    "DeleteObjects": lambda _: Reply(200, "application/xml", "<DeleteResult></DeleteResult>"),
    "GetCallerIdentity": _identity_reply,
    "ListObjectsV2": objects_answer(),
    "PublishBatch": publish_answer(),
    "PutObject": lambda _: Reply(200, "application/xml", ""),
    "PutEvents": lambda call: _json_reply(
        {"FailedEntryCount": 0, "Entries": [{"EventId": str(uuid4())} for _ in call.body["Entries"]]}
    ),
    "PutRecords": lambda call: _json_reply(
        {
            "FailedRecordCount": 0,
            "Records": [{"SequenceNumber": "1", "ShardId": "shard-0"} for _ in call.body["Records"]],
        }
    ),
    "Query": lambda _: _json_reply({"Items": [], "Count": 0, "ScannedCount": 0}),
    "SendMessageBatch": lambda call: _json_reply(
        {
            "Successful": [{"Id": each["Id"], "MessageId": str(uuid4())} for each in call.body["Entries"]],
            "Failed": [],
        }
    ),
    "UpdateItem": lambda _: _json_reply({}),
}
