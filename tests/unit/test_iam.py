"""The tests' own evaluator of policies, and their own reading of what a call asks of IAM."""

from typing import Any

import pytest

from tests.support.iam import AccessRequest, Use, find_uses, is_allowed, matches
from tests.support.iam_requests import Caller, UnknownCallError, requests_of

TOPICS = "arn:aws:sns:eu-west-1:123456789012:"
TABLE = "arn:aws:dynamodb:eu-west-1:123456789012:table/outbox"
CALLER = Caller("eu-west-1", "123456789012")
ATTRIBUTES = "dynamodb:Attributes"


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def statement(effect: str = "Allow", action: Any = "a:B", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Sid": "s", "Effect": effect, "Action": action, "Resource": resource, **more}


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("*", "arn:aws:s3:::b", True),
        (f"{TOPICS}dev-*", f"{TOPICS}dev-orders", True),
        (f"{TOPICS}dev-*", f"{TOPICS}dev-", True),
        (f"{TOPICS}dev-*", f"{TOPICS}dev", False),
        (f"{TOPICS}dev-*", f"{TOPICS}Dev-orders", False),
        (f"{TOPICS}dev-*", f"{TOPICS}x-dev-orders", False),
        (f"{TOPICS}dev-*", "arn:aws:sns:us-east-1:123456789012:dev-orders", False),
        (f"{TOPICS}dev-*", "arn:aws:sns:eu-west-1:999999999999:dev-orders", False),
        (f"{TOPICS}dev-*", "arn:aws-cn:sns:eu-west-1:123456789012:dev-orders", False),
        (f"{TOPICS}dev-*", f"{TOPICS}dev-orders:subscription", True),  # the end reaches beyond the colon
        ("arn:aws:sns:e*t-1:123456789012:t", "arn:aws:sns:eu-west-1:123456789012:t", True),
        ("arn:aws:sns:e*1:x", "arn:aws:sns:eu:1:x", False),  # but not the middle of a segment
        (f"{TOPICS}t?", f"{TOPICS}t1", True),
        (f"{TOPICS}t?", f"{TOPICS}t", False),
        (f"{TOPICS}t?", f"{TOPICS}t12", False),
        (f"{TOPICS}t.fifo", f"{TOPICS}t-fifo", False),  # a dot is a dot
        (TABLE, f"{TABLE}-2", False),
        (TABLE, f"{TABLE}/index/i", False),
        (f"{TABLE}/stream/*", f"{TABLE}/stream/2026-11-23T00:00:00.000", True),
        (f"{TABLE}/stream/*", f"{TABLE}-2/stream/2026", False),
    ],
)
def test_wildcards_match_as_in_iam(pattern: str, text: str, expected: bool) -> None:
    assert matches(pattern, text) is expected


@pytest.mark.parametrize(
    ("action", "expected"),
    [("a:b", True), ("A:B*", True), ("a:*", True), ("*", True), ("a:C", False), ("b:B", False)],
)
def test_actions_match_without_case(action: str, expected: bool) -> None:
    assert is_allowed(policy(statement(action=action)), AccessRequest("a:B", "r")) is expected


def test_deny_wins_whatever_its_place() -> None:
    allow, deny = statement(), statement("Deny", resource="r*")

    for statements in ((allow, deny), (deny, allow)):
        assert not is_allowed(policy(*statements), AccessRequest("a:B", "r1"))
        assert is_allowed(policy(*statements), AccessRequest("a:B", "q1"))
    assert not is_allowed(policy(), AccessRequest("a:B", "q1"))


def test_every_part_that_allows_is_named() -> None:
    both = policy(statement(action=["a:B", "a:*"], resource=["r", "s"]), statement("Allow", "a:C", "r"))

    assert find_uses(both, AccessRequest("a:B", "r")) == {Use("s", "a:B", "r"), Use("s", "a:*", "r")}


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [
        ("StringEquals", ("x",), True),
        ("StringEquals", ("X",), False),
        ("StringEquals", ("z",), False),
        ("StringEquals", None, False),
        ("StringLike", ("x",), True),
        ("StringLike", ("a:b/c",), True),
        ("StringLike", ("ab/c",), False),
        ("StringLike", ("X",), False),
        ("StringLike", None, False),
        ("ForAllValues:StringEquals", ("x", "y"), True),
        ("ForAllValues:StringEquals", ("x", "z"), False),
        ("ForAllValues:StringEquals", (), True),
        ("ForAllValues:StringEquals", None, True),
    ],
)
def test_conditions_hold_as_in_iam(operator: str, values: tuple[str, ...] | None, expected: bool) -> None:
    condition = {operator: {"K:Name": ["x", "y", "a:*?c"] if operator == "StringLike" else ["x", "y"]}}
    keys = {} if values is None else {"k:name": values}

    request = AccessRequest("a:B", "r", keys)

    assert is_allowed(policy(statement(Condition=condition)), request) is expected


def test_all_conditions_must_hold() -> None:
    condition = {"StringEquals": {"k:one": "1", "k:two": ["2", "3"]}}
    guarded = policy(statement(Condition=condition))

    assert is_allowed(guarded, AccessRequest("a:B", "r", {"k:one": ("1",), "k:two": ("3",)}))
    assert not is_allowed(guarded, AccessRequest("a:B", "r", {"k:one": ("1",), "k:two": ("4",)}))
    assert not is_allowed(guarded, AccessRequest("a:B", "r", {"k:one": ("1",)}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"NotAction": "a:B"},
        {"Principal": "*"},
        {"Condition": {"StringNotLike": {"k:n": "x"}}},
        {"Condition": {"ForAnyValue:StringEquals": {"k:n": "x"}}},
        {"Condition": {"StringEquals": {"k:n": "${aws:username}"}}},
        {"Resource": "arn:aws:s3:::${aws:username}"},
        {"Resource": []},
        {"Effect": "allow"},
    ],
)
def test_what_is_not_known_raises(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"known|text"):
        is_allowed(policy(statement() | wrong), AccessRequest("a:B", "r", {"k:n": ("x",)}))


def test_a_key_of_several_values_needs_a_set_operator() -> None:
    guarded = policy(statement(Condition={"StringEquals": {"k:n": "x"}}))

    with pytest.raises(ValueError, match="ForAllValues"):
        is_allowed(guarded, AccessRequest("a:B", "r", {"k:n": ("x", "y")}))


def test_a_policy_of_another_version_raises() -> None:
    with pytest.raises(ValueError, match="2012-10-17"):
        is_allowed({"Version": "2008-10-17", "Statement": []}, AccessRequest("a:B", "r"))


def asked(service: str, operation: str, **parameters: Any) -> list[tuple[str, str, tuple[str, ...] | None]]:
    return [
        (request.action, request.resource, request.keys.get(ATTRIBUTES))
        for request in requests_of(service, operation, parameters, CALLER)
    ]


def test_publishing_is_one_action_for_both_operations() -> None:
    for operation in ("Publish", "PublishBatch"):
        assert asked("sns", operation, TopicArn=f"{TOPICS}t") == [("sns:Publish", f"{TOPICS}t", None)]
    assert asked("sns", "CreateTopic", Name="t") == [("sns:CreateTopic", f"{TOPICS}t", None)]
    assert asked("sts", "GetCallerIdentity") == []


def test_a_statement_asks_for_what_its_verb_does() -> None:
    statements = [
        {"Statement": 'UPDATE "outbox" SET "a"=? SET "b ""c"=? REMOVE "d" WHERE "PK"=? AND NOT "e" > ?'},
        {"Statement": 'delete from "other" where "PK"=?'},
    ]

    assert asked("dynamodb", "BatchExecuteStatement", Statements=statements) == [
        ("dynamodb:PartiQLUpdate", TABLE, ("PK", "a", 'b "c', "d", "e")),
        ("dynamodb:PartiQLDelete", TABLE.replace("outbox", "other"), ("PK",)),
    ]


@pytest.mark.parametrize(
    "text", ["UPDATE outbox SET a=1", 'DROP "t"', 'UPDATE "t" SET "a"=\'x\'', 'SELECT "a"']
)
def test_a_statement_that_is_not_known_raises(text: str) -> None:
    with pytest.raises(UnknownCallError):
        asked("dynamodb", "BatchExecuteStatement", Statements=[{"Statement": text}])


def test_an_update_names_the_attributes_of_its_key_and_of_all_its_expressions() -> None:
    found = asked(
        "dynamodb",
        "UpdateItem",
        TableName="outbox",
        Key={"PK": {"S": "1"}, "SK": {"S": "2"}},
        UpdateExpression="SET #a = if_not_exists(#a, :v), plain.#deep[1] = :v REMOVE #c",
        ConditionExpression="attribute_exists(#d) AND NOT other > :v",
        ExpressionAttributeNames={"#a": "A", "#deep": "Deep", "#c": "C", "#d": "D"},
    )

    assert found == [("dynamodb:UpdateItem", TABLE, ("A", "C", "D", "PK", "SK", "other", "plain"))]


def test_an_index_is_a_resource_of_its_own_and_a_table_may_come_as_an_arn() -> None:
    arn = TABLE.replace("eu-west-1", "us-east-1")

    assert asked("dynamodb", "Query", TableName="outbox", IndexName="i") == [
        ("dynamodb:Query", f"{TABLE}/index/i", ())
    ]
    assert asked("dynamodb", "Scan", TableName=arn) == [("dynamodb:Scan", arn, ())]


def test_a_batch_asks_for_its_own_action_on_each_table() -> None:
    puts = [{"PutRequest": {"Item": {"PK": {"S": "1"}, "B": {"S": "2"}}}}]
    deletes = [{"DeleteRequest": {"Key": {"PK": {"S": "1"}}}}]
    read = {
        "Keys": [{"PK": {"S": "1"}}],
        "ProjectionExpression": "#a",
        "ExpressionAttributeNames": {"#a": "A"},
    }

    assert asked("dynamodb", "BatchWriteItem", RequestItems={"outbox": deletes, "o2": puts}) == [
        ("dynamodb:BatchWriteItem", TABLE, ("PK",)),
        ("dynamodb:BatchWriteItem", TABLE.replace("outbox", "o2"), ("B", "PK")),
    ]
    assert asked("dynamodb", "BatchGetItem", RequestItems={"outbox": read}) == [
        ("dynamodb:BatchGetItem", TABLE, ("A", "PK"))
    ]


def test_a_transaction_asks_for_the_action_of_each_entry() -> None:
    key: dict[str, Any] = {"TableName": "outbox", "Key": {"PK": {"S": "1"}}}
    items = [
        {"Put": {"TableName": "outbox", "Item": {"PK": {"S": "1"}}}},
        {"Update": key},
        {"Delete": key},
        {"ConditionCheck": key},
    ]

    found = asked("dynamodb", "TransactWriteItems", TransactItems=items)

    names = ["PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem"]
    assert found == [(f"dynamodb:{name}", TABLE, ("PK",)) for name in names]


def test_an_iterator_belongs_to_the_stream_that_it_was_made_for() -> None:
    stream = f"{TABLE}/stream/2026"
    caller = Caller("eu-west-1", "123456789012", iterators={"it": stream})

    (known,) = requests_of("dynamodbstreams", "GetRecords", {"ShardIterator": "it"}, caller)

    assert (known.action, known.resource) == ("dynamodb:GetRecords", stream)
    with pytest.raises(UnknownCallError):
        requests_of("dynamodbstreams", "GetRecords", {"ShardIterator": "other"}, caller)


def test_a_call_that_is_not_known_raises() -> None:
    with pytest.raises(UnknownCallError, match="sns SetTopicAttributes"):
        asked("sns", "SetTopicAttributes", TopicArn=TOPICS)
