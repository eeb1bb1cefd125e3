"""What is deployed, as AWS shows it in states that local stacks never show."""

import asyncio
import sys
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from outbox_sdk.core.configuration import RelayConfiguration
from outbox_sdk.core.deployment import Deployment
from outbox_sdk.core.errors import OutboxError
from outbox_sdk.core.function import DEFAULT_RUNTIME
from outbox_sdk.core.identifiers import TableName
from outbox_sdk.provisioning.defaults import default_runtime, sweeper_of
from outbox_sdk.provisioning.execution import Execution
from outbox_sdk.provisioning.found import find_mapping, list_mappings, wait_for_mapping
from outbox_sdk.provisioning.removal import remove_sweeper

STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/outbox/stream/1"


class NotThereError(Exception):
    """What clients raise for what is not there."""


class Functions:
    """A Lambda client that shows the mapping in one state after the other; the last one stays."""

    def __init__(self, *states: str, others: tuple[dict[str, Any], ...] = ()) -> None:
        self.states = list(states)
        self.others = others
        self.exceptions = SimpleNamespace(ResourceNotFoundException=NotThereError)
        self.meta = SimpleNamespace(region_name="eu-west-1")

    async def list_event_source_mappings(self, **_: Any) -> dict[str, Any]:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return {"EventSourceMappings": [{"UUID": "1", "State": state, "EventSourceArn": STREAM}]}

    async def get_function(self, **_: Any) -> Any:
        raise NotThereError

    def get_paginator(self, _: str) -> Any:
        async def pages(**_: Any) -> AsyncIterator[dict[str, Any]]:
            for mapping in self.others:
                yield {"EventSourceMappings": [mapping]}

        return SimpleNamespace(paginate=pages)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    noted: list[float] = []

    async def pause(seconds: float) -> None:
        noted.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", pause)
    return noted


async def test_a_mapping_is_waited_for_until_it_reads(pauses: list[float]) -> None:
    functions: Any = Functions("Creating", "Updating", "Enabled")

    assert await wait_for_mapping(functions, "f", STREAM) == "1"
    assert len(pauses) == 2


async def test_a_mapping_that_is_paused_is_waited_for_until_it_reads_no_more(pauses: list[float]) -> None:
    functions: Any = Functions("Enabled", "Disabling", "Disabled")

    assert await wait_for_mapping(functions, "f", STREAM, state="Disabled") == "1"
    assert len(pauses) == 2


async def test_a_mapping_that_never_reads_is_an_error(pauses: list[float]) -> None:
    functions: Any = Functions("Creating")

    with pytest.raises(OutboxError, match="is not enabled after 300 s"):
        await wait_for_mapping(functions, "f", STREAM)


async def test_a_mapping_that_is_going_is_none() -> None:
    functions: Any = Functions("Deleting")

    assert await find_mapping(functions, "f", STREAM) is None


async def test_mappings_of_other_tables_are_not_listed() -> None:
    theirs = {"UUID": "2", "EventSourceArn": STREAM.replace("table/outbox/", "table/outbox-2/")}
    earlier = {"UUID": "3", "EventSourceArn": STREAM.replace("stream/1", "stream/0")}
    functions: Any = Functions("Enabled", others=(theirs, earlier))

    assert await list_mappings(functions, "f", "outbox") == [earlier]


async def test_a_schedule_of_something_else_is_left_alone() -> None:
    """A schedule has no tags: what it invokes tells whose it is."""

    async def get_schedule(**_: Any) -> Any:
        return {"Target": {"Arn": "arn:aws:lambda:eu-west-1:123456789012:function:theirs"}}

    async def get_role(**_: Any) -> Any:
        raise NotThereError

    functions: Any = Functions("Enabled")
    iam: Any = SimpleNamespace(
        exceptions=SimpleNamespace(NoSuchEntityException=NotThereError), get_role=get_role
    )
    scheduler: Any = SimpleNamespace(exceptions=functions.exceptions, get_schedule=get_schedule)
    execution = Execution({}, dry_run=True)

    await remove_sweeper(
        functions, iam, scheduler, table_name="outbox", name="outbox-sweeper", execution=execution
    )

    assert execution.calls == []


def test_a_sweep_is_given_five_minutes() -> None:
    relay = Deployment(
        configuration=RelayConfiguration(dynamodb_outbox_table_name=TableName("out.box")),
        function_name="f",
        architecture="arm64",
    )

    sweeper = sweeper_of(relay, None)

    assert (sweeper.role, sweeper.function_name, sweeper.timeout_seconds) == (
        "sweeper",
        "out-box-sweeper",
        300,
    )
    patient = msgspec.structs.replace(relay, timeout_seconds=900)
    assert sweeper_of(patient, "s").timeout_seconds == 900


@pytest.mark.parametrize(
    ("body", "runs_here"),
    [(b"<html>", False), (b"3", False), (b'{"error": 1}', False), (b'{"services": {}}', True)],
)
async def test_only_the_embedded_stack_is_taken_for_one(body: bytes, runs_here: bool) -> None:
    """Some servers answer for every path there is, with all sorts of things."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        configuration = RelayConfiguration(
            dynamodb_outbox_table_name=TableName("outbox"), aws_endpoint_url=f"http://127.0.0.1:{port}"
        )
        runtime = await asyncio.to_thread(default_runtime, configuration)

    here = f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert runtime == (here if runs_here else DEFAULT_RUNTIME)


@pytest.mark.parametrize("url", [None, "http://127.0.0.1:9", "http://stack:4566", "https://127.0.0.1:9"])
def test_without_an_answer_the_runtime_is_that_of_the_packages(url: str | None) -> None:
    configuration = RelayConfiguration(dynamodb_outbox_table_name=TableName("outbox"), aws_endpoint_url=url)

    assert default_runtime(configuration) == DEFAULT_RUNTIME
