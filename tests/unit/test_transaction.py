"""What a block of a transaction sends, what it refuses before, and what becomes of DynamoDB's answers."""

import asyncio
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import ClientPayloadError
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    NoCredentialsError,
)

from outbox_sdk import (
    AlreadyProcessed,
    ClaimError,
    ConditionFailed,
    Inbox,
    InvalidMessageError,
    MessageAlreadyPublished,
    Outbox,
    TransactionConflict,
    TransactionError,
    TransactionInDoubt,
    TransactionRefused,
    explain_cancellation,
    open_transaction,
)
from outbox_sdk.core.actions import read_action
from outbox_sdk.core.retry import RetryPolicy
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.transaction import CallFailure, Failed, judge_failure, plan_transaction
from outbox_sdk.testing import InMemoryStack

OUTBOX = Outbox("outbox")
INBOX = Inbox("inbox", consumer="mail")
AT_ONCE = RetryPolicy(attempts=3, base=0.0, cap=0.0)
FAILED = "ConditionalCheckFailed"


class Client:
    """Remembers requests and answers by a script; what is not scripted is committed."""

    def __init__(self, *answers: Exception | None) -> None:
        self.requests: list[Any] = []
        self._answers = list(answers)

    async def transact_write_items(self, **request: Any) -> Any:
        self.requests.append(request)
        await asyncio.sleep(0)
        answer = self._answers.pop(0) if self._answers else None
        if answer is not None:
            raise answer
        return {}

    @property
    def tokens(self) -> list[str]:
        return [request["ClientRequestToken"] for request in self.requests]


def refusal(code: str, status: int = 400, *, resent: int = 0, text: str = "a secret") -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": text},
        "ResponseMetadata": {"HTTPStatusCode": status, "RetryAttempts": resent},
    }
    return ClientError(response, "TransactWriteItems")


def cancellation(*codes: str, item: Any = None, resent: int = 0) -> ClientError:
    error: Any = refusal("TransactionCanceledException", resent=resent)
    error.response["CancellationReasons"] = [
        {"Code": code, **({"Item": item} if item and code == FAILED else {})} for code in codes
    ]
    return error  # type: ignore[no-any-return] # it is one


def named(answer: object) -> str:
    """Name an answer in a test's id."""
    if not isinstance(answer, ClientError):
        return answer if isinstance(answer, str) else type(answer).__name__
    reasons = answer.response.get("CancellationReasons", ())
    return "-".join([answer.response["Error"]["Code"], *(reason["Code"] for reason in reasons)])


LOST = ConnectionClosedError(endpoint_url="http://127.0.0.1")
DELETE: Any = {"Delete": {"TableName": "orders", "Key": {"PK": {"S": "7"}}}}


async def commit(client: Client, *entries: Any, retries: RetryPolicy = AT_ONCE) -> None:
    async with open_transaction(client, retries=retries, jitter=lambda: 0.0) as tx:
        for entry in entries or (DELETE,):
            tx.add(entry)


# The block


async def test_one_request_carries_all_actions_in_their_order() -> None:
    client = Client()
    async with OUTBOX.transaction(client) as tx:
        tx.guard(INBOX, "m-0")
        tx.put(TableName="orders", Item={"PK": {"S": "1"}})
        tx.update(TableName="orders", Key={"PK": {"S": "2"}}, UpdateExpression="REMOVE A")
        tx.delete(TableName="orders", Key={"PK": {"S": "3"}})
        tx.check(TableName="orders", Key={"PK": {"S": "4"}}, ConditionExpression="attribute_exists(PK)")
        message_id = tx.publish("{}", aggregate_id="7", topic="t", sequence=3, headers={"tenant": "blue"})
        tx.add(OUTBOX.put("{}", aggregate_id="7", topic="t", message_id="m-2"))
        assert client.requests == []

    (request,) = client.requests
    kinds = [next(iter(entry)) for entry in request["TransactItems"]]
    assert kinds == ["Put", "Put", "Update", "Delete", "ConditionCheck", "Put", "Put"]
    published = request["TransactItems"][5]["Put"]["Item"]
    assert published["MessageId"] == {"S": message_id}
    assert published["Sequence"] == {"N": "3"}
    assert published["Headers"] == {"M": {"tenant": {"S": "blue"}}}
    assert 1 <= len(request["ClientRequestToken"]) <= 36


async def test_an_action_is_what_it_was_when_it_was_given() -> None:
    """However the caller goes on with what it is made of; a block sends it later than a plain call would."""
    client = Client()
    values: dict[str, Any] = {}
    key = {"PK": {"B": bytearray(b"0")}}
    async with open_transaction(client) as tx:
        for number in (1, 2):
            key["PK"]["B"][0] = ord(str(number))
            values[":n"] = {"L": [{"N": str(number)}]}
            tx.update(
                TableName="orders",
                Key=key,
                UpdateExpression="SET A = :n",
                ExpressionAttributeValues=values,
            )
        values[":n"]["L"].append({"N": "3"})

    updates = [each["Update"] for each in client.requests[0]["TransactItems"]]
    assert [update["Key"] for update in updates] == [{"PK": {"B": b"1"}}, {"PK": {"B": b"2"}}]
    assert [update["ExpressionAttributeValues"] for update in updates] == [
        {":n": {"L": [{"N": "1"}]}},
        {":n": {"L": [{"N": "2"}]}},
    ]


async def test_nothing_is_sent_when_the_block_raises_or_is_empty() -> None:
    client = Client()

    async def fail() -> None:
        async with OUTBOX.transaction(client) as tx:
            tx.publish("{}", aggregate_id="7", topic="t")
            raise LookupError("the caller's own")

    async def refuse() -> None:
        async with OUTBOX.transaction(client) as tx:
            tx.publish("{}", aggregate_id="7", topic="t")
            tx.publish("", aggregate_id="7", topic="t", message_id="m-2")

    with pytest.raises(LookupError, match="the caller's own"):
        await fail()
    with pytest.raises(InvalidMessageError, match="m-2"):
        await refuse()
    async with OUTBOX.transaction(client):
        pass
    assert client.requests == []


async def test_a_block_that_has_ended_takes_nothing_more() -> None:
    client = Client()
    async with open_transaction(client) as tx:
        tx.add(DELETE)
    with pytest.raises(TransactionError, match="ended"):
        tx.add(DELETE)
    assert len(client.requests) == 1


async def test_tasks_with_one_outbox_never_mix() -> None:
    client, turns = Client(), 5

    async def place(order: int) -> None:
        async with OUTBOX.transaction(client) as tx:
            for step in range(turns):
                tx.publish("{}", aggregate_id=f"order-{order}", topic="t", message_id=f"{order}-{step}")
                await asyncio.sleep(0)

    await asyncio.gather(*(place(order) for order in range(20)))

    assert len(set(client.tokens)) == len(client.requests) == 20
    for request in client.requests:
        items = [entry["Put"]["Item"] for entry in request["TransactItems"]]
        (order,) = {item["AggregateId"]["S"].removeprefix("order-") for item in items}
        assert [item["MessageId"]["S"] for item in items] == [f"{order}-{step}" for step in range(turns)]


async def test_cancellation_passes_through() -> None:
    entered, client = asyncio.Event(), Client()

    async def stuck(**request: Any) -> Any:
        client.requests.append(request)
        entered.set()
        await asyncio.sleep(3600)

    client.transact_write_items = stuck  # type: ignore[method-assign]
    task = asyncio.create_task(commit(client))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(client.requests) == 1


# Refused before any call


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({}, "action 0 is not one of Put, Update, Delete, ConditionCheck"),
        ({"Get": {}}, "action 0 is not one of"),
        ({"Put": {"TableName": "a", "Item": {}}, "Delete": {}}, "action 0 is not one of"),
        ({"Put": {"Item": {}}}, "action 0 has no TableName"),
        ({"Put": None}, "action 0 has no TableName"),
        ({"Delete": {"TableName": "a", "Key": {}}}, "action 0 has a Key that is none"),
        ({"Put": {"TableName": "a", "Item": {"PK": "secret"}}}, "action 0 has attribute PK not written with"),
        ({"Put": {"TableName": "a", "Item": {"PK": {"S": 7}}}}, "action 0 has attribute PK not written with"),
        ({"Put": {"TableName": "a", "Item": ["secret"]}}, "action 0 has an Item or a Key not written with"),
        (
            {
                "Update": {
                    "TableName": "a",
                    "Key": {"PK": {"S": "1"}},
                    "UpdateExpression": "SET A = :a",
                    "ExpressionAttributeValues": {":a": "secret"},
                }
            },
            "action 0 has a value of an expression not written with",
        ),
    ],
)
async def test_what_is_no_action_is_refused(entry: Any, problem: str) -> None:
    client = Client()
    with pytest.raises(TransactionRefused) as refused:
        await commit(client, entry)
    assert problem in str(refused.value)
    assert "secret" not in str(refused.value)
    assert client.requests == []


def plan(*entries: Any, token: str | None = None) -> Any:
    actions = [read_action(entry, place) for place, entry in enumerate(entries)]
    return plan_transaction(actions, token="t-1" if token is None else token)


def put(table_name: str = "orders", **item: Any) -> Any:
    return {"Put": {"TableName": table_name, "Item": item}}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (DELETE, put(PK={"S": "7"}, Total={"N": "1"})),
        (put(PK={"S": "7"}, Total={"N": "1"}), DELETE),
        (put(PK={"S": "7"}), put(PK={"S": "7"})),
        (
            OUTBOX.put("1", aggregate_id="7", topic="t", message_id="m"),
            OUTBOX.put("2", aggregate_id="7", topic="t", message_id="m"),
        ),
        (INBOX.guard("m"), INBOX.guard("m")),
        # The same in another writing.
        (
            {"Delete": {"TableName": "orders", "Key": {"PK": {"N": "1"}}}},
            {"Delete": {"TableName": "orders", "Key": {"PK": {"N": "1.0"}}}},
        ),
        (
            {"Delete": {"TableName": "orders", "Key": {"PK": {"B": b"1"}}}},
            {"Delete": {"TableName": "orders", "Key": {"PK": {"B": bytearray(b"1")}}}},
        ),
        (DELETE, {"Delete": {**DELETE["Delete"], "TableName": "arn:aws:dynamodb:us-east-1:1:table/orders"}}),
    ],
)
def test_two_actions_on_one_item_are_refused(first: Any, second: Any) -> None:
    with pytest.raises(TransactionRefused, match="SameItem") as refused:
        plan(put("other", PK={"S": "7"}), first, second)
    assert refused.value.action == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (DELETE, put("other", PK={"S": "7"})),
        (DELETE, put(PK={"S": "8"})),
        (DELETE, {"Delete": {"TableName": "orders", "Key": {"PK": {"N": "7"}}}}),
        # The key may be anything in them, so the table is left to tell.
        (put(PK={"S": "7"}, Total={"N": "1"}), put(PK={"S": "7"}, Total={"N": "2"})),
        (INBOX.guard("m"), Inbox("inbox", consumer="other").guard("m")),
        # Equal in all that a float would keep.
        (
            {"Delete": {"TableName": "orders", "Key": {"PK": {"N": f"1{'0' * 36}1"}}}},
            {"Delete": {"TableName": "orders", "Key": {"PK": {"N": f"1{'0' * 36}2"}}}},
        ),
    ],
)
def test_actions_on_different_items_pass(first: Any, second: Any) -> None:
    assert len(plan(first, second).request()["TransactItems"]) == 2


@pytest.mark.parametrize(("token", "passes"), [("", False), ("x", True), ("x" * 36, True), ("x" * 37, False)])
def test_a_token_has_1_to_36_characters(token: str, passes: bool) -> None:
    if passes:
        assert plan(DELETE, token=token).request()["ClientRequestToken"] == token
    else:
        with pytest.raises(TransactionRefused, match="TokenLength"):
            plan(DELETE, token=token)


def test_a_transaction_of_nothing_is_refused() -> None:
    with pytest.raises(TransactionRefused, match="NoAction"):
        plan()


# What answers mean


MESSAGE = OUTBOX.put("{}", aggregate_id="7", topic="t", message_id="m-1")
KEYED = Outbox("outbox", design=TableDesign.message_keyed).put(
    "{}", aggregate_id="7", topic="t", message_id="m-2"
)
GUARD = INBOX.guard("m-0")


@pytest.mark.parametrize(
    ("entries", "codes", "kind", "text"),
    [
        ([MESSAGE], [FAILED], MessageAlreadyPublished, "message m-1 was published before"),
        ([KEYED], [FAILED], MessageAlreadyPublished, "message m-2 was published before, as PK=MESSAGE#m-2"),
        ([GUARD], [FAILED], AlreadyProcessed, "message m-0 was processed before"),
        ([DELETE], [FAILED], ConditionFailed, "the condition of action 0 (Delete on orders, PK=7)"),
        ([put(PK={"S": "secret"})], [FAILED], ConditionFailed, "the condition of action 0 (Put on orders)"),
        # The weightiest reason is told, wherever it stands.
        ([DELETE, MESSAGE, GUARD], [FAILED, FAILED, FAILED], AlreadyProcessed, "m-0"),
        ([DELETE, MESSAGE], [FAILED, FAILED], MessageAlreadyPublished, "m-1"),
        ([MESSAGE, DELETE], ["TransactionConflict", FAILED], ConditionFailed, "action 1"),
        (
            [MESSAGE, DELETE],
            ["TransactionConflict", "ValidationError"],
            TransactionRefused,
            "ValidationError",
        ),
        (
            [DELETE],
            ["ItemCollectionSizeLimitExceeded"],
            TransactionRefused,
            "ItemCollectionSizeLimitExceeded",
        ),
        ([DELETE], ["SomethingNew"], TransactionRefused, "SomethingNew: action 0"),
        ([DELETE, MESSAGE], ["None", "TransactionConflict"], TransactionConflict, "TransactionConflict"),
        ([DELETE], ["ProvisionedThroughputExceeded"], TransactionConflict, "ProvisionedThroughputExceeded"),
        ([DELETE], ["ThrottlingError"], TransactionConflict, "ThrottlingError"),
        ([DELETE], [], TransactionRefused, "DynamoDB gives no reason"),
        ([DELETE], ["None"], TransactionRefused, "DynamoDB gives no reason"),
    ],
)
def test_a_cancellation_is_explained(entries: Any, codes: list[str], kind: type, text: str) -> None:
    error = explain_cancellation(entries, [{"Code": code, "Message": "a secret"} for code in codes])
    assert type(error) is kind
    assert text in str(error)
    assert "secret" not in str(error)
    assert error.reasons == tuple(codes)


async def test_a_failed_condition_gives_the_item_that_was_asked_for() -> None:
    item = {"PK": {"S": "7"}, "Total": {"N": "12"}}
    with pytest.raises(ConditionFailed) as failure:
        await commit(Client(cancellation("None", FAILED, item=item)), MESSAGE, DELETE)
    assert failure.value.action == 1
    assert failure.value.table_name == "orders"
    assert failure.value.key is not None
    assert failure.value.key.describe() == "PK=7"
    assert failure.value.item == item
    assert "12" not in str(failure.value)


PASSING = [
    refusal("ProvisionedThroughputExceededException"),
    refusal("ThrottlingException"),
    refusal("TransactionInProgressException"),
    refusal("InternalServerError", 500),
    refusal("503", 503),
    cancellation("TransactionConflict"),
    cancellation("ThrottlingError"),
    LOST,
    ClientPayloadError("cut"),
    TimeoutError(),
    EndpointConnectionError(endpoint_url="http://127.0.0.1"),
]


@pytest.mark.parametrize("answer", PASSING, ids=named)
async def test_what_may_pass_is_sent_again_with_the_same_token(answer: Exception) -> None:
    client = Client(answer, answer)
    await commit(client)
    assert len(client.requests) == 3
    assert len(set(client.tokens)) == 1
    assert client.requests[0] == client.requests[2]


@pytest.mark.parametrize("answer", PASSING, ids=named)
async def test_what_does_not_pass_is_told_as_what_is_known(answer: Exception) -> None:
    """Without an answer, or with one that says nothing, it may have been committed."""
    client = Client(*[answer] * 3)
    with pytest.raises(TransactionError) as failure:
        await commit(client)
    # No connection is no proof: it is what a client says whose own first request was taken in, too.
    definite = isinstance(answer, ClientError) and answer.response["ResponseMetadata"]["HTTPStatusCode"] < 500
    assert type(failure.value) is (TransactionConflict if definite else TransactionInDoubt)
    assert "asked 3 times" in str(failure.value)
    assert "secret" not in str(failure.value)
    assert len(client.requests) == 3
    if isinstance(failure.value, TransactionInDoubt):
        assert failure.value.token == client.tokens[0]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (refusal("ValidationException"), "ValidationException"),
        (refusal("AccessDeniedException"), "AccessDeniedException"),
        (refusal("ResourceNotFoundException"), "ResourceNotFoundException"),
        (refusal("IdempotentParameterMismatchException"), "IdempotentParameterMismatchException"),
        (cancellation("ValidationError"), "ValidationError"),
        (NoCredentialsError(), "NoCredentials"),
    ],
    ids=named,
)
async def test_what_never_passes_is_not_sent_again(answer: Exception, code: str) -> None:
    client = Client(answer)
    with pytest.raises(TransactionRefused) as refused:
        await commit(client)
    assert refused.value.code == code
    assert "secret" not in str(refused.value)
    assert refused.value.__suppress_context__  # DynamoDB's sentence is not printed with a traceback either
    assert len(client.requests) == 1


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (
            refusal("ResourceNotFoundException"),
            "one of these tables is not there: orders, outbox; correct name",
        ),
        (refusal("ValidationException"), "as a whole; error.detail has DynamoDB's own sentence"),
        (NoCredentialsError(), "as a whole; error.detail has the client's own sentence"),
    ],
)
async def test_a_refusal_of_the_whole_says_where_to_look(answer: Exception, problem: str) -> None:
    message = OUTBOX.put("a secret", aggregate_id="7", topic="t", message_id="m-1")
    with pytest.raises(TransactionRefused) as refused:
        await commit(Client(answer), message, DELETE)
    assert problem in refused.value.problem
    assert "secret" not in str(refused.value)


def test_nobody_is_sent_to_a_sentence_that_is_not_there() -> None:
    plan = plan_transaction([read_action(DELETE, 0)], token="t-1")
    verdict = judge_failure(plan, CallFailure(code="ValidationException", status=400), doubt=False)
    assert isinstance(verdict, Failed)
    assert str(verdict.error) == "ValidationException: the transaction was refused as a whole"


async def test_the_sentence_of_dynamodb_is_kept_apart() -> None:
    with pytest.raises(TransactionRefused) as refused:
        await commit(Client(refusal("ValidationException", text="One of the required keys …")))
    assert refused.value.detail == "One of the required keys …"


@pytest.mark.parametrize(
    "answers",
    [
        (LOST, refusal("ExpiredTokenException")),
        (LOST, *[refusal("ThrottlingException")] * 2),
        (refusal("InternalServerError", 500), *[cancellation("TransactionConflict")] * 2),
        # The client had tried by itself, and nobody knows what its first request met.
        (refusal("ExpiredTokenException", resent=1),),
    ],
    ids=["expired", "throttled", "conflict", "resent by the client"],
)
async def test_after_a_lost_answer_a_refusal_leaves_doubt(answers: tuple[Exception, ...]) -> None:
    client = Client(*answers)
    with pytest.raises(TransactionInDoubt) as doubt:
        await commit(client)
    assert doubt.value.attempts == len(answers)
    assert doubt.value.token == client.tokens[0]


async def test_the_double_goes_by_the_name_of_the_table_and_keeps_what_it_was_given() -> None:
    stack = InMemoryStack(table_name="orders-outbox", envelope="cloudevents")
    client = stack.client()
    client.create_table("orders", "PK")
    item: Any = {"PK": {"S": "7"}, "Lines": {"L": [{"N": "1"}]}}
    await client.transact_write_items(TransactItems=[{"Put": {"TableName": "orders", "Item": item}}])
    item["Lines"]["L"].append({"N": "2"})
    read = await client.get_item(TableName="orders", Key={"PK": {"S": "7"}})
    read["Item"]["Lines"]["L"].clear()
    assert client.items("orders") == [{"PK": {"S": "7"}, "Lines": {"L": [{"N": "1"}]}}]

    async with Outbox("orders-outbox").transaction(client) as tx:
        tx.publish("{}", aggregate_id="7", topic="t")
    await stack.relay()
    assert '"source":"/outbox/orders-outbox"' in stack.published[0].body


@pytest.mark.parametrize(
    "error",
    [
        explain_cancellation([MESSAGE], [{"Code": FAILED}]),
        explain_cancellation([GUARD], [{"Code": FAILED}]),
        explain_cancellation([DELETE], [{"Code": FAILED, "Item": {"PK": {"S": "7"}}}]),
        explain_cancellation([DELETE], [{"Code": "TransactionConflict"}]),
        explain_cancellation([DELETE], [{"Code": "ValidationError"}]),
        TransactionInDoubt("Timeout", attempts=2, token="t-1", entries=[DELETE]),
        InvalidMessageError("topic", "is none"),
        ClaimError("missing", bucket="orders-claims", key="k"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_leave_a_process_whole(error: Exception) -> None:
    """As out of a ProcessPoolExecutor, which breaks by an error that cannot be read."""
    read = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (type(read), str(read), vars(read)) == (type(error), str(error), vars(error))


async def test_what_is_in_doubt_can_be_settled() -> None:
    """By the very transaction under its token; whatever became of it, it is there once."""
    stack = InMemoryStack()
    client = stack.client()
    client.create_table("orders", "PK")

    class Deaf:
        """Brings requests to DynamoDB and hears no answer, or does not bring them."""

        def __init__(self, *, arrives: bool) -> None:
            self.arrives = arrives

        async def transact_write_items(self, **request: Any) -> Any:
            if self.arrives:
                await client.transact_write_items(**request)
            raise LOST

    async def write(place: int, *, arrives: bool) -> None:
        async with OUTBOX.transaction(Deaf(arrives=arrives), retries=AT_ONCE) as tx:
            tx.put(TableName="orders", Item={"PK": {"S": f"secret-{place}"}})
            tx.publish("{}", aggregate_id="7", topic="t")

    for place, arrives in enumerate([True, False]):
        with pytest.raises(TransactionInDoubt) as raised:
            await write(place, arrives=arrives)
        doubt = raised.value
        assert len(client.items("outbox")) == place + arrives
        await client.transact_write_items(TransactItems=doubt.entries, ClientRequestToken=doubt.token)
        assert len(client.items("outbox")) == len(client.items("orders")) == place + 1
        assert "secret" not in repr(doubt)


async def test_after_a_lost_answer_a_failed_condition_is_certain() -> None:
    """A committed transaction is not tried again under its token."""
    with pytest.raises(ConditionFailed):
        await commit(Client(LOST, cancellation(FAILED)))


@pytest.mark.parametrize(
    "answers", [(LOST, cancellation("None", FAILED)), (cancellation("None", FAILED, resent=1),)], ids=len
)
async def test_a_message_of_a_drawn_id_can_only_be_ones_own(answers: tuple[Exception, ...]) -> None:
    """On an endpoint without tokens; the second case is a retry that the client made by itself."""
    client = Client(*answers)
    async with OUTBOX.transaction(client, retries=AT_ONCE) as tx:
        tx.add(DELETE)
        tx.publish("{}", aggregate_id="7", topic="t")
    assert len(client.requests) == len(answers)


async def test_a_first_attempt_is_never_taken_for_its_own_repetition() -> None:
    """A table that is keyed by the partition key alone holds another message of the aggregate there."""
    stack = InMemoryStack()
    client = stack.client()
    client.create_table("narrow", "PK")

    async def write() -> None:
        async with Outbox("narrow").transaction(client, retries=AT_ONCE) as tx:
            tx.publish("{}", aggregate_id="7", topic="t")

    await write()
    with pytest.raises(MessageAlreadyPublished):
        await write()
    assert len(client.items("narrow")) == 1


async def test_a_drawn_id_hides_no_other_condition() -> None:
    client = Client(LOST, cancellation(FAILED, "None"))

    async def write() -> None:
        async with OUTBOX.transaction(client, retries=AT_ONCE) as tx:
            tx.add(DELETE)
            tx.publish("{}", aggregate_id="7", topic="t")

    with pytest.raises(ConditionFailed) as failure:
        await write()
    assert failure.value.action == 0


@pytest.mark.parametrize("publish", [True, False])
async def test_a_message_of_a_given_id_may_be_anybodys(publish: bool) -> None:
    client = Client(LOST, cancellation(FAILED))

    async def write() -> None:
        async with OUTBOX.transaction(client, retries=AT_ONCE) as tx:
            if publish:
                tx.publish("{}", aggregate_id="7", topic="t", message_id="m-1")
            else:
                tx.add(MESSAGE)

    with pytest.raises(MessageAlreadyPublished):
        await write()


async def test_a_mistake_in_code_comes_through_as_it_is() -> None:
    client = Client(TypeError("unexpected argument"))
    with pytest.raises(TypeError, match="unexpected argument"):
        await commit(client)
    assert len(client.requests) == 1


async def test_pauses_grow_and_take_their_jitter_from_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("outbox_sdk.shell.commit.asyncio.sleep", sleep)
    jitter: Callable[[], float] = iter([0.5, 1.0, 0.5, 0.25]).__next__
    client = Client(*[cancellation("TransactionConflict")] * 3)
    client.transact_write_items = _without_sleep(client)  # type: ignore[method-assign]
    policy = RetryPolicy(attempts=4, base=0.1, cap=0.3)
    async with open_transaction(client, retries=policy, jitter=jitter) as tx:
        tx.add(DELETE)
    assert pauses == [0.05, 0.2, 0.15]


def _without_sleep(client: Client) -> Any:
    async def transact_write_items(**request: Any) -> Any:
        client.requests.append(request)
        if len(client.requests) <= 3:
            raise cancellation("TransactionConflict")

    return transact_write_items
