"""What the documents say is executed, or compared with the code it speaks of."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from outbox_sdk.core.configuration import VARIABLES, parse_environment
from outbox_sdk.core.entry import TopicLimits
from outbox_sdk.core.table import TableDesign
from outbox_sdk.testing import InMemoryStack
from outbox_sdk.testing.simulation import INVARIANTS
from tests.support.documents import ROOT, code_blocks, page_namespace, readme_namespace

DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "deploy").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
ANCHOR = re.compile(r"\]\((?!https?:)([^)#]*)#([^)]+)\)")


def test_the_readme_runs_from_top_to_bottom() -> None:
    namespace = readme_namespace()

    assert [message.topic for message in namespace["stack"].published] == ["order--created"]
    assert namespace["dynamodb"].items("accounts") == [{"PK": {"S": "sales"}, "Balance": {"N": "120"}}]
    assert len(namespace["dynamodb"].items("inbox")) == 1
    assert namespace["run"].violations == ()


def test_the_service_of_the_readme_has_thirty_lines() -> None:
    """Define, transact and consume; the relay between is the package's. Imports count, empty lines do not."""
    service, *_ = code_blocks(ROOT / "README.md", "python")

    assert len(service) <= 30
    for part in ("@message(", "outbox.transaction(", "tx.publish(", "@consumer(", "tx.guard("):
        assert any(part in line for line in service)


def test_the_page_of_the_producer_runs_from_top_to_bottom() -> None:
    namespace = page_namespace(ROOT / "docs" / "how-to" / "producer.md")

    assert namespace["entry"]["Put"]["Item"]["MessageType"] == {"S": "order.created"}


def test_the_page_of_the_consumer_runs_from_top_to_bottom() -> None:
    namespace = page_namespace(ROOT / "docs" / "how-to" / "consumer.md")

    assert namespace["seen"] == [("m-1", 120)]


def test_the_lambda_consumer_of_its_page_opens_one_client() -> None:
    """Three messages of two invocations, one after the other, and then many at a time."""
    page = page_namespace(ROOT / "docs" / "how-to" / "consumer.md")
    double = InMemoryStack().client()
    double.create_table("bills", "PK")
    double.create_table("inbox", "PK", "SK")
    opened: list[str] = []

    class Session:
        @asynccontextmanager
        async def create_client(self, service: str) -> AsyncIterator[object]:
            await asyncio.sleep(0)
            opened.append(service)
            yield double

    page["get_session"] = Session

    def record(number: int) -> dict[str, Any]:
        named = {"MessageId": f"m-{number}", "AggregateId": "order-7", "MessageType": "order.created"}
        given: dict[str, Any] = page["record"]
        return given | {
            "messageId": f"sqs-{number}",
            "body": json.dumps({"order_id": f"order-{number}", "total": 120}),
            "messageAttributes": {
                name: {"stringValue": text, "dataType": "String"} for name, text in named.items()
            },
        }

    for numbers in ((1, 2), (2, 3)):
        event = {"Records": [record(number) for number in numbers]}
        assert page["billing_handler"](event, None) == {"batchItemFailures": []}
    assert opened == ["dynamodb"]
    assert len(double.items("bills")) == 3

    async def handle_many() -> None:
        page["client"] = None
        await asyncio.gather(*[page["bill"](record(number)) for number in range(10, 20)])

    asyncio.run(handle_many())
    assert opened == ["dynamodb"] * 2
    assert len(double.items("bills")) == 13


def test_the_page_of_destinations_runs_from_top_to_bottom() -> None:
    namespace = page_namespace(ROOT / "docs" / "how-to" / "destinations.md")

    assert [each.topic for each in namespace["stack"].published] == ["kinesis:orders"]


def test_the_page_of_the_claim_check_runs_from_top_to_bottom() -> None:
    namespace = page_namespace(ROOT / "docs" / "how-to" / "claim-check.md")
    stack, s3, work = namespace["stack"], namespace["s3"], namespace["place_order_yourself"]

    asyncio.run(work(namespace["dynamodb"], s3, "y" * 200_000))

    assert len(s3.objects) == 2
    assert len(stack.table.items) == 2


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    missing = [link for link in LINK.findall(path.read_text()) if not (path.parent / link).exists()]

    assert not missing


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_headings_that_are_there(path: Path) -> None:
    for page, anchor in ANCHOR.findall(path.read_text()):
        text = ((path.parent / page) if page else path).read_text()
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        anchors = [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]
        assert anchor in anchors, f"{page}#{anchor}"


def test_contributing_opens_with_what_ci_runs() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    run = [line for line in lines if re.match(r"python -m pip install |nox -s ", line)]
    title, block, *_ = (ROOT / "CONTRIBUTING.md").read_text().split("```")

    assert len(run) == 3
    assert title.split() == ["#", "Contributing"]
    assert block.splitlines() == ["bash", *run]


def test_the_configuration_page_lists_every_variable_with_its_default() -> None:
    rows = table_rows(ROOT / "docs" / "reference" / "configuration.md", "| variable |")
    documented = {
        tuple(re.findall(r"`([^`]+)`", row[0])): re.findall(r"`([^`]+)`", row[1])[:1] for row in rows
    }
    configuration = parse_environment({"DYNAMODB_OUTBOX_TABLE_NAME": "outbox"})

    assert set(documented) == {variable.names for variable in VARIABLES}
    for variable in VARIABLES:
        default = getattr(configuration, variable.field)
        if variable.field == "dynamodb_outbox_table_name" or default in (None, ""):
            assert documented[variable.names] == []
        elif isinstance(default, TopicLimits):
            assert documented[variable.names] == [str(default.default)]
        else:
            (text,) = documented[variable.names]
            assert variable.parse(text) == default


def test_the_table_page_names_every_attribute_of_the_design() -> None:
    page = (ROOT / "docs" / "reference" / "table.md").read_text()
    design = TableDesign.ordered
    names = [getattr(design, field) for field in design.__struct_fields__ if field != "keyed_by"]

    assert not [name for name in names if f"`{name}`" not in page]


def test_the_table_page_tells_every_reason_to_park_by_its_name() -> None:
    core = "".join([path.read_text() for path in (ROOT / "src/outbox_sdk/core").glob("*.py")])
    reasons = set(re.findall(r'Refusal\(f?"([a-z-]+)', core))
    rows = table_rows(ROOT / "docs" / "reference" / "table.md", "| reason |")
    told = {text.partition(":")[0] for row in rows for text in re.findall(r"`([^`]+)`", row[0])}

    assert {"destination-not-allowed", "size", "hops"} <= reasons
    assert not reasons - told


def test_the_page_of_guarantees_names_tests_and_invariants_that_are_there() -> None:
    page = (ROOT / "docs" / "explanation" / "guarantees.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", page)
    simulated = [
        name for text in re.findall(r"simulated: ([^;|]*)", page) for name in re.findall(r"`([^`]+)`", text)
    ]

    assert len(named) >= 10
    for path, test in named:
        assert re.search(rf"^(async )?def {test}\(", (ROOT / path).read_text(), re.MULTILINE), (path, test)
    assert set(simulated) <= set(INVARIANTS)
    # One belongs to the requests, of which no promise is made to users.
    assert set(INVARIANTS) - set(simulated) == {"illegal request"}


def table_rows(path: Path, start: str) -> list[list[str]]:
    lines = path.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith(start))
    rows = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows
