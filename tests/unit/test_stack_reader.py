"""What the doctor makes of single answers: refusals, pages, what is not there, and mistakes that are ours."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from outbox_sdk import OutboxError, TableDesign
from outbox_sdk.core.doctor.reads import READS
from outbox_sdk.shell.aws.access import AwsAccess
from outbox_sdk.shell.aws.errors import client_error
from outbox_sdk.shell.doctor import read_stack
from outbox_sdk.shell.stack_reader import StackReader


class Client:
    """Answers by method; an error is raised, and each call is written down."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, method: str) -> Any:
        async def call(**arguments: Any) -> Any:
            self.calls.append((method, arguments))
            answer = self.answers[method]
            if isinstance(answer, list):
                answer = answer.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def reader_of(endpoint_url: str | None = None, **clients: Client) -> StackReader:
    reader = StackReader(AwsAccess(region="eu-west-1", endpoint_url=endpoint_url), AsyncExitStack())
    reader._clients = {name.replace("lambda_", "lambda"): client for name, client in clients.items()}
    return reader


def refused(code: str) -> Exception:
    return client_error(code, "no", operation="Read")


async def test_a_refusal_is_told_by_the_right_that_is_missing() -> None:
    reader = reader_of(dynamodb=Client(describe_table=refused("AccessDeniedException")))

    table, _ = await reader.read_table("orders")

    assert table.exists is None
    assert table.why("key") == "dynamodb:DescribeTable failed with AccessDeniedException"


async def test_what_is_not_there_is_known_not_to_be() -> None:
    reader = reader_of(
        dynamodb=Client(describe_table=refused("ResourceNotFoundException")),
        sns=Client(get_topic_attributes=refused("NotFound")),
    )

    assert (await reader.read_table("orders"))[0].exists is False


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("ExpiredTokenException", "log in again"),
        ("UnrecognizedClientException", "name another profile"),
        ("InvalidSignatureException", "this machine's clock"),
    ],
)
async def test_what_keeps_every_call_from_being_made_ends_it(code: str, advice: str) -> None:
    reader = reader_of(dynamodb=Client(describe_table=refused(code)))

    with pytest.raises(OutboxError, match=advice):
        await reader.read_table("orders")


async def test_a_mistake_of_ours_is_not_taken_for_a_refusal() -> None:
    reader = reader_of(dynamodb=Client(describe_table=TypeError("ours")))

    with pytest.raises(TypeError):
        await reader.read_table("orders")


async def test_a_call_that_is_not_listed_is_not_made() -> None:
    reader = reader_of(dynamodb=Client(delete_table={}))

    with pytest.raises(KeyError):
        await reader.ask("dynamodb", "delete_table", TableName="orders")


async def test_all_pages_of_a_list_are_read() -> None:
    client = Client(
        list_role_policies=[
            {"PolicyNames": ["a"], "IsTruncated": True, "Marker": "next"},
            {"PolicyNames": ["b"], "IsTruncated": False},
        ],
        get_role_policy={"PolicyDocument": {"Statement": []}},
        list_attached_role_policies={"AttachedPolicies": [{"PolicyArn": "arn", "PolicyName": "c"}]},
        get_policy={"Policy": {"DefaultVersionId": "v1"}},
        get_policy_version={"PolicyVersion": {"Document": "%7B%22Statement%22%3A%20%5B%5D%7D"}},
    )
    role = await reader_of(iam=client).read_role("arn:aws:iam::123456789012:role/r")

    assert role.policies == {"a": {"Statement": []}, "b": {"Statement": []}, "c": {"Statement": []}}
    assert ("list_role_policies", {"RoleName": "r", "Marker": "next"}) in client.calls


async def test_a_policy_that_may_not_be_read_makes_the_role_unknown() -> None:
    client = Client(
        list_role_policies={"PolicyNames": ["a"]},
        get_role_policy=refused("AccessDenied"),
        list_attached_role_policies={"AttachedPolicies": []},
    )
    role = await reader_of(iam=client).read_role("arn:aws:iam::123456789012:role/r")

    assert role.policies is None
    assert role.why("policies") == "iam:GetRolePolicy failed with AccessDenied"


async def test_keys_of_awss_own_are_nobodys_and_a_refused_one_is_unknown() -> None:
    own = reader_of(kms=Client(describe_key={"KeyMetadata": {"KeyManager": "AWS", "Arn": "a", "KeyId": "1"}}))
    kept = reader_of(kms=Client(describe_key=refused("AccessDeniedException")))

    assert await own.read_key("table", "1") is None
    key = await kept.read_key("table", "1")
    assert key is not None
    assert (key.state, key.why("state")) == (None, "kms:DescribeKey failed with AccessDeniedException")


async def test_what_aws_leaves_out_is_its_default_and_what_a_stand_in_leaves_out_is_not_known() -> None:
    mapping = {"UUID": "1", "FunctionArn": "arn:aws:lambda:e:1:function:f:live", "State": "Enabled",
               "EventSourceArn": "arn:aws:dynamodb:e:1:table/orders/stream/1"}  # fmt: skip

    async def read(endpoint_url: str | None) -> Any:
        client = Client(list_event_source_mappings={"EventSourceMappings": [mapping]},
                        get_function=refused("AccessDeniedException"))  # fmt: skip
        reader = reader_of(endpoint_url, lambda_=client)
        found, _ = await reader.list_mappings("orders", "stream", None)
        assert found is not None
        return found[0]

    on_aws, elsewhere = await read(None), await read("http://127.0.0.1:1")
    assert (on_aws.metrics, on_aws.tumbling_window_seconds) == ((), 0)
    assert (elsewhere.metrics, elsewhere.tumbling_window_seconds) == (None, None)
    for each in (on_aws, elsewhere):
        assert (each.function_name, each.relays) == ("f", None)
        assert (each.retry_attempts, each.record_age_seconds, each.patterns) == (-1, -1, ())


async def test_only_mappings_of_the_table_are_its_own() -> None:
    other = {"UUID": "2", "FunctionArn": "arn:aws:lambda:e:1:function:f", "State": "Enabled",
             "EventSourceArn": "arn:aws:dynamodb:e:1:table/orders-2/stream/1"}  # fmt: skip
    gone = {
        **other,
        "UUID": "3",
        "State": "Deleting",
        "EventSourceArn": other["EventSourceArn"].replace("-2", ""),
    }
    client = Client(list_event_source_mappings={"EventSourceMappings": [other, gone]})

    assert await reader_of(lambda_=client).list_mappings("orders", None, "f") == ((), "")


async def test_no_payload_is_asked_for_and_the_clock_is_read_off_an_answer() -> None:
    now = datetime(2026, 11, 28, 9, 0, 0, tzinfo=UTC)
    described = {
        "Table": {
            "TableName": "orders",
            "TableArn": "arn:aws:dynamodb:eu-west-1:123456789012:table/orders",
            "KeySchema": [{"AttributeName": "PK", "KeyType": "HASH"}],
        },
        "ResponseMetadata": {"HTTPHeaders": {"date": "Sat, 28 Nov 2026 08:59:00 GMT"}},
    }
    dynamodb = Client(
        describe_table=described,
        describe_time_to_live={},
        describe_continuous_backups=refused("AccessDeniedException"),
        query={"Items": [{"PK": {"S": "1"}, "SK": {"S": "m"}, "NotDispatched": {"S": "x"}}]},
        batch_get_item={"Responses": {"orders": [{"ParkReason": {"S": "attributes:11"}}]}},
    )
    variables = {"DYNAMODB_OUTBOX_TABLE_NAME": "orders"}
    function = {"FunctionName": "orders-relay", "Environment": {"Variables": variables}}
    functions = Client(
        list_event_source_mappings={"EventSourceMappings": []}, get_function={"Configuration": function}
    )
    reader = reader_of(
        dynamodb=dynamodb, lambda_=functions, scheduler=Client(get_schedule=refused("AccessDeniedException"))
    )

    stack = await read_stack(reader, "orders", now=now)

    assert stack.clock_skew_seconds == timedelta(minutes=1).total_seconds()
    assert stack.table is not None
    assert (stack.table.constant_markers, stack.table.park_reasons) == (True, ("attributes:11",))
    assert (stack.table.recovery, stack.table.ttl_attribute) == (None, "")
    (batch,) = [arguments for method, arguments in dynamodb.calls if method == "batch_get_item"]
    names = batch["RequestItems"]["orders"]["ExpressionAttributeNames"]
    assert names == {"#reason": TableDesign.ordered.park_reason}
    made = {("dynamodb", method) for method, _ in dynamodb.calls}
    assert made <= {(each.service, each.method) for each in READS}
