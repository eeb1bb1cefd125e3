"""What relaying one batch takes: how many calls, and how long, without faults.

The relay publishes what heads the lanes, at most ten entries and one topic a request; an answered request is
followed by one with the next of its lanes. Marks go out as soon as a request of them is full, and the rest
when nothing is being published any more. Publishes and marks share the slots of ``OUTBOX_MAX_CONCURRENCY``.
"""

import math
from collections.abc import Sequence

import msgspec

__all__ = ["BatchCost", "Calls", "batch_cost", "expected_batch_cost"]

_POISSON_TERMS = 100.0
"""From this mean on a Poisson distribution is taken for a normal one: its terms would be too many."""


class Calls(msgspec.Struct, frozen=True, kw_only=True):
    """What the relay's calls hold and take; times in seconds.

    ``entries`` go into a ``PublishBatch`` and ``marks`` into a request that marks; ``slots`` calls are made
    at a time.
    """

    publish_seconds: float
    mark_seconds: float
    entries: int = 10
    marks: int = 25
    slots: int = 32


class BatchCost(msgspec.Struct, frozen=True, kw_only=True):
    """Calls and times of one batch; times in seconds from its beginning, without CPU.

    ``publish_seconds`` is when SNS has accepted the last message, ``mean_publish_seconds`` when it has
    accepted a message on average, ``seconds`` when all are marked.
    """

    publish_requests: float
    mark_requests: float
    publish_seconds: float
    mean_publish_seconds: float
    seconds: float


def batch_cost(topics: Sequence[Sequence[int]], calls: Calls) -> BatchCost:
    """Work out a batch from its lanes: for each topic, how many messages each lane of it holds, in order.

    On a standard topic each message is a lane of one. The counts of calls are exact, unless publishing takes
    more than a second: then marks that wait are sent in smaller requests, at most one more for each second.
    The times are near the truth, and short of it where every message is marked alone on a FIFO topic:
    marks then keep slots from what is next in the lanes.

    >>> calls = Calls(publish_seconds=0.02, mark_seconds=0.01)
    >>> standard = batch_cost([[1] * 100], calls)
    >>> standard.publish_requests, standard.mark_requests, round(standard.seconds, 3)
    (10, 4, 0.03)
    >>> fifo = batch_cost([[5] * 20], calls)
    >>> fifo.publish_requests, fifo.mark_requests, round(fifo.seconds, 3)
    (10, 4, 0.11)
    """
    # The lanes that begin in one request stay together: it is followed by as many as the longest of them.
    chains = [
        max(lanes[start : start + calls.entries])
        for lanes in topics
        for start in range(0, len(lanes), calls.entries)
    ]
    lengths = [length for lanes in topics for length in lanes]
    messages = sum(lengths)
    return _lay_out(
        calls,
        requests=sum(chains),
        heads=len(chains),
        rounds=max(chains),
        place=sum(length * (length + 1) / 2 for length in lengths) / messages,
        marks=math.ceil(messages / calls.marks),
    )


def expected_batch_cost(
    messages: float,
    calls: Calls,
    *,
    topics: int = 1,
    aggregates: float | None = None,
    limit: int,
) -> BatchCost:
    """Work out a batch of ``messages`` on average, whose messages come at random.

    ``aggregates`` are those of FIFO topics that the messages fall on, ``None`` for standard topics. No batch
    has more than ``limit`` messages; where the average is the limit, every batch has as many.

    The calls for FIFO topics are a little too many: what begins a batch has had more time to be followed by
    others, so that long lanes come together in one request.
    """
    full = messages >= limit
    marks = (
        math.ceil(messages / calls.marks) if full else _expected_requests(messages, calls.marks, limit=limit)
    )
    if aggregates is None:
        exact = full and topics == 1
        heads = (
            math.ceil(messages / calls.entries)
            if exact
            else topics * _expected_requests(messages / topics, calls.entries, limit=limit)
        )
        requests, rounds, place = heads, 1.0, 1.0
    else:
        mean = messages / aggregates
        lanes = max(1.0, aggregates * -math.expm1(-mean))
        # A topic that has a message needs a request, however few lanes it has.
        some = -math.expm1(-messages / topics)
        heads = topics * max(some, _expected_requests(lanes / topics, calls.entries, limit=limit))
        # Lanes are of random length, and yet never longer than the batch.
        requests = min(messages, heads * _longest(mean, max(1.0, lanes / heads)))
        rounds = min(_longest(mean, lanes), limit)
        # Most messages are in the long lanes; seen from one of them, its lane holds `mean` others.
        place = 1 + mean / 2
    # A batch has a message at least, and so a request.
    heads = max(1.0, heads)
    return _lay_out(
        calls, requests=max(heads, requests), heads=heads, rounds=rounds, place=place, marks=max(1.0, marks)
    )


def _lay_out(
    calls: Calls, *, requests: float, heads: float, rounds: float, place: float, marks: float
) -> BatchCost:
    """Lay the calls out in waves, each as long as a publish and as wide as there are slots.

    Of the publishing ``requests``, ``heads`` begin at once; the longest lane takes ``rounds`` of them one
    after the other. ``place`` is a message's place in its lane, on average, from 1.
    """
    slots, publish_seconds, mark_seconds = calls.slots, calls.publish_seconds, calls.mark_seconds
    waves = max(rounds, math.ceil(requests / slots))
    publishing = waves * publish_seconds

    # From the first answer on, slots that no publish wants serve the marks, as long as they are free: all the
    # time between the rounds of lanes, else in the last wave only.
    idle = max(0.0, slots * (waves - 1) - (requests - min(heads, slots)))
    span = waves - 1 if rounds > 1 else min(1.0, waves - 1)
    early = 0.0
    if idle and mark_seconds:
        early = idle / span * math.floor(span * publish_seconds / mark_seconds)
    # What the last wave publishes can only be marked after it.
    last = requests - slots * (waves - 1)
    ready = marks * (1 - (last if last > 0 else requests / waves) / requests)
    tail = math.ceil((marks - math.floor(min(early, ready))) / slots)

    # Heads for which there is no slot begin in a later wave.
    whole = heads // slots
    start = (slots * whole * (whole + 1) / 2 + (heads - slots * whole) * (whole + 1)) / heads
    return BatchCost(
        publish_requests=requests,
        mark_requests=marks,
        publish_seconds=publishing,
        mean_publish_seconds=start * place * publish_seconds,
        seconds=publishing + tail * mark_seconds,
    )


def _expected_requests(mean: float, size: int, *, limit: int) -> float:
    """Give the mean number of requests of ``size`` for a Poisson number of elements, ``limit`` at most.

    Another request is needed with each element after a full one, so it is the sum of the probabilities that
    there are more than 0, more than ``size``, more than twice ``size`` …
    """
    if mean > _POISSON_TERMS or mean > 3 * size:
        # The last request is half full on average.
        return min(mean / size + (size - 1) / (2 * size), math.ceil(limit / size))
    return sum(_tails(mean)[:limit:size])


def _longest(mean: float, lanes: float) -> float:
    """Give the mean length of the longest of so many lanes, none of which is empty, of Poisson length.

    It is the sum over all lengths of the probability that some lane is longer.
    """
    if mean > _POISSON_TERMS:
        return mean + math.sqrt(2 * mean * math.log(lanes))
    tails = _tails(mean)
    return sum(1 - math.pow(1 - tail / tails[0], lanes) for tail in tails)


def _tails(mean: float) -> list[float]:
    """Give the probabilities that a Poisson number is above 0, above 1, …, until they no longer count."""
    tails = []
    term = math.exp(-mean)
    above = -math.expm1(-mean)
    number = 0
    while above > 1e-12 or number <= mean:
        tails.append(above)
        number += 1
        term *= mean / number
        above = max(0.0, above - term)
    return tails
