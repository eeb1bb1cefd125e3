"""The stack in memory: doubles of table, client and topics, with nothing to start."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from outbox_sdk.core.envelope import EnvelopeKind
from outbox_sdk.core.table import PARKED, TableDesign
from outbox_sdk.pytest_plugin.stack import OutboxStack, Outstanding
from outbox_sdk.shell.context import RelayContext
from outbox_sdk.testing.client import InMemoryClient
from outbox_sdk.testing.stack import InMemoryStack
from outbox_sdk.testing.topics import PublishedMessage

__all__ = ["MemoryBackend", "open_memory_stack", "outstanding_of"]

_BATCH = 100


class MemoryBackend:
    """An :class:`~outbox_sdk.testing.InMemoryStack` as the pump reads it."""

    variables: Mapping[str, str] = {}
    lag: float = 0.0
    topics: Collection[str] = ()
    hint: str = "A topic exists where the catalog or the fixture outbox_topics names it."

    def __init__(self, stack: InMemoryStack) -> None:
        self.context: RelayContext = stack.context
        self._stack = stack
        self._client = stack.client()
        self._received = 0

    @property
    def client(self) -> InMemoryClient:
        """The double of a client."""
        return self._client

    async def create_table(self, table_name: str, key_names: Sequence[str]) -> None:
        """Make a table of the double."""
        self._client.create_table(table_name, *key_names)

    async def read(self) -> Sequence[Mapping[str, Any]]:
        """Give the next records."""
        return self._stack.read_records(_BATCH)

    async def receive(self) -> Sequence[PublishedMessage]:
        """Give what the topics have accepted since the last time."""
        published = self._stack.published[self._received :]
        self._received += len(published)
        return published

    async def outstanding(self) -> Sequence[Outstanding]:
        """Look into the table."""
        table = self._stack.table
        return outstanding_of(table.items.values(), table.design)


def outstanding_of(items: Iterable[Mapping[str, Any]], design: TableDesign) -> list[Outstanding]:
    """Give those of the items that still carry the marker; a parked one tells why."""
    return [
        Outstanding(
            message_id=_text(item, design.message_id) or _text(item, design.partition_key) or "without an id",
            message_type=_text(item, design.message_type),
            parked=(_text(item, design.park_reason) or "no reason given")
            if item[design.not_dispatched] == {"S": PARKED}
            else None,
        )
        for item in items
        if design.not_dispatched in item
    ]


def _text(item: Mapping[str, Any], name: str) -> str | None:
    value = item.get(name, {})
    return value.get("S") if isinstance(value, Mapping) else None


def open_memory_stack(
    *,
    table_name: str = "outbox",
    design: TableDesign = TableDesign.ordered,
    topics: Iterable[str] | None = None,
    envelope: EnvelopeKind = "raw",
) -> OutboxStack:
    """Make an empty stack in memory, for tests without fixtures.

    ``topics`` are those that exist, by default any.

    >>> import asyncio
    >>> from outbox_sdk import Outbox
    >>> stack, outbox = open_memory_stack(), Outbox("outbox")
    >>> async def announce():
    ...     async with outbox.transaction(stack.dynamodb) as tx:
    ...         tx.publish('{"id": 7}', aggregate_id="order-7", topic="order--created")
    ...     return await stack.drain()
    >>> asyncio.run(announce()).counts
    {'dispatched': 1, 'settled': 1}
    >>> [message.topic for message in stack.published()]
    ['order--created']
    """
    stack = InMemoryStack(table_name=table_name, design=design, topics=topics, envelope=envelope)
    return OutboxStack(MemoryBackend(stack), table_name=table_name)
