"""A whole outbox in memory: the double of the table, the double of the topics, and the real relay between."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from outbox_sdk.core.destinations import services_of
from outbox_sdk.core.entry import TopicLimits
from outbox_sdk.core.envelope import EnvelopeKind
from outbox_sdk.core.errors import InvalidMessageError
from outbox_sdk.core.identifiers import TableName, TopicName
from outbox_sdk.core.outcome import BatchReport
from outbox_sdk.core.plan import Wrapping
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell.context import RelayContext
from outbox_sdk.shell.relay import relay_batch
from outbox_sdk.testing.client import InMemoryClient
from outbox_sdk.testing.operations import InMemoryCalls
from outbox_sdk.testing.table import ROUTING, InMemoryTable
from outbox_sdk.testing.topics import InMemoryTopics, PublishedMessage

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb.type_defs import TransactWriteItemTypeDef

    from outbox_sdk.shell.admin import Admin

__all__ = ["InMemoryStack", "stream_event"]


class InMemoryStack:
    """A whole outbox in memory: write what :meth:`~outbox_sdk.Outbox.put` builds, relay, look at the topics.

    >>> import asyncio
    >>> from outbox_sdk import Outbox
    >>> stack, outbox = InMemoryStack(), Outbox("outbox")
    >>> stack.write(outbox.put('{"id": 7}', aggregate_id="order-7", topic="order--created"))
    >>> report = asyncio.run(stack.relay())
    >>> [(message.topic, message.body) for message in stack.published]
    [('order--created', '{"id": 7}')]

    ``table_name`` is what the outbox goes by to :meth:`client`, and in the envelopes that name it.
    ``topics`` names the topics that exist, by default any. Other destinations exist where it names them by
    their routes, and are then reached as from a relay whose ``OUTBOX_ALLOWED_TOPICS`` is this list: name all
    routes of the test then, topics too. What is not named is parked.

    >>> entry = outbox.put('{"id": 8}', aggregate_id="order-8", topic="sqs:billing")
    >>> stack = InMemoryStack()
    >>> stack.write(entry)
    >>> asyncio.run(stack.relay()).reasons()
    {'destination-not-allowed': 1}
    >>> stack = InMemoryStack(topics=["sqs:billing"])
    >>> stack.write(entry)
    >>> asyncio.run(stack.relay()).counts()
    {'dispatched': 1}
    """

    def __init__(
        self,
        *,
        table_name: str = "outbox",
        design: TableDesign = TableDesign.ordered,
        topics: Iterable[str] | None = None,
        envelope: EnvelopeKind = "raw",
        topic_max_bytes: int | None = None,
    ) -> None:
        self.table: InMemoryTable = InMemoryTable(design)
        named = None if topics is None else frozenset(map(TopicName, topics))
        self.topics: InMemoryTopics = InMemoryTopics(named)
        # A list of topics alone says what exists, and a topic that does not is met by publishing there.
        allowed = named if set(services_of(named)) - {"sns"} else None
        self._client = InMemoryClient({table_name: self.table})
        self._relayed = 0
        self.context: RelayContext = RelayContext(
            publisher=self.topics,
            table=self.table,
            marker=self.table,
            table_name=TableName(table_name),
            design=design,
            wrapping=Wrapping(
                routing=msgspec.structs.replace(ROUTING, allowed=allowed),
                kind=envelope,
                limits=TopicLimits() if topic_max_bytes is None else TopicLimits(topic_max_bytes),
                source=f"/outbox/{table_name}",
            ),
        )

    @property
    def published(self) -> Sequence[PublishedMessage]:
        """What subscribers have got so far, in the order of acceptance."""
        return tuple(self.topics.published)

    def write(self, *entries: "TransactWriteItemTypeDef") -> None:
        """Commit entries, as one transaction would. Entries of other tables may be among them.

        Raises:
            InvalidMessageError: a message was put before; nothing of the transaction is written.
        """
        marker = self.table.design.not_dispatched
        items = [entry["Put"]["Item"] for entry in entries if marker in entry.get("Put", {}).get("Item", {})]
        for item in items:
            if self.table.key_of(item) in self.table.items:
                raise InvalidMessageError("message_id", "the same message was put before")
        for item in items:
            self.table.put(item)

    def client(self) -> InMemoryClient:
        """Give the double of a DynamoDB client, which commits transactions into this outbox.

        >>> import asyncio
        >>> from outbox_sdk import Outbox
        >>> stack, outbox = InMemoryStack(), Outbox("outbox")
        >>> client = stack.client()
        >>> client.create_table("orders", "PK")
        >>> async def place_order():
        ...     async with outbox.transaction(client) as tx:
        ...         tx.put(TableName="orders", Item={"PK": {"S": "7"}})
        ...         tx.publish('{"id": 7}', aggregate_id="order-7", topic="order--created")
        >>> asyncio.run(place_order())
        >>> client.items("orders")
        [{'PK': {'S': '7'}}]
        >>> report = asyncio.run(stack.relay())
        >>> [message.topic for message in stack.published]
        ['order--created']
        """
        return self._client

    def admin(self) -> "Admin":
        """Give what looks after this outbox, as :func:`~outbox_sdk.open_admin` does for one on DynamoDB."""
        # Here, for a test of messages alone needs no AWS SDK.
        from outbox_sdk.shell.admin import Admin, AdminContext
        from outbox_sdk.shell.table_calls import RetryingCalls

        calls = RetryingCalls(InMemoryCalls(self.table, self.context.table_name))
        context = AdminContext(calls=calls, table_name=self.context.table_name, design=self.table.design)
        return Admin(context)

    async def relay(self) -> BatchReport:
        """Relay the records that have come since the last time; give what became of each.

        The records of the relay's own marks come with the next call, as they do in a stream.
        """
        return await relay_batch(self.context, {"Records": self.read_records()})

    def read_records(self, limit: int | None = None) -> Sequence[Mapping[str, Any]]:
        """Give the records that have come since the last time, at most ``limit``, for your own reader."""
        until = None if limit is None else self._relayed + limit
        records = self.table.records[self._relayed : until]
        self._relayed += len(records)
        return records


def stream_event(
    *entries: "TransactWriteItemTypeDef", design: TableDesign = TableDesign.ordered
) -> dict[str, Any]:
    """Build the event that Lambda hands over when entries of :meth:`~outbox_sdk.Outbox.put` are committed."""
    table = InMemoryTable(design)
    for entry in entries:
        table.put(entry["Put"]["Item"])
    name = entries[0]["Put"]["TableName"] if entries else "outbox"
    return {"Records": [{**record, "eventSourceARN": _stream_arn(name)} for record in table.records]}


def _stream_arn(table_name: str) -> str:
    return (
        f"arn:aws:dynamodb:{ROUTING.region}:{ROUTING.account_id}"
        f":table/{table_name}/stream/2026-01-01T00:00:00.000"
    )
