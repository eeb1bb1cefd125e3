"""What pages define for an account is called on a local stack, in an account of its own there."""

import asyncio
from uuid import uuid4

import pytest

from outbox_sdk import Outbox
from outbox_sdk.embedded_stack import EmbeddedStack
from tests.support.aws import open_client
from tests.support.documents import ROOT, execute_page

pytestmark = [pytest.mark.integration, pytest.mark.once]

DOCS = ROOT / "docs"


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
