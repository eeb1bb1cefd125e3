"""Every code block of every page is executed or compared: a new one of an unknown kind fails until it is.

Python is executed page by page, from top to bottom. What a page defines and leaves to its reader to call is
called by `tests.support.page_use`, so that no function is shown that has never run.
"""

import asyncio
import hashlib
import io
import json
import re
from collections.abc import Callable
from configparser import ConfigParser
from importlib import import_module
from pathlib import Path

import pytest
from rich.console import Console

from examples.customers_and_orders.customers.events import PUBLISHED as CUSTOMERS
from examples.customers_and_orders.orders.events import PUBLISHED as ORDERS
from outbox_sdk import Claim, ClaimCheck, Outbox, UndecodableMessageError
from outbox_sdk.cli.demo import _demo_table, _verdict
from outbox_sdk.demo.report import DemoReport
from tests.support.documents import ROOT, Block, execute_page, read_blocks
from tests.support.page_use import USES
from tests.support.shown_commands import check_shell
from tests.support.shown_terraform import check_terraform

pytestmark = pytest.mark.once  # of the source, which is the same everywhere

PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "deploy").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
BLOCKS = [block for page in PAGES for block in read_blocks(page)]

# By page and heading: Python that needs a server or a library of its own is run by another test.
ELSEWHERE = {
    ("docs/how-to/deploy.md", "On a local stack"): "tests/integration/test_deploy_page.py::"
    "test_a_function_tells_what_keeps_it_from_starting",
    ("docs/how-to/package.md", "Get it"): "tests/packaging/test_find.py::test_the_pages_find_a_package",
    ("docs/how-to/terraform.md", "1. The zip"): "tests/packaging/test_find.py::test_the_pages_find_a_package",
    ("docs/how-to/deploy.md", "In your tests"): "tests/integration/test_deploy_page.py::test_in_your_tests",
    **{
        ("docs/how-to/transactions.md", client): "tests/integration/test_other_clients.py::"
        "test_the_example_of_a_client_runs"
        for client in ("boto3", "aioboto3", "PynamoDB")
    },
    ("docs/tutorials/deploy.md", "3. A message"): "tests/integration/test_tutorials.py::"
    "test_from_the_wheel_to_a_running_relay",
    ("docs/tutorials/first-message.md", "4. The program"): "tests/integration/test_tutorials.py::"
    "test_a_first_message",
    **{
        ("docs/tutorials/test-your-service.md", heading): "tests/plugin/test_tutorial.py::"
        "test_all_tests_of_the_tutorial_pass"
        for heading in (
            "2. The service",
            "3. What the tests need to know",
            "4. A first test",
            "6. When the relay crashes",
            "7. When a message comes twice",
            "8. Laws for all your events",
        )
    },
}
# Functions of pages that are called with a server only, and the test that calls them.
CALLED_ELSEWHERE = {
    ("docs/how-to/migration.md", "give_the_marker"): "tests/integration/test_pages.py::"
    "test_an_old_table_is_taken_over",
    (
        "README.md",
        "create_tables",
    ): "tests/integration/test_pages.py::test_the_readme_makes_tables_and_relays",
    ("README.md", "relay_until"): "tests/integration/test_pages.py::test_the_readme_makes_tables_and_relays",
    ("docs/how-to/doctor.md", "errors_of"): "tests/integration/test_pages.py::test_the_doctor_tells_errors",
    (
        "docs/reference/table.md",
        "create_tables",
    ): "tests/integration/test_pages.py::test_the_script_makes_tables",
}
# By page and heading: what is shown and is no code, and the test that compares it.
TEXTS = {
    ("README.md", "See it run"): "test_the_demo_is_shown_as_it_counts",
    ("CONTRIBUTING.md", "Layout"): "test_the_layout_is_the_tree",
    ("docs/how-to/claim-check.md", "Where a body is"): "test_a_body_is_where_the_page_says",
    (
        "docs/how-to/consumer.md",
        "What fails, and what comes again",
    ): "test_a_failure_is_told_as_the_page_says",
    ("docs/how-to/deploy.md", "What the roles may do"): "tests/integration/test_deploy_page.py::"
    "test_the_list_of_permissions_is_what_a_deployment_calls",
    ("examples/customers_and_orders/README.md", "Customers and orders"): "test_the_saga_tells_of_its_events",
    ("examples/customers_and_orders/README.md", "Run it"): "tests/example/test_page.py::"
    "test_the_story_is_the_one_that_the_page_tells",
    **{
        ("docs/tutorials/deploy.md", heading): "tests/integration/test_tutorials.py::"
        "test_from_the_wheel_to_a_running_relay"
        for heading in ("2. A stack, and the relay on it", "4. Again, and otherwise")
    },
    **{
        ("docs/tutorials/first-message.md", heading): "tests/integration/test_tutorials.py::"
        "test_a_first_message"
        for heading in ("4. The program", "5. Look")
    },
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def place_of(block: Block) -> tuple[str, str]:
    return name_of(block.path), block.heading


def check_json(text: str) -> None:
    """One document, or one a line."""
    try:
        json.loads(text)
    except ValueError:
        for line in filter(None, text.splitlines()):
            json.loads(line)


def check_ini(text: str) -> None:
    """Settings of pytest; whether it knows them is seen where a test runs with them."""
    parser = ConfigParser()
    parser.read_string(text)
    assert parser.sections() == ["pytest"]


def check_names(module: str, text: str) -> None:
    """The site makes a page of the API of them: each is one that the module offers."""
    offered = set(import_module(module).__all__)
    assert set(text.split()) <= offered, set(text.split()) - offered


CHECKS: dict[str, Callable[[str], None]] = {
    "bash": check_shell,
    "console": lambda text: check_shell(text, prompt=True),
    "hcl": check_terraform,
    "ini": check_ini,
    "json": check_json,
}
OTHERWISE = {"python", "text"}


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_is_of_a_kind_that_is_checked(block: Block) -> None:
    if block.language == "text":
        assert place_of(block) in TEXTS, "say which test compares it"
    elif block.language.startswith("{names} "):
        check_names(block.language.removeprefix("{names} "), block.text)
    elif block.language not in OTHERWISE:
        assert block.language in CHECKS, f"no check for blocks of {block.language!r}"
        CHECKS[block.language](block.text)


@pytest.mark.parametrize(
    "path", sorted({block.path for block in BLOCKS if block.language == "python"}), ids=name_of
)
def test_the_python_of_a_page_runs_and_all_of_it_is_used(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = name_of(path)
    page = execute_page(path, without=[heading for each, heading in ELSEWHERE if each == name])
    if name in USES:
        USES[name](page.namespace)

    missing = {
        each for each in page.defined - page.entered if (name, each.split()[0]) not in CALLED_ELSEWHERE
    }
    assert not missing, "call it on the page, or in tests/support/page_use.py"


def test_nothing_is_listed_that_is_not_shown() -> None:
    shown = {place_of(block) for block in BLOCKS if block.language == "python"}
    texts = {place_of(block) for block in BLOCKS if block.language == "text"}

    assert set(ELSEWHERE) <= shown
    assert set(TEXTS) == texts
    assert set(USES) | {name for name, _ in CALLED_ELSEWHERE} <= {name for name, _ in shown}
    for name, function in CALLED_ELSEWHERE:
        assert f"def {function}(" in (ROOT / name).read_text()


@pytest.mark.parametrize("test", sorted({*ELSEWHERE.values(), *TEXTS.values(), *CALLED_ELSEWHERE.values()}))
def test_a_test_that_is_named_is_there(test: str) -> None:
    path, _, name = test.rpartition("::")
    file = ROOT / path if path else Path(__file__)
    assert re.search(rf"^(async )?def {name}\(", file.read_text(), re.MULTILINE)


def text_of(page: str, heading: str) -> str:
    (block,) = [each for each in BLOCKS if each.language == "text" and place_of(each) == (page, heading)]
    return block.text


def test_the_demo_is_shown_as_it_counts() -> None:
    report = DemoReport(
        written=200,
        published=200,
        marked=200,
        received=200,
        lost=0,
        duplicates=0,
        order_violations=0,
        seconds=1,
    )
    told = io.StringIO()
    console = Console(file=told, width=80)
    console.print(_demo_table(report), _verdict(report))

    for line in text_of("README.md", "See it run").splitlines():
        assert line in told.getvalue()


def test_the_layout_is_the_tree() -> None:
    rows = re.findall(r"^( *)([\w/*.]+)", text_of("CONTRIBUTING.md", "Layout"), re.MULTILINE)

    assert len(rows) >= 8
    for indent, name in rows:
        place = ROOT / "src/outbox_sdk" if indent else ROOT
        assert any(place.glob(name.rstrip("/"))), name
    directories = {name.partition("/")[0] for indent, name in rows if not indent}
    assert {"src", "tests", "benchmarks", "deploy"} <= directories


def test_a_body_is_where_the_page_says() -> None:
    shown, told = text_of("docs/how-to/claim-check.md", "Where a body is").splitlines()
    outbox = Outbox("outbox", claim_check=ClaimCheck("orders-claims", over_bytes=0))
    claims: list[Claim] = []
    outbox.put("{}", aggregate_id="order-7", topic="order--created", message_id="m-1", claims=claims)

    ours, theirs = claims[0].key.split("/"), shown.replace(" ", "").split("/")
    assert ours[:-1] == theirs[:-1]
    digest = hashlib.sha256(b"{}").hexdigest()
    assert re.fullmatch(f"{digest}-[0-9a-f]{{16}}", ours[-1])
    assert re.fullmatch(r"[0-9a-f]+…[0-9a-f]+-[0-9a-f]{16}", theirs[-1])
    assert told.split()[:2] == ["prefix", "table"]


def test_a_failure_is_told_as_the_page_says(caplog: pytest.LogCaptureFixture) -> None:
    page = execute_page(ROOT / "docs/how-to/consumer.md").namespace
    record = page["record"] | {"body": "[]"}
    with caplog.at_level("WARNING", logger="outbox_sdk"):
        assert page["processor"] is not None
        with pytest.raises(UndecodableMessageError):
            asyncio.run(page["handle"](record))

    assert caplog.messages == [text_of("docs/how-to/consumer.md", "What fails, and what comes again").strip()]


def test_the_saga_tells_of_its_events() -> None:
    """Each message of the picture is one that its service publishes, and none is left out."""
    told = re.findall(r"\+ (\w+)", text_of("examples/customers_and_orders/README.md", "Customers and orders"))
    published = {each.__name__ for catalog in (CUSTOMERS, ORDERS) for each in catalog}

    assert set(told) == published
