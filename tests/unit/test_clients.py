"""A client that cannot be awaited is refused before anything is asked of it."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import boto3  # type: ignore[import-untyped]  # no stubs of it are installed
import pytest
from aiobotocore.session import get_session

from outbox_sdk import (
    ConfigurationError,
    Outbox,
    create_dynamodb_streams_outbox,
    create_inbox_table,
    create_outbox_table,
    open_transaction,
)
from outbox_sdk.shell.clients import check_async_client
from outbox_sdk.testing import InMemoryStack
from tests.support.documents import ROOT

ARGUMENTS: dict[str, Any] = {
    "region_name": "eu-west-1",
    "aws_access_key_id": "x",
    "aws_secret_access_key": "x",
    "endpoint_url": "http://127.0.0.1:1",
}
DELETE: Any = {"Delete": {"TableName": "orders", "Key": {"PK": {"S": "7"}}}}
OUTBOX = Outbox("outbox")


class Calls:
    """A client of boto3 that notes what is asked of it instead of sending it."""

    def __init__(self, service: str = "dynamodb") -> None:
        self.made: list[str] = []
        self.client: Any = boto3.client(service, **ARGUMENTS)
        self.client.meta.events.register("before-call", self._answer)

    def _answer(self, model: Any, **_: Any) -> Any:
        self.made.append(model.name)
        return SimpleNamespace(status_code=200), {}


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
async def asynchronous() -> AsyncIterator[Any]:
    async with get_session().create_client("dynamodb", **ARGUMENTS) as client:
        yield client


@pytest.mark.parametrize("opened", [OUTBOX.transaction, open_transaction])
async def test_a_transaction_with_boto3_is_refused_before_its_block(opened: Any, calls: Calls) -> None:
    entered: list[Any] = []

    async def commit() -> None:
        async with opened(calls.client) as tx:
            entered.append(tx)
            tx.add(DELETE)

    with pytest.raises(ConfigurationError, match=r"docs/how-to/transactions\.md#boto3") as refused:
        await commit()
    assert refused.value.variable == "client"
    assert entered == []
    assert calls.made == []
    assert "\n### boto3\n" in (ROOT / "docs" / "how-to" / "transactions.md").read_text(encoding="utf-8")


async def test_bodies_are_not_written_by_boto3() -> None:
    s3 = Calls("s3")
    client: Any = InMemoryStack().client()
    with pytest.raises(ConfigurationError, match=r"^s3: a boto3 client is synchronous"):
        async with OUTBOX.transaction(client, s3=s3.client):
            pytest.fail("the block has begun")


async def test_a_client_that_is_not_entered_is_refused() -> None:
    context: Any = get_session().create_client("dynamodb", **ARGUMENTS)
    with pytest.raises(ConfigurationError, match=r"async with create_client\(…\) as client"):
        async with open_transaction(context):
            pytest.fail("the block has begun")
    async with context as client, open_transaction(client):  # and entered it passes; nothing is sent
        pass


@pytest.mark.parametrize("create", [create_outbox_table, create_inbox_table])
async def test_tables_are_not_made_by_boto3(create: Any, calls: Calls) -> None:
    with pytest.raises(ConfigurationError, match=r"docs/reference/table\.md#creating-it") as refused:
        await create(calls.client, "t")
    assert refused.value.variable == "dynamodb_client"
    assert calls.made == []
    assert "\n## Creating it\n" in (ROOT / "docs" / "reference" / "table.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("place", range(5))
async def test_a_relay_is_not_deployed_by_boto3(place: int) -> None:
    services = ("lambda", "iam", "dynamodb", "s3", "scheduler")
    methods = ("get_function", "get_role", "describe_table", "put_object", "get_schedule")
    clients: list[Any] = [SimpleNamespace(**{method: print}) for method in methods]
    calls = Calls(services[place])
    clients[place] = calls.client
    *four, scheduler = clients
    settings: Any = None  # not looked at before the clients
    with pytest.raises(ConfigurationError, match="a boto3 client is synchronous") as refused:
        await create_dynamodb_streams_outbox(*four, scheduler_client=scheduler, settings=settings)
    assert refused.value.variable == f"{services[place]}_client"
    assert calls.made == []


async def test_asynchronous_clients_and_doubles_pass(asynchronous: Any, calls: Calls) -> None:
    class PassesOn:
        """As a wrapper that measures does."""

        def __init__(self, client: Any) -> None:
            self.client = client

        def __getattr__(self, name: str) -> Any:
            return getattr(self.client, name)

    for client in (asynchronous, PassesOn(asynchronous), InMemoryStack().client()):
        check_async_client(client, "client", "transact_write_items", instead="")
    with pytest.raises(ConfigurationError):
        check_async_client(PassesOn(calls.client), "client", "transact_write_items", instead="")
