"""Creating what the relay needs in an AWS account or a local stack: the table, and the relay in Lambda.

Thin: what to call is decided in :mod:`outbox_sdk.core.deployment` and :mod:`outbox_sdk.core.table`.
"""

from outbox_sdk.core.deployment import Call
from outbox_sdk.provisioning.inbox import create_inbox_table
from outbox_sdk.provisioning.streams_outbox import (
    StreamsOutbox,
    create_dynamodb_streams_outbox,
    destroy_dynamodb_streams_outbox,
)
from outbox_sdk.provisioning.table import create_outbox_table

__all__ = [
    "Call",
    "StreamsOutbox",
    "create_dynamodb_streams_outbox",
    "create_inbox_table",
    "create_outbox_table",
    "destroy_dynamodb_streams_outbox",
]
