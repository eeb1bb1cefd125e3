"""A transactional outbox for DynamoDB: messages written with your data arrive at their SNS topics.

Decisions are pure functions in :mod:`outbox_sdk.core` (no I/O in there), effects are in
:mod:`outbox_sdk.shell`, and the Lambda handler, the command and the helpers for tests are thin edges around
both. Importing this package loads no AWS SDK: each name below is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outbox_sdk.core.catalog import Catalog
    from outbox_sdk.core.claim import Claim, ClaimCheck
    from outbox_sdk.core.claim_sweep import ClaimSweepReport
    from outbox_sdk.core.configuration import RelayConfiguration
    from outbox_sdk.core.delivery import Delivery, decode_sns_record, decode_sqs_record
    from outbox_sdk.core.doctor.finding import Diagnosis, Finding, Unchecked
    from outbox_sdk.core.errors import (
        ConfigurationError,
        InvalidEventError,
        InvalidMessageError,
        OutboxError,
        TableCallError,
        UndecodableDeliveryError,
        UndecodableMessageError,
    )
    from outbox_sdk.core.event_source import EventSource
    from outbox_sdk.core.message import OutboxMessage
    from outbox_sdk.core.message_type import MessageType, message
    from outbox_sdk.core.outcome import BatchReport
    from outbox_sdk.core.pointer import ClaimError
    from outbox_sdk.core.selection import Selection
    from outbox_sdk.core.sequence import Gap, Next, Stale, step_of
    from outbox_sdk.core.sweep_report import SweepReport
    from outbox_sdk.core.table import TableDesign
    from outbox_sdk.core.trace import TraceContext
    from outbox_sdk.core.transaction import explain_cancellation
    from outbox_sdk.core.transaction_errors import (
        AlreadyProcessed,
        ConditionFailed,
        MessageAlreadyPublished,
        TransactionConflict,
        TransactionError,
        TransactionInDoubt,
        TransactionRefused,
    )
    from outbox_sdk.provisioning import (
        StreamsOutbox,
        create_dynamodb_streams_outbox,
        create_inbox_table,
        create_outbox_table,
        destroy_dynamodb_streams_outbox,
    )
    from outbox_sdk.shell.admin import Admin, open_admin
    from outbox_sdk.shell.claims import ClaimStore, write_claims
    from outbox_sdk.shell.consumer import RecordHandler, consumer
    from outbox_sdk.shell.doctor import diagnose_plan, diagnose_stack
    from outbox_sdk.shell.handling import current_delivery, handling
    from outbox_sdk.shell.inbox import Inbox
    from outbox_sdk.shell.producer import Outbox
    from outbox_sdk.shell.relay import Relay, open_relay
    from outbox_sdk.shell.settings import Settings
    from outbox_sdk.shell.streams import follow_stream
    from outbox_sdk.shell.transaction import PlainTransaction, Transaction, open_transaction

__all__ = [
    "Admin",
    "AlreadyProcessed",
    "BatchReport",
    "Catalog",
    "Claim",
    "ClaimCheck",
    "ClaimError",
    "ClaimStore",
    "ClaimSweepReport",
    "ConditionFailed",
    "ConfigurationError",
    "Delivery",
    "Diagnosis",
    "EventSource",
    "Finding",
    "Gap",
    "Inbox",
    "InvalidEventError",
    "InvalidMessageError",
    "MessageAlreadyPublished",
    "MessageType",
    "Next",
    "Outbox",
    "OutboxError",
    "OutboxMessage",
    "PlainTransaction",
    "RecordHandler",
    "Relay",
    "RelayConfiguration",
    "Selection",
    "Settings",
    "Stale",
    "StreamsOutbox",
    "SweepReport",
    "TableCallError",
    "TableDesign",
    "TraceContext",
    "Transaction",
    "TransactionConflict",
    "TransactionError",
    "TransactionInDoubt",
    "TransactionRefused",
    "Unchecked",
    "UndecodableDeliveryError",
    "UndecodableMessageError",
    "consumer",
    "create_dynamodb_streams_outbox",
    "create_inbox_table",
    "create_outbox_table",
    "current_delivery",
    "decode_sns_record",
    "decode_sqs_record",
    "destroy_dynamodb_streams_outbox",
    "diagnose_plan",
    "diagnose_stack",
    "explain_cancellation",
    "follow_stream",
    "handling",
    "message",
    "open_admin",
    "open_relay",
    "open_transaction",
    "step_of",
    "write_claims",
]

_MODULES = {
    "Admin": "outbox_sdk.shell.admin",
    "AlreadyProcessed": "outbox_sdk.core.transaction_errors",
    "BatchReport": "outbox_sdk.core.outcome",
    "Catalog": "outbox_sdk.core.catalog",
    "Claim": "outbox_sdk.core.claim",
    "ClaimCheck": "outbox_sdk.core.claim",
    "ClaimError": "outbox_sdk.core.pointer",
    "ClaimStore": "outbox_sdk.shell.claims",
    "ClaimSweepReport": "outbox_sdk.core.claim_sweep",
    "ConditionFailed": "outbox_sdk.core.transaction_errors",
    "ConfigurationError": "outbox_sdk.core.errors",
    "Delivery": "outbox_sdk.core.delivery",
    "Diagnosis": "outbox_sdk.core.doctor.finding",
    "Finding": "outbox_sdk.core.doctor.finding",
    "EventSource": "outbox_sdk.core.event_source",
    "Gap": "outbox_sdk.core.sequence",
    "Inbox": "outbox_sdk.shell.inbox",
    "InvalidEventError": "outbox_sdk.core.errors",
    "InvalidMessageError": "outbox_sdk.core.errors",
    "MessageAlreadyPublished": "outbox_sdk.core.transaction_errors",
    "MessageType": "outbox_sdk.core.message_type",
    "Next": "outbox_sdk.core.sequence",
    "Outbox": "outbox_sdk.shell.producer",
    "OutboxError": "outbox_sdk.core.errors",
    "OutboxMessage": "outbox_sdk.core.message",
    "PlainTransaction": "outbox_sdk.shell.transaction",
    "RecordHandler": "outbox_sdk.shell.consumer",
    "Relay": "outbox_sdk.shell.relay",
    "RelayConfiguration": "outbox_sdk.core.configuration",
    "Settings": "outbox_sdk.shell.settings",
    "Selection": "outbox_sdk.core.selection",
    "Stale": "outbox_sdk.core.sequence",
    "StreamsOutbox": "outbox_sdk.provisioning",
    "SweepReport": "outbox_sdk.core.sweep_report",
    "TableCallError": "outbox_sdk.core.errors",
    "TableDesign": "outbox_sdk.core.table",
    "TraceContext": "outbox_sdk.core.trace",
    "Transaction": "outbox_sdk.shell.transaction",
    "TransactionConflict": "outbox_sdk.core.transaction_errors",
    "TransactionError": "outbox_sdk.core.transaction_errors",
    "TransactionInDoubt": "outbox_sdk.core.transaction_errors",
    "TransactionRefused": "outbox_sdk.core.transaction_errors",
    "Unchecked": "outbox_sdk.core.doctor.finding",
    "UndecodableDeliveryError": "outbox_sdk.core.errors",
    "UndecodableMessageError": "outbox_sdk.core.errors",
    "consumer": "outbox_sdk.shell.consumer",
    "create_dynamodb_streams_outbox": "outbox_sdk.provisioning",
    "create_inbox_table": "outbox_sdk.provisioning",
    "create_outbox_table": "outbox_sdk.provisioning",
    "current_delivery": "outbox_sdk.shell.handling",
    "decode_sns_record": "outbox_sdk.core.delivery",
    "decode_sqs_record": "outbox_sdk.core.delivery",
    "destroy_dynamodb_streams_outbox": "outbox_sdk.provisioning",
    "diagnose_plan": "outbox_sdk.shell.doctor",
    "diagnose_stack": "outbox_sdk.shell.doctor",
    "explain_cancellation": "outbox_sdk.core.transaction",
    "follow_stream": "outbox_sdk.shell.streams",
    "handling": "outbox_sdk.shell.handling",
    "message": "outbox_sdk.core.message_type",
    "open_admin": "outbox_sdk.shell.admin",
    "open_relay": "outbox_sdk.shell.relay",
    "open_transaction": "outbox_sdk.shell.transaction",
    "step_of": "outbox_sdk.core.sequence",
    "write_claims": "outbox_sdk.shell.claims",
}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
