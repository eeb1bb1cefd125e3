"""The runbook has a section for each alarm, with commands that say what they mean."""

import re
import shlex

import pytest
from click import Command
from typer.main import get_command

from deploy.monitoring import alarms
from outbox_sdk.cli import app
from outbox_sdk.core.configuration import VARIABLES
from outbox_sdk.core.doctor import CHECKS
from tests.support.documents import ROOT

PAGE = (ROOT / "docs" / "how-to" / "runbook.md").read_text()
SECTIONS: dict[str, str] = dict(re.findall(r"^## (.+)\n((?:(?!^## ).*\n?)*)", PAGE, re.MULTILINE))
LINES = re.findall(r"^(outbox .+)$", PAGE, re.MULTILINE)
COMMANDS: dict[str, Command] = get_command(app).commands  # type: ignore[attr-defined]  # a group
BY_COMMAND = re.compile(r"^(?:outbox|aws) .+", re.MULTILINE)
THRESHOLDS = {7_200: "two hours", 60_000: "a minute", 300_000: "five minutes", 0: "", 1: ""}
LASTING = {180: "", 900: "for a quarter of an hour", 86_400: "for a day"}
"""By seconds, how the page says that something lasts for them; what is seen once is said of no time."""


def test_each_alarm_has_its_section_in_the_order_of_the_alarms() -> None:
    assert [title for title in SECTIONS if title.startswith("`")] == [f"`{name}`" for name in alarms()]


@pytest.mark.parametrize("name", alarms())
def test_a_section_says_what_it_means_what_to_look_at_and_what_to_do(name: str) -> None:
    section = SECTIONS[f"`{name}`"]
    assert re.findall(r"^\*\*(\w+)\*\*: ", section, re.MULTILINE) == ["Means", "Look", "Do"]
    look, _, do = section.partition("**Do**: ")
    assert BY_COMMAND.search(look), "nothing to look with"
    assert BY_COMMAND.search(do), "nothing to do it with"


@pytest.mark.parametrize("name", alarms())
def test_a_section_has_the_figures_of_its_alarm(name: str) -> None:
    alarm = alarms()[name]
    means, _, _ = SECTIONS[f"`{name}`"].partition("**Look**: ")
    words = " ".join(means.split())
    assert THRESHOLDS[alarm["Threshold"]] in words
    seconds = alarm["Period"] * alarm["EvaluationPeriods"]
    if alarm["EvaluationPeriods"] > 1 or seconds > 3_600:
        assert LASTING[seconds] in words


@pytest.mark.parametrize("line", [line for line in LINES if re.match(r"outbox (redrive|replay|purge)", line)])
def test_what_sends_again_or_deletes_is_shown_before_it_is_done(line: str) -> None:
    done = re.sub(r" --dry-run| --rate \d+", "", line)
    shown = f"{done} --dry-run"
    following = [re.sub(r" --rate \d+", "", each) for each in LINES]
    assert following[following.index(shown) + 1] == done


@pytest.mark.parametrize("line", sorted(set(LINES)))
def test_each_command_says_what_it_means(line: str) -> None:
    """That it takes what it is given is looked at with every block of the pages."""
    _, name, *words = shlex.split(line)
    given = COMMANDS[name].make_context(name, words).params
    if name in {"redrive", "replay", "purge"}:
        # Nothing stands for "all": what is sent again or deleted is named.
        assert any(given.get(each) for each in ("reason", "topic", "message_id", "aggregate", "until"))
        assert not given["yes"]
    if name in {"parked", "redrive"} and any("held:".startswith(each) for each in given["reason"] or ()):
        assert given["since"] is None, "what was held is an hour old when it is parked"


def test_variables_and_checks_that_are_named_are_there() -> None:
    names = {name for variable in VARIABLES for name in variable.names}
    assert set(re.findall(r"\b(?:OUTBOX|AWS_SNS|DYNAMODB)_[A-Z_]+\b", PAGE)) <= names
    named = set(re.findall(r"`([a-z]+\.[a-z-]+)`", PAGE))
    assert len(named) >= 8
    assert named <= {check.id for check in CHECKS}


def test_each_line_that_waits_for_a_person_is_in_it() -> None:
    """Those at ERROR ring; what they mean stands in the section of the one or the other function."""
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    rows = re.findall(r"^\| (`\w+`[^|]*) \| `ERROR`", page, re.MULTILINE)
    lines = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    told = SECTIONS["`RelayErrorLines`"] + SECTIONS["`SweeperErrorLines`"]
    assert len(lines) >= 9
    assert not {line for line in lines if f"`{line}`" not in told}


def test_a_sweep_that_publishes_is_told_what_the_relay_is_told() -> None:
    """By the variables at the top of the page: without the prefix it would publish to other topics."""
    head, _, rest = PAGE.partition("\n## ")
    assert "--publish" in rest
    assert re.search(r"^export AWS_SNS_TOPIC_PREFIX=\S+ OUTBOX_MARK_STRATEGY=\S+", head, re.MULTILINE)


def test_the_runbook_uses_all_that_looks_after_an_outbox() -> None:
    used = {line.split()[1] for line in LINES}
    assert used == {
        *("status", "pending", "parked", "show", "tail", "sweep", "doctor"),
        *("redrive", "replay", "purge", "cost", "deploy"),
    }
