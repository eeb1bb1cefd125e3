"""What pages define for an account is called on a local stack, in an account of its own there."""

import asyncio
from importlib import import_module
from typing import Any
from uuid import uuid4

import pytest

from outbox_sdk import (
    MessageAlreadyPublished,
    Outbox,
    Selection,
    Settings,
    create_inbox_table,
    create_outbox_table,
    open_admin,
    open_relay,
)
from outbox_sdk.core.table import create_table_request, find_table_differences
from outbox_sdk.embedded_stack import EmbeddedStack
from outbox_sdk.shell.task import Conduct
from tests.support.aws import open_client
from tests.support.documents import ROOT, execute_page

pytestmark = [pytest.mark.integration, pytest.mark.once]

DOCS = ROOT / "docs"
# Of Moto's dependencies, and without types.
boto3: Any = import_module("boto3")


@pytest.fixture
def account(ministack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty account, whose number MiniStack takes as an access key, and the variables that lead to it."""
    number = f"{uuid4().int % 10**12:012}"
    variables = ministack.variables() | {"AWS_ACCESS_KEY_ID": number, "AWS_ACCOUNT_ID": number}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return number


async def test_the_readme_makes_tables_and_relays(ministack: EmbeddedStack, account: str) -> None:
    page = (await asyncio.to_thread(execute_page, ROOT / "README.md")).namespace
    url, credentials = ministack.endpoint_url, (account, "local", None)
    stop = asyncio.Event()
    async with (
        open_client("dynamodb", url, credentials=credentials) as dynamodb,
        open_client("sns", url, credentials=credentials) as sns,
        asyncio.timeout(30),
        asyncio.TaskGroup() as tasks,
    ):
        await page["create_tables"](dynamodb)
        assert (await dynamodb.list_tables())["TableNames"] == ["inbox", "outbox"]
        await sns.create_topic(Name="order--created")
        entry = Outbox("outbox").put("{}", aggregate_id="order-7", topic="order--created")
        await dynamodb.transact_write_items(TransactItems=[entry])
        tasks.create_task(page["relay_until"](stop))
        while not (await dynamodb.scan(TableName="outbox"))["Items"][0].get("IsDispatched"):  # noqa: ASYNC110 - of a server
            await asyncio.sleep(0.1)
        stop.set()


async def test_the_script_makes_tables(ministack: EmbeddedStack, account: str) -> None:
    page = execute_page(DOCS / "reference" / "table.md").namespace
    await page["create_tables"](region_name="eu-west-1")

    async with open_client(
        "dynamodb", ministack.endpoint_url, region="eu-west-1", credentials=(account, "local", None)
    ) as dynamodb:
        assert (await dynamodb.list_tables())["TableNames"] == ["inbox", "outbox"]


async def test_the_doctor_tells_errors(account: str) -> None:
    page = execute_page(DOCS / "how-to" / "doctor.md").namespace

    assert any("outbox" in each for each in await page["errors_of"]("outbox"))


async def test_data_in_the_outbox_are_let_alone(ministack: EmbeddedStack, account: str) -> None:
    """Of the page on a single table: relay, sweep, replay and purge see messages only."""
    page = await asyncio.to_thread(lambda: execute_page(DOCS / "how-to" / "single-table.md").namespace)
    url, credentials, design = ministack.endpoint_url, (account, "local", None), page["design"]
    settings = Settings(dynamodb_outbox_table_name="shop", outbox_table_design=design)
    async with (
        open_client("dynamodb", url, credentials=credentials) as dynamodb,
        open_client("sns", url, credentials=credentials) as sns,
        open_relay(settings.to_configuration()) as relay,
        open_admin(settings.to_configuration()) as admin,
    ):
        await dynamodb.create_table(**page["request"])
        await create_outbox_table(dynamodb, "shop", design=design)  # completes it, and finds that it fits
        await sns.create_topic(Name="order--created")
        await page["place_order"](dynamodb, "7")
        (written,) = [
            each for each in (await dynamodb.scan(TableName="shop"))["Items"] if "MessageId" not in each
        ]

        assert (await relay.sweep(publish=True, sweep_after=0)).outcomes == {"dispatched": 1}
        assert (await admin.replay(Selection(), Conduct(dry_run=True))).meant == 1
        assert (await admin.purge()).done == 1
        assert (await dynamodb.scan(TableName="shop"))["Items"] == [written]


async def test_an_old_table_is_taken_over(ministack: EmbeddedStack, account: str) -> None:
    """As the page on migration does: the marker for what is outstanding, and a sweep that publishes."""
    page = await asyncio.to_thread(lambda: execute_page(DOCS / "how-to" / "migration.md").namespace)
    url, credentials, design = ministack.endpoint_url, (account, "local", None), page["design"]
    settings = Settings(dynamodb_outbox_table_name="old", outbox_table_design=design)
    async with (
        open_client("dynamodb", url, credentials=credentials) as dynamodb,
        open_client("sns", url, credentials=credentials) as sns,
        open_relay(settings.to_configuration()) as relay,
    ):
        await dynamodb.create_table(**create_table_request(design, "old"))
        description = (await dynamodb.describe_table(TableName="old"))["Table"]
        assert find_table_differences(design, "old", description) == []
        await sns.create_topic(Name="order--created")
        for number, status in enumerate(["SENT", "NEW", "NEW"]):
            old = {"order_id": "7", "channel": "order--created", "payload": "{}", "status": status}
            old |= {"id": f"m-{number}", "created": f"2026-11-27T09:00:0{number}Z"}
            await dynamodb.put_item(TableName="old", Item={name: {"S": text} for name, text in old.items()})

        assert [await page["give_the_marker"](dynamodb, "old") for _ in range(2)] == [2, 0]
        assert (await relay.sweep(publish=True, sweep_after=0)).outcomes == {"dispatched": 2}
        assert (await relay.sweep(publish=True, sweep_after=0)).outcomes == {}
        items = (await dynamodb.scan(TableName="old"))["Items"]
        marked = {item["id"]["S"] for item in items if item.get("IsDispatched")}
        assert marked == {"m-1", "m-2"}


async def test_the_page_on_boto3_runs_with_boto3(ministack: EmbeddedStack, account: str) -> None:
    page = await asyncio.to_thread(lambda: execute_page(DOCS / "how-to" / "boto3.md").namespace)

    def place_and_bill() -> tuple[int, int]:
        dynamodb = boto3.client("dynamodb", endpoint_url=ministack.endpoint_url)
        page["place_order"](dynamodb, "order-7", 120)
        with pytest.raises(MessageAlreadyPublished, match="order-7-created"):
            page["place_order"](dynamodb, "order-7", 120)
        for _ in range(2):
            page["bill"](dynamodb, page["stack"].published[0].to_sqs_record())
        bills, messages = (dynamodb.scan(TableName=name)["Items"] for name in ("bills", "outbox"))
        return len(bills), len(messages)

    async with open_client(
        "dynamodb", ministack.endpoint_url, credentials=(account, "local", None)
    ) as dynamodb:
        await create_outbox_table(dynamodb, "outbox")
        await create_inbox_table(dynamodb, "inbox")
        for name in ("orders", "bills"):
            await dynamodb.create_table(
                TableName=name,
                KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
        assert await asyncio.to_thread(place_and_bill) == (1, 2)
