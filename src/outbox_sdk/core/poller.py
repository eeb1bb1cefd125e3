"""One poller of the stream: how its batches fill, how long they take, how long messages wait.

Lambda has one poller for each shard and each batch that it takes of a shard at a time. It reads, waits
until its batch is full or the window has ended, invokes the function, waits for the answer, and begins
anew.
"""

import math

import msgspec

from outbox_sdk.core.batch_cost import BatchCost, Calls, expected_batch_cost
from outbox_sdk.core.quotas import READ_BYTES, READ_RECORDS

__all__ = ["Poller", "Turn", "plan_turn"]

_CLOSE = 1e-6


class Poller(msgspec.Struct, frozen=True, kw_only=True):
    """What comes to a poller, and how it is set. Times in seconds, rates a second.

    ``arrivals`` are messages, at random, to ``topics`` topics and, if these are FIFO, of ``aggregates``
    aggregates (else ``None``). ``batch_size`` is what one invocation takes. ``records_per_message`` and
    ``bytes_per_message`` are what the stream carries for a message in all. The CPU times are those of the
    function, with the share of a core that it has.
    """

    arrivals: float
    calls: Calls
    topics: int = 1
    aggregates: float | None = None
    batch_size: int = 100
    window_seconds: float = 1.0
    poll_seconds: float = 0.25
    records_per_message: int = 2
    bytes_per_message: int = 4_096
    cpu_seconds_per_record: float = 0.0
    cpu_seconds_per_request: float = 0.0


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn on average. Times in seconds.

    ``utilisation`` is the part of the time that the poller would be busy if all its batches were full; from 1
    on it falls behind. The lag is from the commit until SNS has accepted the message, on average and at most
    (for the bound, if messages come evenly); of no meaning where the poller falls behind.
    """

    messages: float
    batch: BatchCost
    invocation_seconds: float
    utilisation: float
    lag: float
    lag_bound: float


def plan_turn(poller: Poller) -> Turn:
    """Work out a turn: how many messages a batch brings, what they take, how long they have waited.

    >>> turn = plan_turn(Poller(arrivals=40, calls=Calls(publish_seconds=0.02, mark_seconds=0.01)))
    >>> round(turn.messages), round(turn.utilisation, 2), round(turn.lag, 2)
    (51, 0.11, 0.66)
    """
    size, arrivals, poll = float(poller.batch_size), poller.arrivals, poller.poll_seconds
    # Where a batch is always waiting, a turn takes its reads and its invocation, and nothing else.
    full = _batch(poller, size)
    invocation = _invocation(poller, size, full)
    busy = invocation + poll * _reads(poller, size)
    utilisation = arrivals * busy / size
    # Near its limit a batch leaves messages behind, the more the nearer: as in a queue with one server and
    # constant service times. Far from it this is nothing.
    load = min(utilisation, 1 - 1e-9)
    queued = load**2 / (2 * (1 - load)) / arrivals

    # Else a turn brings what arrives in it, and takes longer the more it brings: the two that agree are
    # looked for in half steps, because whole requests make it go in jumps.
    messages = 1.0
    turn = _open_turn(poller, messages)
    for _ in range(60):
        step = (min(turn.messages, size) - messages) / 2
        if abs(step) < _CLOSE * messages:
            break
        messages += step
        turn = _open_turn(poller, messages)
    if arrivals * turn.open_seconds < size:
        return Turn(
            messages=messages,
            batch=turn.batch,
            invocation_seconds=turn.invocation_seconds,
            utilisation=utilisation,
            lag=turn.wait + queued + _until_published(poller, messages, turn.batch),
            lag_bound=turn.open_seconds + turn.invocation_seconds,
        )

    # The batch is full before the window ends: a message waits half the time that a batch takes to fill, and
    # half a poll until that is seen.
    fill = size / arrivals
    return Turn(
        messages=size,
        batch=full,
        invocation_seconds=invocation,
        utilisation=utilisation,
        lag=fill / 2 + poll / 2 + queued + _until_published(poller, size, full),
        lag_bound=max(fill + poll, busy) + invocation,
    )


class _OpenTurn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn that ends with the window; ``open_seconds`` is from cut to cut, if something has come."""

    messages: float
    batch: BatchCost
    invocation_seconds: float
    open_seconds: float
    wait: float


def _open_turn(poller: Poller, messages: float) -> _OpenTurn:
    """Work out what arrives in a turn that began with a batch of ``messages``."""
    arrivals, poll = poller.arrivals, poller.poll_seconds
    batch = _batch(poller, messages)
    invocation = _invocation(poller, messages, batch)
    # From the cut of the batch before until the first read after its invocation …
    gap = invocation + poll
    # … until a read finds something, where nothing has come in the meantime …
    idle = math.exp(-arrivals * gap) * poll / -math.expm1(-arrivals * poll)
    # … and until the window ends.
    collect = poller.window_seconds
    # What came in the gap waited half of it and then the window; what came in the window, half of that; and
    # what ended an idle time, half a poll and the window. Each counts by how much of it there is.
    waited = gap * (gap / 2 + collect) + collect**2 / 2 + idle * (poll / 2 + collect)
    return _OpenTurn(
        messages=max(1.0, arrivals * (gap + idle + collect)),
        batch=batch,
        invocation_seconds=invocation,
        open_seconds=gap + collect,
        wait=waited / (gap + collect + idle),
    )


def _batch(poller: Poller, messages: float) -> BatchCost:
    return expected_batch_cost(
        messages, poller.calls, topics=poller.topics, aggregates=poller.aggregates, limit=poller.batch_size
    )


def _invocation(poller: Poller, messages: float, batch: BatchCost) -> float:
    # As if no computing were done while calls are under way, which is more than it takes.
    return batch.seconds + _cpu(poller, messages, batch)


def _until_published(poller: Poller, messages: float, batch: BatchCost) -> float:
    return batch.mean_publish_seconds + _cpu(poller, messages, batch) / 2


def _cpu(poller: Poller, messages: float, batch: BatchCost) -> float:
    requests = batch.publish_requests + batch.mark_requests
    return messages * poller.cpu_seconds_per_record + requests * poller.cpu_seconds_per_request


def _reads(poller: Poller, messages: float) -> int:
    """How many reads bring a batch, among all else that the stream carries."""
    records = messages * poller.records_per_message / READ_RECORDS
    return max(1, math.ceil(records), math.ceil(messages * poller.bytes_per_message / READ_BYTES))
