"""The stack on a server: a table with its stream, topics, and a queue behind each, made for one test."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from outbox_sdk.core.configuration import RelayConfiguration
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import AccountId, Region, TableName
from outbox_sdk.core.shards import Shard, readable_shards
from outbox_sdk.core.table import TableDesign
from outbox_sdk.provisioning import create_outbox_table
from outbox_sdk.pytest_plugin.endpoint import Endpoint
from outbox_sdk.pytest_plugin.memory import outstanding_of
from outbox_sdk.pytest_plugin.queues import Subscription, receive_all, remove, subscribe
from outbox_sdk.pytest_plugin.stack import OutboxStack, Outstanding
from outbox_sdk.shell.aws.session import open_client, patient_config
from outbox_sdk.shell.context import RelayContext
from outbox_sdk.shell.relay import open_relay
from outbox_sdk.shell.streams import lambda_event
from outbox_sdk.testing.topics import PublishedMessage

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient
    from types_aiobotocore_dynamodbstreams import DynamoDBStreamsClient
    from types_aiobotocore_sns import SNSClient
    from types_aiobotocore_sqs import SQSClient

__all__ = ["ServerBackend", "open_server_stack"]

_BATCH = 100


class _Clients(NamedTuple):
    dynamodb: "DynamoDBClient"
    dynamodbstreams: "DynamoDBStreamsClient"
    sns: "SNSClient"
    sqs: "SQSClient"


class ServerBackend:
    """An outbox on a server, as the pump reads it."""

    lag: float = 10.0
    hint: str = (
        "A topic exists where the catalog (fixture outbox_catalog) or the fixture outbox_topics names it, "
        "or where the test has made it."
    )

    def __init__(
        self,
        clients: _Clients,
        context: RelayContext,
        stream: "_Stream",
        subscriptions: Sequence[Subscription],
        variables: Mapping[str, str],
    ) -> None:
        self.context = context
        self.variables = variables
        self.topics: frozenset[str] = frozenset([each.topic for each in subscriptions])
        self.made: list[str] = []
        self._loop = asyncio.get_running_loop()
        self._clients = clients
        self._stream = stream
        self._subscriptions = subscriptions

    @property
    def client(self) -> "DynamoDBClient":
        """The client of DynamoDB."""
        self._check_loop()
        return self._clients.dynamodb

    async def create_table(self, table_name: str, key_names: Sequence[str]) -> None:
        """Make a table with keys of strings, on demand."""
        kinds = ("HASH", "RANGE")
        if not 1 <= len(key_names) <= len(kinds):
            raise ConfigurationError("key_names", f"{table_name} needs one or two, not {len(key_names)}")
        schema: Any = [
            {"AttributeName": key, "KeyType": kind} for key, kind in zip(key_names, kinds, strict=False)
        ]
        self.made.append(table_name)  # before: the answer may be lost
        try:
            await self.client.create_table(
                TableName=table_name,
                KeySchema=schema,
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in key_names],
                BillingMode="PAY_PER_REQUEST",
            )
        except self._clients.dynamodb.exceptions.ResourceInUseException:
            self.made.remove(table_name)  # somebody else's
            raise

    async def read(self) -> Sequence[Mapping[str, Any]]:
        """Give the next records of one shard, in the shape of Lambda's."""
        self._check_loop()
        return await self._stream.read()

    async def receive(self) -> Sequence[PublishedMessage]:
        """Empty the queues."""
        return await receive_all(self._clients.sqs, self._subscriptions)

    async def outstanding(self) -> Sequence[Outstanding]:
        """Scan the table, consistently: a test's table is small."""
        # Any: a page is read as it comes.
        pages: Any = self.client.get_paginator("scan").paginate(
            TableName=self.context.table_name,
            ConsistentRead=True,
            FilterExpression="attribute_exists(#marker)",
            ExpressionAttributeNames={"#marker": self.context.design.not_dispatched},
        )
        found: list[Outstanding] = []
        async for page in pages:
            found += outstanding_of(page["Items"], self.context.design)
        return found

    def _check_loop(self) -> None:
        """Refuse another event loop than that of the clients: what it says of a connection helps nobody."""
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:  # a function that is not async takes the client along
            return
        if running is not self._loop:
            raise ConfigurationError(
                "outbox_stack",
                "was made in another event loop than the test runs in; set asyncio_default_fixture_loop_scope"
                " to the loop_scope of the test, and take outbox_memory_stack in an IsolatedAsyncioTestCase",
            )


class _Stream:
    """The places in all shards of a stream, from its oldest record on."""

    def __init__(self, client: "DynamoDBStreamsClient", arn: str) -> None:
        self._client = client
        self._arn = arn
        self._iterators: dict[str, str] = {}
        self._finished: set[str] = set()

    async def read(self) -> Sequence[Mapping[str, Any]]:
        await self._begin_shards()
        for shard_id, iterator in list(self._iterators.items()):
            # Any: a shard that is closed gives no next iterator, which the types do not know.
            answer: Any = await self._client.get_records(ShardIterator=iterator, Limit=_BATCH)
            following = answer.get("NextShardIterator")
            if following is None:
                del self._iterators[shard_id]
                self._finished.add(shard_id)
            else:
                self._iterators[shard_id] = following
            if answer["Records"]:
                read: Sequence[Mapping[str, Any]] = lambda_event(answer["Records"], self._arn)["Records"]
                return read
        return ()

    async def _begin_shards(self) -> None:
        description = (await self._client.describe_stream(StreamArn=self._arn))["StreamDescription"]
        shards = [Shard(each["ShardId"], each.get("ParentShardId")) for each in description["Shards"]]
        for shard in readable_shards(shards, finished=self._finished, reading=self._iterators):
            answer = await self._client.get_shard_iterator(
                StreamArn=self._arn, ShardId=shard.shard_id, ShardIteratorType="TRIM_HORIZON"
            )
            self._iterators[shard.shard_id] = answer["ShardIterator"]


@asynccontextmanager
async def open_server_stack(
    endpoint: Endpoint,
    *,
    table_name: str = "outbox",
    design: TableDesign = TableDesign.ordered,
    topics: Iterable[str] = (),
) -> AsyncIterator[OutboxStack]:
    """Make an outbox on a server for the length of the block; all of it is removed at the end.

    Raises:
        ConfigurationError: a table of this name is there already, or a topic is another destination.
    """
    names = sorted(set(topics))
    _check_topics(names)
    async with AsyncExitStack() as exits:
        clients = _Clients(
            *[
                await exits.enter_async_context(open_client(name, endpoint.access, config=patient_config()))
                for name in ("dynamodb", "dynamodbstreams", "sns", "sqs")
            ]
        )
        stream_arn = await _create_outbox(clients.dynamodb, table_name, design)
        exits.push_async_callback(remove, clients.dynamodb.delete_table, TableName=table_name)
        subscriptions = await _subscribe_all(clients, names, exits)
        relay = await exits.enter_async_context(
            open_relay(_configuration(endpoint, table_name), design=design, credentials=endpoint.credentials)
        )
        backend = ServerBackend(
            clients,
            relay.context,
            _Stream(clients.dynamodbstreams, stream_arn),
            subscriptions,
            endpoint.variables(),
        )
        exits.push_async_callback(_remove_tables, clients.dynamodb, backend.made)
        yield OutboxStack(backend, table_name=table_name)


def _check_topics(names: Iterable[str]) -> None:
    for name in names:
        if ":" in name:
            raise ConfigurationError(
                "outbox_topics",
                f"{name} is no topic, and a server has topics only; take --outbox-stack memory for it",
            )


async def _subscribe_all(
    clients: _Clients, names: Sequence[str], exits: AsyncExitStack
) -> Sequence[Subscription]:
    prefix = f"outbox-test-{uuid4().hex[:12]}"
    made = await asyncio.gather(
        *[
            subscribe(clients.sns, clients.sqs, topic, f"{prefix}-{place}", exits)
            for place, topic in enumerate(names)
        ],
        return_exceptions=True,  # all of them come to an end before anything is removed
    )
    for each in made:
        if isinstance(each, BaseException):
            raise each
    return [each for each in made if isinstance(each, Subscription)]


async def _remove_tables(client: "DynamoDBClient", names: Sequence[str]) -> None:
    for name in names:
        await remove(client.delete_table, TableName=name)


async def _create_outbox(client: "DynamoDBClient", table_name: str, design: TableDesign) -> str:
    try:
        await client.describe_table(TableName=table_name)
    except client.exceptions.ResourceNotFoundException:
        return await create_outbox_table(client, table_name, design=design)
    raise ConfigurationError(
        "outbox_table_name",
        f"there is a table {table_name!r} at {client.meta.endpoint_url} already; delete it if a test "
        "has left it behind, or override the fixture outbox_table_name",
    )


def _configuration(endpoint: Endpoint, table_name: str) -> RelayConfiguration:
    return RelayConfiguration(
        dynamodb_outbox_table_name=TableName(table_name),
        aws_endpoint_url=endpoint.url,
        aws_region=Region(endpoint.region),
        aws_account_id=None if endpoint.account_id is None else AccountId(endpoint.account_id),
        outbox_mark_strategy=endpoint.mark_strategy,
    )
