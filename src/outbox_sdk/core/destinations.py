"""Where a route leads, and what each kind of destination takes: figures, with where they are documented.

A route is the text that a producer writes into the item's ``Topic``: the plain name of an SNS topic, or the
scheme of another destination and its name, as in ``sqs:billing``.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

import msgspec

__all__ = [
    "EVENTBRIDGE",
    "KINESIS",
    "SNS",
    "SQS",
    "DestinationKind",
    "Service",
    "is_ordered_route",
    "is_route",
    "parse_route",
    "route_of",
    "services_of",
]

Service = Literal["sns", "sqs", "events", "kinesis"]
"""What AWS calls the services, in ARNs, signatures and endpoints."""


class DestinationKind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of destination.

    ``resource`` stands before the name at the end of an ARN, ``names`` is the pattern of names, ``what`` says
    it to people. ``action`` is what IAM has to allow. A request takes ``max_entries`` entries and
    ``request_bytes`` bytes, a message has ``entry_bytes`` unless a destination is configured otherwise.
    ``attributes`` tells whether a message has attributes beside its body.
    """

    scheme: str
    service: Service
    what: str
    resource: str
    names: str
    action: str
    max_entries: int
    request_bytes: int
    entry_bytes: int
    attributes: bool


SNS = DestinationKind(
    scheme="",
    service="sns",
    what="topic",
    resource="",
    names=r"[A-Za-z0-9_-]{1,256}|[A-Za-z0-9_-]{1,251}\.fifo",
    action="sns:Publish",
    max_entries=10,
    request_bytes=262_144,
    entry_bytes=262_144,
    attributes=True,
)
"""SNS API Reference, PublishBatch: ten messages, and 256 KB for all of them together."""

SQS = DestinationKind(
    scheme="sqs",
    service="sqs",
    what="queue",
    resource="",
    names=r"[A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo",
    action="sqs:SendMessage",
    max_entries=10,
    request_bytes=1_048_576,
    entry_bytes=1_048_576,
    attributes=True,
)
"""SQS API Reference, SendMessageBatch: ten messages, 1 MiB each and together (256 KiB until August 2025).
A queue's own ``MaximumMessageSize`` may be less, for a message and not for a request. Names: SQS Developer
Guide, "Queue quotas"; the suffix counts."""

EVENTBRIDGE = DestinationKind(
    scheme="eventbridge",
    service="events",
    what="event bus",
    resource="event-bus/",
    names=r"[A-Za-z0-9_.-]{1,256}",
    action="events:PutEvents",
    max_entries=10,
    request_bytes=999_999,
    entry_bytes=999_999,
    attributes=False,
)
"""EventBridge API Reference, PutEvents: ten entries, in all "less than 1MB" (256 KB until January 2026), of
whose two meanings the smaller is taken. A bus with a slash in its name is a partner's, who alone may put
events there."""

KINESIS = DestinationKind(
    scheme="kinesis",
    service="kinesis",
    what="stream",
    resource="stream/",
    names=r"[A-Za-z0-9_.-]{1,128}",
    action="kinesis:PutRecords",
    max_entries=500,
    request_bytes=5_242_880,
    entry_bytes=1_048_576,
    attributes=False,
)
"""Kinesis API Reference, PutRecords: 500 records, each with its partition key. A record has 1 MiB unless its
stream's ``MaxRecordSize`` is raised. A request takes 10 MiB since October 2025, 5 MiB before; the smaller is
a few hundred of the largest messages that a table holds, and what local stacks know."""

_BY_SCHEME = {kind.scheme: kind for kind in (SQS, EVENTBRIDGE, KINESIS)}
_BY_SERVICE = {kind.service: kind for kind in (SNS, SQS, EVENTBRIDGE, KINESIS)}


_MAX_ROUTE = 300


def parse_route(route: str) -> tuple[DestinationKind, str] | None:
    """Take a route apart into the kind of its destination and the name there; ``None`` for none.

    >>> kind, name = parse_route("sqs:billing")
    >>> kind.what, name
    ('queue', 'billing')
    >>> parse_route("arn:aws:sns:us-east-1:999999999999:theirs")
    """
    # Routes repeat, and what is longer than any is not worth remembering.
    return _parse(route) if len(route) <= _MAX_ROUTE else None


@lru_cache(maxsize=1024)
def _parse(route: str) -> tuple[DestinationKind, str] | None:
    scheme, colon, name = route.partition(":")
    kind, name = (_BY_SCHEME.get(scheme), name) if colon else (SNS, route)
    return None if kind is None or re.fullmatch(kind.names, name) is None else (kind, name)


def is_route(text: str) -> bool:
    """Tell whether a text is a route: the name of a topic, or a scheme and a name that AWS takes there."""
    return parse_route(text) is not None


def is_ordered_route(route: str) -> bool:
    """Tell whether the messages of an aggregate are kept in order there.

    That is on FIFO topics, in FIFO queues and on streams, whose shards are read in order.

    >>> is_ordered_route("orders.fifo"), is_ordered_route("kinesis:orders"), is_ordered_route("sqs:orders")
    (True, True, False)
    """
    parsed = parse_route(route)
    if parsed is None or parsed[0] is EVENTBRIDGE:
        return False
    return parsed[0] is KINESIS or route.endswith(".fifo")


def services_of(routes: Iterable[str] | None) -> tuple[Service, ...]:
    """List the services that a relay publishes to which is allowed these routes.

    Without a list it is SNS alone: other destinations have to be named. What is no route to any of them is
    taken for a topic.

    >>> services_of(["order--created", "kinesis:orders"]), services_of(None)
    (('sns', 'kinesis'), ('sns',))
    """
    if routes is None:
        return ("sns",)
    named = {(parse_route(route) or (SNS, route))[0].service for route in routes}
    return tuple(service for service in _BY_SERVICE if service in named)


def route_of(arn: str) -> tuple[DestinationKind, str]:
    """Take the ARN of a destination apart into its kind and its name.

    Raises:
        KeyError: it is none.

    >>> kind, name = route_of("arn:aws:kinesis:eu-west-1:123456789012:stream/orders")
    >>> kind.scheme, name
    ('kinesis', 'orders')
    """
    _, _, service, _, _, resource = arn.split(":", 5)
    kind = _BY_SERVICE[service]  # type: ignore[index]  # any other text is the KeyError
    return kind, resource.removeprefix(kind.resource)
