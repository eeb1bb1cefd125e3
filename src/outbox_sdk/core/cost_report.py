"""What an outbox costs, told: its lines, what each option makes of them, and the prices behind them."""

import math
from collections.abc import Iterator

import msgspec

from outbox_sdk.core.cost import Billed, CostLine, plan_cost
from outbox_sdk.core.function import Architecture
from outbox_sdk.core.prices import PRICE_SOURCES, US_EAST_1, Prices
from outbox_sdk.core.workload import Workload

__all__ = ["CostOption", "CostReport", "PriceUsed", "describe_cost"]

_OTHER_TTL_DAYS = 7
_OTHER_WINDOW_SECONDS = 5


class CostOption(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing set otherwise, all else as it is: what is ``now``, and ``usd`` a month if it were ``other``.

    ``difference_usd`` is what the change adds, below 0 what it saves. ``sustainable`` is whether the rate
    would still be carried.
    """

    option: str
    now: str
    other: str
    usd: float
    difference_usd: float
    sustainable: bool


class PriceUsed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A price, and where it is from; ``verified`` if it was found there, or is from a file of yours."""

    name: str
    usd: float
    source: str
    verified: bool


class CostReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a workload costs in a month of 730 hours in USD, and by what.

    ``lag_seconds`` is the mean from commit to acceptance, ``None`` where the workload is not sustainable:
    then ``bottleneck`` says what does not suffice, and the costs are those of a stack that could carry it.
    """

    region: str
    as_of: str
    rate_per_second: float
    body_bytes: int
    messages: float
    usd: float
    usd_per_million: float
    write_units_per_message: int
    messages_per_invocation: float
    lag_seconds: float | None
    sustainable: bool
    bottleneck: str
    lines: tuple[CostLine, ...]
    options: tuple[CostOption, ...]
    prices: tuple[PriceUsed, ...]


def describe_cost(
    workload: Workload, billed: Billed | None = None, prices: Prices = US_EAST_1, *, source: str | None = None
) -> CostReport:
    """Work out what a workload costs, and what it would cost with each option set otherwise.

    ``source`` is where ``prices`` are from, if they are yours.

    Raises:
        ConfigurationError: no topic takes a message of that size.

    >>> report = describe_cost(Workload(rate=200, body_bytes=900))
    >>> [(each.other, round(each.difference_usd)) for each in report.options if each.option == "transaction"]
    [('without', -657)]
    """
    billed = billed or Billed()
    cost = plan_cost(workload, billed, prices)
    capacity, total = cost.capacity, cost.usd
    options = []
    for option, now, other, changed, billed_then in _variants(workload, billed):
        then = plan_cost(changed, billed_then, prices)
        difference = then.usd - total
        options.append(CostOption(option, now, other, then.usd, difference, then.capacity.sustainable))
    return CostReport(
        region=prices.region,
        as_of=prices.as_of,
        rate_per_second=workload.rate,
        body_bytes=workload.body_bytes,
        messages=cost.messages,
        usd=total,
        usd_per_million=cost.usd_per_million,
        write_units_per_message=capacity.units.total,
        messages_per_invocation=capacity.records_per_invocation,
        lag_seconds=capacity.lag_seconds if math.isfinite(capacity.lag_seconds) else None,
        sustainable=capacity.sustainable,
        bottleneck=capacity.bottleneck.name,
        lines=cost.lines,
        options=tuple(options),
        prices=tuple(_prices_used(prices, source)),
    )


_Variant = tuple[str, str, str, Workload, Billed]


def _variants(workload: Workload, billed: Billed) -> Iterator[_Variant]:
    """Give each option as it is and as it could be, one at a time."""
    replace = msgspec.structs.replace
    for option, given in (("transaction", workload.in_transaction), ("sequence", workload.sequenced)):
        field = "in_transaction" if option == "transaction" else "sequenced"
        yield option, *_with(given), replace(workload, **{field: not given}), billed
    ttl = workload.ttl_days
    now, other = "for ever, after a year", f"{_OTHER_TTL_DAYS} days"
    if ttl is not None:
        now, other = f"{ttl} days", now
    yield (
        "time to live",
        now,
        other,
        replace(workload, ttl_days=_OTHER_TTL_DAYS if ttl is None else None),
        billed,
    )
    kinds = ("FIFO", "standard") if workload.fifo else ("standard", "FIFO")
    yield "topics", kinds[0], kinds[1], replace(workload, fifo=not workload.fifo), billed
    for strategy in ("batch", "single", "delete"):
        if strategy != workload.strategy:
            yield "marks", workload.strategy, strategy, replace(workload, strategy=strategy), billed
    window = workload.source.batch_window_seconds
    for seconds in (0, 1, _OTHER_WINDOW_SECONDS):
        if seconds != window:
            source = replace(workload.source, batch_window_seconds=seconds)
            yield "batch window", f"{window} s", f"{seconds} s", replace(workload, source=source), billed
    arm = billed.architecture == "arm64"
    names: tuple[Architecture, Architecture] = ("arm64", "x86_64") if arm else ("x86_64", "arm64")
    yield "architecture", names[0], names[1], workload, replace(billed, architecture=names[1])
    for option, given in (
        ("metrics", billed.metrics),
        ("monitoring", billed.monitoring),
        ("sweeper", billed.sweeper),
    ):
        yield option, *_with(given), workload, replace(billed, **{option: not given})


def _with(given: bool) -> tuple[str, str]:
    return ("with", "without") if given else ("without", "with")


def _prices_used(prices: Prices, source: str | None) -> Iterator[PriceUsed]:
    for name, known in PRICE_SOURCES.items():
        usd: float = getattr(prices, name)
        if source is not None and usd != getattr(US_EAST_1, name):
            yield PriceUsed(name, usd, source, verified=True)
        else:
            yield PriceUsed(name, usd, known.where, known.verified)
