"""The metric filters read the lines that the handlers write, as Lambda's log shows them."""

import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from deploy.monitoring import alarms, dashboard, log_metrics
from outbox_sdk import lambda_handler, sweeper_handler
from outbox_sdk.core.identifiers import ItemKey, MessageId, SequenceNumber
from outbox_sdk.core.outcome import BatchReport, Dispatched, Held, Outcome, Parked, RecordReport
from outbox_sdk.core.sweep_report import SweepReport

Write = Callable[[Any, Any, Any], None]


def logged(write: Write, report: BatchReport | SweepReport) -> list[dict[str, Any]]:
    """Give the lines that a handler writes of a report, read as JSON."""
    stream = io.StringIO()
    write(Logger(service=f"test-{id(stream)}", stream=stream), report, None)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def relayed(*outcomes: Outcome) -> list[dict[str, Any]]:
    records = tuple(
        RecordReport(
            sequence_number=SequenceNumber(str(number)),
            key=ItemKey((("PK", "S", f"p{number}"),)),
            outcome=outcome,
            message_id=MessageId(f"m-{number}"),
        )
        for number, outcome in enumerate(outcomes, start=1)
    )
    return logged(lambda_handler._log, BatchReport(records))


def swept(report: SweepReport) -> list[dict[str, Any]]:
    return logged(sweeper_handler._log, report)


def matches(pattern: str, line: dict[str, Any]) -> bool:
    """Read what is used of CloudWatch's pattern language: comparisons of top-level properties, joined."""
    terms = re.findall(r'\$\.(\w+) (=|>=|>) ("[^"]*"|\d+)', pattern)
    rest = re.sub(r'\$\.\w+ (?:=|>=|>) (?:"[^"]*"|\d+)', "", pattern)
    assert terms
    assert set(rest) <= set("{}() &"), rest
    return all(_compare(line.get(name), operator, json.loads(value)) for name, operator, value in terms)


def _compare(found: object, operator: str, wanted: float | str) -> bool:
    if operator == "=":
        return found == wanted
    if not isinstance(found, int | float) or isinstance(wanted, str):
        return False
    return found >= wanted if operator == ">=" else found > wanted


def figures(function: str, lines: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Give what the metric filters of a function's log make of its lines."""
    found: dict[str, list[float]] = {}
    for name, metric in log_metrics().items():
        if metric["function"] == function:
            value = metric["value"]
            found[name] = [
                line[value.removeprefix("$.")] if value.startswith("$.") else float(value)
                for line in lines
                if matches(metric["pattern"], line)
            ]
    return found


def test_what_the_relay_counts_is_read() -> None:
    lines = relayed(Dispatched(), Dispatched(), Parked("missing:Topic"), Held("Throttling"))

    read = figures("relay", lines)

    assert read == {"Dispatched": [2], "Parked": [1], "Held": [1], "Reported": [1], "RelayErrorLines": []}


def test_what_waits_for_a_person_is_read() -> None:
    assert figures("relay", relayed(Held("NotFound")))["RelayErrorLines"] == [1]


def test_a_quiet_batch_makes_no_figure_of_trouble() -> None:
    read = figures("relay", relayed(Dispatched()))

    assert read == {"Dispatched": [1], "Parked": [], "Held": [], "Reported": [0], "RelayErrorLines": []}


def test_the_age_of_the_oldest_is_read() -> None:
    read = figures("sweeper", swept(SweepReport(found=3, touched=2, oldest_age_seconds=7300.5)))

    assert read == {
        "OldestOutstandingAge": [7300.5],
        "UnreadBuckets": [0],
        "Touched": [2],
        "SweeperErrorLines": [],
    }


def test_nothing_outstanding_is_no_age() -> None:
    assert figures("sweeper", swept(SweepReport()))["OldestOutstandingAge"] == []


def test_unread_buckets_are_read() -> None:
    read = figures("sweeper", swept(SweepReport(unread={"00": "AccessDeniedException", "01": "Timeout"})))

    assert read["UnreadBuckets"] == [2]
    assert read["SweeperErrorLines"] == [1]


def test_alarms_and_dashboard_watch_figures_that_there_are() -> None:
    own = {alarm["MetricName"] for alarm in alarms().values() if alarm["Namespace"] == "@namespace@"}
    shown = {
        metric[1]
        for widget in dashboard()["widgets"]
        for metric in widget["properties"]["metrics"]
        if metric[0] == "@namespace@"
    }

    assert own <= set(log_metrics())
    assert shown <= set(log_metrics())


def test_a_line_without_the_figure_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from deploy import monitoring

    with pytest.raises(KeyError, match="no oldest_age"):
        monitoring._figure("sweeper", monitoring._SWEPT, "oldest_age")
