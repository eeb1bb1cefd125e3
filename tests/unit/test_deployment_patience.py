"""What a deployment waits out, as AWS words it, and what it does not: no local stack is that slow."""

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError

from outbox_sdk.core.configuration import RelayConfiguration
from outbox_sdk.core.deployment import Call, Deployment
from outbox_sdk.core.errors import OutboxError
from outbox_sdk.core.event_source import EventSource
from outbox_sdk.core.identifiers import TableName
from outbox_sdk.core.rollout import plan_mapping
from outbox_sdk.provisioning.execution import Execution
from outbox_sdk.provisioning.found import settle_function

STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/outbox/stream/2026-11-24T00:00:00.000"
DEPLOYMENT = Deployment(
    configuration=RelayConfiguration(
        dynamodb_outbox_table_name=TableName("outbox"), aws_sns_topic_prefix="p-"
    ),
    function_name="outbox-relay",
    architecture="arm64",
)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    async def pass_on(_: float) -> None:
        pass

    monkeypatch.setattr(asyncio, "sleep", pass_on)


class Refusing:
    """A client whose one call is refused once, and then done."""

    def __init__(self, code: str, message: str) -> None:
        self.error: ClientError | None = ClientError({"Error": {"Code": code, "Message": message}}, "Create")
        self.exceptions = SimpleNamespace(ClientError=ClientError)
        events = SimpleNamespace(register=lambda *_: None, unregister=lambda *_: None)
        self.meta = SimpleNamespace(events=events)

    async def create(self) -> None:
        error, self.error = self.error, None
        if error is not None:
            raise error


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "InvalidParameterValueException",
            "The role defined for the function cannot be assumed by Lambda.",
        ),
        (
            "InvalidParameterValueException",
            "Lambda was unable to configure access to your environment variables because the KMS key is "
            "invalid for CreateGrant. Please check your KMS key settings.",
        ),
        (
            "InvalidParameterValueException",
            "Cannot access stream S. Please ensure the role can perform the GetRecords, GetShardIterator, "
            "DescribeStream, and ListStreams Actions on your stream in IAM.",
        ),
        (
            "InvalidParameterValueException",
            "The provided execution role does not have permissions to call SendMessage on SQS",
        ),
        (
            "ResourceConflictException",
            "The operation cannot be performed at this time. An update is in progress for resource: F",
        ),
        (
            "ResourceConflictException",
            'An event source mapping with event source arn (" S ") and function (" F ") already exists. '
            "Please update or delete the existing mapping with UUID 1-2-3",
        ),
        ("ResourceInUseException", "Cannot update the event source mapping because it is in use."),
    ],
)
async def test_what_passes_by_itself_is_tried_again(code: str, message: str) -> None:
    execution = Execution({"lambda": Refusing(code, message)})

    await execution.run(Call("lambda", "create", {}, "it is missing"))

    assert len(execution.calls) == 1


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("InvalidParameterValueException", "The runtime parameter of python9 is no longer supported"),
        ("ResourceConflictException", "Function already exist: F"),
        ("AccessDeniedException", "not authorized to perform: lambda:CreateFunction"),
    ],
)
async def test_what_lasts_is_raised_at_once(code: str, message: str) -> None:
    execution = Execution({"lambda": Refusing(code, message)})

    with pytest.raises(ClientError):
        await execution.run(Call("lambda", "create", {}, "it is missing"))

    assert execution.calls == []


class Function:
    """A function in one state after another."""

    exceptions = SimpleNamespace(ResourceNotFoundException=LookupError)

    def __init__(self, *states: dict[str, str]) -> None:
        self.states = list(states)

    async def get_function(self, **_: str) -> dict[str, Any]:
        return {"Configuration": self.states.pop(0)}


@pytest.mark.parametrize("over", ["Successful", "Failed"])
async def test_a_change_is_waited_for_and_a_failed_one_is_over(over: str) -> None:
    client: Any = Function(
        {"State": "Pending"},
        {"State": "Active", "LastUpdateStatus": "InProgress"},
        {"State": "Active", "LastUpdateStatus": over},
    )

    found = await settle_function(client, "outbox-relay")

    assert found == {"Configuration": {"State": "Active", "LastUpdateStatus": over}}
    assert client.states == []


async def test_a_function_whose_tags_cannot_be_read_is_not_taken_for_somebody_elses() -> None:
    class Untold(Function):
        async def get_function(self, **_: str) -> dict[str, Any]:
            return {"Configuration": {}, "TagsError": {"ErrorCode": "AccessDeniedException", "Message": "no"}}

    client: Any = Untold()
    with pytest.raises(OutboxError, match="allow lambda:ListTags"):
        await settle_function(client, "outbox-relay")


@pytest.mark.parametrize("field", ["FilterCriteria", "FunctionResponseTypes"])
def test_on_aws_what_a_mapping_does_not_show_is_missing(field: str) -> None:
    (created,) = plan_mapping(None, DEPLOYMENT, STREAM)
    shown = {**created.request, "UUID": "1-2-3", "State": "Enabled"}
    assert plan_mapping(shown, DEPLOYMENT, STREAM) == ()
    del shown[field]

    (update,) = plan_mapping(shown, DEPLOYMENT, STREAM)

    assert update.request == {"UUID": "1-2-3", "Enabled": True, field: created.request[field]}
    local = msgspec.structs.replace(DEPLOYMENT.configuration, aws_endpoint_url="http://localhost:4566")
    assert plan_mapping(shown, msgspec.structs.replace(DEPLOYMENT, configuration=local), STREAM) == ()


def test_a_destination_is_given_changed_and_taken_away() -> None:
    """AWS shows an empty one where there is none, and refuses to be given that."""
    (created,) = plan_mapping(None, DEPLOYMENT, STREAM)
    assert "DestinationConfig" not in created.request
    shown = {**created.request, "UUID": "1-2-3", "State": "Enabled", "DestinationConfig": {"OnFailure": {}}}
    assert plan_mapping(shown, DEPLOYMENT, STREAM) == ()
    bucket = {"OnFailure": {"Destination": "arn:aws:s3:::failures"}}
    kept = msgspec.structs.replace(DEPLOYMENT, source=EventSource(on_failure="arn:aws:s3:::failures"))

    (given,) = plan_mapping(shown, kept, STREAM)
    shown["DestinationConfig"] = bucket
    (taken,) = plan_mapping(shown, DEPLOYMENT, STREAM)

    assert given.request["DestinationConfig"] == bucket
    assert taken.request["DestinationConfig"] == {"OnFailure": {"Destination": ""}}
    assert plan_mapping(shown, kept, STREAM) == ()
