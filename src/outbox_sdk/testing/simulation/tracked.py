"""What a ledger keeps: each message and what befell it, each invocation, each broken invariant."""

import msgspec

from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.testing.simulation.scenario import Commit

__all__ = ["CANARY", "EPOCH", "INVARIANTS", "Acceptance", "Invocation", "Tracked", "Violation"]

CANARY = "c4n4ry-0f-th3-p4yl04d"
"""Stands in every body and header of a simulation, and must stand in no log."""

EPOCH = 1_800_000_000.0
"""Epoch seconds at which every simulation starts."""

INVARIANTS = {
    "lost": "what was committed is accepted by its topic, or parked, before its record is let go",
    "overtaken": "where order is kept, messages of an aggregate are first accepted in the order of commits",
    "marked first": "no mark comes before the topic has accepted the message",
    "duplicate": "a message is accepted again only after a fault that can be named",
    "delivered twice": "a FIFO topic or queue delivers nothing twice within five minutes",
    "innocent": "only what cannot be published is parked, and nothing is discarded",
    "illegal request": "every request is one that the service takes",
    "illegal answer": "every answer names records of its batch, verbatim and once, in Lambda's words",
    "time to live": "nothing outstanding carries a time to live",
    "task left": "nothing is left running when the handler has answered",
    "overtime": "the handler answers before the function's time is up",
    "crashed": "the handler raises for no record's sake",
    "leaked": "no log line holds any part of a payload",
    "stuck": "once faults end, everything comes to rest with nothing outstanding",
}
"""Every invariant by its name. A run that breaks one says which."""


_FIVE_MINUTES = 300.0


class Violation(msgspec.Struct, frozen=True):
    """An invariant that did not hold: its name, when, and what was seen."""

    invariant: str
    at: float
    text: str


class Invocation:
    """One run of the relay or the sweeper in a sandbox, with what it was given and what it got accepted.

    ``ended`` is ``None`` while it lasts.
    """

    def __init__(self, number: int, sandbox: str, started: float) -> None:
        self.number = number
        self.sandbox = sandbox
        self.started = started
        self.ended: float | None = None
        self.keys: set[ItemKey] = set()
        self.accepted: set[ItemKey] = set()
        self.touched: set[ItemKey] = set()
        self.blind: bool = False


class Acceptance:
    """A topic accepted a message. ``answered`` tells that the relay came to know."""

    def __init__(self, at: float, invocation: Invocation, redrive: int, *, delivered: bool) -> None:
        self.at = at
        self.invocation = invocation
        self.redrive = redrive
        self.delivered = delivered
        self.answered: bool = False


class Tracked:
    """One committed message and all that befell it. ``excuses`` counts faults that allow a repetition."""

    def __init__(self, name: str, key: ItemKey, commit: Commit) -> None:
        self.name = name
        self.key = key
        self.commit: Commit = commit
        self.acceptances: list[Acceptance] = []
        self.parks: list[str] = []
        self.removed: bool = False
        self.left_stream: bool = False
        self.touched_at: float = 0.0
        self.excuses: int = 0

    @property
    def good(self) -> bool:
        """Whether it can be published."""
        return self.commit.kind == "good"

    @property
    def soon_repeated(self) -> int:
        """How often it was delivered again within five minutes of the time before."""
        seen: dict[int, float] = {}
        count = 0
        for acceptance in self.acceptances:
            if acceptance.delivered:
                count += acceptance.at - seen.get(acceptance.redrive, -1e9) < _FIVE_MINUTES
                seen[acceptance.redrive] = acceptance.at
        return count

    @property
    def duplicates(self) -> int:
        """How often it was delivered beyond the first time (and beyond once for each redrive)."""
        delivered = sum(acceptance.delivered for acceptance in self.acceptances)
        return max(0, delivered - len({acceptance.redrive for acceptance in self.acceptances}))
