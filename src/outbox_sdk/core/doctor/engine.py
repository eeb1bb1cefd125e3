"""The checks, each made on what it is about: facts in, findings out."""

from collections.abc import Iterator

from outbox_sdk.core.doctor.access_checks import ACCESS_CHECKS
from outbox_sdk.core.doctor.facts import Facts, NotKnownError, Stack, known
from outbox_sdk.core.doctor.finding import Check, Diagnosis, Finding, Problem, Unchecked
from outbox_sdk.core.doctor.function_checks import FUNCTION_CHECKS
from outbox_sdk.core.doctor.mapping_checks import MAPPING_CHECKS
from outbox_sdk.core.doctor.table_checks import TABLE_CHECKS

__all__ = ["CHECKS", "diagnose"]

CHECKS: tuple[Check, ...] = (*TABLE_CHECKS, *FUNCTION_CHECKS, *MAPPING_CHECKS, *ACCESS_CHECKS)
"""Every check, once."""

_SEVERITIES = ("error", "warning", "info")
_GONE = ("table.exists", "function.exists", "topic.exists")


def diagnose(stack: Stack) -> Diagnosis:
    """Make every check on a stack. What a missing fact ends is listed, and never taken to be fine.

    >>> from datetime import UTC, datetime
    >>> stack = Stack(name="table orders", source="live", taken_at=datetime(2026, 11, 28, tzinfo=UTC))
    >>> diagnosis = diagnose(stack)
    >>> diagnosis.findings, diagnosis.checked, len(diagnosis.unchecked) == len(CHECKS)
    ((), 0, True)
    """
    findings: list[Finding] = []
    unchecked: list[Unchecked] = []
    checked = 0
    for check in CHECKS:
        try:
            subjects = list(_subjects(stack, check))
        except NotKnownError as error:
            unchecked.append(Unchecked(id=check.id, resource=error.resource, reason=error.reason))
            continue
        for subject in subjects:
            try:
                findings.extend(_finding(stack, check, subject, each) for each in check.look(stack, subject))
                checked += 1
            except NotKnownError as error:
                unchecked.append(Unchecked(id=check.id, resource=error.resource, reason=error.reason))
    findings.sort(key=lambda finding: _SEVERITIES.index(finding.severity))
    return Diagnosis(
        stack=stack.name,
        source=stack.source,
        findings=tuple(findings),
        unchecked=tuple(dict.fromkeys(unchecked)),
        checked=checked,
    )


def _subjects(stack: Stack, check: Check) -> Iterator[Facts]:
    match check.about:
        case "stack":
            yield stack
        case "table":
            table = known(stack.table, stack, "table")
            yield from _present(table, table.exists, check)
        case "function":
            function = known(stack.function, stack, "function")
            yield from _present(function, function.exists, check)
        case "mapping":
            yield from stack.own_mappings()
        case "role":
            yield known(stack.role, stack, "role")
        case "topic":
            for topic in known(stack.topics, stack, "topics"):
                yield from _present(topic, topic.exists, check)
        case "key":
            yield from known(stack.keys, stack, "keys")
        case "sweeper":
            yield known(stack.sweeper, stack, "sweeper")


def _present(subject: Facts, exists: bool | None, check: Check) -> Iterator[Facts]:
    """What is not there has one finding, and not one for each thing that it has not."""
    if exists is not False or check.id in _GONE:
        yield subject


def _finding(stack: Stack, check: Check, subject: Facts, problem: Problem) -> Finding:
    return Finding(
        id=check.id,
        severity=problem.severity or check.severity,
        resource=subject.name,
        what=problem.what,
        risk=problem.risk,
        remedy=problem.aws if stack.source == "live" else problem.terraform,
    )
