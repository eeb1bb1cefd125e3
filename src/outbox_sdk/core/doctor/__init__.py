"""The doctor: what is known of a stack, as values, against the traps that lose or disorder messages."""

from outbox_sdk.core.doctor.engine import CHECKS, diagnose
from outbox_sdk.core.doctor.facts import (
    FunctionFacts,
    IndexFacts,
    KeyFacts,
    MappingFacts,
    RoleFacts,
    Stack,
    SubscriptionFacts,
    SweeperFacts,
    TableFacts,
    TopicFacts,
)
from outbox_sdk.core.doctor.finding import Check, Diagnosis, Finding, Severity, Unchecked

__all__ = [
    "CHECKS",
    "Check",
    "Diagnosis",
    "Finding",
    "FunctionFacts",
    "IndexFacts",
    "KeyFacts",
    "MappingFacts",
    "RoleFacts",
    "Severity",
    "Stack",
    "SubscriptionFacts",
    "SweeperFacts",
    "TableFacts",
    "TopicFacts",
    "Unchecked",
    "diagnose",
]
