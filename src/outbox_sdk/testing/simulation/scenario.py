"""What a simulation plays, as values: who commits what, how the relay is deployed, what fails when."""

from typing import Literal, Protocol

import msgspec

from outbox_sdk.core.mark import MarkStrategy

__all__ = ["CALM", "Calm", "Commit", "Fault", "FaultPlan", "Mapping", "Operation", "Relaying", "Scenario"]

Operation = Literal["publish", "mark", "park", "lookup", "query", "fetch", "touch"]
"""A call of the relay or the sweeper on a service."""


class Fault(msgspec.Struct, frozen=True):
    """What happens to one call.

    ``refused`` is answered with ``code`` and ``status`` and does nothing. ``partial`` does so for the
    elements at ``positions`` only. ``unreached`` never gets to the service, ``answer_lost`` does its work and
    the answer never comes back; both end with ``code`` after ``seconds``. ``none`` works.
    """

    kind: Literal["none", "refused", "partial", "unreached", "answer_lost"] = "none"
    code: str = ""
    status: int = 0
    positions: frozenset[int] = frozenset()
    seconds: float = 0.0


CALM = Fault()
"""The call works."""


class FaultPlan(Protocol):
    """Decides what goes wrong, one question after the other. The same answers make the same run."""

    def fault(self, operation: Operation, target: str, size: int, now: float) -> Fault:
        """What happens to a call on ``target`` (a topic's name or the table's) with ``size`` elements."""
        ...

    def kill_at(self, now: float) -> int | None:
        """At which step of its tasks the next invocation's process is killed, if at all."""
        ...

    def arrives(self) -> bool:
        """Whether a request whose sender has just died or given up still reaches its service."""
        ...

    def redelivers(self, now: float) -> bool:
        """Whether Lambda brings a batch once more that has been settled."""
        ...

    def latency(self) -> float:
        """Seconds that a request takes one way."""
        ...


class Calm:
    """A plan in which nothing fails, and every request takes 5 ms each way."""

    def fault(self, operation: Operation, target: str, size: int, now: float) -> Fault:
        """Nothing."""
        return CALM

    def kill_at(self, now: float) -> int | None:
        """Never."""
        return None

    def arrives(self) -> bool:
        """It does."""
        return True

    def redelivers(self, now: float) -> bool:
        """Never."""
        return False

    def latency(self) -> float:
        """5 ms."""
        return 0.005


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """One message that a producer commits at ``at`` seconds, with all others of the same ``transaction``.

    ``kind`` is ``good``; ``refused`` (SNS answers the whole request with a 400 for its sake), ``rejected``
    (SNS fails just this entry); or poison: ``no_topic``, ``empty``, ``not_allowed``, ``too_big``. ``foreign``
    is written by another producer, with the marker ``x``.
    """

    at: float
    transaction: int
    aggregate: str
    topic: str
    kind: Literal["good", "refused", "rejected", "no_topic", "empty", "not_allowed", "too_big"] = "good"
    sequence: int | None = None
    foreign: bool = False


class Mapping(msgspec.Struct, frozen=True, kw_only=True):
    """Lambda's event source mapping; the fields are its settings, times in seconds.

    ``disabled`` are spans of virtual time in which it is switched off.
    """

    batch_size: int = 100
    parallelization_factor: int = 1
    bisect: bool = True
    max_retry_attempts: int = -1
    max_record_age: float = -1.0
    filtered: bool = True
    disabled: tuple[tuple[float, float], ...] = ()


class Relaying(msgspec.Struct, frozen=True, kw_only=True):
    """How the relay and the sweeper are deployed; times in seconds. ``None`` switches something off.

    ``attempts`` is how often the relay tries one request before it reports. ``sweeps`` are times at which the
    sweeper runs; with any, it also runs at the end, for as long as something is outstanding.
    """

    strategy: MarkStrategy | None = "batch"
    recheck_after: float = 5.0
    park_held_after: float = 3600.0
    timeout: float = 30.0
    max_concurrency: int = 4
    attempts: int = 4
    sweeps: tuple[float, ...] = ()
    sweep_after: float = 3600.0
    sweep_limit: int = 1_000
    sweep_publishes: bool = False


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One run: what is committed, how it is deployed, and when things happen, in virtual seconds.

    ``calm_after`` is when faults end, so that everything must come to rest. ``splits`` are times at which a
    shard of the stream splits. ``removals`` are times at which somebody deletes an item, an outstanding one
    if there is one; ``replays`` are times at which somebody sends a dispatched message again; ``edits`` are
    times at which somebody changes an outstanding item, and ``mends`` times at which somebody mends and
    redrives a parked one. ``clock_skew`` is by how many seconds the clocks of producers differ that number
    their messages.
    """

    commits: tuple[Commit, ...]
    mapping: Mapping = Mapping()
    relaying: Relaying = Relaying()
    shards: int = 1
    splits: tuple[float, ...] = ()
    removals: tuple[float, ...] = ()
    replays: tuple[float, ...] = ()
    edits: tuple[float, ...] = ()
    mends: tuple[float, ...] = ()
    clock_skew: float = 0.0
    calm_after: float = 60.0
    index_lag: float = 0.0
