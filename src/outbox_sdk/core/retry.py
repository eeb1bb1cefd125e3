"""When to try again: attempts, pauses and the deadline, as functions of values."""

import msgspec

__all__ = ["Deadline", "RetryPolicy", "is_free", "plan_deadline", "retry_delay"]


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how patiently one request is repeated; times in seconds.

    ``budget`` is how many retries all requests of one invocation share: in an outage that meets them all,
    the failures are reported and the event source waits, rather than every request insisting by itself.
    """

    attempts: int = 4
    base: float = 0.05
    cap: float = 2.0
    budget: int = 100


class Deadline(msgspec.Struct, frozen=True, kw_only=True):
    """Two points on the event loop's clock: nothing is begun after ``stop``, nothing left after ``cut``."""

    stop: float = float("inf")
    cut: float = float("inf")


def plan_deadline(
    now: float, remaining: float | None, *, margin: float = 1.0, reserve: float = 0.2
) -> Deadline:
    """Turn the seconds an invocation has left into a deadline; ``None`` is without end.

    ``margin`` is what a request begun may need, ``reserve`` what it takes to tidy up and answer.

    >>> plan_deadline(100.0, 30.0)
    Deadline(stop=129.0, cut=129.8)
    """
    if remaining is None:
        return Deadline()
    return Deadline(stop=now + remaining - margin, cut=now + remaining - reserve)


def is_free(*, attempt: int, code: str) -> bool:
    """Tell whether a retry is no sign of trouble: the first, on a connection closed while nobody looked."""
    return attempt == 1 and code == "ConnectionClosed"


def retry_delay(policy: RetryPolicy, *, attempt: int, code: str, jitter: float) -> float | None:
    """Give the pause in seconds before the next attempt; ``None`` where none is left.

    ``attempt`` counts those made, from 1; ``jitter`` is a random number in [0, 1): full jitter, so that
    many relays do not come back together. A connection found closed at the first use is the mark of a
    function thawed after a while: nothing was sent, and nothing is gained by waiting.

    >>> retry_delay(RetryPolicy(), attempt=3, code="Throttled", jitter=0.5)
    0.1
    >>> retry_delay(RetryPolicy(), attempt=1, code="ConnectionClosed", jitter=0.5)
    0.0
    """
    if attempt >= policy.attempts:
        return None
    if is_free(attempt=attempt, code=code):
        return 0.0
    return jitter * min(policy.cap, policy.base * 2.0 ** min(attempt - 1, 60))
