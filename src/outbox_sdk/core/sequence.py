"""What a consumer can tell from an aggregate's sequence: the next one, a gap, or old news.

``Sequence`` is the aggregate's own version, given by its producer and carried as an attribute of the message.
Keep the last one seen of each aggregate with what you keep of the aggregate, in the same transaction.
"""

import msgspec

__all__ = ["Gap", "Next", "SequenceStep", "Stale", "step_of"]


class Next(msgspec.Struct, frozen=True):
    """The message follows what was seen, or is the first to be seen."""


class Gap(msgspec.Struct, frozen=True):
    """Messages are missing before this one: those numbered ``first`` to ``last``, both included.

    They may be on their way, on a standard topic, or parked. Whether to wait is the consumer's to say.
    """

    first: int
    last: int


class Stale(msgspec.Struct, frozen=True):
    """The message is as old as what was seen, or older: a repetition, or overtaken."""


SequenceStep = Next | Gap | Stale
"""How a message stands to what was seen of its aggregate; to be matched to the end."""


def step_of(sequence: int, *, seen: int | None, start: int | None = None) -> SequenceStep:
    """Compare a message's sequence with the last one seen of its aggregate, ``None`` where none was.

    ``start`` is the number of an aggregate's first message, where the producer counts from a known one: then
    a gap is told before the first message, too. It holds for producers that count by one.

    >>> step_of(8, seen=7), step_of(11, seen=7), step_of(7, seen=7)
    (Next(), Gap(first=8, last=10), Stale())
    >>> step_of(3, seen=None), step_of(3, seen=None, start=1)
    (Next(), Gap(first=1, last=2))
    """
    expected = start if seen is None else seen + 1
    if expected is None or sequence == expected:
        return Next()
    return Gap(expected, sequence - 1) if sequence > expected else Stale()
