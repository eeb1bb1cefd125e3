"""What alarms and the dashboard watch is what the functions say, and what they say is watched or shown."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from deploy.monitoring import LOG_NAMESPACE, NAMESPACE, alarms, dashboard, log_metrics
from outbox_sdk.core.metrics import (
    BACKLOG_PARKED,
    FUNCTION_DIMENSION,
    RELAY_METRICS,
    SWEEPER_METRICS,
    TABLE_DIMENSION,
)
from tests.support.documents import ROOT

SAID = {
    ("@relay_function@", metric.name): metric.unit for metric in RELAY_METRICS
} | {("@sweeper_function@", metric.name): metric.unit for metric in SWEEPER_METRICS}  # fmt: skip
"""By function and name, the unit: :mod:`tests.unit.test_metrics` holds that each is written."""

Watched = tuple[str, str, Mapping[str, str]]


def watched(alarms: Mapping[str, Any]) -> list[Watched]:
    """Give namespace, name and dimensions of each alarm's metric."""
    return [(alarm["Namespace"], alarm["MetricName"], alarm["Dimensions"]) for alarm in alarms.values()]


def shown(body: Mapping[str, Any]) -> Iterator[Watched]:
    """Give those of the dashboard, each ``.`` read as what stands above it."""
    for widget in body["widgets"]:
        last: list[Any] = []
        for row in widget["properties"]["metrics"]:
            last = [last[place] if each == "." else each for place, each in enumerate(row)]
            namespace, name, *dimensions = [each for each in last if not isinstance(each, dict)]
            yield namespace, name, dict(zip(dimensions[::2], dimensions[1::2], strict=True))


def problems(found: list[Watched]) -> list[str]:
    """Name what is watched and that nobody says."""
    names = []
    for namespace, name, dimensions in found:
        if namespace == NAMESPACE:
            whose = dimensions.get(FUNCTION_DIMENSION, "")
            if set(dimensions) != {FUNCTION_DIMENSION, TABLE_DIMENSION} or (whose, name) not in SAID:
                names.append(name)
        elif namespace == LOG_NAMESPACE:
            names += [] if name in log_metrics() and not dimensions else [name]
        elif namespace != "AWS/Lambda":
            names.append(name)
    return names


def unseen(found: list[Watched]) -> list[str]:
    """Name what a function says and nobody looks at."""
    looked_at = {
        (dimensions.get(FUNCTION_DIMENSION), name)
        for namespace, name, dimensions in found
        if namespace == NAMESPACE
    }
    return sorted(name for whose, name in SAID if (whose, name) not in looked_at)


def test_what_is_watched_is_said() -> None:
    assert problems(watched(alarms())) == []
    assert problems(list(shown(dashboard()))) == []


def test_what_is_said_is_shown() -> None:
    assert unseen(list(shown(dashboard()))) == []


def test_what_is_read_from_the_log_is_watched_and_shown() -> None:
    for found in (watched(alarms()), list(shown(dashboard()))):
        assert {name for space, name, _ in found if space == LOG_NAMESPACE} == set(log_metrics())


def test_an_alarm_of_what_nobody_says_is_found() -> None:
    renamed = {"Parked": {**alarms()["Parked"], "MetricName": "ParkedMessages"}}
    of_the_other = {"Parked": {**alarms()["Parked"], "MetricName": BACKLOG_PARKED.name}}
    without_table = {"Parked": {**alarms()["Parked"], "Dimensions": {FUNCTION_DIMENSION: "@relay_function@"}}}

    for broken in (renamed, of_the_other, without_table):
        assert len(problems(watched(broken))) == 1


def test_a_metric_that_nobody_looks_at_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SAID, ("@relay_function@", "Forgotten"), "Count")

    assert unseen(list(shown(dashboard()))) == ["Forgotten"]


def test_a_percentile_is_of_what_has_many_values() -> None:
    """Of a count there is one value an invocation, and its percentiles say nothing."""
    percentiles = {alarm["MetricName"] for alarm in alarms().values() if alarm["ExtendedStatistic"]}

    assert percentiles == {"CommitToPublishLatency"}
    assert all((alarm["Statistic"] is None) != (alarm["ExtendedStatistic"] is None)
               for alarm in alarms().values())  # fmt: skip


def test_the_template_is_short_enough_to_be_deployed_from_a_file() -> None:
    """CloudFormation takes 51,200 bytes; a longer one would need a bucket of its own."""
    assert len((ROOT / "deploy" / "sam" / "template.yaml").read_bytes()) <= 51_200


def table_rows(page: str, heading: str) -> list[list[str]]:
    section = re.split(r"^## ", page, flags=re.MULTILINE)
    (body,) = [each for each in section if each.startswith(heading)]
    rows = [line for line in body.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_page_lists_each_metric_with_its_unit_and_its_alarms() -> None:
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    for heading, metrics, whose in (
        ("The relay", RELAY_METRICS, "@relay_function@"),
        ("The sweeper", SWEEPER_METRICS, "@sweeper_function@"),
    ):
        wanted = [
            [
                f"`{metric.name}`",
                metric.unit,
                ", ".join(
                    f"`{name}`"
                    for name, alarm in alarms().items()
                    if (alarm["MetricName"], alarm["Dimensions"].get(FUNCTION_DIMENSION))
                    == (metric.name, whose)
                ),
            ]
            for metric in metrics
        ]
        assert [[name, unit, alarm] for name, unit, _, alarm in table_rows(page, heading)] == wanted
        assert all(meaning for _, _, meaning, _ in table_rows(page, heading))


def test_the_page_lists_each_alarm_with_its_threshold() -> None:
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()

    assert [row[:2] for row in table_rows(page, "The alarms")] == [
        [f"`{name}`", condition(alarm)] for name, alarm in alarms().items()
    ]


def condition(alarm: Mapping[str, Any]) -> str:
    sign = {"GreaterThanThreshold": ">", "LessThanThreshold": "<"}[alarm["ComparisonOperator"]]
    statistic = alarm["Statistic"] or alarm["ExtendedStatistic"]
    times = f", {alarm['EvaluationPeriods']} times" if alarm["EvaluationPeriods"] > 1 else ""
    measured = f"{statistic} of `{alarm['MetricName']}` in {alarm['Period']:,} s"
    return f"{measured} {sign} {alarm['Threshold']:,}{times}"
