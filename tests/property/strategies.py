"""What a relay may meet, one strategy for each domain type; most come in a narrow and a rich variant.

Nothing in here calls the code under test: keys, items and events are written by hand, so that a test can
compare what was drawn with what the code makes of it.
"""

import functools
import json
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal

import msgspec
from hypothesis import strategies as st

from outbox_sdk.core.entry import TopicLimits
from outbox_sdk.core.envelope import EnvelopeKind
from outbox_sdk.core.identifiers import (
    AccountId,
    AggregateId,
    CorrelationId,
    ItemKey,
    MessageId,
    Partition,
    Region,
    TopicName,
)
from outbox_sdk.core.mark import Mark, Park
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.outcome import (
    Dispatched,
    Held,
    MarkRefused,
    Outcome,
    Parked,
    PublishedOnly,
    Settled,
    Unmarked,
    Unparked,
)
from outbox_sdk.core.plan import Wrapping
from outbox_sdk.core.publish import EntryFailed, Published, PublishResponse, RequestFailed
from outbox_sdk.core.routing import Routing
from outbox_sdk.core.shards import Shard
from outbox_sdk.core.table import TableDesign

__all__ = [
    "CONFIGURATION_CODES",
    "DESIGNS",
    "MESSAGE_CODES",
    "RETRY_CODES",
    "STREAM_ARN",
    "TOPIC",
    "DrawnEvent",
    "DrawnRecord",
    "arbitrary_images",
    "attribute_values",
    "awkward_text",
    "created_at_texts",
    "designs",
    "envelope_kinds",
    "events",
    "instants",
    "item_key",
    "json_texts",
    "lambda_responses",
    "limits",
    "marks",
    "messages",
    "outcomes",
    "parks",
    "poisoned_images",
    "publish_answers",
    "publish_responses",
    "routings",
    "sequence_numbers",
    "shard_trees",
    "topic_names",
    "travelling_text",
    "wire_record",
    "wrappings",
    "write_item",
]

# Table designs

DESIGNS: Mapping[str, TableDesign] = {
    "ordered": TableDesign.ordered,
    "message_keyed": TableDesign.message_keyed,
    # Names that need quoting wherever a name may be mistaken for syntax.
    "renamed": TableDesign(
        keyed_by="aggregate",
        partition_key="pk",
        sort_key='s"k',
        message_id="id",
        aggregate_id="about",
        correlation_id="cause",
        topic="to",
        body="body?",
        created_at="made at",
        is_dispatched="done",
        dispatch_count="SET tries=?",
        last_dispatched_at="done.at?",
        not_dispatched="to-do?",
        message_type="kind",
        schema_version="v",
        content_type="mime",
        headers="meta",
        sequence="n",
        expires_at="ttl",
        parked_at="parked.at",
        park_reason="why",
        touched_at="touched",
        redrive_count="again",
        hops="steps?",
        outstanding_index="to-do",
        sequence_index="n-index",
    ),
    "renamed_message_keyed": TableDesign(
        keyed_by="message",
        partition_key="{key}",
        not_dispatched="mark#er",
        created_at="at:now",
        headers="größe",
    ),
}


@functools.cache
def designs() -> st.SearchStrategy[TableDesign]:
    """One of the designs that ship, or one with names of its own."""
    return st.sampled_from(list(DESIGNS.values()))


# Text

_AWKWARD = (
    "\U0001f600", "e\u0301", "\u00df", "\u2028", "\ufeff", "\ufffd", "\t\r\n", "\x7f", "\x85", " ",
    '"', "\\", "'", "?", "#", ":", "%s", "{}", "null", "true", "1e3", "x", "parked", "00", "15", "99",
    "AGGREGATE#", "MESSAGE#", "AWS.", "aws:dynamodb", "\U0010ffff", "\ue000", "\ud7ff",
)  # fmt: skip
_HARMFUL = ("\x00", "\x08", "\x0b", "\x1f", "\ufffe", "\uffff", "\ud800", "\udfff", "a\ud83d", "\udc00\ud800")


@functools.cache
def travelling_text(*, min_size: int = 1, max_size: int = 12) -> st.SearchStrategy[str]:
    """Text that SNS and SQS carry, with every kind of character that they do."""
    allowed = st.characters(
        exclude_categories=["Cs"],
        exclude_characters="".join(map(chr, {*range(32), 0xFFFE, 0xFFFF} - {9, 10, 13})),
    )
    plain = st.text(allowed, min_size=min_size, max_size=max_size)
    return plain | st.sampled_from(_AWKWARD)


@functools.cache
def awkward_text() -> st.SearchStrategy[str]:
    """Any text at all: NUL, halves of surrogate pairs, characters that are none."""
    mixed = st.builds("".join, st.tuples(travelling_text(min_size=0), st.sampled_from(_HARMFUL)))
    return st.text(max_size=12) | st.text(st.characters(), max_size=8) | st.sampled_from(_HARMFUL) | mixed


def _nest(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(travelling_text(min_size=0), inner, max_size=3)


_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
_json_values: st.SearchStrategy[Any] = st.recursive(
    _scalars | travelling_text(min_size=0), _nest, max_leaves=4
)


@functools.cache
def json_texts() -> st.SearchStrategy[str]:
    """JSON as producers write it: any spacing, any escaping, numbers that no float holds."""
    written = st.builds(
        lambda value, ascii_only, indent: json.dumps(value, ensure_ascii=ascii_only, indent=indent),
        _json_values, st.booleans(), st.sampled_from([None, 0, 1]),
    )  # fmt: skip
    odd = st.sampled_from([
        '{"price":1.10}', '{"n":12345678901234567890.0000000001}', "1E400", "-0.0", "-0",
        '{"a":1,"a":2}', ' \n{ "a" : [ ] }\t\n', '"\\u00e9\\/\\ud83d\\ude00"', '"\\u0000"',
        "0", '""', "[]", "null",
    ])  # fmt: skip
    return written | odd


# Names

TOPIC = TopicName("orders")
_NAME_CHARACTERS = string.ascii_letters + string.digits + "_-"
_FEW_TOPICS = st.sampled_from([TopicName(name) for name in ("orders", "x", "orders.fifo", "parked.fifo")])


@functools.cache
def topic_names(kind: Literal["any", "standard", "fifo"] = "any") -> st.SearchStrategy[TopicName]:
    """Names that SNS takes; a few of them again and again, so that messages meet on a topic."""
    standard = st.sampled_from(["orders", "x", "parked"]) | st.text(_NAME_CHARACTERS, min_size=1, max_size=20)
    fifo = st.builds("{}.fifo".format, standard)
    chosen = {"any": standard | fifo, "standard": standard, "fifo": fifo}[kind]
    return chosen.map(TopicName)


def item_key(design: TableDesign, aggregate_id: str, message_id: str) -> ItemKey:
    """The key as the designs are documented, by hand."""
    if design.keyed_by == "message":
        return ItemKey(((design.partition_key, "S", f"MESSAGE#{message_id}"),))
    assert design.sort_key is not None
    parts = [
        (design.partition_key, "S", f"AGGREGATE#{aggregate_id}"),
        (design.sort_key, "S", f"MESSAGE#{message_id}"),
    ]
    return ItemKey(tuple(sorted(parts)))


@functools.cache
def sequence_numbers(count: int) -> st.SearchStrategy[list[str]]:
    """Rising sequence numbers that cross from one length to the next, padded with zeros or not."""
    starts = st.sampled_from([97, 8, 10**20 - 3, 10**21 - 30, 3 * 10**38])
    steps = st.lists(st.integers(1, 40), min_size=count, max_size=count)

    def number(start: int, steps: list[int], width: int) -> list[str]:
        numbers = []
        for step in steps:
            start += step
            numbers.append(str(start).zfill(width))
        return numbers

    return st.builds(number, starts, steps, st.sampled_from([0, 0, 41]))


# Instants

# Instants that exist, in a year that is not there in UTC.
_NO_UTC = ("0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00")
_FIRST, _LAST = datetime(1, 1, 3), datetime(9999, 12, 29)  # noqa: DTZ001 - bounds for every time zone
_zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@functools.cache
def instants() -> st.SearchStrategy[datetime]:
    """Instants with any offset, all within the years that every zone can write."""
    return st.datetimes(_FIRST, _LAST, timezones=st.just(UTC) | _zones)


@functools.cache
def created_at_texts() -> st.SearchStrategy[str]:
    """What producers write as a time: ours, other offsets, no offset, and no time at all."""
    ours = instants().map(lambda i: i.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0"))
    foreign = instants().map(datetime.isoformat)
    naive = st.datetimes(_FIRST, _LAST).map(datetime.isoformat)
    return (
        ours
        | foreign
        | naive
        | st.sampled_from(["", "yesterday", "2026-11-23", "20261123T090000Z", *_NO_UTC])
    )


# Messages

_MARKERS = ["00", "04", "15", "99", "x", "100", "Parked", "parked "]
_markers = st.sampled_from([{"S": text} for text in _MARKERS])
_dice = st.integers(0, 575)
_header_names = st.builds("h{}{}".format, st.text(_NAME_CHARACTERS, max_size=9), st.sampled_from(["", ".a"]))
_hops = st.sampled_from([0, 0, 0, 1, 7, 15, -1])
_counts = st.integers(0, 5) | st.integers(0, 10**38 - 1)
_integers = st.integers(-3, 40) | st.integers(-(10**38) + 1, 10**38 - 1)
_content_types = st.sampled_from(
    [
        "application/json",
        "application/json; charset=utf-8",
        "APPLICATION/VND.API+JSON",
        "text/plain",
        "text/csv",
        "",
    ]
)


_aggregates = st.sampled_from(["a1", "a2", "a3"])
_simple_ids = st.sampled_from([f"{letter}{number}" for letter in "ab" for number in range(3)])
_any_aggregates = _aggregates | travelling_text()
_any_ids = _simple_ids | travelling_text()
_blanks = st.sampled_from([" ", "\n", "\t ", "\u2028"])
_padded = st.builds("{}{}{}".format, _blanks, travelling_text(), _blanks)
_bodies = json_texts() | travelling_text() | _padded
_correlation_ids = st.none() | travelling_text(min_size=0).map(CorrelationId)
_created_at = st.none() | created_at_texts()
_message_types = st.none() | travelling_text(min_size=0)
_optional_integers = st.none() | _integers
_json_content_types = st.none() | _content_types
_other_content_types = st.sampled_from([None, "text/plain"])
_headers = st.dictionaries(_header_names, travelling_text(), max_size=2)


@st.composite
def messages(
    draw: st.DrawFn,
    design: TableDesign,
    *,
    rich: bool = True,
    topics: st.SearchStrategy[TopicName] | None = None,
    aggregates: st.SearchStrategy[str] | None = None,
    message_ids: st.SearchStrategy[str] | None = None,
) -> OutboxMessage:
    """A message that can travel. The narrow variant has short plain ids, no headers and few optionals."""
    # One draw for everything narrow: batches are made of these, and draws are what examples cost.
    dice = draw(_dice)
    narrow_aggregate = f"a{1 + dice % 3}" if aggregates is None else draw(aggregates)
    aggregate_id = draw(_any_aggregates) if rich and aggregates is None else narrow_aggregate
    message_id = draw((_any_ids if rich else _simple_ids) if message_ids is None else message_ids)
    message = OutboxMessage(
        key=item_key(design, aggregate_id, message_id),
        marker={"S": _MARKERS[dice // 3 % len(_MARKERS)]},
        message_id=MessageId(message_id),
        aggregate_id=AggregateId(aggregate_id),
        topic=draw((topic_names() if rich else _FEW_TOPICS) if topics is None else topics),
        body=draw(_bodies) if rich else f'{{"id":"{message_id}"}}',
        sequence=draw(_optional_integers) if rich else (dice // 24 % 12 if dice // 288 % 2 else None),
    )
    if not rich:
        return message
    return msgspec.structs.replace(
        message,
        correlation_id=draw(_correlation_ids),
        created_at=draw(_created_at),
        message_type=draw(_message_types),
        schema_version=draw(_optional_integers),
        content_type=draw(_json_content_types if _is_json(message.body) else _other_content_types),
        headers=draw(_headers),
        dispatch_count=draw(_counts),
        redrive_count=draw(_counts),
        hops=draw(_hops),
    )


def _is_json(text: str) -> bool:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        json.loads(text, parse_constant=refuse)
    except ValueError:
        return False
    return True


# Items and images

_TEXTS = ("correlation_id", "created_at", "message_type", "content_type")
_NUMBERS = ("schema_version", "sequence", "redrive_count", "hops")
_COUNTED = ("redrive_count", "hops")
_REQUIRED = ("message_id", "aggregate_id", "topic", "body")


@st.composite
def write_item(draw: st.DrawFn, message: OutboxMessage, design: TableDesign) -> dict[str, Any]:
    """An item that holds a message, as any producer may write it.

    Absent optionals are left out or NULL, counts of 0 are left out or written, and there may be attributes
    that are nobody's business.
    """
    ways = draw(_ways)
    item: dict[str, Any] = {name: {kind: value} for name, kind, value in message.key.parts}
    item[design.not_dispatched] = dict(message.marker)
    for field in _REQUIRED:
        item[getattr(design, field)] = {"S": getattr(message, field)}
    for bit, field in enumerate((*_TEXTS, *_NUMBERS)):
        value = getattr(message, field)
        if value is None or (field in _COUNTED and value == 0):
            if ways >> bit & 1:
                item[getattr(design, field)] = {"NULL": True}
        else:
            item[getattr(design, field)] = {"S" if field in _TEXTS else "N": str(value)}
    if ways & 256 or message.headers:
        item[design.headers] = {"M": {name: {"S": text} for name, text in message.headers.items()}}
    if ways & 512 or message.dispatch_count:
        item[design.dispatch_count] = {"N": str(message.dispatch_count)}
    if ways & 1024:
        item[design.is_dispatched] = {"BOOL": False}
        item["Something else"] = _OTHERS[ways >> 11]
    return item


_OTHERS: list[dict[str, Any]] = [
    {"S": ""},
    {"L": [{"M": {"S": {"N": "1"}}}]},
    {"BS": ["eA=="]},
    {"NULL": True},
]
_ways = st.integers(0, 8191)


@functools.cache
def attribute_values() -> st.SearchStrategy[dict[str, Any]]:
    """One attribute value of any DynamoDB type, as a stream record of Lambda writes it."""
    numbers = st.sampled_from(["0", "-1", "1.5", "1E+5", "9" * 38, "0.1"])
    binary = st.sampled_from(["", "eA==", "AAECAw=="])
    leaves = st.one_of(
        travelling_text(min_size=0).map(lambda v: {"S": v}),
        numbers.map(lambda v: {"N": v}),
        binary.map(lambda v: {"B": v}),
        st.booleans().map(lambda v: {"BOOL": v}),
        st.just({"NULL": True}),
        st.sampled_from([{"SS": ["a"]}, {"NS": ["1"]}, {"BS": ["eA=="]}]),
    )
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=2).map(lambda v: {"L": v})
            | st.dictionaries(st.sampled_from(["a", "S", "N", ""]), inner, max_size=2).map(lambda v: {"M": v})
        ),
        max_leaves=4,
    )


@functools.cache
def arbitrary_images(design: TableDesign) -> st.SearchStrategy[dict[str, Any]]:
    """Anything that JSON can say where an image belongs, under the names the relay reads and any other."""
    names = st.sampled_from([name for field in (*_REQUIRED, *_TEXTS, *_NUMBERS, "headers", "not_dispatched",
        "dispatch_count", "is_dispatched") for name in (getattr(design, field),)])  # fmt: skip
    tags = st.sampled_from(["S", "N", "M", "L", "NULL", "BOOL", "B", ""]) | awkward_text()
    scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | awkward_text()
    anything = st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(tags, inner, max_size=2),
        max_leaves=4,
    )
    return st.dictionaries(
        names | tags, attribute_values() | st.dictionaries(tags, anything, max_size=2) | anything, max_size=8
    )


_POISONS = ["gone", "null", "empty", "type", "charset", "charset", "charset", "optional", "integer", "header"]


@st.composite
def poisoned_images(
    draw: st.DrawFn, message: OutboxMessage, design: TableDesign
) -> tuple[dict[str, Any], str]:
    """An outstanding image with exactly one fault, and the reason that names it."""
    image = draw(write_item(message, design))
    required = draw(st.sampled_from(_REQUIRED))
    name = getattr(design, required)
    bad, fault = draw(st.sampled_from([
        ("\x00", "charset:U+0000"), ("\x1f", "charset:U+001F"), ("\ufffe", "charset:U+FFFE"),
        ("\uffff", "charset:U+FFFF"), ("\ud800", "unicode"), ("\udfff", "unicode"),
    ]))  # fmt: skip
    match draw(st.sampled_from(_POISONS)):
        case "gone":
            del image[name]
            reason = f"missing:{name}"
        case "null":
            image[name] = {"NULL": True}
            reason = f"missing:{name}"
        case "empty":
            image[name] = {"S": ""}
            reason = "empty" if required == "body" else f"missing:{name}"
        case "type":
            value = draw(attribute_values().filter(lambda value: not value.keys() & {"S", "NULL"}))
            image[name] = value
            reason = f"type:{name}:{next(iter(value))}"
        case "charset":
            image[name] = {"S": draw(travelling_text()) + bad + draw(travelling_text())}
            reason = fault if required == "body" else f"{fault}:{name}"
        case "optional":
            field, own = draw(st.sampled_from([("correlation_id", "S"), ("sequence", "N"), ("headers", "M")]))
            name = getattr(design, field)
            value = draw(attribute_values().filter(lambda value: not value.keys() & {own, "NULL"}))
            image[name] = value
            reason = f"type:{name}:{next(iter(value))}"
        case "integer":
            name = getattr(design, draw(st.sampled_from(_NUMBERS)))
            image[name] = {"N": draw(st.sampled_from(["1.5", "1E+40", "", "-", "NaN"]))}
            reason = f"integer:{name}"
        case _:
            image[design.headers] = {"M": {"h": {"N": "1"}}}
            reason = f"type:{design.headers}:M"
    return image, reason


# Events

RecordKind = Literal["message", "poison", "marked", "parked", "removed", "foreign"]


@dataclass(frozen=True)
class DrawnRecord:
    """A record as Lambda hands it over, and what it was drawn to be."""

    wire: dict[str, Any]
    kind: RecordKind
    key: ItemKey
    message: OutboxMessage | None = None
    reason: str | None = None

    @property
    def number(self) -> str:
        """The sequence number, verbatim."""
        number = self.wire["dynamodb"]["SequenceNumber"]
        assert isinstance(number, str)
        return number

    @property
    def creation(self) -> float | None:
        """The time of the record, where it has one that a calendar knows."""
        value = self.wire["dynamodb"].get("ApproximateCreationDateTime")
        return value if type(value) in (int, float) and 0 <= value < 10**11 else None


@dataclass(frozen=True)
class DrawnEvent:
    """An event and the design of the table it comes from."""

    design: TableDesign
    records: tuple[DrawnRecord, ...]

    @property
    def wire(self) -> dict[str, Any]:
        """The event as Lambda hands it over."""
        return {"Records": [record.wire for record in self.records]}


STREAM_ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/outbox/stream/2026-11-23T09:00:00.000"


def wire_record(
    key: ItemKey,
    number: str,
    *,
    new: Mapping[str, Any] | None = None,
    old: Mapping[str, Any] | None = None,
    creation: Any = None,
) -> dict[str, Any]:
    """A record with everything that Lambda puts into one; its name follows from its images."""
    change: dict[str, Any] = {
        "Keys": {name: {kind: value} for name, kind, value in key.parts},
        "SequenceNumber": number,
        "SizeBytes": 200,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    if creation is not None:
        change["ApproximateCreationDateTime"] = creation
    if new is not None:
        change["NewImage"] = dict(new)
    if old is not None:
        change["OldImage"] = dict(old)
    return {
        "eventID": f"id-{number}",
        "eventName": "REMOVE" if new is None else "INSERT" if old is None else "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": change,
        "eventSourceARN": STREAM_ARN,
    }


_distinct_ids = st.integers(0, 99).map("m{}".format)
_redrives = st.sampled_from([0, 0, 1, 2])
_creations = st.sampled_from([995, 996.5, 1000.0, 1000, 0, None, *(-1, 10**400, True, "soon")])


@st.composite
def _records(
    draw: st.DrawFn, design: TableDesign, message: OutboxMessage, number: str, kinds: Sequence[RecordKind]
) -> DrawnRecord:
    kind = draw(st.sampled_from(kinds))
    message = msgspec.structs.replace(message, redrive_count=draw(_redrives))
    good = draw(write_item(message, design))
    creation = draw(_creations)
    key, reason = message.key, None
    new: dict[str, Any] | None = good
    old: dict[str, Any] | None = None
    marked = {name: value for name, value in good.items() if name != design.not_dispatched}
    marked[design.is_dispatched] = {"BOOL": True}
    match kind:
        case "message":
            parked = {**good, design.not_dispatched: {"S": "parked"}}
            old = draw(st.sampled_from([None, good, parked]))  # inserted, touched, redriven
        case "poison":
            new, reason = draw(poisoned_images(message, design))
            old = draw(st.sampled_from([None, good]))
        case "marked":
            new, old = marked, draw(st.sampled_from([good, None]))
        case "parked":
            new, old = {**good, design.not_dispatched: {"S": "parked"}}, good
        case "removed":
            new, old = None, draw(st.sampled_from([good, marked]))
        case "foreign":
            new = {name: {kind: value} for name, kind, value in key.parts}
            new |= {"Customer": {"S": "7"}, design.body: {"S": "not a message"}}
            old = draw(st.sampled_from([None, dict(new)]))
    return DrawnRecord(
        wire=wire_record(key, number, new=new, old=old, creation=creation),
        kind=kind,
        key=key,
        message=message if kind == "message" else None,
        reason=reason,
    )


@st.composite
def events(
    draw: st.DrawFn,
    design: TableDesign | None = None,
    *,
    rich: bool = True,
    kinds: Sequence[RecordKind] = (
        "message",
        "message",
        "message",
        "poison",
        "marked",
        "parked",
        "removed",
        "foreign",
    ),
    topics: st.SearchStrategy[TopicName] | None = None,
    aggregates: st.SearchStrategy[str] | None = None,
    min_size: int = 0,
    max_size: int = 6,
    repeats: bool = True,
    shuffled: bool = True,
) -> DrawnEvent:
    """A batch: records of every kind, several of one item (``repeats``), in any order (``shuffled``)."""
    design = draw(designs()) if design is None else design
    count = draw(st.integers(min_size, max_size))
    # Mostly narrow: one rich message among simple ones is what a batch needs to be odd.
    simple = messages(design, rich=False, topics=topics, aggregates=aggregates, message_ids=_distinct_ids)
    each = simple | simple | messages(design, topics=topics, aggregates=aggregates) if rich else simple
    items = draw(st.lists(each, min_size=count, max_size=count, unique_by=lambda message: message.key))
    if repeats and items:
        items = [draw(st.sampled_from(items[: 1 + position])) for position in range(count)]
    numbers = draw(sequence_numbers(count))
    records = [
        draw(_records(design, message, number, kinds)) for message, number in zip(items, numbers, strict=True)
    ]
    if shuffled:
        records = draw(st.permutations(records))
    return DrawnEvent(design, tuple(records))


# Routing and wrapping


@functools.cache
def routings() -> st.SearchStrategy[Routing]:
    """Any partition and prefix, with and without an allow-list."""
    allowed = st.frozensets(topic_names(), max_size=3)
    return st.builds(
        Routing,
        region=st.sampled_from(["eu-west-1", "cn-north-1"]).map(Region),
        account_id=st.just(AccountId("123456789012")),
        partition=st.sampled_from(["aws", "aws-cn"]).map(Partition),
        prefix=st.sampled_from(["", "dev-", "p" * 255]),
        allowed=st.none() | allowed,
    )


@functools.cache
def envelope_kinds() -> st.SearchStrategy[EnvelopeKind]:
    """The three envelopes."""
    kinds: tuple[EnvelopeKind, ...] = ("raw", "cloudevents", "tomodachi")
    return st.sampled_from(kinds)


@functools.cache
def limits() -> st.SearchStrategy[TopicLimits]:
    """Limits so low that they bite, and real ones."""
    sizes = st.sampled_from([40, 120, 200, 400, 262_144])
    return st.builds(TopicLimits, default=sizes, by_topic=st.dictionaries(topic_names(), sizes, max_size=2))


@st.composite
def wrappings(draw: st.DrawFn, *, open_to_all: bool = False) -> Wrapping:
    """How messages become entries; ``open_to_all`` refuses none for its topic or size."""
    if open_to_all:
        routing = Routing(region=Region("eu-west-1"), account_id=AccountId("123456789012"))
        return Wrapping(routing=routing, kind=draw(envelope_kinds()), source="/outbox/test")
    return Wrapping(
        routing=draw(routings()), kind=draw(envelope_kinds()), limits=draw(limits()), source="/outbox/test"
    )


# Answers of SNS

RETRY_CODES = (
    "Throttled",
    "ThrottlingException",
    "KMSThrottling",
    "InternalError",
    "ServiceUnavailable",
    "Timeout",
)
CONFIGURATION_CODES = ("AuthorizationError", "KMSDisabled", "KMSAccessDenied", "NotFound", "ExpiredToken")
MESSAGE_CODES = ("InvalidParameter", "InvalidParameterValue", "BatchRequestTooLong", "ValidationError")
_codes = st.sampled_from([*RETRY_CODES, *CONFIGURATION_CODES, *MESSAGE_CODES, "NeverHeardOf", ""])


@functools.cache
def publish_responses(size: int) -> st.SearchStrategy[PublishResponse]:
    """A decoded answer for ``size`` entries: accepted, refused, failed one by one, or all at once."""
    entry = st.builds(Published, st.sampled_from(["sns-1", ""])) | st.builds(
        EntryFailed,
        _codes,
        st.booleans(),
        st.sampled_from(["", "Invalid parameter: TopicArn", "Message too long"]),
    )
    failed = st.builds(
        RequestFailed,
        _codes,
        st.sampled_from([0, 400, 401, 403, 404, 413, 429, 500, 503]),
        st.sampled_from(["", "x"]),
    )
    each: st.SearchStrategy[PublishResponse] = st.lists(entry, min_size=size, max_size=size).map(tuple)
    return each | failed


@st.composite
def publish_answers(draw: st.DrawFn, size: int) -> dict[str, Any]:
    """What ``PublishBatch`` may answer with 200: any ids in either list, in any order, or no list at all."""
    ids = st.sampled_from([*map(str, range(size)), "unknown", str(size)])
    successes = st.builds(lambda i: {"Id": i, "MessageId": f"sns-{i}", "SequenceNumber": "1"}, ids)
    failures = st.builds(
        lambda i, code, fault: {"Id": i, "Code": code, "SenderFault": fault, "Message": "text"},
        ids,
        _codes,
        st.booleans(),
    )
    answer: dict[str, Any] = {}
    if draw(st.integers(0, 5)):
        answer["Successful"] = draw(st.lists(successes, max_size=size + 1))
    if draw(st.integers(0, 5)):
        answer["Failed"] = draw(st.lists(failures, max_size=size + 1))
    return answer


# Marks, parks, outcomes


@functools.cache
def marks(design: TableDesign) -> st.SearchStrategy[Mark]:
    """Marks of any message, with and without a time to live."""
    return st.builds(
        Mark,
        key=messages(design).map(lambda message: message.key),
        marker=_markers,
        dispatched_at=st.just("2026-11-23T09:00:00.000000Z"),
        dispatch_count=st.integers(1, 10**38 - 1),
        expires_at=st.none() | st.integers(0, 2**40),
    )


@functools.cache
def parks(design: TableDesign) -> st.SearchStrategy[Park]:
    """Parks of any message, for any reason."""
    return st.builds(
        Park,
        messages(design).map(lambda message: message.key),
        _markers,
        st.sampled_from(["empty", "missing:Topic", "size:262145>262144", "held:NotFound", "charset:U+0000"]),
    )


@functools.cache
def outcomes() -> st.SearchStrategy[Outcome]:
    """Every way in which a record may end."""
    codes = st.sampled_from(["Timeout", "Throttled", "ValidationException"])
    return st.one_of(
        st.builds(Dispatched, st.booleans()), st.just(PublishedOnly()), st.builds(MarkRefused, codes),
        st.builds(Unmarked, codes), st.builds(Parked, codes), st.builds(Unparked, codes, codes),
        st.builds(Settled, codes), st.builds(Held, codes, st.booleans()),
    )  # fmt: skip


# Lambda


def lambda_responses(numbers: Sequence[str]) -> st.SearchStrategy[Any]:
    """What a handler may answer for a batch with these sequence numbers, sensible or not."""
    known = st.sampled_from(list(numbers)) if numbers else st.just("0")
    identifiers = known | st.sampled_from(["", None, "no such number", 7, 1.5])
    failures = identifiers.map(lambda i: {"itemIdentifier": i}) | st.sampled_from(
        [{}, {"id": "1"}, "1", None]
    )
    lists = st.lists(failures, max_size=4)
    good = st.lists(known.map(lambda i: {"itemIdentifier": i}), max_size=4)
    return st.one_of(
        st.sampled_from([None, {}, [], "", {"batchItemFailures": None}, {"batchItemFailures": []}]),
        lists.map(lambda value: {"batchItemFailures": value}),
        good.map(lambda value: {"batchItemFailures": value}),
        good.map(lambda value: {"batchItemFailure": value}),
    )


# Shards


@st.composite
def shard_trees(draw: st.DrawFn) -> tuple[Shard, ...]:
    """Shards that split again and again, some of their parents trimmed, in any order."""
    count = draw(st.integers(0, 8))
    shards = []
    for position in range(count):
        parent = draw(st.none() | st.integers(0, position - 1)) if position else None
        shards.append(Shard(f"shard-{position}", None if parent is None else f"shard-{parent}"))
    kept = [shard for shard in shards if draw(st.integers(0, 4))]
    return tuple(draw(st.permutations(kept)))
