"""The metric filters read the lines that the handlers write, as Lambda's log shows them."""

import io
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from deploy.monitoring import log_metrics
from outbox_sdk import lambda_handler, sweeper_handler
from outbox_sdk.core.identifiers import ItemKey, MessageId, SequenceNumber
from outbox_sdk.core.metrics import Figure
from outbox_sdk.core.outcome import BatchReport, Dispatched, Held, Outcome, RecordReport
from outbox_sdk.core.sweep_report import SweepReport
from outbox_sdk.shell.emf import emit_figures

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


@pytest.mark.parametrize(
    ("outcome", "lines"), [(Held("NotFound"), [1]), (Held("Throttling"), []), (Dispatched(), [])]
)
def test_what_waits_for_a_person_in_the_relay_is_read(outcome: Outcome, lines: list[float]) -> None:
    assert figures("relay", relayed(outcome)) == {"RelayErrorLines": lines}


@pytest.mark.parametrize(
    ("unread", "lines"),
    [({"00": "AccessDeniedException"}, [1]), ({"00": "Timeout"}, []), ({}, [])],
)
def test_what_waits_for_a_person_in_the_sweeper_is_read(unread: dict[str, str], lines: list[float]) -> None:
    assert figures("sweeper", swept(SweepReport(unread=unread))) == {"SweeperErrorLines": lines}


def test_a_function_that_cannot_say_anything_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever becomes of the metrics, an alarm sees it."""

    def measure() -> Iterable[Figure]:
        raise ZeroDivisionError("a value")

    stream = io.StringIO()
    logger = Logger(service=f"test-{id(stream)}", stream=stream)
    emit_figures(measure, table_name="outbox", function_name="relay", logger=logger)

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert figures("relay", lines) == {"RelayErrorLines": [1]}
    assert capsys.readouterr().out == ""
