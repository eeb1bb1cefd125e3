"""What the edges and the stream reader do when something around them gives way."""

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientConnectionResetError, ClientOSError
from botocore.exceptions import ClientError, EndpointConnectionError, ProxyConnectionError, SSLError
from typer.testing import CliRunner

from outbox_sdk.cli import app
from outbox_sdk.core.table import TableDesign, create_table_request
from outbox_sdk.provisioning import create_outbox_table
from outbox_sdk.shell import relay as relay_module
from outbox_sdk.shell.aws import session as session_module
from outbox_sdk.shell.aws.access import AwsAccess
from outbox_sdk.shell.aws.errors import translate_error
from outbox_sdk.shell.producer import Outbox
from outbox_sdk.shell.relay import Relay
from outbox_sdk.shell.streams import follow_stream
from outbox_sdk.testing import InMemoryStack

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/outbox/stream/x"


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}, "Call")  # type: ignore[typeddict-item]  # the parts that are read


class Streams:
    """Shards that hold records, and shards that have left the stream."""

    def __init__(self, records: dict[str, list[dict[str, Any]]]) -> None:
        self.records = records
        self.reads = 0

    async def describe_stream(self, **_: Any) -> Any:
        return {"StreamDescription": {"Shards": [{"ShardId": shard} for shard in ["gone", *self.records]]}}

    async def get_shard_iterator(self, *, ShardId: str, **_: Any) -> Any:  # noqa: N803 - AWS's name
        if ShardId == "gone":
            raise refusal("ResourceNotFoundException")
        return {"ShardIterator": ShardId}

    async def get_records(self, *, ShardIterator: str, **_: Any) -> Any:  # noqa: N803
        self.reads += 1
        return {"Records": self.records.pop(ShardIterator, []), "NextShardIterator": ShardIterator}


def committed() -> InMemoryStack:
    stack = InMemoryStack()
    stack.write(Outbox("outbox").put("{}", aggregate_id="a", topic="t"))
    return stack


async def test_a_shard_that_has_left_the_stream_ends_only_itself() -> None:
    streams, stop = Streams({"here": committed().table.records}), asyncio.Event()
    handled = []

    async def handle(event: dict[str, Any]) -> None:
        handled.append(len(event["Records"]))
        stop.set()

    await asyncio.wait_for(follow_stream(streams, ARN, handle, stop=stop), timeout=30)  # type: ignore[arg-type]  # a double

    assert handled == [1]


async def test_an_observer_that_fails_ends_the_reading_and_repeats_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stack = committed()
    streams = Streams({"here": stack.table.records})

    @contextlib.asynccontextmanager
    async def open_client(*_: Any) -> AsyncIterator[Streams]:
        yield streams

    async def call(*_: Any) -> Any:
        return {"Table": {"LatestStreamArn": ARN}}

    monkeypatch.setattr(session_module, "open_client", open_client)
    monkeypatch.setattr(relay_module, "call", call)
    services: Any = SimpleNamespace(dynamodb=None)
    stop = asyncio.Event()

    def on_batch(_: object) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        await asyncio.wait_for(
            Relay(stack.context, services, AwsAccess(region="us-east-1")).follow(
                stop=stop, on_batch=on_batch
            ),
            timeout=30,
        )

    assert len(stack.published) == 1
    assert not stop.is_set()


async def test_recovery_is_switched_on_as_soon_as_the_table_lets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    async def answer(**_: Any) -> Any:
        return {
            "Table": {**create_table_request(TableDesign.ordered, "outbox"), "LatestStreamArn": ARN},
            "TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "ExpiresAt"},
            "ContinuousBackupsDescription": {"ContinuousBackupsStatus": "DISABLED"},
        }

    async def update_continuous_backups(**_: Any) -> None:
        calls.append(1)
        if len(calls) < 3:
            raise refusal("ContinuousBackupsUnavailableException")

    async def at_once(_: float) -> None:
        return None

    monkeypatch.setattr("outbox_sdk.provisioning.table.asyncio", SimpleNamespace(sleep=at_once))
    client: Any = SimpleNamespace(
        exceptions=SimpleNamespace(ResourceNotFoundException=KeyError, ClientError=ClientError),
        meta=SimpleNamespace(events=SimpleNamespace(register=print, unregister=print)),
        get_waiter=lambda _: SimpleNamespace(wait=answer),
        describe_table=answer,
        describe_time_to_live=answer,
        describe_continuous_backups=answer,
        update_continuous_backups=update_continuous_backups,
    )

    assert await create_outbox_table(client, "outbox") == ARN
    assert len(calls) == 3


def test_the_demo_does_not_write_over_its_input(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"aggregate_id": "a", "topic": "t", "message": 1}\n')
    before = source.read_bytes()

    done = CliRunner().invoke(app, ["demo", "--input", str(source), "--received", str(source)])

    assert done.exit_code == 2
    assert source.read_bytes() == before


def unwritten() -> ClientOSError:
    """What aiohttp raises where it meets a closed connection while it writes the body of a request."""
    try:
        raise ClientOSError(None, "x") from ClientConnectionResetError("x")
    except ClientOSError as error:
        return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (EndpointConnectionError(endpoint_url="x", error=unwritten()), "ConnectionClosed"),
        (
            EndpointConnectionError(endpoint_url="x", error=ClientOSError(errno.ECONNRESET, "x")),
            "ConnectionClosed",
        ),
        (
            EndpointConnectionError(endpoint_url="x", error=ClientOSError(errno.EPIPE, "x")),
            "ConnectionClosed",
        ),
        (
            EndpointConnectionError(endpoint_url="x", error=ClientConnectionResetError("x")),
            "ConnectionClosed",
        ),
        (
            EndpointConnectionError(endpoint_url="x", error=ClientOSError(errno.ECONNREFUSED, "x")),
            "ConnectionFailed",
        ),
        (EndpointConnectionError(endpoint_url="x"), "ConnectionFailed"),
        (ProxyConnectionError(proxy_url="x"), "ConnectionFailed"),
        (SSLError(endpoint_url="x", error=OSError("x")), "ConnectionFailed"),
    ],
)
def test_a_connection_that_was_given_up_is_told_from_one_that_was_never_made(
    error: Exception, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert translate_error(error) == (code, 0, "")
    assert caplog.records == []


def test_what_nobody_foresaw_is_logged_with_its_place_and_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(AttributeError) as raised:
        raise AttributeError("canary")

    fault = translate_error(raised.value)

    assert fault.code == "AttributeError"
    (record,) = caplog.records
    assert "test_edges.py:" in record.__dict__["where"]
    assert "canary" not in str(record.__dict__)
