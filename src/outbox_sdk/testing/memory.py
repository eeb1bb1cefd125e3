"""Doubles in memory: a table, topics, and a relay between them.

The doubles stand where the relay's ports are, so the relay under them is the real one. They pass the same
contract suites as the adapters for DynamoDB and SNS.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import time
from typing import TYPE_CHECKING, Any

import msgspec

from outbox_sdk.core.backlog import (
    BucketPage,
    Fetched,
    FetchResult,
    Sighting,
    Touch,
    Touched,
    TouchResult,
    Untouched,
)
from outbox_sdk.core.entry import Entry, TopicLimits
from outbox_sdk.core.envelope import EnvelopeKind
from outbox_sdk.core.errors import InvalidMessageError
from outbox_sdk.core.identifiers import AccountId, Item, ItemKey, Region, TableName
from outbox_sdk.core.items import is_outstanding, redrive_count_of
from outbox_sdk.core.lookup import Found, LookupResult, Missing, Unreadable
from outbox_sdk.core.mark import Mark, Marked, MarkResult, Park
from outbox_sdk.core.outcome import BatchReport
from outbox_sdk.core.plan import Wrapping
from outbox_sdk.core.publish import Published, PublishRequest, PublishResponse, RequestFailed
from outbox_sdk.core.routing import Routing
from outbox_sdk.core.table import PARKED, TableDesign
from outbox_sdk.shell.context import RelayContext
from outbox_sdk.shell.relay import relay_batch

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb.type_defs import TransactWriteItemTypeDef

__all__ = [
    "ROUTING",
    "InMemoryStack",
    "InMemoryTable",
    "InMemoryTopics",
    "PublishedMessage",
    "stream_event",
    "stream_record",
]

ROUTING = Routing(region=Region("us-east-1"), account_id=AccountId("000000000000"))
"""Where the topics of the doubles are."""

_DEDUPLICATION_SECONDS = 300.0


class PublishedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as a subscriber of its topic gets it. ``topic`` is the name at the end of the ARN."""

    topic: str
    body: str
    attributes: Mapping[str, str]
    group_id: str | None = None

    @property
    def message_id(self) -> str:
        """The producer's id, by which consumers deduplicate."""
        return self.attributes["MessageId"]


class InMemoryTopics:
    """A publisher that keeps what it accepts, in order, and drops repetitions on FIFO topics as SNS does.

    Every topic exists, unless ``topics`` names those that do. ``now`` gives seconds: five minutes after the
    first acceptance SNS has forgotten a deduplication id.
    """

    def __init__(self, topics: Iterable[str] | None = None, *, now: Callable[[], float] = time) -> None:
        self.published: list[PublishedMessage] = []
        self._topics = None if topics is None else frozenset(topics)
        self._now = now
        self._accepted: dict[tuple[str, str], tuple[float, str]] = {}

    async def publish(self, request: PublishRequest) -> PublishResponse:
        """Accept every entry of one request."""
        topic = request.topic.rpartition(":")[2]
        if self._topics is not None and topic not in self._topics:
            return RequestFailed("NotFound", 404, "Topic does not exist")
        return tuple(Published(self.accept(topic, entry)) for entry in request.entries)

    def accept(self, topic: str, entry: Entry) -> str:
        """Accept one entry on a topic, by its name; give the id that SNS would give it."""
        accepted_at, known = self._accepted.get((topic, entry.deduplication_id or ""), (-math.inf, ""))
        if self._now() - accepted_at < _DEDUPLICATION_SECONDS:
            return known
        self.published.append(
            PublishedMessage(
                topic=topic,
                body=entry.envelope.body,
                attributes={attribute.name: attribute.value for attribute in entry.envelope.attributes},
                group_id=entry.group_id,
            )
        )
        sns_message_id = f"sns-{len(self.published)}"
        if entry.deduplication_id is not None:
            self._accepted[topic, entry.deduplication_id] = (self._now(), sns_message_id)
        return sns_message_id


class InMemoryTable:
    """An outbox table that holds items and the records of its stream.

    It is the relay's table, its marker and its backlog. ``deletes`` makes it mark by deleting.
    """

    request_size = 25

    def __init__(self, design: TableDesign = TableDesign.ordered, *, deletes: bool = False) -> None:
        self.design = design
        self.deletes = deletes
        self.items: dict[ItemKey, dict[str, Any]] = {}
        self.records: list[dict[str, Any]] = []

    def key_of(self, item: Mapping[str, Any]) -> ItemKey:
        """Give the key of an item."""
        names = (self.design.partition_key, self.design.sort_key)
        return ItemKey.from_item({name: item[name] for name in names if name is not None})

    def put(self, item: Mapping[str, Any]) -> ItemKey:
        """Write an item, and the record of it into the stream; give its key."""
        key = self.key_of(item)
        self._write(key, dict(item))
        return key

    async def mark(self, marks: Sequence[Mark]) -> tuple[MarkResult, ...]:
        """Mark items that still carry their marker."""
        return tuple(self._mark(mark) for mark in marks)

    def _mark(self, mark: Mark) -> MarkResult:
        design, item = self.design, self.items.get(mark.key)
        if self.deletes:
            self._write(mark.key, None)
            return Marked()
        if item is None or item.get(design.not_dispatched) != mark.marker:
            return Marked(gone=True)
        if redrive_count_of(item, design) > mark.redrive_count:
            return Marked(gone=True)
        changed = {name: value for name, value in item.items() if name != design.not_dispatched}
        changed[design.is_dispatched] = {"BOOL": True}
        changed[design.last_dispatched_at] = {"S": mark.dispatched_at}
        changed[design.dispatch_count] = {"N": str(mark.dispatch_count)}
        if mark.expires_at is not None:
            changed[design.expires_at] = {"N": str(mark.expires_at)}
        self._write(mark.key, changed)
        return Marked()

    async def lookup(self, keys: Sequence[ItemKey]) -> Mapping[ItemKey, LookupResult]:
        """Read items."""
        return {
            key: Found(is_outstanding(item, self.design), redrive_count_of(item, self.design))
            if (item := self.items.get(key)) is not None
            else Missing()
            for key in keys
        }

    async def park(self, park: Park, *, now: str) -> MarkResult:
        """Set an item aside if it still carries its marker."""
        design, item = self.design, self.items.get(park.key)
        plain = list(park.marker) == ["S"]
        if not is_outstanding(item, design) or item is None:
            return Marked(gone=True)
        if plain and item[design.not_dispatched] != park.marker:
            return Marked(gone=True)
        parked = {
            design.not_dispatched: {"S": PARKED},
            design.parked_at: {"S": now},
            design.park_reason: {"S": park.reason},
        }
        self._write(park.key, {design.created_at: {"S": now}, **item, **parked})
        return Marked()

    async def list_bucket(self, bucket: str, *, cursor: Item | None, limit: int) -> BucketPage | Unreadable:
        """Read a page of what an index on marker and creation time would hold."""
        design = self.design
        names = (design.not_dispatched, design.created_at)
        held = sorted(
            (item[design.created_at]["S"], key.parts)
            for key, item in self.items.items()
            # An item is in the index only if both keys of the index are there, as text.
            if all(list(item.get(name, ())) == ["S"] for name in names)
            and item[design.not_dispatched]["S"] == bucket
        )
        if cursor is not None:
            behind = (cursor[design.created_at]["S"], self.key_of(cursor).parts)
            held = [place for place in held if place > behind]
        page = tuple(Sighting(ItemKey(parts), created_at) for created_at, parts in held[:limit])
        if len(held) < limit:
            return BucketPage(page)
        last = page[-1]
        place = {design.not_dispatched: {"S": bucket}, design.created_at: {"S": last.created_at}}
        return BucketPage(page, {**last.key.to_item(), **place})

    async def fetch(self, keys: Sequence[ItemKey], *, whole: bool) -> Mapping[ItemKey, FetchResult]:
        """Read items, whole or what of them a plan needs."""
        design = self.design
        asked = {design.partition_key, design.sort_key, design.not_dispatched, design.aggregate_id}
        asked |= {design.created_at, design.sequence, design.touched_at}
        return {
            key: Fetched({name: value for name, value in self.items[key].items() if whole or name in asked})
            if key in self.items
            else Missing()
            for key in keys
        }

    async def touch(self, touch: Touch) -> TouchResult:
        """Touch an item that still carries its marker and was not touched lately."""
        design, item = self.design, self.items.get(touch.key)
        if item is None or item.get(design.not_dispatched) != touch.marker:
            return Untouched()
        touched = item.get(design.touched_at)
        if touched is not None and not (list(touched) == ["S"] and touched["S"] < touch.unless_since):
            return Untouched()
        self._write(touch.key, {**item, design.touched_at: {"S": touch.now}})
        return Touched()

    def _write(self, key: ItemKey, item: dict[str, Any] | None) -> None:
        old = self.items.get(key)
        if item == old:
            return  # a write that changes nothing makes no record
        if item is None:
            del self.items[key]
        else:
            self.items[key] = item
        self._emit(key, item, old)

    def _emit(self, key: ItemKey, new: dict[str, Any] | None, old: dict[str, Any] | None) -> None:
        """Write the record of a change into the stream."""
        self.records.append(stream_record(len(self.records), key, new=new, old=old, now=time()))


class InMemoryStack:
    """A whole outbox in memory: write what :meth:`~outbox_sdk.Outbox.put` builds, relay, look at the topics.

    >>> import asyncio
    >>> from outbox_sdk import Outbox
    >>> stack, outbox = InMemoryStack(), Outbox("outbox")
    >>> stack.write(outbox.put('{"id": 7}', aggregate_id="order-7", topic="order--created"))
    >>> report = asyncio.run(stack.relay())
    >>> [(message.topic, message.body) for message in stack.published]
    [('order--created', '{"id": 7}')]
    """

    def __init__(
        self,
        *,
        design: TableDesign = TableDesign.ordered,
        topics: Iterable[str] | None = None,
        envelope: EnvelopeKind = "raw",
        topic_max_bytes: int | None = None,
    ) -> None:
        self.table: InMemoryTable = InMemoryTable(design)
        self.topics: InMemoryTopics = InMemoryTopics(topics)
        self._relayed = 0
        self._context = RelayContext(
            publisher=self.topics,
            table=self.table,
            marker=self.table,
            table_name=TableName("outbox"),
            design=design,
            wrapping=Wrapping(
                routing=ROUTING,
                kind=envelope,
                limits=TopicLimits() if topic_max_bytes is None else TopicLimits(topic_max_bytes),
                source="/outbox/outbox",
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

    async def relay(self) -> BatchReport:
        """Relay the records that have come since the last time; give what became of each.

        The records of the relay's own marks come with the next call, as they do in a stream.
        """
        records = self.table.records[self._relayed :]
        self._relayed += len(records)
        return await relay_batch(self._context, {"Records": records})


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


def stream_record(
    position: int,
    key: ItemKey,
    *,
    new: Mapping[str, Any] | None,
    old: Mapping[str, Any] | None,
    now: float,
    longer_from: int = 3,
) -> dict[str, Any]:
    """Build the record of one change, as Lambda hands it over. ``now`` is in epoch seconds.

    From the position ``longer_from`` on sequence numbers have one digit more. Those of DynamoDB differ in
    length, so whoever compares them as text is found out.
    """
    name = "INSERT" if old is None else "MODIFY" if new is not None else "REMOVE"
    images = {"NewImage": new, "OldImage": old}
    return {
        "eventID": f"{position:032x}",
        "eventName": name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": str(ROUTING.region),
        "dynamodb": {
            "ApproximateCreationDateTime": now,
            "Keys": key.to_item(),
            "SequenceNumber": str(10**21 + (position - longer_from) * 10**17),
            "SizeBytes": len(msgspec.json.encode([new, old])),
            "StreamViewType": "NEW_AND_OLD_IMAGES",
            **{image: value for image, value in images.items() if value is not None},
        },
    }
