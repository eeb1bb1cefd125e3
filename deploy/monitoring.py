"""What a deployment watches, as data: metrics read from the log, alarms, and a dashboard.

``@name@`` stands for what only a deployment knows. Names of events and of counts are taken from the functions
that write the log, so a line that is renamed there is renamed here.
"""

from typing import Any

from outbox_sdk.core.outcome import BatchReport, Dispatched, Held, Parked, outcome_name
from outbox_sdk.core.report import LogLine, describe_batch
from outbox_sdk.core.sweep_report import SweepReport, describe_sweep

__all__ = ["NAMESPACE", "alarms", "dashboard", "log_metrics"]

NAMESPACE = "@namespace@"
"""Of the metrics that are read from the log: each deployment has its own."""

_RELAYED = describe_batch(BatchReport(()))
_SWEPT = describe_sweep(SweepReport())


def log_metrics() -> dict[str, dict[str, Any]]:
    """Give the metric filters: by metric, whose log is read, which lines count, and for how much.

    Where ``default`` is ``None``, no line means no figure; a zero would say that nothing is outstanding.
    """
    return {
        "OldestOutstandingAge": _figure("sweeper", _SWEPT, "oldest_age_seconds", unit="Seconds"),
        "UnreadBuckets": _figure("sweeper", _SWEPT, "unread", default=0),
        "Touched": _figure("sweeper", _SWEPT, "touched", default=0),
        "SweeperErrorLines": _error_lines("sweeper"),
        "Dispatched": _count("relay", _RELAYED, outcome_name(Dispatched())),
        "Held": _count("relay", _RELAYED, outcome_name(Held("code"))),
        "Parked": _count("relay", _RELAYED, outcome_name(Parked("reason"))),
        "Reported": _figure("relay", _RELAYED, "reported", default=0),
        "RelayErrorLines": _error_lines("relay"),
    }


def _figure(
    function: str, line: LogLine, field: str, *, unit: str = "Count", default: int | None = None
) -> dict[str, Any]:
    """Read a figure that every such line has."""
    if field not in line.fields:
        raise KeyError(f"{line.event} has no {field}")
    # What is null, or left out for being null, is no number: it matches no comparison.
    pattern = f'{{ ($.message = "{line.event}") && ($.{field} >= 0) }}'
    return {
        "function": function, "pattern": pattern, "value": f"$.{field}", "unit": unit, "default": default,
    }  # fmt: skip


def _count(function: str, line: LogLine, field: str) -> dict[str, Any]:
    """Read a count that a line has where it is not 0."""
    pattern = f'{{ ($.message = "{line.event}") && ($.{field} > 0) }}'
    return {
        "function": function, "pattern": pattern, "value": f"$.{field}", "unit": "Count", "default": 0,
    }  # fmt: skip


def _error_lines(function: str) -> dict[str, Any]:
    """Count what waits for a person: that is what the level ``ERROR`` is for."""
    return {
        "function": function, "pattern": '{ $.level = "ERROR" }', "value": "1", "unit": "Count", "default": 0,
    }  # fmt: skip


def alarms() -> dict[str, dict[str, Any]]:
    """Give the alarms by name, as ``PutMetricAlarm`` takes them but for where they are sent."""
    relay, sweeper = ({"FunctionName": f"@{name}_function@"} for name in ("relay", "sweeper"))
    mapping = {"EventSourceMappingUUID": "@mapping@"}
    return {
        "OldestOutstanding": _alarm(
            "A message has been outstanding for too long: read the relay's log.",
            *("OldestOutstandingAge", {}), statistic="Maximum", period=3600, threshold=7_200,
        ),
        "Parked": _alarm("A message was set aside and waits for a person.", "Parked", {}),
        "UnreadBuckets": _alarm("A sweep could not read all of the index.", "UnreadBuckets", {}),
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
    description: str, metric: str, dimensions: dict[str, str], *, statistic: str = "Sum", period: int = 300,
    periods: int = 1, threshold: int = 0, comparison: str = "GreaterThanThreshold",
    missing: str = "notBreaching",
) -> dict[str, Any]:  # fmt: skip
    return {
        "AlarmDescription": description,
        "Namespace": _namespace(dimensions),
        "MetricName": metric,
        "Dimensions": dimensions,
        "Statistic": statistic,
        "Period": period,
        "EvaluationPeriods": periods,
        "Threshold": threshold,
        "ComparisonOperator": comparison,
        "TreatMissingData": missing,
    }


def _namespace(dimensions: dict[str, str]) -> str:
    return "AWS/Lambda" if dimensions else NAMESPACE


def dashboard() -> dict[str, Any]:
    """Give the body of the dashboard: the flow, what is behind, what failed, and the functions."""
    relay, sweeper = (["FunctionName", f"@{name}_function@"] for name in ("relay", "sweeper"))
    mapping = ["EventSourceMappingUUID", "@mapping@"]
    flow = [[NAMESPACE, name] for name in ("Dispatched", "Held", "Parked", "Reported")]
    behind = [[NAMESPACE, "OldestOutstandingAge"]]
    events = (
        *("PolledEventCount", "FilteredOutEventCount", "InvokedEventCount", "FailedInvokeEventCount"),
        *("DroppedEventCount", "OnFailureDestinationDeliveredEventCount"),
    )
    functions = [
        ["AWS/Lambda", name, *whose]
        for whose in (relay, sweeper)
        for name in ("Invocations", "Errors", "Throttles")
    ]
    trouble = [[NAMESPACE, name] for name in ("RelayErrorLines", "SweeperErrorLines", "UnreadBuckets")]
    panels = [
        ("Messages", flow, "Sum"),
        ("Oldest outstanding message, as the table shows it (s)", behind, "Maximum"),
        ("Age of what the relay reads (ms)", [["AWS/Lambda", "IteratorAge", *relay]], "Maximum"),
        ("Stream records", [["AWS/Lambda", name, *mapping] for name in events], "Sum"),
        ("Functions", functions, "Sum"),
        ("Duration (ms)", [["AWS/Lambda", "Duration", *whose] for whose in (relay, sweeper)], "p99"),
        ("Waits for a person", trouble, "Sum"),
        ("Touched by sweeps", [[NAMESPACE, "Touched"]], "Sum"),
    ]
    return {"widgets": [_widget(number, *panel) for number, panel in enumerate(panels)]}


def _widget(number: int, title: str, metrics: list[list[str]], statistic: str) -> dict[str, Any]:
    across, high = 12, 6
    properties = {
        "title": title, "metrics": metrics, "stat": statistic,
        "period": 300, "region": "@region@", "view": "timeSeries",
    }  # fmt: skip
    return {
        "type": "metric",
        "x": across * (number % 2),
        "y": high * (number // 2),
        "width": across,
        "height": high,
        "properties": properties,
    }
