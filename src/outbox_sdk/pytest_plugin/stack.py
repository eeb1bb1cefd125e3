"""What a test sees of an outbox: its client, the pump, what was published, and faults to plant."""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

import msgspec

from outbox_sdk.core.catalog import Catalog
from outbox_sdk.core.delivery import decode_sqs_record
from outbox_sdk.core.message_type import find_message_type
from outbox_sdk.pytest_plugin.faults import FaultPlay, Faults
from outbox_sdk.pytest_plugin.pump import DrainReport, Pump
from outbox_sdk.pytest_plugin.telling import (
    SHOWN,
    census,
    fields_of,
    id_of,
    listed,
    never_came,
    never_received,
    not_settled,
)
from outbox_sdk.shell.context import RelayContext
from outbox_sdk.testing.topics import PublishedMessage

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

__all__ = ["Backend", "OutboxStack", "Outstanding"]

_EventT = TypeVar("_EventT")

_POLL_SECONDS = 0.01


class Outstanding(msgspec.Struct, frozen=True, kw_only=True):
    """A message of the table that is not dispatched. ``parked`` is why it was set aside, if it was."""

    message_id: str
    message_type: str | None = None
    parked: str | None = None


class Backend(Protocol):
    """Where a stack is: in memory, or on a server that speaks AWS's protocols.

    ``lag`` is how long, in seconds, the stream may take to bring what is in the table, and a queue to get
    what its topic has accepted. ``topics`` are those with a queue that may be late, ``hint`` says where
    topics come from.
    """

    context: RelayContext
    variables: Mapping[str, str]
    hint: str
    lag: float

    @property
    def topics(self) -> Collection[str]:
        """Names of topics."""
        ...

    @property
    def client(self) -> Any:
        """The client of DynamoDB; Any, because it may be the double."""
        ...

    async def create_table(self, table_name: str, key_names: Sequence[str]) -> None:
        """Make a table beside the outbox, with keys of the type string."""
        ...

    async def read(self) -> Sequence[Mapping[str, Any]]:
        """Give the next records of one shard, or none."""
        ...

    async def receive(self) -> Sequence[PublishedMessage]:
        """Give what has come to the subscribers of all topics since the last time."""
        ...

    async def outstanding(self) -> Sequence[Outstanding]:
        """Read the table."""
        ...


class OutboxStack:
    """An outbox under test; the fixtures ``outbox_stack`` and ``outbox_memory_stack`` give it.

    Between the table and the topics is the relay of the package, and nothing is relayed before
    :meth:`drain`. What was published is what a queue has received that is subscribed to each topic.
    """

    def __init__(self, backend: Backend, *, table_name: str) -> None:
        self.table_name = table_name
        self._backend = backend
        self._pump = Pump(backend.context)
        self._play: FaultPlay | None = None
        self._published: list[PublishedMessage] = []
        self._received: set[str] = set()
        self._outstanding: Sequence[Outstanding] | None = None

    @property
    def dynamodb(self) -> "DynamoDBClient":
        """The client that the service under test commits with."""
        client: DynamoDBClient = self._backend.client
        return client

    def variables(self) -> dict[str, str]:
        """Give the environment that leads programs to this stack; empty for the one in memory."""
        return dict(self._backend.variables)

    async def create_table(self, table_name: str, *key_names: str) -> None:
        """Make a table for the service's own data, or for an inbox (``PK`` and ``SK``); keys are strings.

        It ends with the test.
        """
        await self._backend.create_table(table_name, key_names)

    async def drain(self) -> DrainReport:
        """Relay the stream until it is quiet, and collect what was published.

        Ends when no record is left, no message of the table still waits for one, and each message that the
        relay calls published has come to its queue. There is nothing to wait for and nothing random in it:
        the same test takes the same way.

        Raises:
            AssertionError: messages do not settle, with the reason of each; or the stream does not bring what
                is in the table, or a queue does not get what was published. Those whose topics are made
                ``unavailable`` by :meth:`faults` are given as ``waiting``.
        """
        clock = asyncio.get_running_loop().time
        silent_since = clock()
        again = bool(self._pump.unsettled)
        unavailable = () if self._play is None else self._play.unavailable
        while True:
            records = await self._backend.read()
            if records or again:
                # What waits comes again with what is new, so that the new is not kept waiting by it.
                await self._pump.bring([*self._pump.unsettled, *records], self._play)
                again = False
                silent_since = clock()
                continue
            self._outstanding = await self._backend.outstanding()
            lagging = [
                each
                for each in self._outstanding
                if each.parked is None and each.message_id not in self._pump.waiting
            ]
            if not lagging or self._pump.unexcused(unavailable):
                break
            if clock() - silent_since >= self._backend.lag:
                raise AssertionError(never_came([each.message_id for each in lagging], self.table_name))
            await asyncio.sleep(_POLL_SECONDS)
        await self._collect()
        self._outstanding = await self._backend.outstanding()
        report = self._pump.report()
        if unexcused := self._pump.unexcused(unavailable):
            raise AssertionError(not_settled(unexcused, self._backend.hint))
        return report

    async def _collect(self) -> None:
        """Take what the queues have; a server's may get it later than the topic has accepted it."""
        clock = asyncio.get_running_loop().time
        began = clock()
        while True:
            received = await self._backend.receive()
            self._published += received
            self._received.update([id_of(message) for message in received])
            missing = [
                message_id
                for message_id, topic in self._pump.published.items()
                if topic in self._backend.topics and message_id not in self._received
            ]
            if not missing:
                return
            if clock() - began >= self._backend.lag:
                raise AssertionError(never_received(missing))
            await asyncio.sleep(_POLL_SECONDS)

    @overload
    def published(self, /) -> list[PublishedMessage]: ...
    @overload
    def published(self, message_class: type[_EventT], /) -> list[_EventT]: ...
    def published(
        self, message_class: type[_EventT] | None = None, /
    ) -> "list[PublishedMessage] | list[_EventT]":
        """Give what subscribers have received up to the last :meth:`drain`, as often as they have, in order.

        Of one class of events, decoded, or else every message as it came, with
        :meth:`~outbox_sdk.testing.PublishedMessage.to_sqs_record` for a consumer.

        Raises:
            ConfigurationError: the class has no ``@message``.
            UndecodableMessageError: a message of this name cannot be read as the class.
        """
        self._drained()
        if message_class is None:
            return list(self._published)
        return [event for _, event in self._decoded(message_class)]

    def assert_published(self, message_class: type[_EventT], /, **fields: object) -> _EventT:
        """Fail unless an event of the class was published that has these fields; give the first one.

        Raises:
            AssertionError: there was no :meth:`drain` yet, or no event fits. It says what was published
                instead, by type and id, with the values of the fields asked for and of no others.
        """
        self._drained()
        found = self._decoded(message_class)
        for _, event in found:
            held = fields_of(event)
            if all(name in held and held[name] == value for name, value in fields.items()):
                return event
        raise AssertionError(self._not_published(message_class, fields, found))

    def assert_nothing_published(self) -> None:
        """Fail if anything was published up to the last :meth:`drain`."""
        self._drained()
        if self._published:
            raise AssertionError(f"published were {census(self._published)}")

    def assert_nothing_outstanding(self) -> None:
        """Fail if a message was not dispatched by the end of the last :meth:`drain`, or was parked."""
        outstanding = self._drained()
        if outstanding:
            lines = [
                f"  {each.message_type or 'a message'} {each.message_id}: "
                + (f"parked, {each.parked}" if each.parked is not None else "not dispatched")
                for each in outstanding[:SHOWN]
            ]
            raise AssertionError(listed(f"{len(outstanding)} messages are outstanding", lines, outstanding))

    def outstanding(self) -> list[Outstanding]:
        """Give what was not dispatched by the end of the last :meth:`drain`, parked messages included."""
        return list(self._drained())

    @contextmanager
    def faults(
        self,
        *,
        crash_before_publish: int = 0,
        crash_after_publish: int = 0,
        throttle: int = 0,
        lose_answers: int = 0,
        fail_entries: int = 0,
        fail_marks: int = 0,
        deliver_twice: bool = False,
        unavailable: Iterable[str] = (),
    ) -> Iterator[FaultPlay]:
        """Plant faults for the length of the block, in which :meth:`drain` is called.

        See :class:`~outbox_sdk.pytest_plugin.Faults` for each of them.

        Raises:
            AssertionError: the block has ended well and a fault has not happened: the test shows nothing.
        """
        play = FaultPlay(
            Faults(
                crash_before_publish=crash_before_publish,
                crash_after_publish=crash_after_publish,
                throttle=throttle,
                lose_answers=lose_answers,
                fail_entries=fail_entries,
                fail_marks=fail_marks,
                deliver_twice=deliver_twice,
                unavailable=unavailable,
            )
        )
        with self.playing(play):
            yield play
        if unplayed := play.unplayed():
            raise AssertionError(f"faults that never happened: {unplayed}; was there something to drain?")

    @contextmanager
    def playing(self, play: FaultPlay) -> Iterator[None]:
        """Plant faults for the length of the block, whether all of them happen or not."""
        if self._play is not None:
            raise AssertionError("faults are planted already; give all of them to one faults(…)")
        self._play = play
        try:
            yield
        finally:
            self._play = None

    def _drained(self) -> Sequence[Outstanding]:
        if self._outstanding is None:
            raise AssertionError("nothing has been relayed yet: await outbox_stack.drain() first")
        return self._outstanding

    def _decoded(self, message_class: type[_EventT]) -> list[tuple[PublishedMessage, _EventT]]:
        catalog: Catalog[_EventT] = Catalog(message_class)
        name = catalog.type_of(message_class).name
        decoded = []
        for message in self._published:
            delivery = decode_sqs_record(message.to_sqs_record(), self._backend.context.wrapping.kind)
            if delivery.message_type == name:
                decoded.append((message, catalog.decode(delivery.body, delivery.attributes)))
        return decoded

    def _not_published(
        self,
        message_class: type[Any],
        fields: Mapping[str, object],
        found: Sequence[tuple[PublishedMessage, object]],
    ) -> str:
        asked = ", ".join(f"{name}={value!r}" for name, value in fields.items())
        known = find_message_type(message_class)
        problem = (
            f"no {known.name if known else message_class.__name__} with {asked or 'any fields'} was published"
        )
        if not found:
            return f"{problem}; published were {census(self._published)}"
        lines = []
        for message, event in found[:SHOWN]:
            held = fields_of(event)
            shown = ", ".join(f"{name}={held[name]!r}" if name in held else f"no {name}" for name in fields)
            lines.append(f"  {message.message_id}: {shown}")
        return listed(problem, lines, found)
