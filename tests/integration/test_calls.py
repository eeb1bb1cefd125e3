"""What goes over the wire: how many requests a batch costs, and what every kind of answer leads to.

The endpoint is the tests' own, so each request is seen and each answer is chosen. There is no AWS in here,
but what is between: the clients with their retries, timeouts, parsers and connection pools.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Protocol

import pytest
import pytest_asyncio

from outbox_sdk import BatchReport, Relay, RelayConfiguration, open_relay
from outbox_sdk.core.identifiers import AccountId, Region, TableName
from outbox_sdk.core.mark import MarkStrategy
from outbox_sdk.core.outcome import Dispatched, Held, MarkRefused, Outcome, Parked, Settled, Unmarked
from outbox_sdk.core.retry import RetryPolicy
from outbox_sdk.core.routing import Routing
from outbox_sdk.shell.aws.access import AwsAccess
from outbox_sdk.shell.aws.service import AwsServices, open_services
from outbox_sdk.shell.relay import create_context, relay_batch
from tests.support.events import insert_records, write_event
from tests.support.wire import (
    ACCOUNT_ID,
    Answer,
    Wire,
    dynamodb_error,
    open_wire,
    publish_answer,
    raw_answer,
    sns_error,
    statements_answer,
)

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

SUCCESS: Any = {"batchItemFailures": []}
ROUTING = Routing(region=Region("us-east-1"), account_id=AccountId(ACCOUNT_ID))
QUICK = RetryPolicy(attempts=4, base=0.001, cap=0.01)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Wire]:
    with open_wire() as opened:
        yield opened


@pytest.fixture
def wire(endpoint: Wire) -> Wire:
    endpoint.reset()
    return endpoint


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(endpoint: Wire) -> AsyncIterator[AwsServices]:
    """The relay's own services, opened where the environment asks botocore to retry by itself."""
    access = AwsAccess(region="us-east-1", endpoint_url=endpoint.endpoint_url, credentials=("local", "local"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_MAX_ATTEMPTS", "9")
        patch.setenv("AWS_RETRY_MODE", "standard")
        async with open_services(access) as opened:
            yield opened


@asynccontextmanager
async def relay_at(wire: Wire, **configuration: Any) -> AsyncIterator[Relay]:
    async with open_relay(configure(wire, **configuration), credentials=("local", "local")) as relay:
        yield relay


def configure(wire: Wire, **configuration: Any) -> RelayConfiguration:
    settings = {
        "dynamodb_outbox_table_name": TableName("outbox"),
        "aws_endpoint_url": wire.endpoint_url,
        "aws_region": ROUTING.region,
        "aws_account_id": ROUTING.account_id,
        **configuration,
    }
    return RelayConfiguration(**settings)


class RelayQuickly(Protocol):
    """Relays one batch with short pauses between attempts; gives the outcomes in order."""

    async def __call__(
        self, records: Sequence[dict[str, Any]], *, retry: RetryPolicy = QUICK, **configuration: Any
    ) -> list[Outcome]: ...


@pytest.fixture
def relay_quickly(wire: Wire, services: AwsServices) -> RelayQuickly:
    async def relay(
        records: Sequence[dict[str, Any]], *, retry: RetryPolicy = QUICK, **configuration: Any
    ) -> list[Outcome]:
        context = create_context(configure(wire, **configuration), services, ROUTING)
        return outcomes_of(await relay_batch(replace(context, retry=retry), write_event(records)))

    return relay


def outcomes_of(report: BatchReport) -> list[Outcome]:
    return [record.outcome for record in report.records]


# What a batch costs


async def test_a_hundred_new_messages_cost_fourteen_requests_through_open_relay(wire: Wire) -> None:
    async with relay_at(wire) as relay:
        report = await relay.relay_batch(write_event(insert_records(100)))

    assert outcomes_of(report) == [Dispatched()] * 100
    assert wire.counts() == {"PublishBatch": 10, "BatchExecuteStatement": 4}
    assert sorted(wire.published()) == sorted(f'{{"order": {number}}}' for number in range(100))
    assert sorted(wire.marked()) == sorted(f"AGGREGATE#order-{number}" for number in range(100))


@pytest.mark.parametrize("count", [1, 10, 11, 25, 26, 51, 100, 249, 1_001])
async def test_new_messages_of_a_topic_cost_a_tenth_and_a_twenty_fifth_of_a_request_each(
    wire: Wire, relay_quickly: RelayQuickly, count: int
) -> None:
    """Rounded up once a batch, whatever order the answers come in; and nothing else is asked."""
    assert await relay_quickly(insert_records(count)) == [Dispatched()] * count

    assert wire.counts() == {
        "PublishBatch": math.ceil(count / 10),
        "BatchExecuteStatement": math.ceil(count / 25),
    }


async def test_records_with_nothing_to_do_cost_no_request(wire: Wire, relay_quickly: RelayQuickly) -> None:
    new = insert_records(100)
    marked = [_marked(record) for record in new[:50]]
    removed = [{**record, "eventName": "REMOVE"} for record in marked[:25]]
    foreign = [_without_marker(record) for record in new[50:]]

    outcomes = await relay_quickly([*marked, *removed, *foreign])

    assert {type(outcome) for outcome in outcomes} == {Settled}
    assert wire.counts() == {}
    assert wire.connections == 0


def _marked(record: dict[str, Any]) -> dict[str, Any]:
    """The relay's own mark, which the stream brings back where no filter is."""
    change = record["dynamodb"]
    new = {name: value for name, value in change["NewImage"].items() if name != "NotDispatched"}
    images = {"OldImage": change["NewImage"], "NewImage": {**new, "IsDispatched": {"BOOL": True}}}
    return {**record, "eventName": "MODIFY", "dynamodb": {**change, **images}}


def _without_marker(record: dict[str, Any]) -> dict[str, Any]:
    change = record["dynamodb"]
    new = {name: value for name, value in change["NewImage"].items() if name != "NotDispatched"}
    return {**record, "dynamodb": {**change, "NewImage": new}}


@pytest.mark.parametrize(
    ("strategy", "marks"), [("single", {"UpdateItem": 100}), ("delete", {"BatchWriteItem": 4})]
)
async def test_the_mark_strategy_decides_what_marking_costs(
    wire: Wire, relay_quickly: RelayQuickly, strategy: MarkStrategy, marks: dict[str, int]
) -> None:
    outcomes = await relay_quickly(insert_records(100), outbox_mark_strategy=strategy)

    assert outcomes == [Dispatched()] * 100
    assert wire.counts() == {"PublishBatch": 10, **marks}


async def test_without_marks_only_publishing_costs(wire: Wire, relay_quickly: RelayQuickly) -> None:
    await relay_quickly(insert_records(100), outbox_skip_mark_messages_as_dispatched=True)

    assert wire.counts() == {"PublishBatch": 10}


async def test_the_account_is_asked_for_once_and_only_where_nothing_names_it(wire: Wire) -> None:
    async with relay_at(wire, aws_account_id=None) as relay:
        for _ in range(2):
            await relay.relay_batch(write_event(insert_records(1)))

    assert wire.counts() == {"GetCallerIdentity": 1, "PublishBatch": 2, "BatchExecuteStatement": 2}
    topics = {call.body["TopicArn"] for call in wire.calls_of("PublishBatch")}
    assert topics == {f"arn:aws:sns:us-east-1:{ACCOUNT_ID}:order--created"}


async def test_no_more_requests_are_in_flight_than_allowed(wire: Wire, relay_quickly: RelayQuickly) -> None:
    wire.delay_seconds = 0.02

    await relay_quickly(insert_records(100), outbox_max_concurrency=3)

    assert wire.counts() == {"PublishBatch": 10, "BatchExecuteStatement": 4}
    assert wire.most_in_flight <= 3


# What the answers of SNS lead to


ERRORS_OF_SNS: dict[str, tuple[Answer, Outcome, int]] = {
    "bad message": (
        sns_error(400, "InvalidParameter", "Invalid parameter: Message"),
        Parked("InvalidParameter"),
        1,
    ),
    "bad value": (sns_error(400, "ParameterValueInvalid", "x"), Parked("ParameterValueInvalid"), 1),
    "unheard-of 400": (sns_error(400, "New", "x"), Held("New"), 1),
    "topic elsewhere": (
        sns_error(400, "InvalidParameter", "Invalid parameter: TopicArn"),
        Held("InvalidParameter"),
        1,
    ),
    "no right": (sns_error(403, "AuthorizationError", "x"), Held("AuthorizationError"), 1),
    "bad token": (sns_error(403, "InvalidClientTokenId", "x"), Held("InvalidClientTokenId"), 1),
    "unheard-of 403": (sns_error(403, "New", "x"), Held("New"), 1),
    "no topic": (sns_error(404, "NotFound", "Topic does not exist"), Held("NotFound"), 1),
    "no key": (sns_error(400, "KMSAccessDenied", "x"), Held("KMSAccessDenied"), 1),
    "throttled": (sns_error(400, "Throttling", "Rate exceeded"), Held("Throttling"), 4),
    "key throttled": (sns_error(400, "KMSThrottling", "Rate exceeded"), Held("KMSThrottling"), 4),
    "throttled by 429": (sns_error(429, "Throttled", "Rate exceeded"), Held("Throttled"), 4),
    "trouble": (sns_error(500, "InternalError", "x"), Held("InternalError"), 4),
    "unavailable": (sns_error(503, "ServiceUnavailable", "x"), Held("ServiceUnavailable"), 4),
    "unheard-of 500": (sns_error(500, "New", "x"), Held("New"), 4),
    "a proxy's 502": (raw_answer(502, "<html>Bad Gateway</html>"), Held("502"), 4),
    "entry in neither list": (publish_answer(e0="absent"), Held("MissingFromResponse"), 4),
    "entry throttled": (publish_answer(e0="KMSThrottling"), Held("KMSThrottling"), 4),
    "entry bad": (publish_answer(e0="InvalidParameter"), Parked("InvalidParameter"), 1),
    "entry without right": (publish_answer(e0="AuthorizationError"), Held("AuthorizationError"), 1),
}


@pytest.mark.parametrize(("answer", "outcome", "publishes"), ERRORS_OF_SNS.values(), ids=ERRORS_OF_SNS.keys())
async def test_an_error_of_sns_becomes_its_outcome(
    wire: Wire, relay_quickly: RelayQuickly, answer: Answer, outcome: Outcome, publishes: int
) -> None:
    wire.always("PublishBatch", answer)

    assert await relay_quickly(insert_records(1)) == [outcome]

    parks = {"UpdateItem": 1} if isinstance(outcome, Parked) else {}
    assert wire.counts() == {"PublishBatch": publishes, **parks}


@pytest.mark.parametrize("text", ["<html>Log in</html>", "not XML <", ""], ids=["html", "text", "nothing"])
async def test_an_answer_that_is_not_of_sns_is_tried_again_and_leaves_the_neighbours_alone(
    wire: Wire, relay_quickly: RelayQuickly, text: str
) -> None:
    wire.script("PublishBatch", raw_answer(200, text))

    assert await relay_quickly(insert_records(11)) == [Dispatched()] * 11


async def test_one_bad_message_is_singled_out_and_its_neighbours_go(
    wire: Wire, relay_quickly: RelayQuickly
) -> None:
    refusal = sns_error(400, "InvalidParameter", "Invalid parameter: Message")

    def judge(call: Any) -> Any:
        assert callable(refusal)
        good = publish_answer()
        assert callable(good)
        return (refusal if '{"order": 2}' in call.messages else good)(call)

    wire.always("PublishBatch", judge)

    outcomes = await relay_quickly(insert_records(5))

    assert outcomes == [Dispatched(), Dispatched(), Parked("InvalidParameter"), Dispatched(), Dispatched()]
    assert wire.counts() == {"PublishBatch": 6, "UpdateItem": 1, "BatchExecuteStatement": 1}


async def test_a_request_that_is_too_long_is_halved(wire: Wire, relay_quickly: RelayQuickly) -> None:
    wire.script("PublishBatch", sns_error(400, "BatchRequestTooLong", "too long"))

    assert await relay_quickly(insert_records(10)) == [Dispatched()] * 10

    assert [len(call.entry_ids) for call in wire.calls_of("PublishBatch")] == [10, 5, 5]


async def test_only_the_entries_that_failed_are_sent_again(wire: Wire, relay_quickly: RelayQuickly) -> None:
    failures = publish_answer(e1="KMSThrottling", e4="InternalError", e5="InvalidParameter", e6="absent")
    wire.script("PublishBatch", failures)

    outcomes = await relay_quickly(insert_records(7))

    assert outcomes == [Dispatched()] * 5 + [Parked("InvalidParameter"), Dispatched()]
    assert [call.messages for call in wire.calls_of("PublishBatch")][1:] == [
        ['{"order": 1}', '{"order": 4}', '{"order": 6}']
    ]
    assert wire.counts() == {"PublishBatch": 2, "UpdateItem": 1, "BatchExecuteStatement": 1}


# What the answers of DynamoDB lead to


ERRORS_OF_THE_MARK: dict[str, tuple[Answer, Outcome, int]] = {
    "no right": (dynamodb_error(400, "AccessDeniedException"), Unmarked("AccessDeniedException"), 1),
    "no table": (dynamodb_error(400, "ResourceNotFoundException"), Unmarked("ResourceNotFoundException"), 1),
    "throttled": (dynamodb_error(400, "ThrottlingException"), Unmarked("ThrottlingException"), 4),
    "trouble": (dynamodb_error(500, "InternalServerError"), Unmarked("InternalServerError"), 4),
    "unheard-of 400": (dynamodb_error(400, "New"), Unmarked("New"), 4),
    "a proxy's 503": (raw_answer(503, "<html>Service Unavailable</html>"), Unmarked("503"), 4),
    "no JSON": (raw_answer(200, "not JSON {"), Unmarked("UnreadableResponse"), 4),
    "no answers": (raw_answer(200, "{}"), Unmarked("MissingFromResponse"), 4),
    "one throttled": (statements_answer(s0="ThrottlingError"), Unmarked("ThrottlingError"), 4),
    "one in conflict": (statements_answer(s0="TransactionConflict"), Unmarked("TransactionConflict"), 4),
    "one without right": (statements_answer(s0="AccessDenied"), Unmarked("AccessDenied"), 1),
    "one gone": (statements_answer(s0="ConditionalCheckFailed"), Dispatched(gone=True), 1),
    "one refused": (statements_answer(s0="ValidationError"), MarkRefused("ValidationError"), 1),
    "one collection full": (
        statements_answer(s0="ItemCollectionSizeLimitExceeded"),
        MarkRefused("ItemCollectionSizeLimitExceeded"),
        1,
    ),
}


@pytest.mark.parametrize(
    ("answer", "outcome", "requests"), ERRORS_OF_THE_MARK.values(), ids=ERRORS_OF_THE_MARK.keys()
)
async def test_an_error_of_the_mark_becomes_its_outcome(
    wire: Wire, relay_quickly: RelayQuickly, answer: Answer, outcome: Outcome, requests: int
) -> None:
    wire.always("BatchExecuteStatement", answer)

    assert await relay_quickly(insert_records(1)) == [outcome]

    assert wire.counts() == {"PublishBatch": 1, "BatchExecuteStatement": requests}


async def test_only_the_marks_that_failed_are_written_again(wire: Wire, relay_quickly: RelayQuickly) -> None:
    wire.script("BatchExecuteStatement", statements_answer(s3="ThrottlingError", s8="TransactionConflict"))

    assert await relay_quickly(insert_records(25)) == [Dispatched()] * 25

    assert [len(call.body["Statements"]) for call in wire.calls_of("BatchExecuteStatement")] == [25, 2]


async def test_what_cannot_be_looked_up_is_held_and_not_published(
    wire: Wire, relay_quickly: RelayQuickly
) -> None:
    wire.always("BatchGetItem", dynamodb_error(400, "ThrottlingException"))

    outcomes = await relay_quickly(insert_records(3, age_seconds=60))

    assert outcomes == [Held("ThrottlingException")] * 3
    assert wire.counts() == {"BatchGetItem": 4}


# Attempts and connections


FAILURES: dict[str, tuple[str, Answer]] = {
    "publish fails": ("PublishBatch", sns_error(500, "InternalError", "x")),
    "publish throttled": ("PublishBatch", sns_error(400, "Throttling", "Rate exceeded")),
    "publish cut off": ("PublishBatch", "close"),
    "mark fails": ("BatchExecuteStatement", dynamodb_error(500, "InternalServerError")),
    "mark throttled": (
        "BatchExecuteStatement",
        dynamodb_error(400, "ProvisionedThroughputExceededException"),
    ),
    "mark cut off": ("BatchExecuteStatement", "close"),
    "publish reset": ("PublishBatch", "reset"),
    "mark reset": ("BatchExecuteStatement", "reset"),
    "look fails": ("BatchGetItem", dynamodb_error(500, "InternalServerError")),
    "park fails": ("UpdateItem", dynamodb_error(500, "InternalServerError")),
}


@pytest.mark.parametrize("attempts", [1, 2, 6])
@pytest.mark.parametrize(("operation", "answer"), FAILURES.values(), ids=FAILURES.keys())
async def test_a_request_is_attempted_as_often_as_the_policy_says_and_never_more(
    wire: Wire, relay_quickly: RelayQuickly, operation: str, answer: Answer, attempts: int
) -> None:
    wire.always(operation, answer)
    retry = RetryPolicy(attempts=attempts, base=0.001, cap=0.01)
    poison: Any = {"Topic": {"N": "1"}} if operation == "UpdateItem" else {}
    age_seconds = 60.0 if operation == "BatchGetItem" else 0.0

    await relay_quickly(insert_records(1, age_seconds=age_seconds, **poison), retry=retry)

    assert wire.counts()[operation] == attempts


PATIENT = RetryPolicy(attempts=2, base=60.0, cap=60.0, budget=0)


@pytest.mark.parametrize("answer", ["close", "reset"])
@pytest.mark.parametrize("operation", ["PublishBatch", "BatchExecuteStatement"])
async def test_a_connection_closed_before_the_answer_is_tried_again_at_once(
    wire: Wire, operation: str, answer: Answer
) -> None:
    async with relay_at(wire) as relay:
        context = replace(relay.context, retry=PATIENT, jitter=lambda: 0.99)
        await relay_batch(context, write_event(insert_records(1)))
        wire.script(operation, answer)

        report = await asyncio.wait_for(relay_batch(context, write_event(insert_records(1))), timeout=10)

    assert outcomes_of(report) == [Dispatched()]
    assert wire.counts()[operation] == 3


@pytest.mark.parametrize("answer", ["close", "reset"])
async def test_as_many_connections_may_be_stale_as_there_are_requests(wire: Wire, answer: Answer) -> None:
    wire.delay_seconds = 0.2  # so that all of them are on their way when the first is closed
    async with relay_at(wire) as relay:
        context = replace(relay.context, retry=PATIENT, jitter=lambda: 0.99)
        await relay_batch(context, write_event(insert_records(100)))
        wire.script("PublishBatch", *[answer] * 10)

        report = await asyncio.wait_for(relay_batch(context, write_event(insert_records(100))), timeout=10)

    assert outcomes_of(report) == [Dispatched()] * 100
    assert wire.counts() == {"PublishBatch": 30, "BatchExecuteStatement": 8}


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_connections_that_went_while_nobody_looked_cost_neither_pause_nor_budget(
    wire: Wire, reset: bool
) -> None:
    """A thawed process finds all of its connections closed, and its loop has not heard of it yet."""
    wire.delay_seconds = 0.05  # so that the requests of a batch take a connection each
    async with relay_at(wire) as relay:
        context = replace(relay.context, retry=PATIENT, jitter=lambda: 0.99)
        await relay_batch(context, write_event(insert_records(100)))
        wire.close_connections(reset=reset)  # blocks the loop until it is done

        report = await asyncio.wait_for(relay_batch(context, write_event(insert_records(100))), timeout=10)

    assert outcomes_of(report) == [Dispatched()] * 100
    assert wire.counts() == {"PublishBatch": 20, "BatchExecuteStatement": 8}


@pytest.mark.parametrize("operation", ["PublishBatch", "BatchExecuteStatement"])
async def test_an_answer_that_breaks_off_is_tried_again(
    wire: Wire, relay_quickly: RelayQuickly, operation: str
) -> None:
    wire.script(operation, "cut")

    assert await relay_quickly(insert_records(1)) == [Dispatched()]

    assert wire.counts()[operation] == 2


async def test_an_endpoint_that_nobody_listens_on_holds_the_message() -> None:
    with open_wire() as closed:
        pass

    async with relay_at(closed) as relay:
        report = await relay.relay_batch(write_event(insert_records(1)))

    assert outcomes_of(report) == [Held("ConnectionFailed")]


# The deadline


@pytest.mark.parametrize(
    ("operation", "age_seconds", "outcome"),
    [
        ("PublishBatch", 0.0, Held("Deadline")),
        ("BatchExecuteStatement", 0.0, Unmarked("Deadline")),
        ("BatchGetItem", 60.0, Held("Deadline")),
    ],
)
async def test_a_hung_socket_is_left_behind_in_time_and_everything_is_reported(
    wire: Wire, operation: str, age_seconds: float, outcome: Outcome
) -> None:
    wire.always(operation, "hang")
    async with relay_at(wire) as relay:
        before = asyncio.all_tasks()
        began = time.monotonic()

        report = await relay.relay_batch(
            write_event(insert_records(30, age_seconds=age_seconds)), remaining_seconds=1.5
        )

        assert time.monotonic() - began < 1.5
        assert asyncio.all_tasks() == before
    assert outcomes_of(report) == [outcome] * 30
    assert len(report.response["batchItemFailures"]) == 30


async def test_what_came_through_before_the_deadline_is_not_reported(wire: Wire) -> None:
    wire.script("PublishBatch", publish_answer(), publish_answer())
    wire.always("PublishBatch", "hang")
    async with relay_at(wire) as relay:
        report = await relay.relay_batch(write_event(insert_records(30)), remaining_seconds=1.5)

    held = [record for record in report.records if record.outcome == Held("Deadline")]
    assert len(held) == 10
    # The rest is out: marked, or known to be out, so that it is only marked when it comes again.
    rest = {type(record.outcome) for record in report.records if record not in held}
    assert rest <= {Dispatched, Unmarked}
