"""Plans of faults: drawn from a seed at every call, or one fault or kill at a chosen place."""

from random import Random

import msgspec

from outbox_sdk.testing.simulation.scenario import CALM, Calm, Fault, Operation

__all__ = ["OneFault", "OneKill", "Outage", "Rates", "SeededFaults"]

_READ_TIMEOUT_SECONDS = 5.0

_PASSING = {
    "publish": ("Throttled", "KMSThrottling", "InternalFailure", "ServiceUnavailable", "ThrottlingException"),
    "table": ("ThrottlingException", "ProvisionedThroughputExceededException", "InternalServerError"),
}
_ELEMENTS = {
    "publish": ("InternalFailure", "KMSThrottling", "Throttled", "MissingFromResponse"),
    "mark": ("ThrottlingError", "TransactionConflict", "InternalServerError", "MissingFromResponse"),
    "lookup": ("Throttled",),
    "fetch": ("Throttled",),
}
_STATUS = {"Throttled": 429, "InternalFailure": 500, "InternalServerError": 500, "ServiceUnavailable": 503}


class Outage(msgspec.Struct, frozen=True, kw_only=True):
    """From ``start`` to ``end``, calls on ``target`` are refused with ``code``: somebody has to mend it."""

    start: float
    end: float
    target: str
    code: str
    status: int = 403


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """How often what goes wrong, each as a probability for one call, invocation or batch.

    ``slow`` is the share of lost requests and answers that are noticed only when the client's patience ends.
    ``lasting`` is the share of faults that last for several calls of the kind, so that retries are used up.
    ``operations`` are the calls that may fail, all by default.
    """

    refused: float = 0.0
    partial: float = 0.0
    unreached: float = 0.0
    answer_lost: float = 0.0
    slow: float = 0.5
    lasting: float = 0.3
    killed: float = 0.0
    redelivered: float = 0.0
    outages: tuple[Outage, ...] = ()
    operations: frozenset[Operation] | None = None


class SeededFaults:
    """Draws faults from a seed until ``calm_after`` seconds of virtual time; then nothing fails any more."""

    def __init__(self, seed: int, rates: Rates, *, calm_after: float) -> None:
        self._random = Random(seed)
        self._rates = rates
        self._calm_after = calm_after
        self._lasting: dict[tuple[Operation, str], tuple[str, float, int]] = {}

    def fault(self, operation: Operation, target: str, size: int, now: float) -> Fault:
        """Draw what happens to a call."""
        rates, random = self._rates, self._random
        for outage in rates.outages:
            if outage.target == target and outage.start <= now < outage.end:
                return Fault("refused", outage.code, outage.status)
        if now >= self._calm_after or (rates.operations and operation not in rates.operations):
            return CALM
        kind, share, calls = self._lasting.get((operation, target), ("", 0.0, 0))
        if calls:
            self._lasting[operation, target] = (kind, share, calls - 1)
            return self._draw(kind, operation, size, share)
        drawn = random.random()
        for kind, rate in (
            ("refused", rates.refused),
            ("partial", rates.partial),
            ("unreached", rates.unreached),
            ("answer_lost", rates.answer_lost),
        ):
            if drawn < rate:
                share = random.choice((0.2, 0.5, 0.9))
                if random.random() < rates.lasting:
                    self._lasting[operation, target] = (kind, share, random.randint(2, 12))
                return self._draw(kind, operation, size, share)
            drawn -= rate
        return CALM

    def _draw(self, kind: str, operation: Operation, size: int, share: float) -> Fault:
        random = self._random
        if kind == "partial" and operation in _ELEMENTS:
            positions = frozenset(position for position in range(size) if random.random() < share)
            return Fault("partial", random.choice(_ELEMENTS[operation]), positions=positions)
        if kind in ("refused", "partial"):
            code = random.choice(_PASSING["publish" if operation == "publish" else "table"])
            return Fault("refused", code, _STATUS.get(code, 400))
        slow = random.random() < self._rates.slow
        code = "Timeout" if slow else random.choice(("ConnectionClosed", "ConnectionFailed", "Timeout"))
        seconds = _READ_TIMEOUT_SECONDS if slow else 0.02
        if kind == "unreached":
            return Fault("unreached", code, seconds=seconds)
        return Fault("answer_lost", code, seconds=seconds)

    def kill_at(self, now: float) -> int | None:
        """Draw whether and where the next invocation dies; most of them take a few dozen steps."""
        if now >= self._calm_after or self._random.random() >= self._rates.killed:
            return None
        return self._random.randint(1, self._random.choice((4, 16, 64)))

    def arrives(self) -> bool:
        """Toss a coin."""
        return self._random.random() < 0.5

    def redelivers(self, now: float) -> bool:
        """Draw whether a settled batch comes again."""
        return now < self._calm_after and self._random.random() < self._rates.redelivered

    def latency(self) -> float:
        """Draw 1 to 30 ms."""
        return 0.001 + 0.029 * self._random.random()


class OneFault(Calm):
    """Nothing fails but the call with a number, counted from 0 in the order in which calls are made."""

    def __init__(self, call: int, fault: Fault) -> None:
        self._left = call
        self._fault = fault

    def fault(self, operation: Operation, target: str, size: int, now: float) -> Fault:
        """Give the fault to the chosen call."""
        self._left -= 1
        return self._fault if self._left == -1 else CALM


class OneKill(Calm):
    """Nothing fails, but the process of one invocation is killed at one of its steps.

    Steps are counted from 1 within the invocation, invocations from 0 in the order in which they begin.
    ``arrives`` tells what becomes of the requests that were on their way.
    """

    def __init__(self, step: int, *, arrives: bool, invocation: int = 0) -> None:
        self._step = step
        self._arrives = arrives
        self._invocation = invocation

    def kill_at(self, now: float) -> int | None:
        """Give the step for the chosen invocation."""
        self._invocation -= 1
        return self._step if self._invocation == -1 else None

    def arrives(self) -> bool:
        """As was said."""
        return self._arrives
