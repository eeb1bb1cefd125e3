"""What an outbox costs a month: the model of capacity, multiplied by prices.

A steady rate without faults, as in :mod:`outbox_sdk.core.capacity`. Every line has its quantity, so that it
can be held against a bill. What depends on nothing that is known here has a constant with its reason.
"""

from collections.abc import Iterator

import msgspec

from outbox_sdk.core.backlog import BUCKETS
from outbox_sdk.core.capacity import Capacity, plan_capacity
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.function import Architecture
from outbox_sdk.core.metrics import MAX_VALUES
from outbox_sdk.core.prices import US_EAST_1, Prices
from outbox_sdk.core.workload import SECONDS_A_MONTH, Workload

__all__ = [
    "ALARMS",
    "FIGURES_BYTES",
    "LOG_BYTES",
    "LOG_METRICS",
    "RELAY_SERIES",
    "SWEEPER_SERIES",
    "VALUE_BYTES",
    "Billed",
    "Cost",
    "CostLine",
    "plan_cost",
]

_GB = 2**30
_MILLION = 1_000_000
_DAY = 86_400
_FOR_EVER_DAYS = 365
"""What is never deleted costs more each month; told is what it costs after a year."""

ALARMS = 17
"""As many as a deployment has; beside them is one dashboard."""

LOG_METRICS = 2
"""Metrics that are read from the log, for two of the alarms."""

RELAY_SERIES = 3
SWEEPER_SERIES = 4
"""Metrics that have a value where all goes well; one without a value is not paid for in that hour."""

LOG_BYTES = 900
"""Lines of an invocation: Lambda's own of its start, its end and its report, and ``batch_relayed``."""

FIGURES_BYTES = 370
VALUE_BYTES = 4
"""The line of figures, and each latency in it."""

_SWEEPS = SECONDS_A_MONTH // 3_600
_SWEEP_UNITS = (len(BUCKETS) + len(BUCKETS) + 1) / 2
"""A sweep reads each bucket, then counts each and what is parked: half a unit for a page of at most 4 KB."""

_SWEEP_SECONDS = 2.0
"""How long a sweep is taken to run that finds next to nothing."""


class Billed(msgspec.Struct, frozen=True, kw_only=True):
    """What is paid for beside a workload.

    ``subscriptions`` are the queues of each topic: SNS asks for deliveries to queues on FIFO topics only.
    ``metrics`` are the functions' figures, ``monitoring`` the alarms, the dashboard and what is read from the
    log for them; ``sweeper`` is one that runs each hour.

    Raises:
        ConfigurationError: a figure is out of bounds.
    """

    architecture: Architecture = "arm64"
    subscriptions: int = 1
    metrics: bool = True
    monitoring: bool = True
    sweeper: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.subscriptions <= _MAX_SUBSCRIPTIONS:
            problem = f"{self.subscriptions} is not between 0 and {_MAX_SUBSCRIPTIONS}"
            raise ConfigurationError("subscriptions", problem)


_MAX_SUBSCRIPTIONS = 12_500_000  # of a standard topic, by default


class CostLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that is paid for: how much of it in a month, in which unit, and USD."""

    service: str
    what: str
    quantity: float
    unit: str
    usd: float


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What a workload costs in a month of 730 hours, line by line, and what it comes to otherwise."""

    lines: tuple[CostLine, ...]
    messages: float
    capacity: Capacity

    @property
    def usd(self) -> float:
        """All lines together."""
        return sum(line.usd for line in self.lines)

    @property
    def usd_per_million(self) -> float:
        """All lines together, for a million messages."""
        return self.usd / self.messages * _MILLION


def plan_cost(workload: Workload, billed: Billed | None = None, prices: Prices = US_EAST_1) -> Cost:
    """Work out what a workload costs in a month.

    Not counted: retries, sweeps that find something, failed invocations, consumers and their queues, keys of
    KMS, bodies in S3, backups, transfer to other Regions, and the producer's own writes but for the message.

    Raises:
        ConfigurationError: no topic takes a message of that size.

    >>> cost = plan_cost(Workload(rate=100))
    >>> round(cost.messages / 1_000_000, 1), round(cost.usd), round(cost.usd_per_million, 2)
    (262.8, 1354, 5.15)
    """
    capacity = plan_capacity(workload)
    model = _Model(workload, billed or Billed(), prices, capacity)
    lines = (*model.table(), *model.functions(), *model.topics(), *model.watching())
    return Cost(lines=lines, messages=workload.rate * SECONDS_A_MONTH, capacity=capacity)


class _Model(msgspec.Struct, frozen=True):
    workload: Workload
    billed: Billed
    prices: Prices
    capacity: Capacity

    def table(self) -> Iterator[CostLine]:
        capacity, prices = self.capacity, self.prices
        for what, rate in (
            ("puts", capacity.producer_units_per_second),
            ("marks", capacity.relay_units_per_second),
        ):
            yield _line(
                "DynamoDB", what, _month(rate), "write units", prices.dynamodb_write_million / _MILLION
            )
        yield _line(
            "DynamoDB",
            "stream reads by Lambda",
            _month(capacity.reads_per_second),
            "reads",
            prices.stream_read_million / _MILLION,
        )
        days = _FOR_EVER_DAYS if self.workload.ttl_days is None else self.workload.ttl_days
        stored = self.workload.rate * days * _DAY * capacity.kept_bytes / _GB
        paid = max(0.0, stored - prices.dynamodb_free_storage_gb)
        line = _line("DynamoDB", "storage", stored, "GB", 0.0)
        yield msgspec.structs.replace(line, usd=paid * prices.dynamodb_storage_gb_month)
        if self.billed.sweeper:
            units = _SWEEPS * _SWEEP_UNITS
            yield _line("DynamoDB", "sweeps", units, "read units", prices.dynamodb_read_million / _MILLION)

    def functions(self) -> Iterator[CostLine]:
        capacity, prices = self.capacity, self.prices
        of_arm = self.billed.architecture == "arm64"
        second = prices.lambda_arm64_gb_second if of_arm else prices.lambda_x86_64_gb_second
        runs = [("relay", _month(capacity.invocations_per_second), _month(capacity.gb_seconds_per_second))]
        if self.billed.sweeper:
            runs.append(("sweeper", _SWEEPS, _SWEEPS * _SWEEP_SECONDS * self.workload.memory_mb / 1_024))
        for name, requests, seconds in runs:
            price = prices.lambda_request_million / _MILLION
            yield _line("Lambda", f"{name}: requests", requests, "requests", price)
            yield _line("Lambda", f"{name}: duration", seconds, "GB-seconds", second)

    def topics(self) -> Iterator[CostLine]:
        capacity, prices = self.capacity, self.prices
        if not self.workload.fifo:
            requests = _month(capacity.sns_chunks_per_second)
            yield _line("SNS", "publishes", requests, "64 KB requests", prices.sns_request_million / _MILLION)
            return
        messages = _month(self.workload.rate)
        data = messages * capacity.entry_bytes / _GB
        for what, times, million, gb in (
            ("publishes", 1, prices.sns_fifo_publish_million, prices.sns_fifo_publish_gb),
            (
                "deliveries",
                self.billed.subscriptions,
                prices.sns_fifo_delivery_million,
                prices.sns_fifo_delivery_gb,
            ),
        ):
            yield _line("SNS FIFO", what, messages * times, "messages", million / _MILLION)
            yield _line("SNS FIFO", f"{what}: data", data * times, "GB", gb)

    def watching(self) -> Iterator[CostLine]:
        billed, prices = self.billed, self.prices
        invocations = self.capacity.invocations_per_second
        latencies = min(MAX_VALUES, self.capacity.records_per_invocation)
        sweeps = _SWEEPS if billed.sweeper else 0
        logged = (_month(invocations) + sweeps) * LOG_BYTES
        yield _line("CloudWatch", "log lines", logged / _GB, "GB", prices.logs_gb)
        if billed.metrics:
            figures = _month(invocations) * (FIGURES_BYTES + VALUE_BYTES * latencies) + sweeps * FIGURES_BYTES
            yield _line("CloudWatch", "figures in the log", figures / _GB, "GB", prices.logs_gb)
            # Paid for by the hour; the least rate that a workload may have brings an invocation in each.
            series = RELAY_SERIES + (SWEEPER_SERIES if billed.sweeper else 0)
            yield _line("CloudWatch", "metrics", series, "metrics", prices.metric_month)
        if billed.monitoring:
            yield _line("CloudWatch", "metrics of the log", LOG_METRICS, "metrics", prices.metric_month)
            yield _line("CloudWatch", "alarms", ALARMS, "alarms", prices.alarm_month)
            yield _line("CloudWatch", "dashboard", 1, "dashboards", prices.dashboard_month)


def _line(service: str, what: str, quantity: float, unit: str, price: float) -> CostLine:
    return CostLine(service, what, quantity, unit, quantity * price)


def _month(rate: float) -> float:
    return rate * SECONDS_A_MONTH
