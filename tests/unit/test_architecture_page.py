"""docs/architecture.md is what the code says: its names, its picture, its tables, and the way of a batch."""

import asyncio
import importlib
import re
import sys
from types import FrameType
from typing import Any

import pytest

from outbox_sdk import Outbox
from outbox_sdk.testing import InMemoryStack
from tools.import_graph import (
    PAGE,
    PICTURE,
    find_backward,
    read_imports,
    read_layers,
    render_page,
    render_svg,
)

PARTS = [name for layer in read_layers() for name in layer]
NAMES = re.compile(rf"`((?:{'|'.join(PARTS)})(?:\.\w+)*)`")
# What the stack in memory has a double for, or the handler does around the relay.
NOT_IN_MEMORY = {
    "lambda_handler.handler",
    "shell.relay.open_relay",
    "shell.sns.SnsPublisher.publish",
    "shell.dynamodb.create_marker",
    "core.classification.classify_entry_error",
    "core.report.describe_batch",
    "core.metrics.measure_batch",
}


def find(name: str) -> Any:
    """Give the module or what is in it."""
    found: Any = importlib.import_module("outbox_sdk")
    path = "outbox_sdk"
    for part in name.split("."):
        path = f"{path}.{part}"
        try:
            found = importlib.import_module(path)
        except ModuleNotFoundError:
            found = getattr(found, part)
    return found


@pytest.mark.parametrize("name", sorted(set(NAMES.findall(PAGE.read_text(encoding="utf-8")))))
def test_a_name_on_the_page_is_one_in_the_code(name: str) -> None:
    assert find(name) is not None


def test_a_batch_meets_the_functions_in_the_order_of_the_page() -> None:
    section = (
        PAGE.read_text(encoding="utf-8").split("## How a batch flows")[1].split("Nothing here retries")[0]
    )
    told = [name for name in NAMES.findall(section) if name not in NOT_IN_MEMORY]
    met: dict[str, None] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        module = str(frame.f_globals.get("__name__"))
        if event == "call" and module.startswith("outbox_sdk."):
            met[f"{module.removeprefix('outbox_sdk.')}.{frame.f_code.co_qualname}"] = None

    stack, outbox = InMemoryStack(), Outbox("outbox")
    stack.write(outbox.put("{}", aggregate_id="order-7", topic="orders.fifo"))
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        report = asyncio.run(stack.relay())
        assert report.response == {"batchItemFailures": []}
    finally:
        sys.setprofile(before)

    assert len(told) >= 12
    assert told == [name for name in met if name in told]


def test_picture_and_tables_are_those_of_the_code_and_all_imports_lead_down() -> None:
    layers, (imports, libraries) = read_layers(), read_imports()
    text = PAGE.read_text(encoding="utf-8")

    assert find_backward(imports, layers) == []
    assert {name for edge in imports for name in edge} <= set(PARTS)
    assert all(name.startswith("shell.aws.") for name in (*libraries["aiobotocore"], *libraries["botocore"]))
    assert PICTURE.read_text(encoding="utf-8") == render_svg(imports, layers), "run `nox -s graph`"
    assert text == render_page(text, imports, layers, libraries), "run `nox -s graph`"


@pytest.mark.parametrize("edge", [("core", "shell"), ("shell", "cli"), ("demo", "console")])
def test_an_import_that_does_not_lead_down_is_found_and_drawn_in_another_colour(
    edge: tuple[str, str],
) -> None:
    layers = read_layers()

    assert find_backward([edge, ("cli", "core")], layers) == [edge]
    assert 'class="b"' in render_svg([edge], layers)
    assert 'class="b"' not in render_svg([("cli", "core")], layers)
