"""What does deciding cost, from the parsed event to the requests, next to what other ways cost?

Run: ``nox -s bench -- decode_and_plan``, or ``python -m benchmarks.decode_and_plan``.

The hand-written equivalent is one function over plain dictionaries. It gives the very same ``PublishBatch``
arguments and makes the same checks, as somebody would write it for one table, one envelope and no reports;
it finds characters that cannot travel in the same way. The floor reads the same attributes without a check,
and sees only one topic. Powertools' parser only types the event. All run in turn in one process; the figure
to look at is the ratio, since microseconds belong to the machine.
"""

import copy
import hashlib
import json
import re
import statistics
import sys
from collections.abc import Callable
from time import perf_counter, time
from typing import Any, NamedTuple

from aws_lambda_powertools.utilities.parser import parse
from aws_lambda_powertools.utilities.parser.models import DynamoDBStreamModel

from benchmarks.harness.answers import Answer, Bar, Table, describe_machine, print_answer
from outbox_sdk.core.account import account_for
from outbox_sdk.core.effort import Effort
from outbox_sdk.core.identifiers import AccountId, Region
from outbox_sdk.core.outcome import BatchReport, Dispatched
from outbox_sdk.core.plan import BatchPlan, Wrapping, plan_batch, plan_intake, plan_lookup
from outbox_sdk.core.publish import pack_requests, publish_batch_request
from outbox_sdk.core.routing import Routing
from outbox_sdk.core.stream import Record, decode_event
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell.producer import Outbox
from outbox_sdk.testing import stream_event

RECORDS = 100
BODY_BYTES = 1_000
ROUNDS = 100
WARM_UP = 5
RECHECK_AFTER = 1e9
WRAPPING = Wrapping(
    routing=Routing(region=Region("us-east-1"), account_id=AccountId("123456789012")), source="/outbox/outbox"
)

Event = dict[str, Any]
Request = dict[str, Any]


class Row(NamedTuple):
    """What one way costs, in microseconds a record."""

    name: str
    median: float
    low: float
    high: float


# Events


def make_event(topic: str, *, records: int = RECORDS, body_bytes: int = BODY_BYTES) -> Event:
    outbox = Outbox("outbox")
    body = '{"text":"' + "x" * (body_bytes - 11) + '"}'
    return stream_event(
        *(outbox.put(body, aggregate_id=f"order-{number % 20}", topic=topic) for number in range(records))
    )


def make_echo(event: Event) -> Event:
    """Make the records that the relay's own marks bring back."""
    echo = copy.deepcopy(event)
    for record in echo["Records"]:
        change = record["dynamodb"]
        record["eventName"], change["OldImage"] = "MODIFY", copy.deepcopy(change["NewImage"])
        change["NewImage"]["IsDispatched"] = {"BOOL": True}
        del change["NewImage"]["NotDispatched"]
    return echo


# Ours


def decode(event: Event) -> tuple[Record, ...]:
    return decode_event(event, TableDesign.ordered, table_name="outbox")


def decode_and_plan(event: Event) -> list[Request]:
    return _plan(decode(event))[1]


def decode_plan_and_account(event: Event) -> BatchReport:
    records = decode(event)
    plan, _ = _plan(records)
    outcomes = dict(plan.decided)
    outcomes.update((record.key, Dispatched()) for lane in plan.lanes for record in lane)
    return account_for(records, plan=plan, lookups={}, outcomes=outcomes, effort=Effort())


def _plan(records: tuple[Record, ...]) -> tuple[BatchPlan, list[Request]]:
    intake = plan_intake(records)
    keys = plan_lookup(intake, now=time(), recheck_after=RECHECK_AFTER, published=lambda *_: False)
    assert not keys
    plan = plan_batch(intake, lookups={}, published=lambda *_: False, deletes=False, wrapping=WRAPPING)
    requests: list[Request] = []
    lanes = plan.lanes
    place = 0
    while lanes:
        packed = pack_requests([lane[place].entry for lane in lanes])
        requests.extend([publish_batch_request(request) for request in packed])
        place += 1
        lanes = tuple([lane for lane in lanes if len(lane) > place])
    return plan, requests


# By hand

_ARN = "arn:aws:sns:us-east-1:123456789012:"
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,256}|[A-Za-z0-9_-]{1,251}\.fifo")
_HEADER = re.compile(r"(?!(?i:aws|amazon)\.)(?!\.)(?!.*\.\.)[A-Za-z0-9_.-]{1,256}(?<!\.)")
_GROUP = re.compile(r"[!-~]{1,128}")
_RESERVED = {"MessageId", "AggregateId", "CorrelationId", "MessageType"}
_RESERVED |= {"SchemaVersion", "ContentType", "Sequence", "Hops"}
_ALLOWED: frozenset[str] | None = None
_MAX_BYTES = 262_144
_WITHOUT_CONTROLS = bytes(63 if code < 32 and code not in b"\t\n\r" else code for code in range(256))


def by_hand(event: Event) -> list[Request]:
    """Do the same in one function a step, without a type: poison would go to a list beside."""
    poison: list[tuple[Any, str]] = []
    latest: dict[Any, tuple[int, Any, Any]] = {}
    numbered = [(int(record["dynamodb"]["SequenceNumber"]), record) for record in event["Records"]]
    numbered.sort(key=lambda pair: pair[0])
    for number, record in numbered:
        if record["eventSource"] != "aws:dynamodb" or record["eventSourceARN"].split("/")[1] != "outbox":
            raise ValueError("another table's event")
        change = record["dynamodb"]
        keys = change["Keys"]
        key = keys["PK"]["S"], keys["SK"]["S"]
        image = change.get("NewImage")
        marker = None if record["eventName"] == "REMOVE" else image.get("NotDispatched")
        if marker is None or marker == {"S": "parked"}:
            if record["eventName"] != "REMOVE":
                latest.pop(key, None)
            continue
        latest[key] = (latest[key][0] if key in latest else number), record, image

    lookups: list[Any] = []
    now = time()
    topics: dict[str, str] = {}
    lanes: dict[Any, list[Any]] = {}
    for key, (number, record, image) in latest.items():
        created = record["dynamodb"].get("ApproximateCreationDateTime")
        if record["eventName"] != "INSERT" or created is None or now - created >= RECHECK_AFTER:
            lookups.append(key)
        try:
            sequence, size, topic, group, entry = _entry_by_hand(key, image, topics)
        except (KeyError, TypeError, ValueError) as error:
            poison.append((key, str(error)))
            continue
        lane = key if group is None else (topic, group)
        lanes.setdefault(lane, []).append((number, sequence, size, topic, entry))
    for entries in lanes.values():
        if len(entries) > 1:
            if all(entry[1] is not None for entry in entries):
                entries.sort(key=lambda entry: (entry[1], entry[0]))
            else:
                entries.sort(key=lambda entry: entry[0])
    assert not poison
    assert not lookups
    return _pack_by_hand(sorted(lanes.values(), key=lambda entries: entries[0][0]))


def _entry_by_hand(key: Any, image: Any, topics: dict[str, str]) -> tuple[Any, ...]:
    message_id, aggregate_id = _text(image["MessageId"]), _text(image["AggregateId"])
    name, body = _text(image["Topic"]), _text(image["Message"])
    if not (message_id and aggregate_id and name and body):
        raise ValueError("empty")
    attributes = {
        "MessageId": {"DataType": "String", "StringValue": message_id},
        "AggregateId": {"DataType": "String", "StringValue": aggregate_id},
    }
    texts = [body, name, message_id, aggregate_id]
    size = 6 + 9 + 6 + 11
    for field in ("CorrelationId", "MessageType", "ContentType"):
        if field in image and (text := _text(image[field])):
            attributes[field] = {"DataType": "String", "StringValue": text}
            texts.append(text)
            size += 6 + len(field)
    sequence = None
    redrives = 0
    for field in ("SchemaVersion", "Sequence", "Hops", "RedriveCount"):
        if field not in image:
            continue
        value = image[field]
        number = int(value["N"])
        if len(value) != 1:
            raise ValueError("type")
        if field == "RedriveCount":
            redrives = number
        else:
            if field == "Sequence":
                sequence = number
            if field == "Hops" and number >= 16:
                raise ValueError("hops")
            attributes[field] = {"DataType": "Number", "StringValue": str(number)}
            size += 6 + len(field) + len(str(number))
    if "Headers" in image:
        for field, value in image["Headers"]["M"].items():
            text = _text(value)
            if not text or field in _RESERVED or not _HEADER.fullmatch(field):
                raise ValueError("attribute-name")
            attributes[field] = {"DataType": "String", "StringValue": text}
            texts.append(text)
            size += 6 + len(field)
    if len(attributes) > 10:
        raise ValueError("attributes")
    together = "".join(texts)
    encoded = together.encode()
    if encoded.translate(_WITHOUT_CONTROLS) != encoded or "\ufffe" in together or "\uffff" in together:
        raise ValueError("charset")
    size += len(encoded) - len(name)
    if size > _MAX_BYTES:
        raise ValueError("size")
    topic = topics.get(name)
    if topic is None:
        if not _TOPIC.fullmatch(name) or (_ALLOWED is not None and name not in _ALLOWED):
            raise ValueError("topic")
        topic = topics[name] = _ARN + name
    entry = {"Id": "", "Message": body, "MessageAttributes": attributes}
    if not topic.endswith(".fifo"):
        return sequence, size, topic, None, entry
    group = aggregate_id
    if not _GROUP.fullmatch(group):
        group = hashlib.sha256(group.encode()).hexdigest()
    parts = [[["PK", "S", key[0]], ["SK", "S", key[1]]], redrives]
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    entry["MessageGroupId"] = group
    entry["MessageDeduplicationId"] = hashlib.sha256(text.encode()).hexdigest()
    return sequence, size + len(group) + 64, topic, group, entry


def _text(value: Any) -> str:
    text = value["S"]
    if len(value) != 1 or not isinstance(text, str):
        raise TypeError("type")
    return text


def _pack_by_hand(lanes: list[list[Any]]) -> list[Request]:
    requests: list[Request] = []
    place = 0
    while lanes:
        pending: dict[str, list[Any]] = {}
        sizes: dict[str, int] = {}
        for lane in lanes:
            _, _, size, topic, entry = lane[place]
            batch = pending.get(topic)
            if batch is None or len(batch) == 10 or sizes[topic] + size > _MAX_BYTES:
                if batch is not None:
                    requests.append({"TopicArn": topic, "PublishBatchRequestEntries": batch})
                batch = pending[topic] = []
                sizes[topic] = 0
            entry["Id"] = str(len(batch))
            batch.append(entry)
            sizes[topic] += size
        for topic, batch in pending.items():
            requests.append({"TopicArn": topic, "PublishBatchRequestEntries": batch})
        place += 1
        lanes = [lane for lane in lanes if len(lane) > place]
    return requests


def floor(event: Event) -> list[Request]:
    requests: list[Request] = []
    entries: list[dict[str, Any]] = []
    for record in event["Records"]:
        image = record["dynamodb"]["NewImage"]
        entries.append(
            {
                "Id": str(len(entries)),
                "Message": image["Message"]["S"],
                "MessageAttributes": {
                    name: {"DataType": "String", "StringValue": image[name]["S"]}
                    for name in ("MessageId", "AggregateId")
                },
            }
        )
        if len(entries) == 10:
            arn = _ARN + image["Topic"]["S"]
            requests.append({"TopicArn": arn, "PublishBatchRequestEntries": entries})
            entries = []
    return requests


# Powertools


def parse_with_powertools(event: Event) -> DynamoDBStreamModel:
    return parse(event=event, model=DynamoDBStreamModel)


# Measuring

HAND, HAND_FIFO = "by hand, standard topic", "by hand, FIFO topic, 20 aggregates"
FLOOR, POWERTOOLS = "floor: dictionaries without a check", "Powertools' parser"


def measure(rounds: int = ROUNDS) -> list[Row]:
    """Run all ways in turn, round after round, and give what each costs a record."""
    standard, fifo = make_event("order--created"), make_event("order--created.fifo")
    echo = make_echo(standard)
    small = {count: make_event("order--created", records=count, body_bytes=100) for count in (1_000, 10_000)}
    for event in (standard, fifo, echo):
        assert decode_and_plan(event) == by_hand(event)
    assert floor(standard) == decode_and_plan(standard)
    cases: list[tuple[str, Callable[[Event], object], Event]] = [
        (FLOOR, floor, standard),
        (HAND, by_hand, standard),
        (HAND_FIFO, by_hand, fifo),
        ("by hand, own marks skipped", by_hand, echo),
        (POWERTOOLS, parse_with_powertools, standard),
        ("decode", decode, standard),
        ("decode and plan, standard topic", decode_and_plan, standard),
        ("decode and plan, FIFO topic, 20 aggregates", decode_and_plan, fifo),
        ("decode and plan, own marks skipped", decode_and_plan, echo),
        ("decode, plan and account", decode_plan_and_account, standard),
    ]
    rows = _measure(cases, rounds)
    # Long batches apart: one round of them takes as long as all rounds of one case above.
    return rows + _measure(
        [
            (f"decode and plan, {count:,} records of 100 bytes", decode_and_plan, event)
            for count, event in small.items()
        ],
        max(3, rounds // 5),
    )


def _measure(cases: list[tuple[str, Callable[[Event], object], Event]], rounds: int) -> list[Row]:
    samples: dict[str, list[float]] = {name: [] for name, _, _ in cases}
    for round_number in range(rounds + WARM_UP):
        for name, function, event in cases:
            started = perf_counter()
            function(event)
            seconds = perf_counter() - started
            if round_number >= WARM_UP:
                samples[name].append(seconds / len(event["Records"]) * 1e6)
    rows = []
    for name, values in samples.items():
        deciles = statistics.quantiles(values, n=10)
        rows.append(Row(name, statistics.median(values), deciles[0], deciles[-1]))
    return rows


def answer(rounds: int = ROUNDS) -> Answer:
    rows = measure(rounds)
    medians = {row.name: row.median for row in rows}
    ours, base = medians["decode and plan, standard topic"], medians[HAND]
    question, _, method = (__doc__ or "").partition("\n\n")
    return Answer(
        name="decode_and_plan",
        question=question,
        method=method,
        bars=(
            Bar(what="of a hand-written equivalent", value=ours / base, sense="≤", bar=2.5),
            Bar(what="faster than Powertools' parser", value=medians[POWERTOOLS] / ours, sense="≥", bar=15),
        ),
        tables=(
            Table(
                title=f"{RECORDS} records with bodies of {BODY_BYTES:,} bytes, unless said otherwise",
                headers=("what", "µs a record", "10–90 %", "× by hand"),
                rows=tuple(
                    (
                        row.name,
                        f"{row.median:.2f}",
                        f"{row.low:.2f}–{row.high:.2f}",
                        f"{row.median / base:.2f}",
                    )
                    for row in rows
                ),
            ),
        ),
        notes="The bar of 15 × Powertools' parser is out of reach of code that checks: what is written by "
        f"hand is at {medians[POWERTOOLS] / base:.1f} ×, and the floor, which checks nothing, at "
        f"{medians[POWERTOOLS] / medians[FLOOR]:.1f} ×.",
        machine=describe_machine(),
    )


if __name__ == "__main__":
    print_answer(answer(*map(int, sys.argv[1:])))
