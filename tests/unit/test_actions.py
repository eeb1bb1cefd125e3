"""Actions by example: what each is taken for, what it is called in an error, its bytes, and what is none."""

from decimal import Decimal
from typing import Any

import pytest

from outbox_sdk import Outbox
from outbox_sdk.core.actions import (
    Action,
    GuardPut,
    MessagePut,
    copy_entry,
    guard_action,
    identity_of,
    message_action,
    read_action,
    recognise,
    table_of,
)
from outbox_sdk.core.identifiers import ItemKey, MessageId
from outbox_sdk.core.inbox import guard_entry
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.transaction import (
    MAX_TRANSACTION_BYTES,
    Again,
    CallFailure,
    Committed,
    Failed,
    TransactionPlan,
    conclude,
    explain_cancellation,
    judge_failure,
    plan_transaction,
)
from outbox_sdk.core.transaction_errors import (
    AlreadyProcessed,
    ConditionFailed,
    MessageAlreadyPublished,
    TransactionConflict,
    TransactionError,
    TransactionInDoubt,
    TransactionRefused,
)

MESSAGE: Any = Outbox("outbox").put("{}", aggregate_id="7", topic="t", message_id="m-1")
GUARD = guard_entry("inbox", "m-0", consumer="mail", processed_at="2026-11-23", expires_at=1)
DELETE: dict[str, Any] = {"Delete": {"TableName": "orders", "Key": {"PK": {"S": "7"}}}}
PUT: dict[str, Any] = {"Put": {"TableName": "orders", "Item": {"PK": {"S": "7"}, "Total": {"N": "12"}}}}
MESSAGE_KEY = ItemKey((("PK", "S", "AGGREGATE#7"), ("SK", "S", "MESSAGE#m-1")))
GUARD_KEY = ItemKey((("PK", "S", "MESSAGE#m-0"), ("SK", "S", "CONSUMER#mail")))
FAILED = "ConditionalCheckFailed"


def delete(name: str, **more: Any) -> dict[str, Any]:
    return {"Delete": {"TableName": "orders", "Key": {"PK": {"S": name}}, **more}}


# What an action is


def test_the_puts_of_this_package_carry_the_condition_that_they_are_known_by() -> None:
    item = {"PK": {"S": "AGGREGATE#7"}, "SK": {"S": "MESSAGE#m-1"}}
    assert message_action("outbox", item, TableDesign.ordered) == {
        "Put": {
            "TableName": "outbox",
            "Item": item,
            "ConditionExpression": "attribute_not_exists(#message_pk) AND attribute_not_exists(#message_sk)",
            "ExpressionAttributeNames": {"#message_pk": "PK", "#message_sk": "SK"},
        }
    }
    assert message_action("outbox", item, TableDesign.message_keyed)["Put"] == {
        "TableName": "outbox",
        "Item": item,
        "ConditionExpression": "attribute_not_exists(#message_pk)",
        "ExpressionAttributeNames": {"#message_pk": "PK"},
    }
    assert guard_action("inbox", item, partition_key="PK", sort_key="SK")["Put"] == {
        "TableName": "inbox",
        "Item": item,
        "ConditionExpression": "attribute_not_exists(#guard_pk) AND attribute_not_exists(#guard_sk)",
        "ExpressionAttributeNames": {"#guard_pk": "PK", "#guard_sk": "SK"},
    }
    assert GUARD == {
        "Put": {
            "TableName": "inbox",
            "Item": {
                "PK": {"S": "MESSAGE#m-0"},
                "SK": {"S": "CONSUMER#mail"},
                "ProcessedAt": {"S": "2026-11-23"},
                "ExpiresAt": {"N": "1"},
            },
            "ConditionExpression": "attribute_not_exists(#guard_pk) AND attribute_not_exists(#guard_sk)",
            "ExpressionAttributeNames": {"#guard_pk": "PK", "#guard_sk": "SK"},
        }
    }


def test_own_puts_are_recognised_and_nothing_else_is() -> None:
    assert recognise(MESSAGE) == MessagePut(MessageId("m-1"), MESSAGE_KEY)
    assert recognise(GUARD) == GuardPut(MessageId("m-0"), GUARD_KEY)
    names = {"#message_pk": "PK"}
    for put in (
        None,
        {},
        {"Item": None, "ExpressionAttributeNames": None},
        {"Item": {"PK": {"S": "MESSAGE#m-1"}}},
        {"ExpressionAttributeNames": names},
        {"ExpressionAttributeNames": names, "Item": {"SK": {"S": "MESSAGE#m-1"}}},
        {"ExpressionAttributeNames": names, "Item": {"PK": {"S": "ORDER#m-1"}}},
        {"ExpressionAttributeNames": names, "Item": {"PK": {"N": "1"}}},
        {"ExpressionAttributeNames": names, "Item": {"PK": "MESSAGE#m-1"}},
    ):
        assert recognise({"Put": put}) is None
    assert recognise(DELETE) is None


def test_an_action_tells_its_kind_table_key_and_size() -> None:
    for place, (entry, action) in enumerate(
        [
            (
                DELETE,
                Action(
                    entry=DELETE,
                    kind="Delete",
                    table_name="orders",
                    key=ItemKey((("PK", "S", "7"),)),
                    size=3,
                ),
            ),
            (PUT, Action(entry=PUT, kind="Put", table_name="orders", key=None, size=3 + 5 + 2)),
        ]
    ):
        assert read_action(entry, place) == action
    own = read_action(MESSAGE, 0)
    assert (own.key, own.own) == (MESSAGE_KEY, MessagePut(MessageId("m-1"), MESSAGE_KEY))


def test_how_an_action_is_called_in_an_error() -> None:
    named = [read_action(entry, 0).describe(3) for entry in (MESSAGE, GUARD, DELETE, PUT)]
    assert named == [
        "message m-1 (action 3)",
        "the guard of message m-0 (action 3)",
        "action 3 (Delete on orders, PK=7)",
        "action 3 (Put on orders)",
    ]


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({}, "action 4 is not one of Put, Update, Delete, ConditionCheck"),
        ({"Get": {}}, "action 4 is not one of Put, Update, Delete, ConditionCheck"),
        ({**DELETE, **PUT}, "action 4 is not one of Put, Update, Delete, ConditionCheck"),
        ({**DELETE, "Get": {}}, "action 4 is not one of Put, Update, Delete, ConditionCheck"),
        ({"Put": None}, "action 4 has no TableName"),
        ({"Put": {"TableName": 1}}, "action 4 has no TableName"),
        (
            {"Put": {"TableName": "t", "Item": {"A": "x"}}},
            'action 4 has attribute A not written with its type, as in {"S": "text"}',
        ),
        (
            {"Put": {"TableName": "t", "Item": {"B": {"S": "x"}, "A": {"S": 1}}}},
            'action 4 has attribute A not written with its type, as in {"S": "text"}',
        ),
        (
            {"Put": {"TableName": "t", "Item": {"A": {"S": "x", "N": "1"}}}},
            'action 4 has attribute A not written with its type, as in {"S": "text"}',
        ),
        (
            {"Put": {"TableName": "t", "Item": ["A"]}},
            'action 4 has an Item or a Key not written with its type, as in {"S": "text"}',
        ),
        (
            delete("7", ConditionExpression="A = :a", ExpressionAttributeValues={":a": "x"}),
            'action 4 has a value of an expression not written with its type, as in {"S": "text"}',
        ),
        (
            {"Delete": {"TableName": "t"}},
            "action 4 has a Key that is none: a key has at least one attribute",
        ),
        (
            {"Delete": {"TableName": "t", "Key": {"PK": {"BOOL": True}}}},
            "action 4 has a Key that is none: key attribute PK must be a string, a number or binary",
        ),
    ],
)
def test_what_is_no_action_is_refused_with_what_is_wrong(entry: Any, problem: str) -> None:
    with pytest.raises(TransactionRefused) as refused:
        read_action(entry, 4)
    assert str(refused.value) == f"ValidationException: {problem}"
    assert (refused.value.code, refused.value.problem, refused.value.action) == (
        "ValidationException",
        problem,
        4,
    )
    assert refused.value.__cause__ is None


def test_an_item_of_exactly_400_kb_passes_and_one_byte_more_does_not() -> None:
    def put(size: int) -> dict[str, Any]:
        return {"Put": {"TableName": "t", "Item": {"A": {"S": "x" * (size - 1)}}}}

    assert read_action(put(409_600), 0).size == 409_600
    with pytest.raises(TransactionRefused) as refused:
        read_action(put(409_601), 2)
    assert str(refused.value) == "ItemTooLarge: action 2 (Put on t) has an item of 409601 of 409600 bytes"
    assert (refused.value.code, refused.value.action) == ("ItemTooLarge", 2)
    # Of another action it is the key, which only DynamoDB limits.
    assert read_action(delete("x" * 409_600), 0).size == 409_602


@pytest.mark.parametrize(
    ("more", "size"),
    [
        ({}, 0),
        ({"ConditionExpression": ""}, 0),
        ({"ConditionExpression": "attribute_exists(PK)"}, 20),
        ({"ConditionExpression": "é"}, 2),
        ({"UpdateExpression": "REMOVE A", "ConditionExpression": "B"}, 8 + 1),
        ({"ConditionExpression": "#n = #n", "ExpressionAttributeNames": {"#n": "größe"}}, 7 + 7 + 7),
        ({"ConditionExpression": "#n = #o", "ExpressionAttributeNames": {"#n": "ab"}}, 7 + 2),
        (
            {
                "ConditionExpression": "#n = :v",
                "ExpressionAttributeNames": {"#n": "ab"},
                "ExpressionAttributeValues": {":v": {"S": "abc"}},
            },
            7 + 2 + 3,
        ),
        ({"ConditionExpression": "A = :v", "ExpressionAttributeValues": {":w": {"S": "abc"}}}, 6),
    ],
)
def test_an_expression_counts_with_each_name_and_value_it_refers_to(more: dict[str, Any], size: int) -> None:
    assert read_action(delete("7", **more), 0).size == 3 + size


def test_a_copy_shares_nothing_that_can_be_changed() -> None:
    given: Any = {
        "Put": {"Item": {"A": {"L": [{"B": bytearray(b"x")}]}, "B": {"B": b"y"}, "C": {"BOOL": True}}}
    }
    copied = copy_entry(given)
    assert copied == given
    assert copied["Put"]["Item"]["A"]["L"] is not given["Put"]["Item"]["A"]["L"]
    assert type(copied["Put"]["Item"]["A"]["L"][0]["B"]) is bytes


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"N": "1"}, {"N": "1.0"}, True),
        ({"N": "1"}, {"N": "2"}, False),
        ({"N": "x"}, {"N": "x"}, True),
        ({"S": "1"}, {"N": "1"}, False),
        ({"B": b"1"}, {"B": bytearray(b"1")}, True),
        ({"B": b"1"}, {"B": b"2"}, False),
        ({"S": "1"}, {"S": "1"}, True),
    ],
)
def test_two_keys_are_the_same_however_they_are_written(one: Any, other: Any, same: bool) -> None:
    key_names = frozenset({"PK"})
    first, second = (
        Action(
            entry={"Put": {"Item": {"PK": value, "A": {"S": str(place)}}}},
            kind="Put",
            table_name=table,
            key=None,
            size=0,
        )
        for place, (value, table) in enumerate([(one, "t"), (other, "arn:aws:dynamodb:x:1:table/t")])
    )
    assert (identity_of(first, key_names) == identity_of(second, key_names)) is same
    # Without the names of the key all attributes are compared, and A differs.
    assert identity_of(first, None) != identity_of(second, None)


def test_an_identity_is_the_table_and_the_key() -> None:
    assert identity_of(read_action(DELETE, 0), None) == ("orders", ("PK", "S", "'7'"))
    assert identity_of(read_action(PUT, 0), frozenset({"PK"})) == ("orders", ("PK", "S", "'7'"))
    assert identity_of(read_action(PUT, 0), frozenset({"Total", "SK"})) == (
        "orders",
        ("Total", "N", Decimal(12)),
    )
    assert table_of(read_action(DELETE, 0)) == "orders"


def test_a_binary_key_is_taken_in_both_kinds_of_bytes() -> None:
    for value in (b"x", bytearray(b"x")):
        entry = {"Delete": {"TableName": "orders", "Key": {"PK": {"B": value}}}}
        assert read_action(entry, 0).key == ItemKey((("PK", "B", "eA=="),))


# The transaction as a whole


@pytest.mark.parametrize(
    ("entries", "token", "problem", "action"),
    [
        ([DELETE], "", "TokenLength: 0 of 36 characters", None),
        ([DELETE], "x" * 37, "TokenLength: 37 of 36 characters", None),
        ([], "t", "NoAction: a transaction has at least one action", None),
        (
            [delete(str(number)) for number in range(103)],
            "t",
            "TooManyActions: action 100 (Delete on orders, PK=100) is the first of 3 above 100",
            100,
        ),
        (
            [DELETE, PUT],
            "t",
            "SameItem: action 1 (Put on orders) is on the item of action 0 (Delete on orders, PK=7)",
            1,
        ),
        (
            [delete("8"), MESSAGE, MESSAGE],
            "t",
            "SameItem: message m-1 (action 2) is on the item of message m-1 (action 1)",
            2,
        ),
    ],
)
def test_a_transaction_that_breaks_a_rule(
    entries: list[Any], token: str, problem: str, action: int | None
) -> None:
    with pytest.raises(TransactionRefused) as refused:
        plan_transaction([read_action(entry, place) for place, entry in enumerate(entries)], token=token)
    assert str(refused.value) == problem
    assert refused.value.action == action


def sized(place: int, size: int) -> Action:
    key = {"PK": {"S": str(place)}}
    return Action(
        entry={"Delete": {"TableName": "t", "Key": key}},
        kind="Delete",
        table_name="t",
        key=ItemKey.from_item(key),
        size=size,
    )


def test_the_action_that_exceeds_the_size_is_named_and_exactly_the_size_passes() -> None:
    half = MAX_TRANSACTION_BYTES // 2
    actions = [sized(0, half), sized(1, half)]
    plan = plan_transaction(actions, token="x" * 36, drawn=[1])
    assert plan == TransactionPlan(tuple(actions), "x" * 36, frozenset({1}))
    assert plan.request() == {
        "TransactItems": [action.entry for action in actions],
        "ClientRequestToken": "x" * 36,
    }
    with pytest.raises(TransactionRefused) as refused:
        plan_transaction([*actions, sized(2, 1), sized(3, 2)], token="t")
    assert str(refused.value) == (
        "TransactionTooLarge: with action 2 (Delete on t, PK=2) of 1 bytes, the transaction comes to "
        "4194307 of 4194304 bytes"
    )
    assert refused.value.action == 2


# What a cancellation means


ENTRIES = [GUARD, MESSAGE, DELETE, PUT]


def explained(*codes: str | None) -> TransactionError:
    reasons = [{"Code": code, "Item": {"PK": {"S": "7"}}} for code in codes]
    return explain_cancellation(ENTRIES, reasons)


@pytest.mark.parametrize(
    ("codes", "kind", "text"),
    [
        ((FAILED, FAILED, FAILED, FAILED), AlreadyProcessed, "message m-0 was processed before"),
        (
            ("None", FAILED, FAILED, "ValidationError"),
            MessageAlreadyPublished,
            "message m-1 was published before, as PK=AGGREGATE#7 SK=MESSAGE#m-1",
        ),
        (
            ("ThrottlingError", "ValidationError", FAILED, FAILED),
            ConditionFailed,
            "the condition of action 2 (Delete on orders, PK=7) did not hold",
        ),
        (
            ("TransactionConflict", "None", None, "ValidationError"),
            TransactionRefused,
            "ValidationError: action 3 (Put on orders) was refused",
        ),
        (
            ("None", "None", "TransactionConflict", "ThrottlingError"),
            TransactionConflict,
            "TransactionConflict, asked once; nothing was written, try again later",
        ),
        (
            ("None", "None", "None", "None"),
            TransactionRefused,
            "TransactionCanceledException: DynamoDB gives no reason",
        ),
        ((), TransactionRefused, "TransactionCanceledException: DynamoDB gives no reason"),
    ],
)
def test_the_reason_that_weighs_most_speaks(codes: Any, kind: type[TransactionError], text: str) -> None:
    error = explained(*codes)
    assert type(error) is kind
    assert str(error) == text
    assert error.reasons == tuple(code or "None" for code in codes)
    if isinstance(error, TransactionRefused):
        assert error.action == (3 if "action 3" in text else None)


def test_what_each_error_holds() -> None:
    processed, published, failed = (
        explained(FAILED),
        explained("None", FAILED),
        explained("None", "None", FAILED),
    )
    assert isinstance(processed, AlreadyProcessed)
    assert processed.message_id == "m-0"
    assert isinstance(published, MessageAlreadyPublished)
    assert (published.message_id, published.key) == ("m-1", MESSAGE_KEY)
    assert isinstance(failed, ConditionFailed)
    assert (failed.action, failed.table_name) == (2, "orders")
    assert (failed.key, failed.item) == (ItemKey((("PK", "S", "7"),)), {"PK": {"S": "7"}})
    bare = explain_cancellation([PUT], [{"Code": FAILED}])
    assert isinstance(bare, ConditionFailed)
    assert (bare.action, bare.key, bare.item) == (0, None, None)


PLAN = plan_transaction([read_action(entry, place) for place, entry in enumerate(ENTRIES[:3])], token="t-1")


def failure(code: str, status: int = 400, **more: Any) -> CallFailure:
    return CallFailure(code=code, status=status, **more)


@pytest.mark.parametrize(
    ("failed", "text"),
    [
        (
            failure("ResourceNotFoundException"),
            "ResourceNotFoundException: one of these tables is not there: inbox, orders, outbox; correct "
            "name or Region, or create it",
        ),
        (
            failure("ValidationException"),
            "ValidationException: the transaction was refused as a whole",
        ),
        (
            failure("ValidationException", text="a secret"),
            "ValidationException: the transaction was refused as a whole; error.detail has DynamoDB's own "
            "sentence, which may quote an item",
        ),
        (
            failure("AccessDeniedException", 0, text="a secret"),
            "AccessDeniedException: the transaction was refused as a whole; error.detail has the client's "
            "own sentence, which may quote an item",
        ),
        (
            failure("NobodyKnows", 499),
            "NobodyKnows: the transaction was refused as a whole",
        ),
    ],
)
def test_what_is_refused_as_a_whole_says_so(failed: CallFailure, text: str) -> None:
    verdict = judge_failure(PLAN, failed, doubt=False)
    assert isinstance(verdict, Failed)
    assert isinstance(verdict.error, TransactionRefused)
    assert str(verdict.error) == text
    assert verdict.error.code == failed.code


@pytest.mark.parametrize(
    "failed",
    [failure("ThrottlingException"), failure("NobodyKnows", 500), failure("NobodyKnows", 399)],
)
def test_what_may_pass_is_tried_again(failed: CallFailure) -> None:
    verdict = judge_failure(PLAN, failed, doubt=False)
    assert isinstance(verdict, Again)
    assert verdict.error.code == failed.code


def test_a_message_of_ours_that_is_there_was_committed_by_an_earlier_attempt_alone() -> None:
    def judge(drawn: set[int], *, doubt: bool) -> object:
        plan = TransactionPlan(PLAN.actions, "t-1", frozenset(drawn))
        reasons = [{"Code": "None"}, {"Code": FAILED}, {"Code": "TransactionConflict"}]
        return judge_failure(plan, failure("TransactionCanceledException", reasons=reasons), doubt=doubt)

    assert judge({1}, doubt=True) == Committed()
    assert isinstance(judge({1}, doubt=False), Failed)
    assert isinstance(judge({0, 2}, doubt=True), Failed)


@pytest.mark.parametrize(
    ("failed", "doubtful"),
    [
        (failure("X", 400), False),
        (failure("X", 499), False),
        (failure("X", 500), True),
        (failure("X", 0), True),
        (failure("EncodingFault", 0), False),
        (failure("NoCredentials", 0), False),
        (failure("X", 400, resent=True), True),
    ],
)
def test_what_leaves_doubt(failed: CallFailure, doubtful: bool) -> None:
    assert failed.leaves_doubt is doubtful


def test_the_error_in_the_end_tells_how_often_it_was_tried() -> None:
    last = failure("ThrottlingException", text="a secret")
    conflict = TransactionConflict("ThrottlingException")
    conflict.reasons = ("None", "ThrottlingError")
    refused = TransactionRefused("ValidationException", "wrong", action=1)
    doubted = conclude(conflict, PLAN, last, doubt=True, attempts=3)
    assert isinstance(doubted, TransactionInDoubt)
    assert str(doubted) == "ThrottlingException, asked 3 times; whether it was committed is not known"
    assert (doubted.code, doubted.attempts, doubted.token) == ("ThrottlingException", 3, "t-1")
    assert doubted.entries == ENTRIES[:3]
    assert (doubted.reasons, doubted.detail) == (("None", "ThrottlingError"), "a secret")
    assert type(conclude(refused, PLAN, last, doubt=True, attempts=1)) is TransactionInDoubt
    certain = conclude(conflict, PLAN, last, doubt=False, attempts=2)
    assert isinstance(certain, TransactionConflict)
    assert str(certain) == "ThrottlingException, asked 2 times; nothing was written, try again later"
    assert (certain.code, certain.attempts, certain.reasons) == ("ThrottlingException", 2, conflict.reasons)
    assert conclude(refused, PLAN, last, doubt=False, attempts=1) is refused
    assert refused.detail == "a secret"
    processed = AlreadyProcessed(MessageId("m-0"))
    assert conclude(processed, PLAN, last, doubt=True, attempts=1) is processed
