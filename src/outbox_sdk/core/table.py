"""The outbox table as data: names of keys, attributes and indexes, and the requests that create it."""

from typing import Any, ClassVar, Literal

import msgspec

from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import AggregateId, MessageId, TableName

__all__ = [
    "INDEXED_TTL_DAYS",
    "PARKED",
    "TableDesign",
    "create_table_request",
    "encode_design",
    "find_table_differences",
    "parse_design",
    "time_to_live_request",
]

PARKED = "parked"
"""The marker of an item set aside for a person; every other marker means outstanding."""

INDEXED_TTL_DAYS = 7
"""How long deployments keep dispatched items of a table with a local secondary index, unless told otherwise.

Such an index caps what is stored of one aggregate at 10 GB, and a full one refuses writes.
"""


class TableDesign(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """Where an outbox keeps what; two designs ship, and both are read by the same relay.

    ``TableDesign.ordered`` (the default) keeps an aggregate's items together: partition key
    ``AGGREGATE#<aggregate_id>``, sort key ``MESSAGE#<message_id>`` and a local secondary index, because a
    table with one keeps an item collection in one partition and so in one shard of the stream. The price
    is DynamoDB's: 10 GB and 1,000 write units a second for one aggregate.

    ``TableDesign.message_keyed`` is for tables that exist already: partition key ``MESSAGE#<message_id>``
    and no order between messages.

    A table with names of its own is a copy with those fields replaced:

    >>> import msgspec
    >>> design = msgspec.structs.replace(TableDesign.ordered, partition_key="pk", sort_key="sk")
    >>> design.item_key_values("order-7", "m-1")
    {'pk': 'AGGREGATE#order-7', 'sk': 'MESSAGE#m-1'}

    Not promised: that a design may change on a table that holds items.
    """

    keyed_by: Literal["aggregate", "message"]
    partition_key: str = "PK"
    sort_key: str | None = None
    message_id: str = "MessageId"
    aggregate_id: str = "AggregateId"
    correlation_id: str = "CorrelationId"
    topic: str = "Topic"
    body: str = "Message"
    created_at: str = "CreatedAt"
    is_dispatched: str = "IsDispatched"
    dispatch_count: str = "ApproximateDispatchCount"
    last_dispatched_at: str = "LastDispatchedAt"
    not_dispatched: str = "NotDispatched"
    message_type: str = "MessageType"
    schema_version: str = "SchemaVersion"
    content_type: str = "ContentType"
    headers: str = "Headers"
    sequence: str = "Sequence"
    expires_at: str = "ExpiresAt"
    parked_at: str = "ParkedAt"
    park_reason: str = "ParkReason"
    touched_at: str = "TouchedAt"
    redrive_count: str = "RedriveCount"
    hops: str = "Hops"
    outstanding_index: str = "NotDispatchedMessagesIndex"
    sequence_index: str | None = None

    def __post_init__(self) -> None:
        for field in self.__struct_fields__:
            name = getattr(self, field)
            # In a statement these two open a placeholder, even inside quotes.
            if name is not None and (not name or name[0] in "#:"):
                raise ConfigurationError(field, f"{name!r} cannot name an attribute or an index")

    ordered: ClassVar["TableDesign"]
    message_keyed: ClassVar["TableDesign"]

    def item_key_values(self, aggregate_id: AggregateId | str, message_id: MessageId | str) -> dict[str, str]:
        """Give the key attributes of a new item, by attribute name."""
        by_message = f"MESSAGE#{message_id}"
        if self.keyed_by == "message":
            return {self.partition_key: by_message}
        if self.sort_key is None:
            raise ValueError("a design keyed by aggregate needs a sort key")
        return {self.partition_key: f"AGGREGATE#{aggregate_id}", self.sort_key: by_message}


TableDesign.ordered = TableDesign(
    keyed_by="aggregate", sort_key="SK", sequence_index="AggregateSequenceIndex"
)
TableDesign.message_keyed = TableDesign(keyed_by="message")


def parse_design(text: str) -> TableDesign:
    """Read a design from text: the name of one that ships, then what is called otherwise.

    Raises:
        ValueError: with a sentence for people.

    >>> design = parse_design("message_keyed,partition_key=pk,topic=Channel")
    >>> design.partition_key, design.topic
    ('pk', 'Channel')
    """
    base, *changes = (part.strip() for part in text.split(","))
    if base not in _SHIPPED:
        raise ValueError(f"{base!r} is not one of {', '.join(_SHIPPED)}")
    names: dict[str, str | None] = {}
    for change in changes:
        field, equals, name = (part.strip() for part in change.partition("="))
        if not equals or field not in _RENAMED:
            raise ValueError(f"{change!r} is not FIELD=NAME with a field of TableDesign")
        names[field] = name or None
        if not name and field not in _OPTIONAL:
            raise ValueError(f"{field} needs a name")
    try:
        return msgspec.structs.replace(_SHIPPED[base], **names)
    except ConfigurationError as error:
        raise ValueError(str(error)) from error


def encode_design(design: TableDesign) -> str:
    """Write a design as :func:`parse_design` reads it.

    Raises:
        ConfigurationError: a name holds a comma or begins or ends with a blank, which the text cannot carry.

    >>> encode_design(msgspec.structs.replace(TableDesign.ordered, sort_key="sk"))
    'ordered,sort_key=sk'
    """
    base = "ordered" if design.keyed_by == "aggregate" else "message_keyed"
    parts = [base]
    for field in _RENAMED:
        name = getattr(design, field)
        if name is not None and ("," in name or name != name.strip()):
            raise ConfigurationError(field, f"{name!r} cannot be written into a variable")
        if name != getattr(_SHIPPED[base], field):
            parts.append(f"{field}={name or ''}")
    return ",".join(parts)


_SHIPPED = {"ordered": TableDesign.ordered, "message_keyed": TableDesign.message_keyed}
_RENAMED = tuple(field for field in TableDesign.__struct_fields__ if field != "keyed_by")
_OPTIONAL = ("sort_key", "sequence_index")


def create_table_request(design: TableDesign, table_name: TableName | str) -> dict[str, Any]:
    """Build the arguments of ``CreateTable``: on demand, with the stream and the sparse index.

    Encryption at rest is DynamoDB's own default key, which is always on.
    """
    key_schema = [{"AttributeName": design.partition_key, "KeyType": "HASH"}]
    types = {design.partition_key: "S", design.not_dispatched: "S", design.created_at: "S"}
    if design.sort_key is not None:
        key_schema.append({"AttributeName": design.sort_key, "KeyType": "RANGE"})
        types[design.sort_key] = "S"
    request: dict[str, Any] = {
        "TableName": str(table_name),
        "KeySchema": key_schema,
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        "GlobalSecondaryIndexes": [
            {
                "IndexName": design.outstanding_index,
                "KeySchema": [
                    {"AttributeName": design.not_dispatched, "KeyType": "HASH"},
                    {"AttributeName": design.created_at, "KeyType": "RANGE"},
                ],
                # Keys only: a wider projection multiplies what every insert and every mark costs.
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    }
    if design.sequence_index is not None:
        types[design.sequence] = "N"
        request["LocalSecondaryIndexes"] = [
            {
                "IndexName": design.sequence_index,
                "KeySchema": [
                    {"AttributeName": design.partition_key, "KeyType": "HASH"},
                    {"AttributeName": design.sequence, "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ]
    request["AttributeDefinitions"] = [
        {"AttributeName": name, "AttributeType": kind} for name, kind in types.items()
    ]
    return request


def time_to_live_request(design: TableDesign, table_name: TableName | str) -> dict[str, Any]:
    """Build the arguments of ``UpdateTimeToLive``. Only the mark writes the attribute."""
    return {
        "TableName": str(table_name),
        "TimeToLiveSpecification": {"Enabled": True, "AttributeName": design.expires_at},
    }


def find_table_differences(
    design: TableDesign, table_name: TableName | str, description: dict[str, Any]
) -> list[str]:
    """Compare an existing table (``DescribeTable``'s ``Table``) with a design; empty where it fits.

    More indexes than the design asks for are no difference. ``NEW_IMAGE`` is accepted as stream view.
    """
    wanted = create_table_request(design, table_name)
    differences = []
    if _key_names(description) != _key_names(wanted):
        differences.append(f"its key is {_key_names(description)}, not {_key_names(wanted)}")
    for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
        existing = {index["IndexName"]: _key_names(index) for index in description.get(kind) or ()}
        for index in wanted.get(kind, ()):
            name, keys = index["IndexName"], _key_names(index)
            if existing.get(name) != keys:
                differences.append(f"its index {name} is {existing.get(name, 'absent')}, not {keys}")
    stream = description.get("StreamSpecification") or {}
    view = stream.get("StreamViewType") if stream.get("StreamEnabled") else None
    if view not in ("NEW_AND_OLD_IMAGES", "NEW_IMAGE"):
        differences.append(f"its stream view is {view or 'absent'}, not NEW_AND_OLD_IMAGES")
    return differences


def _key_names(schema: dict[str, Any]) -> list[str]:
    by_type = {key["KeyType"]: key["AttributeName"] for key in schema["KeySchema"]}
    return [by_type[kind] for kind in ("HASH", "RANGE") if kind in by_type]
