"""A smoke test of the generated policy before somebody else's evaluator: Moto's, which enforces it.

By action only, and with a variant of the policy. Moto asks for ``sns:PublishBatch`` where AWS asks for
``sns:Publish``, passes ``*`` for every resource, and does not look at most conditions: so the variant has
``PublishBatch`` added and ``*`` for its resources. What is allowed on which resource is tested elsewhere.
"""

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from outbox_sdk import Outbox, RelayConfiguration, TableDesign, create_outbox_table, open_relay
from outbox_sdk.core.identifiers import AccountId, Region, TableName
from outbox_sdk.core.permissions import Grants, policy_document, trust_policy
from outbox_sdk.core.place import Place
from outbox_sdk.shell.streams import lambda_event
from tests.support.aws import open_client
from tests.support.outbox_tables import item_of, read_stream
from tests.support.servers import open_moto, server_or_skip

# The same on every interpreter, and slow: most of it waits for processes.
pytestmark = [pytest.mark.integration, pytest.mark.once]

PLACE = Place(region=Region("us-east-1"), account_id=AccountId("123456789012"))
Credentials = tuple[str, str, str]


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """A server of its own: what it enforces, it enforces for everybody."""
    with server_or_skip(open_moto()) as endpoint_url:
        yield endpoint_url


def configure(endpoint_url: str) -> RelayConfiguration:
    return RelayConfiguration(
        dynamodb_outbox_table_name=TableName("outbox"),
        aws_endpoint_url=endpoint_url,
        aws_region=PLACE.region,
        aws_account_id=PLACE.account_id,
        aws_sns_topic_prefix="dev-",
        outbox_mark_strategy="single",
        outbox_recheck_after_seconds=0.0,
    )


def by_action(policy: dict[str, Any]) -> dict[str, Any]:
    """Write the variant that Moto can judge."""
    for statement in policy["Statement"]:
        statement["Resource"] = "*"
        if "sns:Publish" in statement["Action"]:
            statement["Action"].append("sns:PublishBatch")
    return policy


async def assume_relay_role(endpoint_url: str) -> Credentials:
    """Make the relay's role with its inline policy, and take it on."""
    policy = policy_document("relay", configure(endpoint_url), PLACE, Grants(function_name="relay"))
    async with open_client("iam", endpoint_url) as iam, open_client("sts", endpoint_url) as sts:
        role = await iam.create_role(RoleName="relay", AssumeRolePolicyDocument=json.dumps(trust_policy()))
        document = json.dumps(by_action(policy))
        await iam.put_role_policy(RoleName="relay", PolicyName="outbox", PolicyDocument=document)
        answer = await sts.assume_role(RoleArn=role["Role"]["Arn"], RoleSessionName="relay")
    given = answer["Credentials"]
    return given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]


def enforce(endpoint_url: str) -> None:
    """Ask for permission from the next call on."""
    url = f"{endpoint_url}/moto-api/reset-auth"
    request = urllib.request.Request(url, data=b"0", headers={"Content-Type": "text/plain"})  # noqa: S310 - on loopback
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        assert answer.status == 200


@pytest.fixture
async def role(moto: str) -> tuple[Credentials, dict[str, Any]]:
    """The role's credentials, and an event with a message to publish and one to park."""
    async with (
        open_client("dynamodb", moto) as dynamodb,
        open_client("dynamodbstreams", moto) as streams,
        open_client("sns", moto) as sns,
    ):
        stream = await create_outbox_table(dynamodb, "outbox")
        await sns.create_topic(Name="dev-orders")
        entry: Any = Outbox("outbox").put("{}", aggregate_id="a", topic="orders", message_id="m")
        await dynamodb.put_item(**entry["Put"])
        poison = item_of("b", "n", TableDesign.ordered, Topic=None)
        await dynamodb.put_item(TableName="outbox", Item=poison)
        event = lambda_event(await read_stream(streams, stream), stream)
        credentials = await assume_relay_role(moto)
    await asyncio.to_thread(enforce, moto)
    return credentials, event


REFUSED: list[tuple[str, str, dict[str, Any]]] = [
    ("sns", "create_topic", {"Name": "dev-other"}),
    ("dynamodb", "scan", {"TableName": "outbox"}),
    ("dynamodb", "put_item", {"TableName": "outbox", "Item": {"PK": {"S": "x"}, "SK": {"S": "x"}}}),
    ("dynamodb", "delete_item", {"TableName": "outbox", "Key": {"PK": {"S": "x"}, "SK": {"S": "x"}}}),
    ("dynamodb", "delete_table", {"TableName": "outbox"}),
    ("iam", "create_user", {"UserName": "x"}),
]


async def test_the_relay_works_in_its_role_and_the_role_does_nothing_else(
    moto: str, role: tuple[Credentials, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials, event = role
    for name in ("AWS_PROFILE", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    for name, value in zip(names, credentials, strict=True):
        monkeypatch.setenv(name, value)

    async with open_relay(configure(moto)) as relay:
        report = await relay.relay_batch(event)

    assert report.counts() == {"dispatched": 1, "parked": 1}
    for service, method, arguments in REFUSED:
        async with open_client(service, moto, credentials=credentials) as client:
            with pytest.raises(ClientError, match=r"not authorized to perform"):
                await getattr(client, method)(**arguments)
