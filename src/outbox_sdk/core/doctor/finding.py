"""What the doctor says: findings, what it could not look at, and the two together."""

from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec

from outbox_sdk.core.doctor.facts import Source, Stack

__all__ = ["Check", "Diagnosis", "Finding", "Problem", "Severity", "Subject", "Unchecked"]

Severity = Literal["error", "warning", "info"]
"""``error``: messages are lost, disordered or not relayed, or are going to be. ``warning``: they may be, when
something else goes wrong as well. ``info``: nothing is lost, and something is not as good as it could be."""

Subject = Literal["stack", "table", "function", "mapping", "role", "topic", "key", "sweeper"]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What a check has found: what is, what can happen, and what mends it, on AWS and in Terraform.

    ``severity`` stands over the check's own.
    """

    what: str
    risk: str
    aws: str
    terraform: str
    severity: Severity | None = None


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is looked at. ``title`` says what has to hold.

    ``look`` is given the stack and one subject, and raises ``NotKnownError`` for a fact that is missing.
    """

    id: str
    about: Subject
    severity: Severity
    title: str
    look: Callable[[Stack, Any], Iterator[Problem]]


class Finding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that is not as it should be: what is, what can happen, and what to type or to write."""

    id: str
    severity: Severity
    resource: str
    what: str
    risk: str
    remedy: str


class Unchecked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A check that could not be made, and why; it says nothing of whether all is well."""

    id: str
    resource: str
    reason: str


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was found in one stack, worst first, and what was not looked at.

    ``checked`` counts the checks that were made, each for each of the resources it is about.
    """

    stack: str
    source: Source
    findings: tuple[Finding, ...]
    unchecked: tuple[Unchecked, ...]
    checked: int

    @property
    def has_errors(self) -> bool:
        """Tell whether a finding is an error."""
        return any(finding.severity == "error" for finding in self.findings)
