"""What a message takes over from where it is written: the message being handled, and the trace."""

from collections.abc import Mapping

import msgspec

from outbox_sdk.core.delivery import Delivery
from outbox_sdk.core.envelope import MAX_ATTRIBUTES
from outbox_sdk.core.identifiers import CorrelationId
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.trace import CAUSATION_ID, TRACEPARENT, TRACESTATE, TraceContext, trace_headers

__all__ = ["NO_ORIGIN", "Origin", "count_attributes", "plan_origin", "take_over"]


class Origin(msgspec.Struct, frozen=True):
    """What stands in where the producer says nothing of its own.

    ``headers`` are in the order in which they are kept when there is not room for all.
    """

    correlation_id: CorrelationId | None = None
    hops: int = 0
    headers: Mapping[str, str] = {}


NO_ORIGIN = Origin()
"""Of a message that is written because of no other, outside any trace."""


def plan_origin(delivery: Delivery | None, trace: TraceContext | None) -> Origin:
    """Give what follows from the delivery being handled, and from the span that is current.

    A message without a correlation id begins one: its own id. ``trace`` stands over the delivery's.

    >>> plan_origin(None, None) is NO_ORIGIN
    True
    """
    if delivery is None:
        return NO_ORIGIN if trace is None else Origin(headers=trace_headers(trace))
    context = trace or delivery.trace
    found = {} if context is None else trace_headers(context)
    found[CAUSATION_ID] = delivery.message_id
    return Origin(
        correlation_id=delivery.correlation_id or CorrelationId(delivery.message_id),
        hops=max(0, delivery.hops) + 1,
        headers={name: found[name] for name in (TRACEPARENT, CAUSATION_ID, TRACESTATE) if name in found},
    )


def take_over(message: OutboxMessage, origin: Origin) -> OutboxMessage:
    """Let a message take over its origin's correlation id and headers, as far as ten attributes leave room.

    What the producer gave stays, all of it: its own ``traceparent`` keeps the origin's trace out, and an
    empty correlation id is its own, too. Where there is no room, ``tracestate`` is left out first, then
    ``CausationId``, then ``traceparent``, and at last the correlation id. The hops are not in question.
    """
    if (
        origin.correlation_id
        and message.correlation_id is None
        and count_attributes(message) < MAX_ATTRIBUTES
    ):
        message = msgspec.structs.replace(message, correlation_id=origin.correlation_id)
    if not origin.headers:
        return message
    mine = message.headers
    offered = {
        name: value
        for name, value in origin.headers.items()
        if name not in mine and not (name == TRACESTATE and TRACEPARENT in mine)
    }
    room = max(0, MAX_ATTRIBUTES - count_attributes(message))
    added = dict(list(offered.items())[:room])
    if TRACEPARENT not in added and TRACEPARENT not in mine:
        added.pop(TRACESTATE, None)  # says nothing alone
    return msgspec.structs.replace(message, headers={**mine, **added}) if added else message


def count_attributes(message: OutboxMessage) -> int:
    """Count the attributes that the message is published with."""
    return (
        2
        + bool(message.correlation_id)
        + bool(message.message_type)
        + bool(message.content_type)
        + (message.schema_version is not None)
        + (message.sequence is not None)
        + (message.hops > 0)
        + len(message.headers)
    )
