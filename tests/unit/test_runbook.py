"""The runbook has a section for each alarm, and each of its commands is one that the command line takes."""

import re
import shlex
from datetime import UTC, datetime

import pytest
from click import Command
from typer.main import get_command

from deploy.monitoring import alarms
from outbox_sdk.cli import app
from outbox_sdk.core.when import parse_when
from tests.support.documents import ROOT

PAGE = (ROOT / "docs" / "runbook.md").read_text()
SECTIONS: dict[str, str] = dict(re.findall(r"^## (.+)\n((?:(?!^## ).*\n?)*)", PAGE, re.MULTILINE))
LINES = re.findall(r"^(outbox .+)$", PAGE, re.MULTILINE)
COMMANDS: dict[str, Command] = get_command(app).commands  # type: ignore[attr-defined]  # a group
BY_COMMAND = re.compile(r"^(?:outbox|aws) .+", re.MULTILINE)


def test_each_alarm_has_its_section_in_the_order_of_the_alarms() -> None:
    assert [title for title in SECTIONS if title.startswith("`")] == [f"`{name}`" for name in alarms()]


@pytest.mark.parametrize("name", alarms())
def test_a_section_says_what_it_means_what_to_look_at_and_what_to_do(name: str) -> None:
    section = SECTIONS[f"`{name}`"]
    assert re.findall(r"^\*\*(\w+)\*\*: ", section, re.MULTILINE) == ["Means", "Look", "Do"]
    look, _, do = section.partition("**Do**: ")
    assert BY_COMMAND.search(look), "nothing to look with"
    assert len(do.split()) >= 5
    # What is sent again or deleted is shown first.
    for line in LINES:
        if line in section and re.match(r"outbox (redrive|replay|purge)", line):
            assert "--dry-run" in section


@pytest.mark.parametrize("line", sorted(set(LINES)))
def test_each_command_takes_what_it_is_given(line: str) -> None:
    """Parsed by the command itself, which refuses what it does not know; nothing is run."""
    _, name, *words = shlex.split(line)
    given = COMMANDS[name].make_context(name, words).params
    for option in ("since", "until"):
        if given.get(option) is not None:
            parse_when(given[option], now=datetime.now(UTC), variable=f"--{option}")
    if name in {"redrive", "replay"}:
        # Nothing stands for "all": what is sent again is named.
        assert any(given.get(each) for each in ("reason", "topic"))


def test_the_runbook_uses_all_that_looks_after_an_outbox() -> None:
    used = {line.split()[1] for line in LINES}
    assert used == {
        *("status", "pending", "parked", "show", "tail", "sweep", "doctor"),
        *("redrive", "replay", "purge"),
    }
