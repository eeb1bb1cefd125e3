"""The verdict of a demo: what was written against what was received. Pure."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from outbox_sdk.core.routing import is_fifo

__all__ = ["DemoReport", "Received", "Written", "judge", "received_line"]


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was committed; ``position`` orders it within its aggregate and topic."""

    message_id: str
    aggregate_id: str
    topic: str
    body: str
    position: int
    verbatim: bool = False


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A message as a queue behind its topic gave it."""

    message_id: str
    aggregate_id: str
    topic: str
    body: str


class DemoReport(msgspec.Struct, frozen=True, kw_only=True):
    """What happened, in numbers of messages; ``seconds`` from the first write to the last receipt.

    ``received`` counts each message once, and only if it arrived as it was written. ``order_violations``
    counts messages received behind a later one of their aggregate, on FIFO topics.
    """

    written: int
    published: int
    marked: int
    received: int
    lost: int
    duplicates: int
    order_violations: int
    seconds: float

    @property
    def succeeded(self) -> bool:
        """Whether every message made the whole way, once and in order."""
        complete = self.written == self.published == self.marked == self.received
        return complete and not (self.lost or self.duplicates or self.order_violations)


def judge(
    written: Mapping[str, Written],
    received: Sequence[Received],
    *,
    published: int,
    marked: int,
    seconds: float,
) -> DemoReport:
    """Compare what was written, by message id, with what was received, in the order of receipt.

    A message that arrives changed has not arrived: it is lost. One that nobody wrote is a duplicate.
    """
    seen: set[str] = set()
    duplicates = 0
    first_receipts: list[Received] = []
    for message in received:
        if message.message_id in seen or message.message_id not in written:
            duplicates += 1
            continue
        seen.add(message.message_id)
        first_receipts.append(message)
    intact = sum(_is_intact(written[message.message_id], message) for message in first_receipts)
    return DemoReport(
        written=len(written),
        published=published,
        marked=marked,
        received=intact,
        lost=len(written) - intact,
        duplicates=duplicates,
        order_violations=_count_violations(written[message.message_id] for message in first_receipts),
        seconds=round(seconds, 3),
    )


def _is_intact(written: Written, received: Received) -> bool:
    return (written.aggregate_id, written.topic, written.body) == (
        received.aggregate_id,
        received.topic,
        received.body,
    )


def _count_violations(receipts: Iterable[Written]) -> int:
    furthest: dict[tuple[str, str], int] = {}
    violations = 0
    for message in receipts:
        if not is_fifo(message.topic):
            continue
        lane = (message.topic, message.aggregate_id)
        if message.position < furthest.get(lane, -1):
            violations += 1
        furthest[lane] = max(message.position, furthest.get(lane, -1))
    return violations


def received_line(message: Received, *, verbatim: bool) -> bytes:
    """Write a received message as one line, its body in the form that its input line had."""
    body = message.body if verbatim else msgspec.Raw(message.body.encode())
    document = {
        "message_id": message.message_id,
        "aggregate_id": message.aggregate_id,
        "topic": message.topic,
        "message": body,
    }
    return msgspec.json.encode(document) + b"\n"
