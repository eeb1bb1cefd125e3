"""The consumer: records become calls of an async function, one message at a time."""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest
from aws_lambda_powertools.utilities.batch import (
    AsyncBatchProcessor,
    BatchProcessor,
    EventType,
    SqsFifoPartialProcessor,
    async_process_partial_response,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError

from outbox_sdk import (
    Catalog,
    Delivery,
    Outbox,
    consumer,
    current_delivery,
    decode_sqs_record,
    handling,
    message,
)
from outbox_sdk.core.envelope import EnvelopeKind
from outbox_sdk.core.errors import (
    ConfigurationError,
    InvalidMessageError,
    UndecodableDeliveryError,
    UndecodableMessageError,
)
from outbox_sdk.core.identifiers import MessageId
from outbox_sdk.core.pointer import ClaimError
from outbox_sdk.core.transaction_errors import AlreadyProcessed
from outbox_sdk.testing import InMemoryStack, PublishedMessage
from tests.support.deliveries import lambda_sns, lambda_sqs, lambda_sqs_of_sns, received


@message("order.created", topic="order--created")
class OrderCreated(msgspec.Struct):
    order_id: str


@message("order.shipped", topic="order--shipped")
class OrderShipped(msgspec.Struct):
    order_id: str


CATALOG = Catalog(OrderCreated, OrderShipped)
OUTBOX = Outbox("outbox")


def attributes(
    message_id: str, message_type: str = "order.created", **more: str
) -> list[tuple[str, str, str]]:
    given = {"MessageId": message_id, "AggregateId": "order-7", "MessageType": message_type, **more}
    return [(name, "String", value) for name, value in given.items()]


def record(
    message_id: str, message_type: str = "order.created", *, group: str = "g", **more: str
) -> dict[str, Any]:
    written = lambda_sqs('{"order_id":"7"}', attributes(message_id, message_type, **more))
    written["messageId"] = f"sqs-{message_id}"
    written["attributes"]["MessageGroupId"] = group
    return written


def item_of(**arguments: Any) -> dict[str, Any]:
    entry = OUTBOX.put("{}", aggregate_id="order-7", topic="order--answered", **arguments)
    return dict(entry["Put"]["Item"])


class Recorder:
    """A consumer that notes what it was given, and fails for the messages it is told to."""

    def __init__(self, *, failing: set[str] | None = None, **options: Any) -> None:
        self.events: list[tuple[object, str]] = []
        self.loops: set[int] = set()
        self.failing = failing or set()

        @consumer(CATALOG, **options)
        async def handle(event: OrderCreated | OrderShipped, delivery: Delivery) -> None:
            """Note one event."""
            await asyncio.sleep(0)
            self.loops.add(id(asyncio.get_running_loop()))
            if delivery.message_id in self.failing:
                raise ValueError("not this one")
            self.events.append((event, delivery.message_id))

        self.handle = handle

    @property
    def ids(self) -> list[str]:
        return [message_id for _, message_id in self.events]


Process = Callable[[dict[str, Any], Recorder], dict[str, Any]]


def process_sync(event: dict[str, Any], recorder: Recorder) -> dict[str, Any]:
    processor = BatchProcessor(event_type=EventType.SQS)
    return dict(process_partial_response(event, recorder.handle, processor, None))


def process_async(event: dict[str, Any], recorder: Recorder) -> dict[str, Any]:
    processor = AsyncBatchProcessor(event_type=EventType.SQS)
    return dict(async_process_partial_response(event, recorder.handle, processor, None))


def process_fifo(event: dict[str, Any], recorder: Recorder) -> dict[str, Any]:
    return dict(process_partial_response(event, recorder.handle, SqsFifoPartialProcessor()))


PROCESSES = pytest.mark.parametrize("process", [process_sync, process_async, process_fifo])


@PROCESSES
def test_powertools_reports_what_failed_and_nothing_else(process: Process) -> None:
    recorder = Recorder(failing={"m-3"})

    answer = process({"Records": [record("m-1"), record("m-2", "order.shipped"), record("m-3")]}, recorder)

    assert answer == {"batchItemFailures": [{"itemIdentifier": "sqs-m-3"}]}
    assert sorted(recorder.events, key=lambda pair: pair[1]) == [
        (OrderCreated("7"), "m-1"),
        (OrderShipped("7"), "m-2"),
    ]


@PROCESSES
def test_an_invocation_after_another_finds_everything_as_it_was(process: Process) -> None:
    recorder = Recorder()
    for number in range(3):
        assert process({"Records": [record(f"m-{number}")]}, recorder) == {"batchItemFailures": []}
    assert recorder.ids == ["m-0", "m-1", "m-2"]


def test_a_fifo_queue_stops_at_the_first_failure() -> None:
    recorder = Recorder(failing={"m-2"})

    answer = process_fifo({"Records": [record(f"m-{number}") for number in (1, 2, 3)]}, recorder)

    assert [failure["itemIdentifier"] for failure in answer["batchItemFailures"]] == ["sqs-m-2", "sqs-m-3"]
    assert recorder.ids == ["m-1"]


def test_a_fifo_queue_may_go_on_with_other_groups() -> None:
    recorder = Recorder(failing={"m-1"})
    records = [record("m-1", group="a"), record("m-2", group="a"), record("m-3", group="b")]

    processor = SqsFifoPartialProcessor(skip_group_on_error=True)
    answer = process_partial_response({"Records": records}, recorder.handle, processor)

    assert [each["itemIdentifier"] for each in answer["batchItemFailures"]] == ["sqs-m-1", "sqs-m-2"]
    assert recorder.ids == ["m-3"]


def test_records_without_a_loop_share_one() -> None:
    """What a handler opens for itself is bound to a loop, and must be good in the next invocation."""
    first, second = Recorder(), Recorder()
    for recorder in (first, second, first):
        process_sync({"Records": [record("m-1"), record("m-2")]}, recorder)

    assert len(first.loops | second.loops) == 1


def test_a_function_around_it_may_go_to_the_async_processor() -> None:
    recorder = Recorder()

    def handle(record: dict[str, Any]) -> Any:
        return recorder.handle(record)

    processor = AsyncBatchProcessor(event_type=EventType.SQS)
    answer = async_process_partial_response({"Records": [record("m-1")]}, handle, processor, None)
    assert answer == {"batchItemFailures": []}
    assert recorder.ids == ["m-1"]


async def test_under_a_loop_it_is_a_coroutine() -> None:
    recorder = Recorder()
    await recorder.handle(record("m-1"))
    await asyncio.gather(*[recorder.handle(record(f"m-{number}")) for number in (2, 3)])

    assert recorder.ids == ["m-1", "m-2", "m-3"]
    assert recorder.loops == {id(asyncio.get_running_loop())}


@pytest.mark.parametrize("wrapped", [False, True])
async def test_a_processor_that_would_forget_the_coroutine_is_refused(wrapped: bool) -> None:
    """Under a loop, the processor for plain functions would count each message as handled."""
    recorder = Recorder()

    def handle(record: dict[str, Any]) -> Any:
        return recorder.handle(record)

    processor = BatchProcessor(event_type=EventType.SQS)
    with pytest.raises(BatchProcessingError) as failed:
        process_partial_response(
            {"Records": [record("m-1")]}, handle if wrapped else recorder.handle, processor
        )

    (cause,) = failed.value.child_exceptions
    assert isinstance(cause[1], ConfigurationError)
    assert recorder.events == []


def test_the_function_itself_is_still_there() -> None:
    recorder = Recorder()
    assert recorder.handle.__name__ == "handle"
    assert recorder.handle.__doc__ == "Note one event."


def test_only_async_functions_are_consumers() -> None:
    def handle(event: object, delivery: Delivery) -> None: ...

    with pytest.raises(ConfigurationError, match="async def"):
        consumer(CATALOG)(handle)  # type: ignore[arg-type]


@pytest.mark.parametrize("way", [lambda_sqs, lambda_sqs_of_sns, lambda_sns, received])
def test_records_of_every_kind_are_handled(way: Callable[..., dict[str, Any]]) -> None:
    recorder = Recorder()
    recorder.handle(way('{"order_id":"7"}', attributes("m-1")))
    assert recorder.events == [(OrderCreated("7"), "m-1")]


def test_envelopes_are_taken_off() -> None:
    event = {"specversion": "1.0", "id": "m-1", "source": "s", "type": "order.created", "subject": "order-7"}
    kind: EnvelopeKind = "cloudevents"
    recorder = Recorder(envelope=kind)
    recorder.handle(received(json.dumps({**event, "data": {"order_id": "7"}}), []))
    assert recorder.events == [(OrderCreated("7"), "m-1")]


async def test_an_event_says_its_version_where_its_attributes_do_not_come_along() -> None:
    """As with a `receive_message` that asked for none: an upcaster of version 1 is not for version 2."""

    @message(
        "order.paid", topic="order--paid", version=2, upcasters={1: lambda old: {"cents": old["euro"] * 100}}
    )
    class OrderPaid(msgspec.Struct):
        cents: int

    seen: list[object] = []

    @consumer(Catalog(OrderPaid), envelope="cloudevents")
    async def handle(event: OrderPaid, delivery: Delivery) -> None:
        seen.append((event, delivery.schema_version))

    stack = InMemoryStack(envelope="cloudevents")
    stack.write(Outbox("outbox", catalog=Catalog(OrderPaid)).put(OrderPaid(7), aggregate_id="order-7"))
    await stack.relay()
    await handle({"MessageId": "sqs-1", "Body": stack.published[0].body})

    assert seen == [(OrderPaid(7), 2)]


async def published(topic: str) -> PublishedMessage:
    stack = InMemoryStack(topics=[topic])
    entry = Outbox("outbox", catalog=CATALOG).put(
        OrderCreated("7"), aggregate_id="order-7", topic=topic, sequence=3, headers={"tenant": "blue"}
    )
    stack.write(entry)
    await stack.relay()
    return stack.published[0]


@pytest.mark.parametrize("topic", ["order--created", "order--created.fifo"])
async def test_the_double_of_a_record_is_one_of_lambda_with_and_without_raw_delivery(topic: str) -> None:
    message = await published(topic)
    typed = [
        (name, "Number" if name in ("SchemaVersion", "Sequence") else "String", text)
        for name, text in message.attributes.items()
    ]
    raw, wrapped = message.to_sqs_record(), message.to_sqs_record(raw=False, queue="billing")
    expected = lambda_sqs(message.body, typed)
    enveloped = lambda_sqs_of_sns(message.body, typed)

    assert raw["messageAttributes"] == expected["messageAttributes"]
    assert set(expected) - set(raw) == {"md5OfBody"}
    assert wrapped["messageAttributes"] == enveloped["messageAttributes"] == {}
    notification, theirs = json.loads(wrapped["body"]), json.loads(enveloped["body"])
    assert notification["MessageAttributes"] == theirs["MessageAttributes"]
    assert set(notification) <= set(theirs)
    assert raw["eventSourceARN"] == f"arn:aws:sqs:us-east-1:000000000000:{topic}"
    assert wrapped["eventSourceARN"] == "arn:aws:sqs:us-east-1:000000000000:billing"

    one, other = decode_sqs_record(raw), decode_sqs_record(wrapped)
    assert (one.body, one.headers, one.schema_version, one.sequence) == (
        '{"order_id":"7"}', {"tenant": "blue"}, 1, 3,
    )  # fmt: skip
    assert (other.topic, one.attributes, one.body) == (topic, other.attributes, other.body)
    assert one.transport_message_id != other.transport_message_id


async def test_what_went_to_a_queue_itself_has_no_envelope_of_sns() -> None:
    message = await published("sqs:billing")

    assert message.to_sqs_record()["eventSourceARN"].endswith(":billing")
    with pytest.raises(ConfigurationError, match="raw: SNS wraps nothing that goes to sqs:billing"):
        message.to_sqs_record(raw=False)


# Poison


def test_what_is_no_delivery_fails() -> None:
    with pytest.raises(UndecodableDeliveryError, match=r"MessageAttributeNames=\['All'\]"):
        Recorder().handle(received("{}", []))


def test_a_body_that_the_catalog_cannot_read_fails() -> None:
    with pytest.raises(UndecodableMessageError, match="invalid_body"):
        Recorder().handle(received('{"order_id":7}', attributes("m-1")))


def test_unknown_types_are_refused_or_skipped() -> None:
    foreign = record("m-1", "order.audited")
    with pytest.raises(UndecodableMessageError, match="unknown_type"):
        Recorder().handle(foreign)

    skipping = Recorder(unknown_types="skip")
    assert skipping.handle(foreign) is None
    assert skipping.events == []
    with pytest.raises(UndecodableMessageError, match="invalid_body"):
        skipping.handle(received("[]", attributes("m-1")))


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[object, ...]]:
    names = ("message_id", "message_type", "transport_message_id", "reason")
    lines = [line for line in caplog.records if line.getMessage().startswith("delivery_failed ")]
    assert all(line.name == "outbox_sdk" and line.levelname == "WARNING" for line in lines)
    return [tuple(getattr(line, name) for name in names) for line in lines]


@PROCESSES
def test_what_failed_is_logged_once_with_its_reason(
    process: Process, caplog: pytest.LogCaptureFixture
) -> None:
    """Powertools tells it at DEBUG only, and the dead-letter queue tells no reason."""
    process({"Records": [record("m-1"), record("m-2")]}, Recorder(failing={"m-2"}))

    assert told(caplog) == [("m-2", "order.created", "sqs-m-2", "ValueError")]
    (line,) = caplog.messages
    assert line == (
        "delivery_failed message_id='m-2' message_type='order.created' "
        "transport_message_id='sqs-m-2' reason='ValueError'"
    )


def test_a_closed_reason_is_logged_and_no_text_of_the_message(caplog: pytest.LogCaptureFixture) -> None:
    canary = "canary\ncanary"
    sqs = "c80e8021-a70a-42c7-a470-796e1186f753"
    sns = lambda_sns(canary, [])
    claimed = {"ExtendedPayloadSize": "300000"}
    failing: list[tuple[Any, tuple[object, ...]]] = [
        (received(canary, []), (None, None, sqs, "missing")),
        (sns, (None, None, sns["Sns"]["MessageId"], "missing")),
        (canary, (None, None, None, "record")),
        ({"messageId": [canary]}, (None, None, None, "record")),
        (lambda_sqs(f'{{"order_id":{{"{canary}":7}}}}', attributes("m-1")),
         ("m-1", "order.created", sqs, "invalid_body")),
        (lambda_sqs(canary, attributes("m-1", canary)), ("m-1", None, sqs, "unknown_type")),
        (lambda_sqs(canary, attributes("m-1", **claimed)), ("m-1", "order.created", sqs, "no-store")),
    ]  # fmt: skip
    for given, _ in failing:
        with pytest.raises((UndecodableDeliveryError, UndecodableMessageError, ClaimError)):
            Recorder().handle(given)

    assert told(caplog) == [expected for _, expected in failing]
    assert "canary" not in caplog.text
    assert all("\n" not in line for line in caplog.messages)


def test_what_counts_as_handled_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    @consumer(CATALOG)
    async def handle(event: OrderCreated | OrderShipped, delivery: Delivery) -> None:
        raise AlreadyProcessed(delivery.message_id)

    handle(record("m-1"))
    Recorder(unknown_types="skip").handle(record("m-1", "order.audited"))

    assert caplog.messages == []


def test_an_error_is_not_told_as_one_that_came_while_looking_for_a_loop() -> None:
    with pytest.raises(ValueError, match="not this one") as raised:
        Recorder(failing={"m-1"}).handle(record("m-1"))

    assert raised.value.__context__ is None


def test_what_was_processed_before_counts_as_done() -> None:
    @consumer(CATALOG)
    async def handle(event: OrderCreated | OrderShipped, delivery: Delivery) -> None:
        raise AlreadyProcessed(delivery.message_id)

    processor = BatchProcessor(event_type=EventType.SQS)
    assert process_partial_response({"Records": [record("m-1")]}, handle, processor) == {
        "batchItemFailures": []
    }


def test_another_message_processed_before_says_nothing_about_this_one() -> None:
    """As where a function guards by an id of its own choosing as well."""

    @consumer(CATALOG)
    async def handle(event: OrderCreated | OrderShipped, delivery: Delivery) -> None:
        raise AlreadyProcessed(MessageId("payment-1"))

    with pytest.raises(AlreadyProcessed, match="payment-1"):
        handle(record("m-1"))


def test_what_the_function_cannot_decode_is_not_skipped() -> None:
    """Only the delivery's own type is: the function has begun, and its message must come again."""

    @consumer(CATALOG, unknown_types="skip")
    async def handle(event: OrderCreated | OrderShipped, delivery: Delivery) -> None:
        CATALOG.decode("{}", {"MessageType": "order.audited"})

    with pytest.raises(UndecodableMessageError, match="unknown_type"):
        handle(record("m-1"))


def test_a_function_that_cannot_be_called_is_refused_where_it_is_written() -> None:
    class Service:
        async def handle(self, event: object, delivery: Delivery) -> None: ...

    with pytest.raises(ConfigurationError, match=r"Service\.handle"):
        consumer(CATALOG)(Service.handle)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"functools\.partial"):
        consumer(CATALOG)(partial(Service.handle))
    consumer(CATALOG)(Service().handle)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"envelope": "cloud"}, "envelope: 'cloud' is not one of raw, cloudevents, tomodachi"),
        ({"unknown_types": "ignore"}, "unknown_types: 'ignore' is not one of refuse, skip"),
        ({"unknown_types": ["skip"]}, r"unknown_types: \['skip'\] is not one of"),
    ],
)
def test_options_that_there_are_not_are_refused_where_they_are_written(
    options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        consumer(CATALOG, **options)


def test_a_decorator_without_a_catalog_is_refused() -> None:
    async def handle(event: object, delivery: Delivery) -> None: ...

    for wrong in (handle, Catalog, None):
        with pytest.raises(ConfigurationError, match=r"catalog: has no decode; write @consumer\(catalog\)"):
            consumer(wrong)  # type: ignore[arg-type]


# What is written meanwhile


def test_what_is_written_while_handling_is_written_because_of_it() -> None:
    seen: list[dict[str, Any]] = []

    @consumer(CATALOG)
    async def handle(event: OrderCreated | OrderShipped, delivery: Delivery) -> None:
        assert current_delivery() is delivery
        seen.append(item_of())

    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    handle(record("m-1", CorrelationId="c-1", Hops="3", traceparent=parent, tracestate="a=1"))
    handle(record("m-2"))

    assert seen[0]["CorrelationId"] == {"S": "c-1"}
    assert seen[0]["Hops"] == {"N": "4"}
    assert seen[0]["Headers"] == {
        "M": {"traceparent": {"S": parent}, "CausationId": {"S": "m-1"}, "tracestate": {"S": "a=1"}}
    }
    assert seen[1]["CorrelationId"] == {"S": "m-2"}
    assert seen[1]["Hops"] == {"N": "1"}
    assert seen[1]["Headers"] == {"M": {"CausationId": {"S": "m-2"}}}
    assert current_delivery() is None
    assert "Headers" not in item_of()


def test_a_message_is_refused_for_what_it_takes_over_no_more_than_elsewhere() -> None:
    """Of ten attributes, its hops take one; all else gives way to what the producer says."""
    headers = {f"Own{number}": "x" for number in range(7)}
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with handling(decode_sqs_record(record("m-1", CorrelationId="c-1", traceparent=parent))):
        item = item_of(headers=headers)
        assert item_of(correlation_id="", headers=headers)["Headers"] == item["Headers"]
        with pytest.raises(InvalidMessageError, match="attributes:11"):
            item_of(headers={**headers, "Own7": "x"})

    assert "CorrelationId" not in item
    assert item["Headers"] == {"M": {name: {"S": "x"} for name in headers}}
    assert item["Hops"] == {"N": "1"}


def test_explicit_arguments_win() -> None:
    with handling(decode_sqs_record(record("m-1", CorrelationId="c-1"))):
        item = item_of(correlation_id="mine", hops=0, headers={"CausationId": "my own", "tenant": "blue"})

    assert item["CorrelationId"] == {"S": "mine"}
    assert "Hops" not in item
    assert item["Headers"] == {"M": {"CausationId": {"S": "my own"}, "tenant": {"S": "blue"}}}


def test_a_circle_of_consumers_comes_to_its_end() -> None:
    """Each answers the other; the sixteenth message is refused where it is written."""
    stack = InMemoryStack()
    stack.write(OUTBOX.put('{"order_id":"7"}', aggregate_id="order-7", topic="x", message_id="m-0"))

    @consumer(CATALOG)
    async def answer(event: OrderCreated | OrderShipped, delivery: Delivery) -> None:
        stack.write(OUTBOX.put('{"order_id":"7"}', aggregate_id="order-7", topic="x"))

    def go_round() -> None:
        asyncio.run(stack.relay())
        last = stack.published[-1]
        named = {**last.attributes, "MessageType": "order.created"}
        answer(lambda_sqs(last.body, [(name, "String", value) for name, value in named.items()]))

    for _ in range(15):
        go_round()
    with pytest.raises(InvalidMessageError, match="hops"):
        go_round()
    assert len(stack.published) == 16
    assert {message.attributes.get("CorrelationId") for message in stack.published[1:]} == {"m-0"}


async def test_two_tasks_never_mix() -> None:
    """A hundred at a time, each of which yields many times between what it reads."""
    seen: dict[str, set[str]] = {}

    @consumer(CATALOG)
    async def handle(event: OrderCreated | OrderShipped, delivery: Delivery) -> None:
        found = seen.setdefault(delivery.message_id, set())
        for pause in range(5):
            await asyncio.sleep(0.001 * (pause % 2))
            item = item_of()
            found.add(item["Headers"]["M"]["CausationId"]["S"])
            found.add(item["CorrelationId"]["S"])
            child = await asyncio.create_task(read_in_a_task())
            found.add(child)

    async def read_in_a_task() -> str:
        delivery = current_delivery()
        assert delivery is not None
        return delivery.message_id

    await asyncio.gather(*[handle(record(f"m-{number}")) for number in range(100)])

    assert seen == {f"m-{number}": {f"m-{number}"} for number in range(100)}
    assert current_delivery() is None


def test_a_failure_leaves_nothing_behind() -> None:
    delivery = decode_sqs_record(record("m-1"))

    def fail() -> None:
        with handling(delivery):
            with handling(msgspec.structs.replace(delivery, message_id=MessageId("m-2"))):
                pass
            assert current_delivery() is delivery
            raise ValueError("inner")

    with pytest.raises(ValueError, match="inner"):
        fail()
    assert current_delivery() is None
