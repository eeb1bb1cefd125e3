"""The doctor on stacks that were deployed to local parts: none is ill until somebody makes it so."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from outbox_sdk import Diagnosis, Settings, create_dynamodb_streams_outbox, diagnose_stack
from outbox_sdk.core.event_source import EventSource
from outbox_sdk.core.function import DEFAULT_RUNTIME
from outbox_sdk.embedded_stack import EmbeddedStack
from outbox_sdk.provisioning import StreamsOutbox
from tests.support.aws import open_client
from tests.support.clients import DeploymentClients, open_deployment_clients, zipped
from tests.support.command import CREDENTIALS, run_outbox

# Local servers behave alike under every interpreter, and each deployment takes a second or two.
pytestmark = [pytest.mark.integration, pytest.mark.once]

SERVICES = ("sns", "sqs", "kms", "scheduler")


class Ward(NamedTuple):
    """A stack, what changes it, and what looks at it. The last of ``mapping`` is the one in use."""

    outbox: StreamsOutbox
    clients: DeploymentClients
    others: dict[str, Any]
    look: Callable[..., Awaitable[Diagnosis]]
    mapping: list[str]

    @property
    def account(self) -> str:
        return self.outbox.table_arn.split(":")[4]

    async def topic_arn(self, name: str) -> str:
        return f"arn:aws:sns:us-east-1:{self.account}:{self.outbox.table_name}-{name}"

    @property
    def function(self) -> str:
        return self.outbox.function_name

    @property
    def role(self) -> str:
        return self.outbox.role_arn.rpartition("/")[2]

    async def update_mapping(self, **changes: Any) -> None:
        await self.clients.functions.update_event_source_mapping(UUID=self.mapping[-1], **changes)

    async def update_variables(self, function: str, **changes: str) -> None:
        found = await self.clients.functions.get_function_configuration(FunctionName=function)
        variables = {**found["Environment"]["Variables"], **changes}
        await self.clients.functions.update_function_configuration(
            FunctionName=function, Environment={"Variables": variables}
        )


Plant = Callable[[Ward], Awaitable[Any]]


@pytest.fixture
async def ward(ministack: EmbeddedStack, unique: str, tmp_path: Path) -> AsyncIterator[Ward]:
    """A stack as `outbox deploy --sweeper --on-failure` makes it, with its two topics."""
    endpoint_url = ministack.endpoint_url
    package = tmp_path / "package.zip"
    package.write_bytes(zipped(unique))
    async with open_deployment_clients(endpoint_url) as clients, AsyncExitStack() as stack:
        others = {name: await stack.enter_async_context(open_client(name, endpoint_url)) for name in SERVICES}
        await clients.s3.create_bucket(Bucket=unique)
        for name in ("viewed", "created.fifo"):
            attributes = {"FifoTopic": "true"} if name.endswith(".fifo") else {}
            await others["sns"].create_topic(Name=f"{unique}-{name}", Attributes=attributes)
        settings: dict[str, Any] = {
            "dynamodb_outbox_table_name": unique,
            "aws_endpoint_url": endpoint_url,
            "aws_sns_topic_prefix": f"{unique}-",
            "outbox_allowed_topics": "viewed,created.fifo",
        }
        outbox = await create_dynamodb_streams_outbox(
            *clients,
            settings=Settings(**settings),
            scheduler_client=others["scheduler"],
            create_table=True,
            package=package,
            runtime=DEFAULT_RUNTIME,
            source=EventSource(on_failure=f"arn:aws:s3:::{unique}"),
        )
        digest = base64.b64encode(hashlib.sha256(package.read_bytes()).digest()).decode()

        async def look(**arguments: Any) -> Diagnosis:
            given: dict[str, Any] = {
                "region": "us-east-1",
                "endpoint_url": endpoint_url,
                "credentials": ("local", "local"),
                "expected_code": (digest,),
            }
            return await diagnose_stack(unique, **{**given, **arguments})

        yield Ward(outbox, clients, others, look, [str(outbox.mapping_id)])


ONLY_ON_AWS = {"mapping.tumbling-window", "mapping.metrics"}
"""What local stacks do not show, so that the doctor says nothing of it."""


async def late_mapping(ward: Ward) -> None:
    """The position of a mapping cannot be changed: make another one."""
    (found,) = (await ward.clients.functions.list_event_source_mappings(FunctionName=ward.function))[
        "EventSourceMappings"
    ]
    await ward.clients.functions.delete_event_source_mapping(UUID=found["UUID"])
    kept = (
        *("EventSourceArn", "BatchSize", "FilterCriteria", "FunctionResponseTypes", "DestinationConfig"),
        *("MaximumRecordAgeInSeconds", "MaximumRetryAttempts", "BisectBatchOnFunctionError"),
    )
    settings = {name: found[name] for name in kept if name in found}
    made = await ward.clients.functions.create_event_source_mapping(
        FunctionName=ward.function,
        StartingPosition="LATEST",
        MetricsConfig={"Metrics": ["EventCount"]},
        **settings,
    )
    ward.mapping.append(made["UUID"])


async def constant_filter(ward: Ward) -> None:
    pattern = json.dumps({"dynamodb": {"NewImage": {"NotDispatched": {"S": ["x"]}}}})
    await ward.update_mapping(FilterCriteria={"Filters": [{"Pattern": pattern}]})


async def put_items(ward: Ward) -> None:
    """An item as a producer of another make writes it, and one that was parked for its attributes."""
    for number, fields in enumerate(
        [{"NotDispatched": "x"}, {"NotDispatched": "parked", "ParkReason": "attributes:12"}]
    ):
        item = {"PK": f"AGGREGATE#{number}", "SK": "MESSAGE#m", "CreatedAt": "2026-11-28T09:00:00Z", **fields}
        await ward.clients.dynamodb.put_item(
            TableName=ward.outbox.table_name, Item={name: {"S": text} for name, text in item.items()}
        )


async def no_expiry(ward: Ward) -> None:
    specification = {"Enabled": False, "AttributeName": "ExpiresAt"}
    await ward.clients.dynamodb.update_time_to_live(
        TableName=ward.outbox.table_name, TimeToLiveSpecification=specification
    )


async def no_recovery(ward: Ward) -> None:
    await ward.clients.dynamodb.update_continuous_backups(
        TableName=ward.outbox.table_name,
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False},
    )


async def other_stream(ward: Ward) -> None:
    for specification in ({"StreamEnabled": False}, {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}):
        await ward.clients.dynamodb.update_table(
            TableName=ward.outbox.table_name, StreamSpecification=specification
        )


async def no_right_to_publish(ward: Ward) -> None:
    found = await ward.clients.iam.get_role_policy(RoleName=ward.role, PolicyName="outbox")
    text = json.dumps(found["PolicyDocument"]).replace("sns:Publish", "sns:ListTopics")
    await ward.clients.iam.put_role_policy(RoleName=ward.role, PolicyName="outbox", PolicyDocument=text)


async def wide_policy(ward: Ward) -> None:
    statement = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await ward.clients.iam.put_role_policy(RoleName=ward.role, PolicyName="more", PolicyDocument=document)


async def denying_topic(ward: Ward) -> None:
    arn = await ward.topic_arn("viewed")
    statement = {"Effect": "Deny", "Principal": "*", "Action": "sns:Publish", "Resource": arn, "Sid": "no"}
    await ward.others["sns"].set_topic_attributes(
        TopicArn=arn,
        AttributeName="Policy",
        AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )


async def standard_queue(ward: Ward) -> None:
    queue = f"arn:aws:sqs:us-east-1:{ward.account}:{ward.outbox.table_name}"
    await ward.others["sqs"].create_queue(QueueName=ward.outbox.table_name)
    await ward.others["sns"].subscribe(
        TopicArn=await ward.topic_arn("created.fifo"), Protocol="sqs", Endpoint=queue
    )


async def disabled_key(ward: Ward) -> None:
    key = (await ward.others["kms"].create_key())["KeyMetadata"]["KeyId"]
    await ward.others["sns"].set_topic_attributes(
        TopicArn=await ward.topic_arn("viewed"), AttributeName="KmsMasterKeyId", AttributeValue=key
    )
    await ward.others["kms"].disable_key(KeyId=key)


async def sweeper_off(ward: Ward) -> None:
    name = f"{ward.outbox.table_name}-sweeper"
    found = await ward.others["scheduler"].get_schedule(Name=name)
    kept = {each: found[each] for each in ("ScheduleExpression", "FlexibleTimeWindow", "Target")}
    await ward.others["scheduler"].update_schedule(Name=name, State="DISABLED", **kept)


async def second_relay(ward: Ward) -> None:
    found = await ward.clients.functions.get_function_configuration(FunctionName=ward.function)
    kept = {each: found[each] for each in ("Runtime", "Role", "Handler")}
    name = f"{ward.outbox.table_name}-old"
    await ward.clients.functions.create_function(FunctionName=name, Code={"ZipFile": zipped("x")}, **kept)
    await ward.clients.functions.create_event_source_mapping(
        FunctionName=name, EventSourceArn=ward.outbox.stream_arn, StartingPosition="LATEST"
    )


def set_mapping(**changes: Any) -> Plant:
    return lambda ward: ward.update_mapping(**changes)


def set_function(**changes: Any) -> Plant:
    return lambda ward: ward.clients.functions.update_function_configuration(
        FunctionName=ward.function, **changes
    )


def tell(**changes: str) -> Plant:
    async def change(ward: Ward) -> None:
        for function in (ward.function, f"{ward.outbox.table_name}-sweeper"):
            await ward.update_variables(function, **changes)

    return change


PLANTS: list[tuple[set[str], Plant]] = [
    ({"mapping.readers"}, second_relay),
    ({"mapping.starting-position"}, late_mapping),
    ({"mapping.partial-reports"}, set_mapping(FunctionResponseTypes=[])),
    ({"mapping.retries"}, set_mapping(MaximumRetryAttempts=3)),
    ({"mapping.record-age"}, set_mapping(MaximumRecordAgeInSeconds=60)),
    ({"mapping.bisect"}, set_mapping(BisectBatchOnFunctionError=False)),
    ({"mapping.parallelization"}, set_mapping(ParallelizationFactor=10)),
    ({"mapping.filter"}, constant_filter),
    ({"table.attributes", "table.index-key"}, put_items),
    ({"table.time-to-live"}, no_expiry),
    ({"table.recovery"}, no_recovery),
    ({"function.timeout"}, set_function(Timeout=11)),
    ({"function.runtime"}, set_function(Runtime="python3.9")),
    ({"function.marks"}, tell(OUTBOX_SKIP_MARK_MESSAGES_AS_DISPATCHED="true")),
    ({"topic.size"}, tell(OUTBOX_TOPIC_MAX_BYTES="1048576")),
    ({"topic.exists"}, tell(OUTBOX_ALLOWED_TOPICS="viewed,created.fifo,gone")),
    ({"sweeper.settings"}, lambda ward: ward.update_variables(ward.function, OUTBOX_ENVELOPE="cloudevents")),
    ({"sweeper.schedule"}, sweeper_off),
    ({"role.rights"}, no_right_to_publish),
    ({"role.wide"}, wide_policy),
    ({"topic.policy"}, denying_topic),
    ({"topic.fifo-queue"}, standard_queue),
    ({"key.use"}, disabled_key),
    ({"function.concurrency"}, lambda ward: ward.clients.functions.put_function_concurrency(
        FunctionName=ward.function, ReservedConcurrentExecutions=0)),
    ({"function.handler"}, set_function(Handler="app.handler")),
]  # fmt: skip
"""What is done to a stack, and the checks that have to find it."""

LATER: list[tuple[set[str], Plant]] = [
    ({"table.expiry"}, tell(OUTBOX_DISPATCHED_TTL_DAYS="")),
    ({"mapping.state"}, set_mapping(Enabled=False)),
    ({"mapping.stream", "table.stream"}, other_stream),
]
"""What hides some of the above: who reads the old stream, and that time to live is needed."""


async def test_a_deployed_stack_has_no_finding_until_faults_are_planted(ward: Ward) -> None:
    diagnosis = await ward.look()

    assert diagnosis.findings == ()
    assert {each.id for each in diagnosis.unchecked} <= ONLY_ON_AWS
    assert diagnosis.checked > 45

    for _, plant in PLANTS:
        await plant(ward)
    diagnosis = await ward.look()

    # A record that was read by a package that is none is a failure of the mapping.
    found = {each.id for each in diagnosis.findings} - {"mapping.state"}
    assert found == set().union(*(names for names, _ in PLANTS))
    assert len(PLANTS) > 15

    command = asyncio.to_thread(
        run_outbox, "doctor", "--table", ward.outbox.table_name, "--json", **CREDENTIALS,
        AWS_ENDPOINT_URL=ward.clients.functions.meta.endpoint_url, AWS_REGION="us-east-1",
    )  # fmt: skip
    done = await command
    told = msgspec.json.decode(done.stdout, type=Diagnosis)
    assert done.returncode == 1
    assert {each.id for each in told.findings} - {"mapping.state"} == found

    for _, plant in LATER:
        await plant(ward)
    found = {each.id for each in (await ward.look(now=datetime.now(UTC) + timedelta(hours=1))).findings}
    assert found >= {"clock.skew"}.union(*(names for names, _ in LATER))


async def test_what_is_not_there_is_told_once_and_the_rest_is_not_checked(moto: str, unique: str) -> None:
    diagnosis = await diagnose_stack(
        unique, region="us-east-1", endpoint_url=moto, credentials=("local", "local")
    )

    assert [each.id for each in diagnosis.findings] == ["table.exists", "function.exists", "mapping.exists"]
    assert diagnosis.has_errors
    reasons = {each.id: each.reason for each in diagnosis.unchecked}
    assert "mapping.filter" not in reasons
    assert reasons["role.rights"] == f"the function {unique}-relay is not there to name it"
