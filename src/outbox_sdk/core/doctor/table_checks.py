"""What is looked at in the table: key and indexes, stream, time to live, recovery."""

from collections.abc import Iterator
from typing import Any

from outbox_sdk.core.doctor.facts import NotKnownError, Stack, TableFacts, known
from outbox_sdk.core.doctor.finding import Check, Problem
from outbox_sdk.core.table import find_table_differences

__all__ = ["TABLE_CHECKS"]

_GOOD_STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
_ATTRIBUTES_REASON = "attributes:"
"""What the reason of a message with too many attributes begins with."""


def _exists(stack: Stack, table: TableFacts) -> Iterator[Problem]:
    if not known(table.exists, table, "exists"):
        yield Problem(
            what=f"there is no table {table.table_name}",
            risk="producers' transactions fail, and there is nothing to relay",
            aws=f"outbox deploy --table {table.table_name} --create-table",
            terraform="existing_table_name = <the name of a table that exists>",
        )


def _schema(stack: Stack, table: TableFacts) -> Iterator[Problem]:
    design = stack.configuration().outbox_table_design
    key = known(table.key, table, "key")
    indexes = known(table.indexes, table, "indexes")
    description: dict[str, Any] = {"KeySchema": _schema_of(key), "StreamSpecification": _GOOD_STREAM}
    for index in indexes:
        kind = "LocalSecondaryIndexes" if index.is_local else "GlobalSecondaryIndexes"
        entry = {"IndexName": index.name, "KeySchema": _schema_of(index.key)}
        description.setdefault(kind, []).append(entry)
    for difference in find_table_differences(design, table.table_name, description):
        yield Problem(
            what=f"the table does not fit the design that the relay is told: {difference}",
            risk="items are not found by their keys, what stays behind is not swept, or an aggregate's "
            "items come to several shards and out of order",
            aws="outbox deploy with the OUTBOX_TABLE_DESIGN that the table has; a global index is added by "
            f"aws dynamodb update-table --table-name {table.table_name}, key and local index by a new table",
            terraform='design = "ordered" or "message_keyed", as the table is, or a data_file of its own',
        )


def _schema_of(key: tuple[str, ...]) -> list[dict[str, str]]:
    return [
        {"AttributeName": name, "KeyType": kind} for name, kind in zip(key, ("HASH", "RANGE"), strict=False)
    ]


def _stream(stack: Stack, table: TableFacts) -> Iterator[Problem]:
    view = known(table.stream_view, table, "stream_view")
    if view not in ("NEW_AND_OLD_IMAGES", "NEW_IMAGE"):
        yield Problem(
            what=f"the stream shows {view}" if view else "the table has no stream",
            risk="the relay is not shown what it has to publish: nothing is published",
            aws=f"aws dynamodb update-table --table-name {table.table_name} --stream-specification "
            "StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES (an existing stream is switched off first; "
            "the new one has another ARN, so deploy the mapping again)",
            terraform='stream_enabled = true, stream_view_type = "NEW_AND_OLD_IMAGES"',
        )


def _projection(stack: Stack, table: TableFacts) -> Iterator[Problem]:
    name = stack.configuration().outbox_table_design.outstanding_index
    for index in known(table.indexes, table, "indexes"):
        if index.name == name:
            if index.projection is None:
                raise NotKnownError(table.name, table.why("projection"))
            if index.projection != "KEYS_ONLY":
                yield Problem(
                    what=f"the index {name} holds {index.projection} of an item",
                    risk="every insert and every mark writes the body once more: 4 KB cost four times as "
                    "much and the index, which slows producers down, is full four times as early",
                    aws=f"aws dynamodb update-table --table-name {table.table_name}: add an index of another "
                    "name with KEYS_ONLY, deploy with outstanding_index=<name> in OUTBOX_TABLE_DESIGN, then "
                    "delete the old one",
                    terraform='projection_type = "KEYS_ONLY" in the global_secondary_index',
                )


def _buckets(stack: Stack, table: TableFacts) -> Iterator[Problem]:
    one = stack.configuration().outbox_not_dispatched_buckets == 1
    risk = (
        "the index has one key for all that is outstanding: about 500 messages a second, and what exceeds it "
        "throttles the producers' own transactions"
    )
    if one:
        yield Problem(
            what="OUTBOX_NOT_DISPATCHED_BUCKETS is 1",
            risk=risk,
            aws="unset OUTBOX_NOT_DISPATCHED_BUCKETS at the producers, or set it to 16",
            terraform='settings = { outbox_not_dispatched_buckets = "16" }',
        )
    if known(table.constant_markers, table, "constant_markers") and not one:
        yield Problem(
            what="an outstanding item has the marker x, which a producer of another make writes to all",
            risk=risk,
            aws="write crc32(message id) % 16 as two digits instead of x, as Outbox.put does",
            terraform="write crc32(message id) % 16 as two digits instead of x, as Outbox.put does",
            severity="info",
        )


def _time_to_live(stack: Stack, table: TableFacts) -> Iterator[Problem]:
    configuration = stack.configuration()
    wanted = configuration.outbox_table_design.expires_at
    attribute = known(table.ttl_attribute, table, "ttl_attribute")
    request = f'"Enabled=true,AttributeName={wanted}"'
    aws = f"aws dynamodb update-time-to-live --table-name {table.table_name} --time-to-live-specification "
    if attribute and attribute != wanted:
        yield Problem(
            what=f"items expire by {attribute}, and the relay writes {wanted}",
            risk="what a producer writes there deletes messages that are not dispatched, and dispatched ones "
            "stay for ever",
            aws=f'{aws}"Enabled=false,AttributeName={attribute}", and an hour later {aws}{request}',
            terraform=f'ttl {{ attribute_name = "{wanted}", enabled = true }}',
        )
    elif not attribute and configuration.outbox_dispatched_ttl_days is not None:
        yield Problem(
            what=f"time to live is off, and the relay writes {wanted} to what it has dispatched",
            risk="the table grows for ever, and an aggregate's items until DynamoDB refuses more",
            aws=aws + request,
            terraform=f'ttl {{ attribute_name = "{wanted}", enabled = true }}',
            severity="warning",
        )


def _expiry(stack: Stack, table: TableFacts) -> Iterator[Problem]:
    configuration = stack.configuration()
    if configuration.outbox_mark_strategy == "delete" or configuration.outbox_dispatched_ttl_days is not None:
        return
    if any(index.is_local for index in known(table.indexes, table, "indexes")):
        yield Problem(
            what="dispatched items are kept for ever in a table with a local secondary index",
            risk="DynamoDB stores 10 GB of an aggregate there, and refuses every write to a full one: the "
            "producer's transaction and the relay's mark",
            aws="outbox deploy --ttl-days 7",
            terraform="dispatched_ttl_days = 7",
        )


def _recovery(stack: Stack, table: TableFacts) -> Iterator[Problem]:
    if not known(table.recovery, table, "recovery"):
        yield Problem(
            what="point-in-time recovery is off",
            risk="a table that was deleted or overwritten by mistake takes what is outstanding with it",
            aws=f"aws dynamodb update-continuous-backups --table-name {table.table_name} "
            "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true",
            terraform="point_in_time_recovery { enabled = true }",
        )


def _attributes(stack: Stack, table: TableFacts) -> Iterator[Problem]:
    reasons = known(table.park_reasons, table, "park_reasons")
    refused = [reason for reason in reasons if reason.startswith(_ATTRIBUTES_REASON)]
    if refused:
        yield Problem(
            what=f"{len(refused)} of {len(reasons)} parked items that were looked at have more than ten "
            "attributes",
            risk="a queue with raw message delivery throws such a message away after SNS has taken it, so "
            "the relay parks it: it is not published",
            aws="send fewer headers from the producer, then outbox redrive --reason attributes",
            terraform="send fewer headers from the producer, then outbox redrive --reason attributes",
        )


TABLE_CHECKS: tuple[Check, ...] = (
    Check(id="table.exists", about="table", severity="error", title="The table is there.", look=_exists),
    Check(
        id="table.schema",
        about="table",
        severity="error",
        title="Key and indexes are those of the design that the relay is told.",
        look=_schema,
    ),
    Check(
        id="table.stream",
        about="table",
        severity="error",
        title="The stream is on and shows new images.",
        look=_stream,
    ),
    Check(
        id="table.index-projection",
        about="table",
        severity="warning",
        title="The index of what is outstanding holds keys only.",
        look=_projection,
    ),
    Check(
        id="table.index-key",
        about="table",
        severity="warning",
        title="The index of what is outstanding is spread over several keys.",
        look=_buckets,
    ),
    Check(
        id="table.time-to-live",
        about="table",
        severity="error",
        title="Items expire by the attribute that the mark writes, and by no other.",
        look=_time_to_live,
    ),
    Check(
        id="table.expiry",
        about="table",
        severity="warning",
        title="Where an aggregate has 10 GB at most, dispatched items expire.",
        look=_expiry,
    ),
    Check(
        id="table.recovery",
        about="table",
        severity="info",
        title="Point-in-time recovery is on.",
        look=_recovery,
    ),
    Check(
        id="table.attributes",
        about="table",
        severity="warning",
        title="No message is parked for having more than ten attributes.",
        look=_attributes,
    ),
)
