"""`outbox redrive`, `replay` and `purge` over an outbox in memory: what is confirmed is what is done."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from outbox_sdk import Outbox
from outbox_sdk.cli import admin, again, app, carrying_out
from outbox_sdk.core.text import format_instant
from outbox_sdk.shell.admin import Admin
from outbox_sdk.shell.table_calls import RetryingCalls
from outbox_sdk.testing import InMemoryCalls, InMemoryStack

OUTBOX = Outbox("outbox")


class Calls(InMemoryCalls):
    """Answers, and presses Ctrl-C before one of the answers."""

    interrupted_by = ""
    left = 0

    async def call(self, operation: str, arguments: Any) -> Any:
        if operation == self.interrupted_by:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGINT)
                await asyncio.sleep(0)
        return await super().call(operation, arguments)


class Desk:
    """An outbox in memory that the commands find, and a person who is asked."""

    def __init__(self) -> None:
        self.stack = InMemoryStack(topics=["orders"])
        self.calls = Calls(self.stack.table)
        self.before_the_answer: Callable[[], object] = lambda: None
        self.question = ""

    def put(self, name: str, **attributes: Any) -> None:
        """Write the item of a message, changed; ``None`` takes an attribute away."""
        entry: Any = OUTBOX.put("{}", aggregate_id=f"a-{name}", topic="orders", message_id=name)
        item = {**entry["Put"]["Item"], **attributes}
        self.stack.table.put({key: value for key, value in item.items() if value is not None})

    def park(self, name: str, redrives: int = 0) -> None:
        """Write a message that is set aside."""
        at = format_instant(datetime.now(UTC))
        self.put(
            name,
            NotDispatched={"S": "parked"},
            ParkReason={"S": "topic-name"},
            ParkedAt={"S": at},
            RedriveCount={"N": str(redrives)},
        )

    def dispatch(self, name: str, at: datetime | None = None, **attributes: Any) -> None:
        """Write a message that was dispatched, now or then."""
        done = {
            "IsDispatched": {"BOOL": True},
            "LastDispatchedAt": {"S": format_instant(at or datetime.now(UTC))},
        }
        self.put(name, NotDispatched=None, **done, **attributes)

    @property
    def items(self) -> dict[str, Any]:
        """The items by message id."""
        return {item["MessageId"]["S"]: item for item in self.stack.table.items.values()}

    def interrupt_at(self, operation: str, times: int) -> None:
        """Press Ctrl-C when so many calls of an operation are made."""
        self.calls.interrupted_by, self.calls.left = operation, times

    def run(self, *words: str) -> Any:
        """Run a command."""
        return CliRunner().invoke(app, [*words, "--table", "outbox", "--region", "us-east-1"], color=True)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    desk = Desk()

    @asynccontextmanager
    async def open_admin(*_: object, **__: object) -> AsyncIterator[Admin]:
        context = desk.stack.admin().context
        yield Admin(replace(context, calls=RetryingCalls(desk.calls)))

    def confirm(question: str) -> bool:
        desk.question = question
        desk.before_the_answer()
        return True

    for module in (carrying_out, admin):
        monkeypatch.setattr(module, "open_admin", open_admin)
    monkeypatch.setattr(typer, "confirm", confirm)
    return desk


def test_what_was_parked_while_a_person_was_asked_is_not_purged(desk: Desk) -> None:
    desk.park("shown")

    def elsewhere() -> None:
        desk.put("shown", RedriveCount={"N": "1"})  # somebody has sent it again
        desk.park("not-shown")

    desk.before_the_answer = elsewhere
    done = desk.run("purge", "--state", "parked", "--all")
    assert desk.question == "Purge 1 message?"
    assert set(desk.items) == {"shown", "not-shown"}, done.output


def test_what_was_parked_anew_while_a_person_was_asked_is_not_purged(desk: Desk) -> None:
    desk.park("shown")
    desk.before_the_answer = lambda: desk.park("shown", redrives=1)
    done = desk.run("purge", "--state", "parked", "--all")
    assert set(desk.items) == {"shown"}, done.output


def test_what_was_committed_while_a_person_was_asked_is_not_purged(desk: Desk) -> None:
    desk.put("shown")
    desk.before_the_answer = lambda: desk.put("not-shown")
    done = desk.run("purge", "--state", "outstanding", "--all", "--force")
    assert done.exit_code == 0
    assert set(desk.items) == {"not-shown"}, done.output


def test_what_was_dispatched_while_a_person_was_asked_is_not_purged(desk: Desk) -> None:
    desk.dispatch("shown")
    desk.before_the_answer = lambda: desk.dispatch("not-shown")
    done = desk.run("purge", "--all")
    assert done.exit_code == 0
    assert set(desk.items) == {"not-shown"}, done.output


def test_what_was_parked_while_a_person_was_asked_is_not_redriven(desk: Desk) -> None:
    desk.park("shown")
    desk.before_the_answer = lambda: desk.park("not-shown")
    done = desk.run("redrive")
    assert done.exit_code == 0
    assert desk.items["shown"]["RedriveCount"] == {"N": "1"}
    assert desk.items["not-shown"]["NotDispatched"] == {"S": "parked"}


def test_what_was_dispatched_while_a_person_was_asked_is_not_replayed(desk: Desk) -> None:
    desk.dispatch("shown")
    desk.before_the_answer = lambda: desk.dispatch("not-shown")
    done = desk.run("replay", "--all")
    assert done.exit_code == 0
    assert desk.items["shown"]["RedriveCount"] == {"N": "1"}
    assert "RedriveCount" not in desk.items["not-shown"]


def test_a_replay_that_is_taken_up_means_the_times_that_it_meant_at_first(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    desk.dispatch("old", now - timedelta(days=2) + timedelta(minutes=30))

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return now + timedelta(hours=1)

    began = format_instant(now)
    monkeypatch.setattr(again, "datetime", Later)
    monkeypatch.setattr("outbox_sdk.cli.selecting.datetime", Later)
    done = desk.run("replay", "--since", "2d", "--resume", began, "--yes")
    assert "replayed" in desk.items["old"].get("Headers", {}).get("M", {}), done.output


def test_a_replay_begins_at_the_instant_from_which_its_times_are_counted(desk: Desk) -> None:
    """Else what is meant by `--since 2d` would be another thing when it is taken up at that instant."""
    asked: list[datetime] = []
    desk.before_the_answer = lambda: asked.append(datetime.now(UTC))
    desk.dispatch("m-1")
    done = desk.run("replay", "--since", "2d")
    told = re.search(r"--resume (\S+)", done.stderr)
    assert told is not None
    assert told[1] < format_instant(asked[0])
    assert desk.items["m-1"]["Headers"] == {"M": {"replayed": {"S": told[1]}}}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["redrive"], "the same command does the rest"),
        (["redrive", "--limit", "4"], "the same command with --limit 2 does the rest"),
        (["redrive", "--dry-run"], "nothing was changed"),
        (["redrive"], "nothing was changed"),
    ],
    ids=str,
)
def test_what_was_interrupted_says_how_to_go_on(desk: Desk, words: list[str], sentence: str) -> None:
    for number in range(5):
        desk.park(f"m-{number}")
    reading = "nothing" in sentence
    desk.interrupt_at("BatchGetItem" if reading else "UpdateItem", 1 if reading else 2)
    done = desk.run(*words, *(() if reading else ("--yes", "--rate", "20")))
    assert done.exit_code == 130, done.output
    assert sentence in done.stderr
    assert not desk.question
    assert sum(
        "RedriveCount" in item and item["RedriveCount"]["N"] == "1" for item in desk.items.values()
    ) == (0 if reading else 2)


def test_a_replay_with_a_limit_says_how_many_are_left(desk: Desk) -> None:
    for number in range(5):
        desk.dispatch(f"m-{number}")
    desk.interrupt_at("UpdateItem", 2)
    done = desk.run("replay", "--all", "--limit", "4", "--yes", "--rate", "20")
    rest = re.search(r"the same command with (--resume \S+ --limit 2) does the rest", done.stderr)
    assert rest is not None, done.stderr
    desk.run("replay", "--all", *rest[1].split(), "--yes")
    assert sum("RedriveCount" in item for item in desk.items.values()) == 4


def test_ids_beyond_a_limit_are_not_said_to_be_gone(desk: Desk) -> None:
    for name in ("m-1", "m-2"):
        desk.park(name)
        desk.dispatch(name.replace("m", "d"))
    for words in (
        ["redrive", "--id", "m-1", "--id", "m-2"],
        ["replay", "--id", "d-1", "--id", "d-2"],
        ["purge", "--id", "d-1", "--id", "d-2"],
    ):
        done = desk.run(*words, "--limit", "1", "--yes")
        assert "Not there" not in done.output, words
        assert done.exit_code == 0, words


def test_a_limit_purges_the_oldest_that_a_list_shows(desk: Desk) -> None:
    for number, at in enumerate(
        ["2026-11-21T09:00:00Z", "2026-11-20T09:00:00Z", "2026-11-21T10:00:00+05:00"]
    ):
        desk.park(f"m-{number}")
        desk.stack.table.put({**desk.items[f"m-{number}"], "CreatedAt": {"S": at}})
    desk.run("purge", "--state", "parked", "--all", "--limit", "2", "--yes")
    assert set(desk.items) == {"m-0"}


def test_what_a_header_is_called_does_nothing_to_a_terminal(desk: Desk) -> None:
    desk.put("m-1", Headers={"M": {"a\x1b[2J\u202eb": {"S": "c\x1b[2J"}}})
    done = desk.run("show", "m-1", "--payload")
    assert done.exit_code == 0
    assert r"a\x1b[2J\u202eb" in done.output
    assert not set("\x1b\u202e") & set(done.output)
