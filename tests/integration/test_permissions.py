"""Each role does all that its policy allows, and nothing else: every branch is driven, at the transport.

What remains is what AWS itself does with the role; that part of the policy is compared word by word.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from outbox_sdk import Relay, RelayConfiguration, TableDesign, open_relay
from outbox_sdk.core.identifiers import AccountId, Region, TableName, TopicName
from outbox_sdk.core.mark import MARK_STRATEGIES, MarkStrategy
from outbox_sdk.core.operations import Role
from outbox_sdk.core.permissions import Grants, policy_document
from outbox_sdk.core.place import Place
from tests.support.events import insert_record, stream_arn, write_event
from tests.support.iam import AccessRequest, find_uses, list_grants
from tests.support.outbox_tables import Items, item_of
from tests.support.recorded_calls import listen
from tests.support.wire import ACCOUNT_ID, Call, Reply, Wire, open_wire

# The same on every interpreter, and slow: most of it waits for processes.
pytestmark = [pytest.mark.integration, pytest.mark.once]

DESIGN = TableDesign.ordered
TOPICS = ("orders", "orders.fifo")
PLACE = Place(region=Region("us-east-1"), account_id=AccountId(ACCOUNT_ID))
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT_ID}:key/0"
BUCKET = "arn:aws:s3:::failures"
TABLE = f"arn:aws:dynamodb:us-east-1:{ACCOUNT_ID}:table/outbox"
LOG = f"arn:aws:logs:us-east-1:{ACCOUNT_ID}:log-group:/aws/lambda/outbox-function:*"

# What AWS does with a role, and why it must be in there.
LOGS = {
    "Sid": "WriteLog",  # Lambda keeps what the function prints
    "Effect": "Allow",
    "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
    "Resource": [LOG],
}
STREAM = {
    "Sid": "ReadStream",  # Lambda's mapping reads the stream, and invokes the function with what it reads
    "Effect": "Allow",
    "Action": [
        "dynamodb:DescribeStream",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
        "dynamodb:ListStreams",
    ],
    "Resource": [f"{TABLE}/stream/*"],
}
FAILURES = {
    "Sid": "KeepFailures",  # Lambda's mapping writes there what it gives up
    "Effect": "Allow",
    "Action": ["s3:ListBucket", "s3:PutObject"],
    "Resource": [BUCKET, f"{BUCKET}/*"],
    "Condition": {"StringEquals": {"s3:ResourceAccount": ACCOUNT_ID}},
}


def keys_through(*services: str) -> dict[str, Any]:
    """The services use the keys in the name of the role."""
    return {
        "Sid": "UseKeys",
        "Effect": "Allow",
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Resource": [KEY],
        "Condition": {
            "StringEquals": {"kms:ViaService": [f"{name}.us-east-1.amazonaws.com" for name in services]}
        },
    }


# What the roles meet


def message(number: int, topic: str = TOPICS[0]) -> Items:
    return item_of(f"order-{number}", f"m-{number}", DESIGN, Topic={"S": topic})


def nameless(number: int) -> Items:
    """An item that can only be parked."""
    return item_of(f"order-{number}", f"m-{number}", DESIGN, Topic=None)


BACKLOG = [message(0, TOPICS[0]), message(1, TOPICS[1]), nameless(2)]
FRESH = [insert_record(item, number) for number, item in enumerate(BACKLOG)]
OLD = [insert_record(message(number), number, age_seconds=60) for number in (3, 4)]
EVENT = write_event([*FRESH, *OLD])


def reply(document: Any) -> Reply:
    return Reply(200, "application/x-amz-json-1.0", json.dumps(document))


def list_backlog(call: Call) -> Reply:
    """Show the backlog in one bucket and nothing in the others."""
    found = BACKLOG if call.body["ExpressionAttributeValues"][":bucket"] == {"S": "x"} else []
    return reply({"Items": [{name: item[name] for name in ("PK", "SK", "CreatedAt")} for item in found]})


def read_items(call: Call) -> Reply:
    """Find every item, whole."""
    (asked,) = call.body["RequestItems"].values()
    stored = {item["PK"]["S"]: item for item in (*BACKLOG, message(3), message(4))}
    found = [stored[key["PK"]["S"]] for key in asked["Keys"]]
    return reply({"Responses": {"outbox": found}, "UnprocessedKeys": {}})


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Wire]:
    with open_wire() as wire:
        yield wire


@pytest.fixture
def wire(endpoint: Wire) -> Wire:
    """A table with a backlog, and a stream of one shard that has ended and holds the event's records."""
    endpoint.reset()
    endpoint.always("Query", list_backlog)
    endpoint.always("BatchGetItem", read_items)
    endpoint.always("DescribeTable", lambda _: reply({"Table": {"LatestStreamArn": stream_arn("outbox")}}))
    shards = {"StreamDescription": {"Shards": [{"ShardId": "shardId-00000000000000000000-00000000"}]}}
    endpoint.always("DescribeStream", lambda _: reply(shards))
    endpoint.always("GetShardIterator", lambda _: reply({"ShardIterator": "iterator-0"}))
    # Its iterator says nothing of the stream, and the second is the answer to the first.
    endpoint.script("GetRecords", lambda _: reply({"Records": [], "NextShardIterator": "iterator-1"}))
    endpoint.always("GetRecords", lambda _: reply({"Records": EVENT["Records"]}))
    return endpoint


def configure(wire: Wire, *, prefix: str = "", **fields: Any) -> RelayConfiguration:
    """Name topics by a list, or where there is one by a prefix."""
    allowed = None if prefix else frozenset(map(TopicName, TOPICS))
    return RelayConfiguration(
        dynamodb_outbox_table_name=TableName("outbox"),
        aws_endpoint_url=wire.endpoint_url,
        aws_region=PLACE.region,
        aws_sns_topic_prefix=prefix,
        outbox_allowed_topics=allowed,
        **fields,
    )


@asynccontextmanager
async def opened(configuration: RelayConfiguration) -> AsyncIterator[Relay]:
    async with open_relay(configuration, credentials=("local", "local")) as relay:
        yield relay


def grants_of(*, publishes: bool = False) -> Grants:
    return Grants(
        function_name="outbox-function",
        on_failure=BUCKET,
        kms_keys=(KEY,),
        sweeps_publish=publishes,
    )


def assert_exact(
    role: Role,
    configuration: RelayConfiguration,
    grants: Grants,
    heard: list[tuple[Role, AccessRequest]],
    *,
    beside: Iterable[dict[str, Any]],
) -> None:
    """See that all was allowed, that all of the policy was used, and what it holds ``beside`` that.

    With attributes confined and without.
    """
    aside = {statement["Sid"]: statement for statement in beside}
    assert heard
    for confine in (False, True):
        confined = msgspec.structs.replace(grants, confine_attributes=confine)
        policy = policy_document(role, configuration, PLACE, confined)
        actions, resources = list_grants(policy)
        for acting, request in heard:
            assert acting == role
            uses = find_uses(policy, request)
            assert uses, f"the {role} is denied {request}"
            actions -= {(use.sid, use.action) for use in uses}
            resources -= {(use.sid, use.resource) for use in uses}
        assert {sid for sid, _ in actions | resources} <= set(aside), "unused"
        found = {statement["Sid"]: statement for statement in policy["Statement"]}
        assert {sid: found.get(sid) for sid in aside} == aside


MARKING: list[dict[str, Any]] = [
    *({"outbox_mark_strategy": strategy} for strategy in MARK_STRATEGIES),
    {"outbox_mark_strategy": "batch", "prefix": "dev-", "outbox_dispatched_ttl_days": 7},
    {"outbox_skip_mark_messages_as_dispatched": True},
]


@pytest.mark.parametrize("fields", MARKING, ids=lambda fields: "-".join(map(str, fields.values())))
async def test_the_relay_does_all_that_its_policy_allows_and_lambda_the_rest(
    wire: Wire, fields: dict[str, Any]
) -> None:
    """It publishes, marks, looks at what is old, and parks."""
    configuration = configure(wire, **fields)
    with listen() as heard:
        async with opened(configuration) as relay:
            report = await relay.relay_batch(EVENT)

    assert report.counts()["parked"] == 1
    assert report.response == {"batchItemFailures": []}
    assert_exact(
        "relay",
        configuration,
        grants_of(),
        heard,
        beside=[STREAM, FAILURES, LOGS, keys_through("dynamodb", "s3", "sns")],
    )


@pytest.mark.parametrize("strategy", MARK_STRATEGIES)
async def test_a_follower_does_all_that_its_policy_allows(wire: Wire, strategy: MarkStrategy) -> None:
    """It finds and reads the stream by itself, and has no log and no mapping."""
    configuration = configure(wire, outbox_mark_strategy=strategy)
    stop = asyncio.Event()
    with listen() as heard:
        async with opened(configuration) as relay, asyncio.timeout(20):
            await relay.follow(stop=stop, on_batch=lambda _: stop.set(), poll_seconds=0.01)

    assert wire.counts()["GetRecords"] == 2
    grants = msgspec.structs.replace(grants_of(), kms_keys=())
    assert_exact("follower", configuration, grants, heard, beside=[])


async def test_a_sweeper_does_all_that_its_policy_allows(wire: Wire) -> None:
    configuration = configure(wire)
    with listen() as heard:
        async with opened(configuration) as relay:
            report = await relay.sweep()

    assert report.touched == 3
    assert_exact("sweeper", configuration, grants_of(), heard, beside=[LOGS, keys_through("dynamodb")])


@pytest.mark.parametrize("strategy", MARK_STRATEGIES)
async def test_a_sweeper_that_publishes_does_all_that_its_policy_allows(
    wire: Wire, strategy: MarkStrategy
) -> None:
    """What it is invoked for is in the event, so that one role touches and publishes."""
    configuration = configure(wire, outbox_mark_strategy=strategy)
    with listen() as heard:
        async with opened(configuration) as relay:
            await relay.sweep()
            await relay.sweep(publish=True)

    assert len(wire.published()) == 2
    assert_exact(
        "sweeper",
        configuration,
        grants_of(publishes=True),
        heard,
        beside=[LOGS, keys_through("dynamodb", "sns")],
    )


def test_what_is_not_used_is_found() -> None:
    """The comparison itself: a policy that allows more than was heard of, and one that allows less."""
    configuration = RelayConfiguration(
        dynamodb_outbox_table_name=TableName("outbox"), outbox_allowed_topics=frozenset({TopicName("t")})
    )
    grants = Grants(function_name="outbox-function")
    publish = AccessRequest("sns:Publish", PLACE.arn("sns", "t"))
    scan = AccessRequest("dynamodb:Scan", TABLE)

    with pytest.raises(AssertionError, match="unused"):  # nothing was marked
        assert_exact("relay", configuration, grants, [("relay", publish)], beside=[STREAM, LOGS])
    with pytest.raises(AssertionError, match=r"denied dynamodb:Scan"):
        assert_exact("relay", configuration, grants, [("relay", scan)], beside=[STREAM, LOGS])
