"""Faults that a test plants between the relay and its topics and table: what AWS does on a bad day."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.core.lookup import LookupResult, Unreadable
from outbox_sdk.core.mark import Mark, MarkResult, Park, Unwritten
from outbox_sdk.core.publish import EntryFailed, Published, PublishRequest, PublishResponse, RequestFailed
from outbox_sdk.shell.context import RelayContext
from outbox_sdk.shell.ports import Marker, Publisher, Table
from outbox_sdk.testing.topics import name_of

__all__ = ["COUNTED", "FaultPlay", "Faults", "RelayKilled"]

_THROTTLED = "ThrottlingException"


class RelayKilled(BaseException):
    """The relay's process has ended, between two of its calls. No ``except Exception`` survives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What goes wrong, and how often: each number counts down as it happens, ``True`` is once.

    ``crash_before_publish`` and ``crash_after_publish`` end the relay before its request is sent, or after
    it was accepted and before anything is marked; a new one takes over. ``throttle`` is how many requests, to
    topics and to the table, are answered with "too many", ``lose_answers`` how many to topics are accepted
    and never answered, ``fail_entries`` how many messages of a batch are refused while their neighbours pass,
    ``fail_marks`` how many writes to the table fail after the message was published. ``deliver_twice`` brings
    every batch of the stream again to a relay that knows nothing of the first time, so that each message
    reaches its consumers twice, but where a FIFO topic drops the second one. ``unavailable`` names topics
    that answer nothing as long as the block lasts.
    """

    crash_before_publish: int = 0
    crash_after_publish: int = 0
    throttle: int = 0
    lose_answers: int = 0
    fail_entries: int = 0
    fail_marks: int = 0
    deliver_twice: bool = False
    unavailable: Iterable[str] = ()


COUNTED: tuple[str, ...] = tuple(
    [field.name for field in fields(Faults) if field.name not in ("deliver_twice", "unavailable")]
)
"""The faults that are counted down."""


class FaultPlay:
    """Faults while they are played: what is left of each number.

    >>> play = FaultPlay(Faults(throttle=2))
    >>> play.take("throttle"), play.take("lose_answers")
    (True, False)
    >>> play.unplayed()
    'throttle (1 of 2 left)'
    """

    def __init__(self, faults: Faults) -> None:
        if isinstance(faults.unavailable, str):
            raise ValueError(f"unavailable: takes a list of topics, as in [{faults.unavailable!r}]")
        self.faults = faults
        self.unavailable: frozenset[str] = frozenset(faults.unavailable)
        self.happened: int = 0
        self._unasked = set(self.unavailable)
        self._delivered_twice = False
        self._asked = {name: int(getattr(faults, name)) for name in COUNTED}
        self._left = dict(self._asked)
        for name, count in self._asked.items():
            if count < 0:
                raise ValueError(f"{name}: {count} is not a number from 0 on")

    def take(self, name: str) -> bool:
        """Tell whether a fault happens now, and count it."""
        if self._left[name] == 0:
            return False
        self._left[name] -= 1
        self.happened += 1
        return True

    def refuses(self, topic: str) -> bool:
        """Tell whether a topic is unavailable, and remember that it was asked."""
        self._unasked.discard(topic)
        return topic in self.unavailable

    def note_second_delivery(self) -> None:
        """Remember that a batch was brought twice."""
        self._delivered_twice = True

    def unplayed(self) -> str:
        """Name what has not happened; empty where all has."""
        left = [(name, count, self._asked[name]) for name, count in self._left.items() if count]
        told = [f"{name} ({count} of {asked} left)" for name, count, asked in left]
        if self.faults.deliver_twice and not self._delivered_twice:
            told.append("deliver_twice")
        if self._unasked:
            told.append(f"unavailable ({', '.join(sorted(self._unasked))})")
        return ", ".join(told)

    def around(self, context: RelayContext) -> RelayContext:
        """Give the same relay, with the faults between it and its ports."""
        marker = None if context.marker is None else _FaultyMarker(context.marker, self)
        return replace(
            context,
            publisher=_FaultyPublisher(context.publisher, self),
            table=_FaultyTable(context.table, self),
            marker=marker,
        )


class _FaultyPublisher:
    def __init__(self, inner: Publisher, play: FaultPlay) -> None:
        self._inner = inner
        self._play = play

    async def publish(self, request: PublishRequest) -> PublishResponse:
        play = self._play
        if play.refuses(name_of(request.topic)):
            return RequestFailed("ServiceUnavailable", 503)
        if play.take("crash_before_publish"):
            raise RelayKilled
        if play.take("throttle"):
            return RequestFailed(_THROTTLED, 400)
        response = await self._publish_partly(request)
        if isinstance(response, RequestFailed) or not any(isinstance(each, Published) for each in response):
            return response  # nothing was accepted: neither of these would be what it says
        if play.take("crash_after_publish"):
            raise RelayKilled
        return RequestFailed("Timeout") if play.take("lose_answers") else response

    async def _publish_partly(self, request: PublishRequest) -> PublishResponse:
        failing = [self._play.take("fail_entries") for _ in request.entries]
        passing = tuple(entry for entry, fails in zip(request.entries, failing, strict=True) if not fails)
        accepted: PublishResponse = ()
        if passing:
            accepted = await self._inner.publish(PublishRequest(request.topic, passing))
        if isinstance(accepted, RequestFailed):
            return accepted
        results = iter(accepted)
        return tuple([EntryFailed("InternalError") if fails else next(results) for fails in failing])


class _FaultyMarker:
    def __init__(self, inner: Marker, play: FaultPlay) -> None:
        self._inner = inner
        self._play = play

    @property
    def request_size(self) -> int:
        return self._inner.request_size

    @property
    def deletes(self) -> bool:
        return self._inner.deletes

    async def mark(self, marks: Sequence[Mark]) -> tuple[MarkResult, ...]:
        for fault, code in (("throttle", _THROTTLED), ("fail_marks", "InternalServerError")):
            if self._play.take(fault):
                return tuple([Unwritten(code)] * len(marks))
        return await self._inner.mark(marks)


class _FaultyTable:
    def __init__(self, inner: Table, play: FaultPlay) -> None:
        self._inner = inner
        self._play = play

    async def lookup(self, keys: Sequence[ItemKey]) -> Mapping[ItemKey, LookupResult]:
        if self._play.take("throttle"):
            return dict.fromkeys(keys, Unreadable(_THROTTLED))
        return await self._inner.lookup(keys)

    async def park(self, park: Park, *, now: str) -> MarkResult:
        if self._play.take("throttle"):
            return Unwritten(_THROTTLED)
        return await self._inner.park(park, now=now)
