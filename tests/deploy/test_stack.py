"""The SAM template makes a stack, on the embedded one: table, functions and mapping as the SDK wants them."""

import copy
import io
import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiobotocore.session import get_session

from deploy.generate import SHIPPED_DESIGNS
from outbox_sdk import diagnose_stack
from outbox_sdk.core.configuration import parse_environment
from outbox_sdk.core.event_source import filter_patterns
from outbox_sdk.core.function import HANDLERS
from outbox_sdk.core.mark import MarkStrategy
from outbox_sdk.core.table import find_table_differences, time_to_live_request
from outbox_sdk.embedded_stack import open_embedded_stack
from tests.support.cloudformation import load_template
from tests.support.documents import ROOT
from tests.support.servers import server_or_skip

pytestmark = [pytest.mark.integration, pytest.mark.once]


def without_transform(template: dict[str, Any]) -> dict[str, Any]:
    """Write the functions as plain CloudFormation, with what they share in each; rules are AWS's own."""
    plain = copy.deepcopy(template)
    shared = plain.pop("Globals")["Function"]
    del plain["Transform"], plain["Rules"]
    for resource in plain["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            properties = {**shared, **resource["Properties"]}
            where = properties.pop("CodeUri")
            properties["Code"] = {"S3Bucket": where["Bucket"], "S3Key": where["Key"]}
            resource |= {"Type": "AWS::Lambda::Function", "Properties": properties}
    return plain


@pytest.fixture
async def clients() -> AsyncIterator[dict[str, Any]]:
    """Clients of an embedded stack; untyped, for the SDK itself has no use for CloudFormation's stubs."""
    credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "eu-west-1"}
    session: Any = get_session()
    async with AsyncExitStack() as clients:
        stack = clients.enter_context(server_or_skip(open_embedded_stack()))
        yield {
            name: await clients.enter_async_context(
                session.create_client(name, endpoint_url=stack.endpoint_url, **credentials)
            )
            for name in ("cloudformation", "dynamodb", "lambda", "s3")
        }


def empty_package() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("empty.py", "")
    return archive.getvalue()


@pytest.mark.parametrize(("design", "strategy"), [("ordered", "batch"), ("message_keyed", "delete")])
async def test_the_template_makes_the_stack(
    clients: dict[str, Any], design: str, strategy: MarkStrategy
) -> None:
    await clients["s3"].create_bucket(
        Bucket="packages", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    await clients["s3"].put_object(Bucket="packages", Key="outbox.zip", Body=empty_package())
    given = {
        "PackageBucket": "packages", "PackageKey": "outbox.zip", "TopicPrefix": "p-",
        "Design": design, "MarkStrategy": strategy, "MappingEnabled": "false",
    }  # fmt: skip
    template = without_transform(load_template(ROOT / "deploy" / "sam" / "template.yaml"))

    await clients["cloudformation"].create_stack(
        StackName="orders",
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    await (
        clients["cloudformation"]
        .get_waiter("stack_create_complete")
        .wait(StackName="orders", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    )

    table = (await clients["dynamodb"].describe_table(TableName="orders"))["Table"]
    assert find_table_differences(SHIPPED_DESIGNS[design], "orders", table) == []
    for role, handler in HANDLERS.items():
        function = await clients["lambda"].get_function_configuration(FunctionName=f"orders-{role}")
        configuration = parse_environment(function["Environment"]["Variables"])
        assert function["Handler"] == handler
        assert configuration.dynamodb_outbox_table_name == "orders"
        assert configuration.outbox_table_design == SHIPPED_DESIGNS[design]
        assert configuration.outbox_mark_strategy == strategy
    answer = await clients["lambda"].list_event_source_mappings(FunctionName="orders-relay")
    (mapping,) = answer["EventSourceMappings"]
    assert mapping["EventSourceArn"] == table["LatestStreamArn"]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    patterns = [json.loads(each["Pattern"]) for each in mapping["FilterCriteria"]["Filters"]]
    assert patterns == list(filter_patterns(SHIPPED_DESIGNS[design], strategy))

    # What MiniStack's CloudFormation leaves out; test_drift.py holds the template to it.
    await clients["dynamodb"].update_time_to_live(**time_to_live_request(SHIPPED_DESIGNS[design], "orders"))
    await clients["dynamodb"].update_continuous_backups(
        TableName="orders", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    endpoint_url = clients["lambda"].meta.endpoint_url
    diagnosis = await diagnose_stack(
        "orders", region="eu-west-1", endpoint_url=endpoint_url, credentials=("test", "test")
    )
    assert diagnosis.findings == ()
    assert not {"role.rights", "mapping.filter", "sweeper.schedule"} & {
        each.id for each in diagnosis.unchecked
    }
