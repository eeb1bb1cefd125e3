"""The message that is being handled: known to what is written meanwhile, and to nobody else.

OpenTelemetry is used where the program uses it: there can be no current span, and no provider to give one to,
before somebody has imported its API. So nothing of it is ever loaded here for its own sake.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from outbox_sdk.core.delivery import Delivery
from outbox_sdk.core.origin import Origin, plan_origin

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

__all__ = ["current_delivery", "find_origin", "handling", "replace_current"]

_current: ContextVar[Delivery | None] = ContextVar("outbox_delivery", default=None)


def current_delivery() -> Delivery | None:
    """Give the message that this task, or what started it, is handling."""
    return _current.get()


@contextmanager
def handling(delivery: Delivery, *, tracer: "Tracer | None" = None) -> Iterator[None]:
    """Handle a delivery within the block: what is written in there is written because of it.

    ``Outbox.put`` and ``Transaction.publish`` take over the correlation id (or the delivery's own id, where
    it has none), name the delivery as the cause, count one hop more and continue its trace; arguments given
    to them win. Tasks that are started in the block inherit it, and no other task sees it.

    Where the program uses OpenTelemetry the block is a span of kind CONSUMER, made by ``tracer`` or else by
    the global provider, whose parent is the context that the message carries. No text of an exception is
    recorded in it, for it may quote the message.

    >>> from outbox_sdk import Outbox
    >>> from outbox_sdk.core.identifiers import AggregateId, MessageId
    >>> outbox = Outbox("outbox")
    >>> with handling(Delivery(message_id=MessageId("m-1"), aggregate_id=AggregateId("order-7"), body="{}")):
    ...     item = outbox.put("{}", aggregate_id="order-7", topic="order--packed")["Put"]["Item"]
    >>> item["CorrelationId"], item["Headers"], item["Hops"]
    ({'S': 'm-1'}, {'M': {'CausationId': {'S': 'm-1'}}}, {'N': '1'})
    """
    token = _current.set(delivery)
    try:
        if tracer is None and "opentelemetry.trace" not in sys.modules:
            yield
        else:
            from outbox_sdk.shell.otel import open_process_span

            with open_process_span(delivery, tracer):
                yield
    finally:
        _current.reset(token)


def replace_current(delivery: Delivery) -> None:
    """Put another form of the delivery being handled in its place, for the rest of its block."""
    _current.set(delivery)


def find_origin() -> Origin:
    """Give what a message that is written here and now takes over."""
    trace = None
    if "opentelemetry.trace" in sys.modules:
        from outbox_sdk.shell.otel import current_trace

        trace = current_trace()
    return plan_origin(_current.get(), trace)
