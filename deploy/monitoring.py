"""What a deployment watches, as data: metrics, alarms, and a dashboard.

``@name@`` stands for what only a deployment knows. What the functions say of themselves is in
:mod:`outbox_sdk.core.metrics`, and every name is taken from there. The log is read for its errors alone: they
tell too when the functions cannot say anything.
"""

from itertools import zip_longest
from typing import Any

from outbox_sdk.core.metrics import (
    BACKLOG_OUTSTANDING,
    BACKLOG_PARKED,
    COMMIT_TO_PUBLISH_LATENCY,
    DUPLICATES_AVOIDED,
    FAILED,
    FUNCTION_DIMENSION,
    HELD_BEHIND,
    MARKED,
    OLDEST_OUTSTANDING_AGE,
    OLDEST_REPORTED_AGE,
    PARKED,
    PUBLISHED,
    REPORTED,
    SELF_ECHO,
    TABLE_DIMENSION,
    TOUCHED,
    UNREAD_BUCKETS,
    Metric,
)

__all__ = ["LOG_NAMESPACE", "NAMESPACE", "alarms", "dashboard", "log_metrics"]

NAMESPACE = "@metrics_namespace@"
"""Of what the functions say: the same for all deployments, which function and table tell apart."""

LOG_NAMESPACE = "@namespace@"
"""Of the metrics that are read from the log, which have no dimensions: each deployment has its own."""

_LAMBDA = "AWS/Lambda"
_RELAY, _SWEEPER = (
    {FUNCTION_DIMENSION: f"@{role}_function@", TABLE_DIMENSION: "@table@"} for role in ("relay", "sweeper")
)


def log_metrics() -> dict[str, dict[str, Any]]:
    """Give the metric filters: by metric, whose log is read, which lines count, and for how much."""
    return {
        "RelayErrorLines": _error_lines("relay"),
        "SweeperErrorLines": _error_lines("sweeper"),
    }


def _error_lines(function: str) -> dict[str, Any]:
    """Count what waits for a person: that is what the level ``ERROR`` is for."""
    return {
        "function": function, "pattern": '{ $.level = "ERROR" }', "value": "1", "unit": "Count", "default": 0,
    }  # fmt: skip


def alarms() -> dict[str, dict[str, Any]]:
    """Give the alarms by name, as ``PutMetricAlarm`` takes them but for where they are sent.

    Of ``Statistic`` and ``ExtendedStatistic`` one is ``None``, and left out.
    """
    relay, sweeper = ({"FunctionName": f"@{name}_function@"} for name in ("relay", "sweeper"))
    mapping = {"EventSourceMappingUUID": "@mapping@"}
    return {
        "OldestOutstanding": _alarm(
            "A message has been outstanding for too long: read the relay's log.",
            *(OLDEST_OUTSTANDING_AGE, _SWEEPER), statistic="Maximum", period=3600, threshold=7_200,
        ),
        "PublishLatency": _alarm(
            "Messages are published late: of a hundred, one takes longer than this from its commit.",
            *(COMMIT_TO_PUBLISH_LATENCY, _RELAY), statistic="p99", periods=3, threshold=60_000,
        ),
        "Parked": _alarm("A message was set aside and waits for a person.", PARKED, _RELAY),
        "ParkedWaiting": _alarm(
            "Messages are parked, and have been since the last sweep at least.",
            *(BACKLOG_PARKED, _SWEEPER), statistic="Maximum", period=3600,
        ),
        "SelfEcho": _alarm(
            "The relay is brought its own marks: its event source mapping lacks the filter.",
            *(SELF_ECHO, _RELAY), periods=3,
        ),
        "UnreadBuckets": _alarm("A sweep could not read all of the index.", UNREAD_BUCKETS, _SWEEPER),
        "RelayErrorLines": _alarm("The relay met what waits for a person.", "RelayErrorLines", {}),
        "SweeperErrorLines": _alarm("The sweeper met what waits for a person.", "SweeperErrorLines", {}),
        "IteratorAge": _alarm(
            "The relay is behind its stream, which forgets after 24 hours.",
            *("IteratorAge", relay), statistic="Maximum", period=60, periods=3, threshold=300_000,
        ),
        "Dropped": _alarm("Lambda gave records up, and kept none of them.", "DroppedEventCount", mapping),
        "FailuresKept": _alarm(
            "Lambda gave records up: they are in the bucket of failures.",
            *("OnFailureDestinationDeliveredEventCount", mapping),
        ),
        "FailuresLost": _alarm(
            "Lambda could not write to the bucket of failures.", "DestinationDeliveryFailures", relay
        ),
        "RelayErrors": _alarm("An invocation of the relay failed.", "Errors", relay),
        # One throttle is retried; a series means that the concurrency does not suffice.
        "RelayThrottles": _alarm("The relay is kept from running.", "Throttles", relay, periods=3),
        "SweeperErrors": _alarm("A sweep failed.", "Errors", sweeper),
        "SweeperThrottles": _alarm("The sweeper is kept from running.", "Throttles", sweeper, periods=3),
        "SweeperSilent": _alarm(
            "No sweep for a day: nobody would see what the stream has lost.",
            *("Invocations", sweeper), period=86_400, threshold=1,
            comparison="LessThanThreshold", missing="breaching",
        ),
    }  # fmt: skip


def _alarm(
    description: str, metric: Metric | str, dimensions: dict[str, str], *, statistic: str = "Sum",
    period: int = 300, periods: int = 1, threshold: int = 0, comparison: str = "GreaterThanThreshold",
    missing: str = "notBreaching",
) -> dict[str, Any]:  # fmt: skip
    percentile = statistic.startswith("p")
    return {
        "AlarmDescription": description,
        "Namespace": _namespace(metric, dimensions),
        "MetricName": metric if isinstance(metric, str) else metric.name,
        "Dimensions": dimensions,
        "Statistic": None if percentile else statistic,
        "ExtendedStatistic": statistic if percentile else None,
        "Period": period,
        "EvaluationPeriods": periods,
        "Threshold": threshold,
        "ComparisonOperator": comparison,
        "TreatMissingData": missing,
    }


def _namespace(metric: Metric | str, dimensions: dict[str, str]) -> str:
    if isinstance(metric, Metric):
        return NAMESPACE
    return _LAMBDA if dimensions else LOG_NAMESPACE


def dashboard() -> dict[str, Any]:
    """Give the body of the dashboard: the flow, what is behind, what failed, and the functions."""
    relay, sweeper = (["FunctionName", f"@{name}_function@"] for name in ("relay", "sweeper"))
    mapping = ["EventSourceMappingUUID", "@mapping@"]
    latency = [
        [*_shown(_RELAY, COMMIT_TO_PUBLISH_LATENCY)[0], {"stat": stat}] for stat in ("p50", "p90", "p99")
    ]
    behind = [*_shown(_SWEEPER, OLDEST_OUTSTANDING_AGE), *_shown(_RELAY, OLDEST_REPORTED_AGE)]
    failed = [*_shown(_RELAY, *FAILED.values(), HELD_BEHIND), *_shown(_SWEEPER, *FAILED.values())]
    events = (
        *("PolledEventCount", "FilteredOutEventCount", "InvokedEventCount", "FailedInvokeEventCount"),
        *("DroppedEventCount", "OnFailureDestinationDeliveredEventCount"),
    )
    functions = [
        [_LAMBDA, name, *whose]
        for whose in (relay, sweeper)
        for name in ("Invocations", "Errors", "Throttles")
    ]
    spared = _shown(_RELAY, DUPLICATES_AVOIDED, SELF_ECHO)
    trouble = [*([LOG_NAMESPACE, name] for name in log_metrics()), *_shown(_SWEEPER, UNREAD_BUCKETS)]
    panels: list[tuple[str, list[list[Any]], str]] = [
        ("Messages", _shown(_RELAY, PUBLISHED, MARKED, PARKED, REPORTED), "Sum"),
        ("From commit to publish (ms)", latency, "p99"),
        ("Backlog, as sweeps find it", _shown(_SWEEPER, BACKLOG_OUTSTANDING, BACKLOG_PARKED), "Maximum"),
        ("Oldest: outstanding in the table, reported by the relay (s)", behind, "Maximum"),
        ("Failed, by class: the relay's and the sweeper's", failed, "Sum"),
        ("Duplicates avoided, and the relay's own marks", spared, "Sum"),
        ("Age of what the relay reads (ms)", [[_LAMBDA, "IteratorAge", *relay]], "Maximum"),
        ("Stream records", [[_LAMBDA, name, *mapping] for name in events], "Sum"),
        ("Functions", functions, "Sum"),
        ("Duration (ms)", [[_LAMBDA, "Duration", *whose] for whose in (relay, sweeper)], "p99"),
        ("Waits for a person", trouble, "Sum"),
        ("Sweeps", _shown(_SWEEPER, TOUCHED, PUBLISHED, MARKED, PARKED), "Sum"),
    ]
    return {"widgets": [_widget(number, *panel) for number, panel in enumerate(panels)]}


def _shown(whose: dict[str, str], *metrics: Metric) -> list[list[Any]]:
    dimensions = [text for dimension in whose.items() for text in dimension]
    return [[NAMESPACE, metric.name, *dimensions] for metric in metrics]


def _shorten(metrics: list[list[Any]]) -> list[list[Any]]:
    """Write ``.`` for what a metric has in common with the one before, as CloudWatch reads it.

    A template has 51,200 bytes, and the dashboard is much of one.
    """
    before: list[list[Any]] = [[], *metrics]
    return [
        ["." if text == last else text for text, last in zip_longest(metric, previous[: len(metric)])]
        for previous, metric in zip(before, metrics, strict=False)
    ]


def _widget(number: int, title: str, metrics: list[list[Any]], statistic: str) -> dict[str, Any]:
    across, high = 12, 6
    properties = {
        "title": title, "metrics": _shorten(metrics), "stat": statistic, "period": 300, "region": "@region@",
    }  # fmt: skip
    return {
        "type": "metric",
        "x": across * (number % 2),
        "y": high * (number // 2),
        "width": across,
        "height": high,
        "properties": properties,
    }
