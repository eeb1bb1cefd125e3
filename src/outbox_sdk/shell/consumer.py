"""The consumer's side: an async function of a typed event becomes a handler of records.

Which records of a batch are reported, and in which order they are handled, is the business of whoever calls
the handler: Powertools' batch processors, or a loop of your own.
"""

import asyncio
import atexit
import inspect
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import update_wrapper
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar, get_args

import msgspec

from outbox_sdk.core.delivery import Delivery, decode_sns_record, decode_sqs_record
from outbox_sdk.core.envelope import ENVELOPE_KINDS, PAYLOAD_SIZE, EnvelopeKind
from outbox_sdk.core.errors import (
    ConfigurationError,
    UndecodableDeliveryError,
    UndecodableMessageError,
)
from outbox_sdk.core.pointer import ClaimError, is_claimed
from outbox_sdk.core.transaction_errors import AlreadyProcessed
from outbox_sdk.shell.failed_delivery import log_failed_delivery
from outbox_sdk.shell.handling import handling, replace_current

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

__all__ = ["Decodes", "FetchesBodies", "RecordHandler", "UnknownTypes", "consumer"]

_EventT = TypeVar("_EventT")
_EventT_co = TypeVar("_EventT_co", covariant=True)

UnknownTypes = Literal["refuse", "skip"]
"""What becomes of a message whose type the catalog does not hold."""


class Decodes(Protocol[_EventT_co]):
    """What gives events their types: a :class:`~outbox_sdk.Catalog`."""

    def decode(self, body: str, attributes: Mapping[str, object]) -> _EventT_co:
        """Read a message."""
        ...


class FetchesBodies(Protocol):
    """What reads claimed bodies: a :class:`~outbox_sdk.ClaimStore`."""

    async def fetch(self, delivery: Delivery, /) -> str:
        """Give the body that a delivery points to."""
        ...


class RecordHandler(Generic[_EventT]):
    """A function of events, as something that takes records; made by :func:`consumer`.

    Called where no event loop runs it handles the record at once, on a loop that the process keeps: what the
    function opens for itself, a client above all, is good for the next record and the next invocation. Called
    where a loop runs, it gives a coroutine to await. So both of Powertools' processors take it. The function
    itself is ``__wrapped__``, for tests that have an event already.
    """

    __name__: str
    __wrapped__: Callable[[_EventT, Delivery], Awaitable[object]]

    def __init__(
        self,
        function: Callable[[_EventT, Delivery], Awaitable[object]],
        catalog: Decodes[_EventT],
        *,
        envelope: EnvelopeKind = "raw",
        unknown_types: UnknownTypes = "refuse",
        claims: FetchesBodies | None = None,
        tracer: "Tracer | None" = None,
    ) -> None:
        if not inspect.iscoroutinefunction(function):
            raise ConfigurationError("function", "is not async; a consumer is an `async def`")
        try:
            inspect.signature(function).bind(None, None)
        except TypeError:
            name = getattr(function, "__qualname__", repr(function))
            raise ConfigurationError(
                "function",
                f"{name} is not called by an event and a delivery alone; a method is none before it is bound",
            ) from None
        update_wrapper(self, function)
        self._catalog = catalog
        self._envelope: EnvelopeKind = envelope
        self._unknown_types = unknown_types
        self._claims = claims
        self._tracer = tracer

    # Any: the answer is a value or a coroutine, as the caller wants it, which no annotation can say.
    def __call__(self, record: object) -> Any:
        """Handle a record, or give the coroutine that does."""
        if not _is_under_a_loop():
            return self.run(record)
        _refuse_to_be_forgotten(sys._getframe(1))
        return self.handle(record)

    async def handle(self, record: object) -> object:
        """Decode a record and call the function; give what it gives.

        This very message processed before, as the function's transaction finds out, counts as handled. What
        fails is logged, in one line ``delivery_failed`` of the logger ``outbox_sdk``, before it is raised.

        Raises:
            UndecodableDeliveryError: the record holds no message of an outbox, or not in this envelope.
            UndecodableMessageError: the catalog cannot read it.
            ClaimError: its body is in S3 and could not be read from there.
            Exception: whatever the function raises. The message then comes again, until the queue moves it
                to its dead-letter queue.
        """
        try:
            delivery = self._decode_record(record)
        except UndecodableDeliveryError as error:
            log_failed_delivery(record, None, error)
            raise
        with handling(delivery, tracer=self._tracer):
            try:
                return await self._handle_delivery(delivery)
            except Exception as error:  # whatever it is, Powertools tells nobody
                log_failed_delivery(record, delivery, error)
                raise

    def run(self, record: object) -> object:
        """Handle a record on the loop that the process keeps; see :meth:`handle`. No loop may run here."""
        return _process_loop.run(self.handle(record))

    async def _handle_delivery(self, delivery: Delivery) -> object:
        if is_claimed(delivery.headers):
            delivery = await self._follow_pointer(delivery)
            replace_current(delivery)
        try:
            event = self._catalog.decode(delivery.body, delivery.attributes)
        except UndecodableMessageError as error:
            if error.reason == "unknown_type" and self._unknown_types == "skip":
                return None
            raise
        try:
            return await self.__wrapped__(event, delivery)
        except AlreadyProcessed as error:
            # Of another message it says nothing about this one.
            if error.message_id == delivery.message_id:
                return None
            raise

    async def _follow_pointer(self, delivery: Delivery) -> Delivery:
        """Put the body in for its pointer, and take away what says that there is one."""
        if self._claims is None:
            raise ClaimError("no-store")
        headers = {name: text for name, text in delivery.headers.items() if name != PAYLOAD_SIZE}
        body = await self._claims.fetch(delivery)
        return msgspec.structs.replace(delivery, body=body, headers=headers)

    def _decode_record(self, record: object) -> Delivery:
        if isinstance(record, Mapping) and "Sns" in record:
            return decode_sns_record(record, self._envelope)
        return decode_sqs_record(record, self._envelope)


def consumer(
    catalog: Decodes[_EventT],
    *,
    envelope: EnvelopeKind = "raw",
    unknown_types: UnknownTypes = "refuse",
    claims: FetchesBodies | None = None,
    tracer: "Tracer | None" = None,
) -> Callable[[Callable[[_EventT, Delivery], Awaitable[object]]], RecordHandler[_EventT]]:
    """Make a handler of records of an async function that takes an event and its delivery.

    ``catalog`` reads the events; ``envelope`` is what the relay is configured with. ``unknown_types`` says
    what becomes of a type that the catalog does not hold: it is refused, and ends in the dead-letter queue,
    or skipped as if it had been handled. ``claims``, a :class:`~outbox_sdk.ClaimStore`, reads bodies that are
    in S3; the function gets them as if they had travelled. ``tracer`` is for spans other than those of the
    global provider.

    While the function runs, its delivery is the current one: see :func:`~outbox_sdk.handling`.

    Not promised: that a message is handled once. Put ``inbox.guard(delivery.message_id)`` into the
    transaction, and what comes again counts as handled.

    Raises:
        ConfigurationError: the function is not async, or not one of an event and a delivery; or an argument
            is none of those that there are.
    """
    if isinstance(catalog, type) or not callable(getattr(catalog, "decode", None)):
        raise ConfigurationError("catalog", "has no decode; write @consumer(catalog), with a Catalog(…)")
    _check_choice("envelope", envelope, ENVELOPE_KINDS)
    _check_choice("unknown_types", unknown_types, get_args(UnknownTypes))

    def decorate(function: Callable[[_EventT, Delivery], Awaitable[object]]) -> RecordHandler[_EventT]:
        return RecordHandler(
            function, catalog, envelope=envelope, unknown_types=unknown_types, claims=claims, tracer=tracer
        )

    return decorate


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigurationError(name, f"{value!r} is not one of {', '.join(choices)}")


def _is_under_a_loop() -> bool:
    """Tell it without an error that what the function raises later would seem to come from."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


# Any: frames are typed for whoever debugs, and only two names are read.
def _refuse_to_be_forgotten(caller: Any) -> None:
    """Refuse to give a coroutine to somebody who would take it for a success.

    Powertools' processors for plain functions do not look at what they are given; under a running loop, as in
    an async test, every message would be counted as handled and none would be.
    """
    # Functions may be between; a coroutine that is met first awaits what it is given, or passes it on.
    while caller is not None and not caller.f_code.co_flags & inspect.CO_COROUTINE:
        if str(caller.f_globals.get("__name__")).startswith("aws_lambda_powertools."):
            raise ConfigurationError(
                "processor", "an event loop runs here already: give the handler to an AsyncBatchProcessor"
            )
        caller = caller.f_back


class _ProcessLoop:
    """The event loop of the process, for those who have none: made when first needed, closed at its end.

    It runs only while a record is handled, so that a process which is frozen between two invocations has
    nothing under way, and connections that went stale meanwhile are noticed when they are next used.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._runner: asyncio.Runner | None = None

    def run(self, coroutine: Coroutine[Any, Any, object]) -> object:
        with self._lock:
            if self._runner is None:
                # A factory of its own, so that the runner leaves the thread's current loop alone.
                self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
                atexit.register(self._runner.close)
            return self._runner.get_loop().run_until_complete(coroutine)


_process_loop = _ProcessLoop()
