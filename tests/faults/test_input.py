"""Faults of the input, 1 to 27: what comes in an event, and what a producer wrote.

A message that can never be published is parked at first sight and takes nobody along. An event that cannot be
named record by record is raised, before anything is published, so that Lambda brings all of it again.
"""

import hashlib
import io
import json
import sys
import time
import traceback
import tracemalloc
from copy import deepcopy
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from outbox_sdk.core.errors import ConfigurationError, InvalidEventError
from outbox_sdk.core.identifiers import TopicName
from outbox_sdk.core.outcome import Dispatched, Held, Parked, Settled
from outbox_sdk.lambda_handler import RelayHandler
from tests.faults.conftest import Canary
from tests.faults.support import (
    CANARY,
    Bench,
    Relayed,
    body_of,
    event_of,
    message_entry,
    open_bench,
    open_wire_context,
    parked,
    parked_at,
    published,
    relay,
    request_failure,
    say,
)
from tests.support.events import FakeContext, write_event
from tests.support.outbox_tables import Items
from tests.support.wire import Wire

SUCCESS: Any = {"batchItemFailures": []}
BY_TTL = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


async def relay_poison(bench: Bench, *poison: Items) -> Relayed:
    """Relay poison between two good messages, and see that these go and that nothing is reported."""
    done = await bench.relay_items(message_entry("first"), *poison, message_entry("last"))

    assert sorted(published(bench.topics)) == ["first", "last"]
    assert done.reported == []
    assert done.counts["dispatched"] == 2
    assert done.counts["parked"] == len(poison)
    assert set(done.events) == {("message_parked", "WARNING")}
    # It does not come back: the record of its own park is nothing to do.
    echo = await bench.relay(bench.event())
    assert (echo.reported, echo.counts["park_echo"]) == ([], len(poison))
    return done


# The event as a whole


def test_fault_01_not_an_event(wire: Wire, handler: RelayHandler) -> None:
    """An empty event is a success, and anything that is no event of a stream fails the invocation."""
    empty: list[Any] = [{}, {"Records": []}, {"Records": None}]
    for event in empty:
        assert handler(event, FakeContext()) == SUCCESS

    wrong: list[Any] = [None, [], CANARY, {"records": []}, {"Records": {}}, {"Records": CANARY}]
    for event in [*wrong, {"Records": ["x"]}]:
        with pytest.raises(InvalidEventError, match="not a DynamoDB stream event") as raised:
            handler(event, FakeContext())
        say("".join(traceback.format_exception(raised.value)))

    assert wire.counts() == {}


@pytest.mark.parametrize("missing", ["dynamodb", "SequenceNumber", "Keys"])
async def test_fault_02_record_without_a_name(missing: str) -> None:
    """A record that cannot be named fails the whole batch before anything is published: no id is guessed."""
    bench = open_bench()
    event = bench.put(message_entry("m0"), message_entry("m1"), message_entry("m2"))
    unnamed = event["Records"][1]
    (unnamed if missing == "dynamodb" else unnamed["dynamodb"]).pop(missing)

    with pytest.raises(InvalidEventError, match="not a DynamoDB stream event"):
        await bench.relay(event)

    assert (bench.topics.requests, parked(bench.table)) == ([], {})


async def test_fault_03_wired_to_another_table() -> None:
    """An event of another table or another service is refused, naming both tables."""
    bench = open_bench()
    event = bench.put(message_entry())
    other = write_event(event["Records"], table_name="orders")
    queue = {"Records": [{**event["Records"][0], "eventSource": "aws:sqs"}]}

    with pytest.raises(ConfigurationError, match=r"(?s)table/orders/.*configured for table 'outbox'"):
        await bench.relay(other)
    with pytest.raises(InvalidEventError, match="eventSource is 'aws:sqs'"):
        await bench.relay(queue)

    assert bench.topics.requests == []


async def test_fault_04_redriven_item() -> None:
    """A change that leaves the marker in place, as a redrive does, publishes the message."""
    bench = open_bench()
    await bench.relay_items(message_entry("m0", Topic=None))
    assert parked(bench.table) == {"m0": "missing:Topic"}
    bench.event()

    done = await bench.relay_items(message_entry("m0", RedriveCount={"N": "1"}))

    assert published(bench.topics) == ["m0"]
    assert (done.outcomes, done.reported, parked(bench.table)) == ([Dispatched()], [], {})


async def test_fault_05_own_mark() -> None:
    """The record of the relay's own mark is skipped and counted, and costs no call."""
    bench = open_bench()
    await bench.relay_items(message_entry("m0"), message_entry("m1"))
    calls = dict(bench.table.calls)

    done = await bench.relay(bench.event())

    assert (done.counts["self_echo"], done.counts["reported"], done.events) == (2, 0, [])
    assert (bench.topics.sizes, bench.table.calls) == ([2], calls)


async def test_fault_06_removed_by_the_time_to_live() -> None:
    """An item that its time to live took is skipped; an outstanding one is lost, and told as an error."""
    done = await remove_one_marked_and_one_outstanding(BY_TTL)

    assert done.outcomes == [Settled("removed"), Settled("expired_undispatched")]
    assert done.events == [("expired_undispatched", "ERROR")]
    assert "time to live" in done.line("expired_undispatched").fields["advice"]
    assert done.counts["expired_undispatched"] == 1


async def test_fault_07_removed_by_somebody() -> None:
    """An item that somebody deleted is skipped; an outstanding one may be lost, and told as an error."""
    done = await remove_one_marked_and_one_outstanding(None)

    assert done.outcomes == [Settled("removed"), Settled("removed_undispatched")]
    assert done.events == [("removed_undispatched", "ERROR")]
    assert "delete only items without NotDispatched" in done.line("removed_undispatched").fields["advice"]


async def remove_one_marked_and_one_outstanding(who: dict[str, str] | None) -> Relayed:
    bench = open_bench()
    await bench.relay_items(message_entry("marked"))
    bench.put(message_entry("outstanding"))  # its insert is in a batch that never came
    bench.event()
    for key in list(bench.table.items):
        bench.table.remove(key)
    event = bench.event()
    records = [record if who is None else {**record, "userIdentity": who} for record in event["Records"]]

    done = await bench.relay({"Records": records})

    assert (published(bench.topics), done.reported) == (["marked"], [])
    return done


async def test_fault_08_stream_without_images() -> None:
    """A stream that carries no new images is refused in words that name the setting."""
    bench = open_bench()
    event = bench.put(message_entry())
    event["Records"][0]["dynamodb"].pop("NewImage")

    with pytest.raises(ConfigurationError, match=r"StreamViewType: .* NEW_AND_OLD_IMAGES or NEW_IMAGE"):
        await bench.relay(event)

    assert bench.topics.requests == []


# One message at fault


async def test_fault_09_missing_attribute() -> None:
    """A message without id, topic, body or aggregate is parked, and the reason names what is missing."""
    bench = open_bench()
    names = ["MessageId", "AggregateId", "Topic", "Message"]
    absent: dict[str, Any] = {
        "AggregateId": None,
        "MessageId": None,
        "Topic": {"NULL": True},
        "Message": {"NULL": True},
    }

    await relay_poison(bench, *(message_entry(name, **{name: absent[name]}) for name in names))

    assert parked(bench.table) == {name: f"missing:{name}" for name in names}


async def test_fault_10_wrong_type() -> None:
    """A message with an attribute of a wrong type is parked, and the reason names both."""
    bench = open_bench()

    done = await relay_poison(
        bench,
        message_entry("number", Topic={"N": "5"}),
        message_entry("list", MessageId={"L": [{"S": CANARY}]}),
        message_entry("map", Message={"M": {"text": {"S": CANARY}}}),
        message_entry("headers", Headers={"M": {"Count": {"N": "5"}}}),
    )

    assert parked(bench.table) == {
        "number": "type:Topic:N",
        "list": "type:MessageId:L",
        "map": "type:Message:M",
        "headers": "type:Headers:M",
    }
    assert [line.fields["reason"] for line in done.lines if line.event == "message_parked"] == [
        "type:Topic:N",
        "type:MessageId:L",
        "type:Message:M",
        "type:Headers:M",
    ]


async def test_fault_11_unknown_attributes_and_versions() -> None:
    """What the relay does not know is left alone, and any schema version travels along.

    The version is that of the producer's own message, so none of them is too new; only one that is no whole
    number is parked.
    """
    bench = open_bench()
    newer = message_entry(
        "newer", SchemaVersion={"N": "7"}, Colour={"S": CANARY}, Deep={"L": [{"NULL": True}]}
    )

    done = await bench.relay_items(newer, message_entry("half", SchemaVersion={"N": "1.5"}))

    assert published(bench.topics) == ["newer"]
    assert bench.topics.published[0].attributes["SchemaVersion"] == "7"
    assert "Colour" not in bench.topics.published[0].attributes
    assert (parked(bench.table), done.reported) == ({"half": "integer:SchemaVersion"}, [])


async def test_fault_12_empty_body() -> None:
    """A message with an empty body, which SNS refuses, is parked."""
    bench = open_bench()

    await relay_poison(bench, message_entry("m0", Message={"S": ""}))

    assert parked(bench.table) == {"m0": "empty"}


async def test_fault_13_body_that_is_not_json() -> None:
    """A body that is not JSON passes unchanged, unless it is declared JSON and the envelope needs it."""
    text = f"{{not JSON: {CANARY}"
    declared: dict[str, Any] = {"Message": {"S": text}, "ContentType": {"S": "application/json"}}
    raw, wrapped = open_bench(), open_bench()
    wrapping = msgspec.structs.replace(wrapped.context.wrapping, kind="cloudevents")
    wrapped.context = replace(wrapped.context, wrapping=wrapping)

    await raw.relay_items(message_entry("m0", **declared))
    await relay_poison(wrapped, message_entry("m0", **declared))
    await wrapped.relay_items(message_entry("undeclared", Message={"S": text}))

    assert [message.body for message in raw.topics.published] == [text]
    assert parked(wrapped.table) == {"m0": "json"}
    assert json.loads(wrapped.topics.published[-1].body)["data"] == text


async def test_fault_14_lone_surrogate() -> None:
    """Half a surrogate pair in one message parks that message, also where the event comes as JSON bytes."""
    for as_bytes in (False, True):
        bench = open_bench()
        event = deepcopy(bench.put(*map(message_entry, ("m0", "body", "header", "m1"))))
        images = [record["dynamodb"]["NewImage"] for record in event["Records"]]
        images[1]["Message"] = {"S": f"{CANARY} \ud800"}
        images[2]["Headers"] = {"M": {"Name": {"S": f"{CANARY} \udfff"}}}

        done = await bench.relay(json.dumps(event).encode() if as_bytes else event)

        assert published(bench.topics) == ["m0", "m1"]
        assert parked(bench.table) == {"body": "unicode", "header": "unicode:Name"}
        assert done.reported == []


def test_fault_14_lone_surrogate_in_what_is_logged(
    wire: Wire, handler: RelayHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a surrogate pair in a message's id parks the message, and the log line of it can be written."""
    output = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, "utf-8", write_through=True))
    bad = message_entry("m0", MessageId={"S": "half \ud800"})

    assert handler(event_of(bad, message_entry("m1")), FakeContext()) == SUCCESS

    assert (parked_at(wire), wire.published()) == ({"m0": "unicode:MessageId"}, [body_of("m1")])
    say(output.getvalue().decode())
    lines = [json.loads(line) for line in output.getvalue().splitlines()]
    assert [line.get("message") for line in lines] == ["message_parked", "batch_relayed", None]  # and figures
    assert lines[0]["keys"] == ["PK=AGGREGATE#a-m0 SK=MESSAGE#m0"]


async def test_fault_15_control_character() -> None:
    """A character that SQS would refuse after SNS has accepted it parks the message and is named."""
    bench = open_bench()

    await relay_poison(
        bench,
        message_entry("nul", Message={"S": f"{CANARY}\x00"}),
        message_entry("bell", Message={"S": f"{CANARY}\x07"}),
        message_entry("last of the plane", Message={"S": f"{CANARY}\uffff"}),
        message_entry("header", Headers={"M": {"Name": {"S": f"{CANARY}\x1f"}}}),
    )

    assert parked(bench.table) == {
        "nul": "charset:U+0000",
        "bell": "charset:U+0007",
        "last of the plane": "charset:U+FFFF",
        "header": "charset:U+001F:Name",
    }


async def test_fault_16_binary_body() -> None:
    """A binary body is parked: the body is text, and nobody would know how to read it otherwise."""
    bench = open_bench()

    await relay_poison(bench, message_entry("m0", Message={"B": "AAECAw=="}))

    assert parked(bench.table) == {"m0": "type:Message:B"}


@pytest.mark.parametrize("kind", ["raw", "cloudevents", "tomodachi"])
async def test_fault_17_numbers_that_no_float_holds(kind: str) -> None:
    """Numbers of any size and form arrive with the digits that the producer wrote, in every envelope."""
    numbers = "[1.50,1e400,-0.0,123456789012345678901234567890123456789012345.00000000000000000001]"
    body = f'{{"canary":"{CANARY}","numbers":{numbers}}}'
    sequence = "9" * 38
    bench = open_bench()
    wrapping = msgspec.structs.replace(bench.context.wrapping, kind=kind)
    bench.context = replace(bench.context, wrapping=wrapping)
    event = bench.put(
        message_entry("m0", Message={"S": body}, Sequence={"N": sequence}),
        message_entry("nan", Message={"S": f'NaN "{CANARY}"'}),
    )

    done = await bench.relay(json.dumps(event).encode())

    first, second = bench.topics.published
    assert body in first.body
    assert first.attributes["Sequence"] == sequence
    assert "NaN" in second.body
    assert (done.reported, parked(bench.table)) == ([], {})


LIMIT = 262_144


async def test_fault_18_too_large() -> None:
    """A message is measured in bytes, attributes included: the limit passes, one byte more is parked."""
    attributes = [("MessageId", "exact"), ("AggregateId", "a-exact"), ("Canary", CANARY)]
    overhead = sum(len(f"{name}String{value}") for name, value in attributes)
    exact = CANARY + "x" * (LIMIT - overhead - len(CANARY))
    emoji = CANARY + "\N{GRINNING FACE}" * (LIMIT // 4)
    assert len(emoji) < LIMIT / 3
    bench = open_bench()

    done = await bench.relay_items(
        message_entry("exact", Message={"S": exact}),
        message_entry("above", Message={"S": exact + "x"}),
        message_entry("emoji", Message={"S": emoji}),
        message_entry("m0"),
    )

    assert sorted(published(bench.topics)) == ["exact", "m0"]
    size = overhead + len(emoji.encode())
    assert parked(bench.table) == {"above": f"size:{LIMIT + 1}>{LIMIT}", "emoji": f"size:{size}>{LIMIT}"}
    assert done.reported == []
    assert done.line("message_parked").fields["count"] == 2
    assert "OUTBOX_TOPIC_MAX_BYTES" in done.line("message_parked").fields["advice"]


async def test_fault_19_too_many_attributes() -> None:
    """A message with more than ten attributes, which SQS would discard unseen, is parked; ten pass."""
    bench = open_bench()

    def headers(count: int) -> Any:
        return {"M": {f"Header{number}": {"S": CANARY} for number in range(count)}}

    done = await bench.relay_items(
        message_entry("ten", Headers=headers(8)), message_entry("m0", Headers=headers(9))
    )

    assert published(bench.topics) == ["ten"]
    assert (parked(bench.table), done.reported) == ({"m0": "attributes:11"}, [])


async def test_fault_20_attribute_that_sns_refuses() -> None:
    """A header that SNS would not carry, for its name or for want of a value, parks its message."""
    bench = open_bench()
    names = ["AWS.Name", "amazon.name", "two..dots", ".dot", "blank name", "ä", "x" * 257, "MessageId"]

    done = await relay_poison(
        bench,
        *(message_entry(f"m{n}", Headers={"M": {name: {"S": CANARY}}}) for n, name in enumerate(names)),
        message_entry("empty", Headers={"M": {"Name": {"S": ""}}}),
    )

    reasons = dict.fromkeys((f"m{number}" for number in range(len(names))), "attribute-name")
    assert parked(bench.table) == {**reasons, "empty": "attribute-empty:Name"}
    assert len(done.events) == 2  # a line for each reason, not for each message


async def test_fault_21_illegal_group_id() -> None:
    """An aggregate id that is no message group id is hashed, the same way each time, and keeps its order."""
    bench = open_bench()
    for aggregate_id in ("kundin ä 7", "x" * 300):
        for place in range(3):
            names = [f"{aggregate_id[0]}{place}-{number}" for number in range(2)]
            items = [message_entry(name, aggregate_id=aggregate_id, topic="t.fifo") for name in names]
            done = await bench.relay_items(*items)
            assert (done.counts["dispatched"], done.reported) == (2, [])

        entries = [entry for request in bench.topics.requests for entry in request.entries][-6:]
        assert {entry.group_id for entry in entries} == {hashlib.sha256(aggregate_id.encode()).hexdigest()}
        assert len({entry.deduplication_id for entry in entries}) == 6
        assert published(bench.topics)[-6:] == sorted(published(bench.topics)[-6:])


async def test_fault_22_topic_that_is_not_allowed(wire: Wire) -> None:
    """A topic outside the allow-list is not reached and not created: its message is parked."""
    async with open_wire_context(wire, outbox_allowed_topics=frozenset({TopicName("t")})) as context:
        done = await relay(context, event_of(message_entry("m0"), message_entry("m1", topic="unheard-of")))

    assert wire.counts() == {"PublishBatch": 1, "UpdateItem": 1, "BatchExecuteStatement": 1}
    assert wire.published() == [body_of("m0")]
    assert (parked_at(wire), done.reported) == ({"m1": "topic-not-allowed"}, [])
    assert done.outcomes == [Dispatched(), Parked("topic-not-allowed")]
    assert "OUTBOX_ALLOWED_TOPICS" in done.line("message_parked").fields["advice"]


async def test_fault_23_topic_given_as_an_arn() -> None:
    """A producer chooses neither account nor Region: a topic given as an ARN is parked, even one of ours."""
    bench = open_bench()

    await relay_poison(
        bench,
        message_entry("theirs", topic="arn:aws:sns:eu-west-1:999999999999:t"),
        message_entry("ours", topic="arn:aws:sns:us-east-1:000000000000:t"),
        message_entry("path", topic="../t"),
    )

    assert parked(bench.table) == dict.fromkeys(["theirs", "ours", "path"], "topic-name")


# Several records


async def test_fault_24_the_same_record_twice() -> None:
    """Records of one item in one batch are settled by one publish and one mark, and none is reported."""
    bench = open_bench()
    event = bench.put(message_entry("m0"), message_entry("m1"))
    twice = {"Records": [*event["Records"], event["Records"][0]]}

    done = await bench.relay(twice)

    assert published(bench.topics) == ["m0", "m1"]
    assert done.outcomes == [Dispatched()] * 3
    assert (bench.table.calls["mark"], done.reported) == (1, [])
    changes = [record["eventName"] for record in bench.event()["Records"]]
    assert changes == ["MODIFY", "MODIFY"]  # a mark for each item
    assert [line.event for line in done.lines] == ["batch_relayed"]  # no collision: it is one item

    # The other way to come twice: written and then touched before the relay saw either.
    both = bench.put(message_entry("m2"), message_entry("m2", TouchedAt={"S": "2026-11-23T09:00:00Z"}))
    done = await bench.relay(both)

    assert published(bench.topics) == ["m0", "m1", "m2"]
    assert (done.outcomes, done.reported) == ([Dispatched()] * 2, [])


async def test_fault_25_records_out_of_order() -> None:
    """Sequence numbers order as numbers, whatever their length and place: a lane goes by them."""
    bench = open_bench()
    items = [message_entry(f"m{number}", aggregate_id="a", topic="t.fifo") for number in range(6)]
    event = bench.put(*items)
    numbers = [record["dynamodb"]["SequenceNumber"] for record in event["Records"]]
    assert numbers != sorted(numbers)  # as text they are in another order
    shuffled = {"Records": [event["Records"][place] for place in (4, 0, 5, 2, 3, 1)]}

    done = await bench.relay(shuffled)

    assert published(bench.topics) == [f"m{number}" for number in range(6)]
    assert done.reported == []

    # The later record of an item tells what it holds, wherever it stands.
    twice = bench.put(*(message_entry("m9", Message={"S": f"{CANARY} {word}"}) for word in ("old", "new")))
    done = await bench.relay({"Records": twice["Records"][::-1]})

    assert [message.body for message in bench.topics.published[6:]] == [f"{CANARY} new"]
    assert done.reported == []

    # What fails is named lowest first, which is where Lambda begins anew.
    failing = open_bench(judge=lambda _: request_failure("AuthorizationError", 403))
    failing.put(*items)
    done = await failing.relay(shuffled)

    assert done.reported == numbers
    assert done.outcomes[1] == Held("AuthorizationError")  # the head; all others wait behind it
    assert done.line("publish_failed").fields["count"] == 1


async def test_fault_26_two_items_with_one_message_id() -> None:
    """Two items that share a message id are two messages: both are delivered, and a person is told."""
    bench = open_bench()

    done = await bench.relay_items(
        *(
            message_entry("m0", aggregate_id=name, topic="t.fifo", Message={"S": f"{CANARY} of {name}"})
            for name in ("a", "b")
        ),
        message_entry("m1", aggregate_id="c", topic="t.fifo"),
    )

    assert published(bench.topics) == ["m0", "m0", "m1"]
    assert [message.body for message in bench.topics.published[:2]] == [f"{CANARY} of a", f"{CANARY} of b"]
    assert done.reported == []
    assert done.events == [("message_id_collision", "WARNING")]
    assert done.line("message_id_collision").fields["message_id"] == "m0"
    assert done.counts["message_id_collisions"] == 1


async def test_fault_27_as_much_as_lambda_brings() -> None:
    """Ten thousand records of six megabytes are relayed in bounded width, deep and huge items among them."""
    deep: Any = {"S": CANARY}
    for level in range(31):
        deep = {"M": {"x": deep}} if level % 2 else {"L": [deep]}
    huge = message_entry("huge", Message={"S": CANARY + "x" * 390_000})
    items = [message_entry(f"m{number}") for number in range(9_998)]
    bench = open_bench(max_concurrency=32)
    event = json.dumps(bench.put(*items, message_entry("deep", Extra=deep), huge)).encode()
    assert len(event) > 6_000_000

    began = time.monotonic()
    done = await bench.relay(event)
    seconds = time.monotonic() - began

    assert done.counts["dispatched"] == 9_999
    assert (list(parked(bench.table)), done.reported) == (["huge"], [])
    assert len(set(published(bench.topics))) == len(published(bench.topics)) == 9_999
    assert bench.topics.most_in_flight <= 32
    assert set(bench.topics.sizes) <= set(range(1, 11))
    assert seconds < 20


async def test_fault_27_memory_does_not_hold_copies() -> None:
    """The memory that a batch takes is a few times that of its records: bodies are not copied."""
    bench = open_bench()
    body = CANARY + "x" * 50_000
    event = json.dumps(
        bench.put(*(message_entry(f"m{number}", Message={"S": body}) for number in range(100)))
    )
    bench.topics.accept = lambda topic, entry: "x"  # type: ignore[method-assign]  # keep none of them

    tracemalloc.start()
    try:
        await bench.relay(event.encode())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 3 * len(event)


async def test_three_poison_in_a_batch_of_a_hundred() -> None:
    """Three bad messages in a hundred of one shard: the first invocation delivers 97 and parks 3."""
    bench = open_bench(
        judge=lambda request: (
            request_failure("InvalidParameter", text="Invalid parameter: Message")
            if any(entry.message.message_id == "m40" for entry in request.entries)
            else None
        )
    )
    bad: dict[int, Any] = {7: {"Topic": None}, 40: {}, 93: {"Message": {"S": ""}}}
    items = [message_entry(f"m{number}", **bad.get(number, {})) for number in range(100)]

    done = await bench.relay_items(*items)

    good = [f"m{number}" for number in range(100) if number not in bad]
    assert sorted(published(bench.topics)) == sorted(good)
    assert parked(bench.table) == {"m7": "missing:Topic", "m40": "InvalidParameter", "m93": "empty"}
    assert done.reported == []
    assert (done.counts["records"], done.counts["dispatched"], done.counts["parked"]) == (100, 97, 3)
    assert [
        item["MessageId"]["S"] for item in bench.table.items.values() if "LastDispatchedAt" in item
    ] == good
    assert sorted(line.fields["reason"] for line in done.lines if line.event == "message_parked") == [
        "InvalidParameter",
        "empty",
        "missing:Topic",
    ]


def test_the_canary_is_overheard(canary: Canary, handler: RelayHandler) -> None:
    """The fixture hears what the handler prints, so that a payload in it would be found."""
    handler(event_of(message_entry(Topic=None)), FakeContext())

    assert "missing:Topic" in canary.output()
    assert "batch_relayed" in canary.output()
