"""The pages of the documentation that speak of the code: compared with it, and in their indexes."""

import asyncio
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any, get_args

import msgspec
import pytest

import outbox_sdk
from docs.site.api import REFERENCE, listed_names
from docs.site.diagrams import DIAGRAMS, FOLLOWS, MOVES, event_of
from docs.site.navigation import FRONT, INDEXES, add_contents, find_folder, linked_pages
from docs.site.options import write_page
from outbox_sdk.core.errors import DeliveryFault, OutboxError, UndecodableReason
from outbox_sdk.core.message_view import MessageState
from outbox_sdk.core.outcome import Outcome, is_reported, outcome_name
from outbox_sdk.core.passing import PassageEvent
from outbox_sdk.core.pointer import ClaimFault
from outbox_sdk.testing import InMemoryStack
from tests.support.documents import ROOT, code_blocks

DOCS = ROOT / "docs"
PUBLIC = (
    "outbox_sdk",
    "outbox_sdk.console",
    "outbox_sdk.packaging",
    "outbox_sdk.provisioning",
    "outbox_sdk.pytest_plugin",
    "outbox_sdk.pytest_plugin.laws",
    "outbox_sdk.pytest_plugin.strategies",
    "outbox_sdk.testing",
    "outbox_sdk.testing.simulation",
)


def rows(text: str) -> list[list[str]]:
    """Give the cells of all tables on a page, without headers and the lines below them."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rules = {place for place, row in enumerate(cells) if set("".join(row)) == {"-"}}
    return [row for place, row in enumerate(cells) if place not in rules and place + 1 not in rules]


def section(page: str, heading: str) -> str:
    text = (DOCS / "reference" / page).read_text(encoding="utf-8")
    _, _, rest = text.partition(f"# {heading}\n")
    assert rest, heading
    return re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def test_the_front_page_shows_a_service_that_runs() -> None:
    example, *_ = code_blocks(DOCS / "index.md", "python")
    stack = InMemoryStack()
    client = stack.client()
    client.create_table("orders", "PK")
    service: dict[str, Any] = {"__name__": "front"}
    exec("\n".join(example), service)  # noqa: S102 - our own page

    asyncio.run(service["place_order"](client, "7"))
    asyncio.run(stack.relay())

    assert len(example) == 10
    assert client.items("orders") == [{"PK": {"S": "7"}}]
    assert [message.topic for message in stack.published] == ["order--created"]


@pytest.mark.parametrize("index", [name for name in INDEXES if not name.endswith("README")])
def test_every_page_of_a_folder_is_in_its_index(index: str) -> None:
    page = ROOT / f"{index}.md"
    listed = linked_pages(page.read_text(encoding="utf-8"))

    assert {f"{name}.md" for name in find_folder(page)} - {"index.md"} == set(listed)


def test_the_front_page_opens_every_door() -> None:
    text = (ROOT / f"{FRONT}.md").read_text(encoding="utf-8")

    assert {f"docs/{path.removesuffix('.md')}" for path in linked_pages(text)} >= set(INDEXES)


def test_a_page_that_no_index_lists_is_in_the_site_too() -> None:
    given = add_contents("docs/how-to/index", "[b](b.md)", ["a", "b", "index"])

    assert re.findall(r"^(?:a|b|index)$", given, re.MULTILINE) == ["b", "a"]
    assert add_contents("docs/how-to/a", "text", ["a", "b", "index"]) == "text"


def documented() -> Iterator[tuple[str, str]]:
    for page in sorted((ROOT / REFERENCE).glob("*.md")):
        yield from listed_names(page.read_text(encoding="utf-8"))


def test_every_public_name_is_in_the_reference_once() -> None:
    names = list(documented())
    public = {module: set(import_module(module).__all__) for module in PUBLIC}
    # What the package itself exports is documented there, and not where it comes from as well.
    top = {id(getattr(outbox_sdk, name)) for name in outbox_sdk.__all__}
    wanted = [
        (module, name)
        for module in PUBLIC
        for name in sorted(public[module])
        if module == "outbox_sdk" or id(getattr(import_module(module), name)) not in top
    ]

    assert sorted(names) == sorted(wanted)


def every_error() -> set[type[OutboxError]]:
    for module in walk_packages(outbox_sdk.__path__, "outbox_sdk."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    found, waiting = set[type[OutboxError]](), [OutboxError]
    while waiting:
        kinds = waiting.pop().__subclasses__()
        waiting += kinds
        found.update(kind for kind in kinds if kind.__module__.startswith("outbox_sdk."))
    return found


def test_every_error_has_its_section_with_where_it_is_imported_from() -> None:
    page = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    told = list[object]()
    for name in re.findall(r"^### `(\w+)`$", page, re.MULTILINE):
        fields = dict(re.findall(r"^- \*\*(.+?)\*\*: (.+)", section("errors.md", f"`{name}`"), re.MULTILINE))
        module = fields.pop("Import from", "`outbox_sdk`").strip("`")
        told.append(getattr(import_module(module), name))
        assert list(fields) == ["When", "At fault", "Do"], name

    assert len(told) == len(set(told))
    assert set(told) == every_error()


@pytest.mark.parametrize(
    ("error", "reasons"),
    [
        ("`ClaimError`", get_args(ClaimFault)),
        ("`UndecodableDeliveryError`", get_args(DeliveryFault)),
        ("`UndecodableMessageError`", get_args(UndecodableReason)),
    ],
)
def test_every_reason_has_its_row(error: str, reasons: tuple[str, ...]) -> None:
    told = [name for row in rows(section("errors.md", error)) for name in re.findall(r"`([^`]+)`", row[0])]

    assert sorted(told) == sorted(reasons)


def test_every_code_of_a_refused_transaction_has_its_row() -> None:
    source = "".join(path.read_text() for path in (ROOT / "src" / "outbox_sdk").rglob("*.py"))
    # Such a code is DynamoDB's own word for the like.
    own = set(re.findall(r"TransactionRefused\(\s*\"(\w+)\"", source)) - {"ValidationException"}

    assert {row[0].strip("`") for row in rows(section("errors.md", "`TransactionRefused`"))} == own


LIMITS = rows((DOCS / "reference" / "limits.md").read_text(encoding="utf-8"))


def value_of(path: str) -> object:
    parts = path.split(".")
    length = next(n for n in range(len(parts) - 1, 0, -1) if ".".join(parts[:n]) in sys.modules)
    value: object = sys.modules[".".join(parts[:length])]
    for name in parts[length:]:
        value = getattr(value, name)
    return value


@pytest.mark.parametrize("row", LIMITS, ids=lambda row: row[-1].strip("`").removeprefix("outbox_sdk."))
def test_a_limit_has_the_value_of_the_code(row: list[str]) -> None:
    every_error()  # loads every module
    match = re.fullmatch(r"([\d,.]+)(?: \w+)?", row[1])

    assert match is not None
    assert float(match[1].replace(",", "")) == value_of(row[-1].strip("`"))


def test_every_limit_that_the_code_names_is_told() -> None:
    every_error()
    told = {row[-1].strip("`") for row in LIMITS}
    named = {
        f"{name}.{each}"
        for name, module in sys.modules.items()
        if re.match(r"outbox_sdk\.(core|shell)\.", name)
        for each in getattr(module, "__all__", ())
        if each.startswith("MAX_")
    }

    assert len(told) == len(LIMITS)
    assert named <= told


def example(kind: Any) -> Outcome:
    outcome: Outcome = kind(*("x" for field in msgspec.structs.fields(kind) if field.required))
    return outcome


def test_every_outcome_has_its_row_and_says_whether_it_is_reported() -> None:
    outcomes = [example(kind) for kind in get_args(Outcome)]
    told = {row[0].strip("`"): row[2] for row in rows(section("outcomes.md", "How a record ends"))}

    assert told == {outcome_name(each): "yes" if is_reported(each) else "no" for each in outcomes}
    assert set(FOLLOWS) == set(told)


def test_every_event_has_its_row_and_says_what_the_item_is_afterwards() -> None:
    told = {
        row[0].strip("`"): row[2].strip("`") for row in rows(section("outcomes.md", "What an item can be"))
    }
    drawn = {event_of(*move): move[1] or "gone" for move in MOVES if move[0] != move[1]}

    assert set(told) == set(get_args(PassageEvent))
    assert {event: told[event] for event in drawn} == drawn
    # The diagram has all of them but `changed`, which is none of the relay's.
    shown = {event_of(*move) for move in MOVES} | {event_of("dispatched", None, expired=True)}
    assert shown == set(told) - {"changed"}
    assert {state for move in MOVES for state in move if state} == set(get_args(MessageState))


@pytest.mark.parametrize("name", DIAGRAMS)
def test_a_diagram_is_what_the_code_draws(name: str) -> None:
    """After a change: `python -m docs.site.diagrams docs/diagrams`."""
    assert (DOCS / "diagrams" / name).read_text(encoding="utf-8") == DIAGRAMS[name]()


def test_the_page_of_options_is_what_the_command_takes() -> None:
    """After a change: `python -m docs.site.options docs/reference/options.md`."""
    assert (DOCS / "reference" / "options.md").read_text(encoding="utf-8") == write_page()


def test_each_diagram_is_shown_on_a_page_with_words_for_those_who_do_not_see_it() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md"))

    assert {path.name for path in (DOCS / "diagrams").iterdir()} == set(DIAGRAMS)
    for name in DIAGRAMS:
        assert re.search(rf"!\[[^\]]{{20,}}\]\((?:\.\./)*diagrams/{name}\)", pages), name


def test_words_in_a_diagram_are_not_smaller_than_a_phone_shows_them_well() -> None:
    """A picture of 400 units is 350 points wide there."""
    for name in DIAGRAMS:
        text = (DOCS / "diagrams" / name).read_text(encoding="utf-8")
        assert 'viewBox="0 0 400 ' in text
        sizes = [float(size) for size in re.findall(r"(?:font|font-size): ?([\d.]+)px", text)]
        assert sizes
        assert min(sizes) * 350 / 400 >= 10.5, Path(name)
