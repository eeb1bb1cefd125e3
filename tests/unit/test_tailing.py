"""`tail` over a stream that a test fills: what watches ends it, and what it cannot show does not repeat."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from outbox_sdk import Outbox
from outbox_sdk.core.passing import Passage
from outbox_sdk.shell import tailing
from outbox_sdk.shell.admin import AdminContext
from outbox_sdk.shell.table_calls import RetryingCalls
from outbox_sdk.testing import InMemoryStack
from tests.support.eventually import eventually
from tests.support.fake_streams import ARN, FakeStreams


class Described:
    """Answers that the table has a stream."""

    async def call(self, operation: str, arguments: Any) -> Any:
        assert operation == "DescribeTable"
        return {"Table": {"LatestStreamArn": ARN}}


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> FakeStreams:
    streams = FakeStreams()
    streams.add_shard("shard-0")

    @asynccontextmanager
    async def open_client(*_: object) -> AsyncIterator[FakeStreams]:
        yield streams

    monkeypatch.setattr(tailing, "open_client", open_client)
    return streams


async def test_who_watches_no_longer_ends_it(streams: FakeStreams) -> None:
    """As a pipe to `head` does; tried again, the same would be shown for ever."""
    context = InMemoryStack().admin().context
    context = AdminContext(
        calls=RetryingCalls(Described()), table_name=context.table_name, design=context.design
    )
    shown: list[Passage] = []

    def show(passage: Passage) -> None:
        shown.append(passage)
        raise BrokenPipeError

    access: Any = None
    watching = asyncio.create_task(tailing.tail(context, access, show, poll_seconds=0.01))
    await eventually(lambda: bool(streams.calls_of("GetRecords")))
    for name in ("m-1", "m-2"):
        entry: Any = Outbox("outbox").put("{}", aggregate_id="o-1", topic="orders", message_id=name)
        streams.add_images("shard-0", entry["Put"]["Item"])
    with pytest.raises(BrokenPipeError):
        await asyncio.wait_for(watching, 5)
    assert len(shown) == 1
