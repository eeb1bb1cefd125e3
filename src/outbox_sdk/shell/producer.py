"""The producer's side: a message as one entry of the caller's own transaction."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from random import random
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Generic, Never, TypeVar, overload
from uuid import uuid4

from outbox_sdk.core.actions import MAX_ITEM_BYTES, message_action
from outbox_sdk.core.body import encode_body
from outbox_sdk.core.catalog import Catalog
from outbox_sdk.core.claim import Claim, ClaimCheck, claim_body
from outbox_sdk.core.entry import TopicLimits, find_publish_fault
from outbox_sdk.core.envelope import EnvelopeKind
from outbox_sdk.core.errors import ConfigurationError, InvalidMessageError
from outbox_sdk.core.identifiers import AggregateId, CorrelationId, ItemKey, MessageId
from outbox_sdk.core.items import bucket_of, decode_item, encode_item, item_size
from outbox_sdk.core.message import OutboxMessage, Poison
from outbox_sdk.core.message_arguments import (
    check_headers,
    check_hops,
    check_sequence,
    check_text,
    find_route,
)
from outbox_sdk.core.message_type import MessageType, find_message_type
from outbox_sdk.core.origin import take_over
from outbox_sdk.core.publish_advice import advise_producer
from outbox_sdk.core.retry import RetryPolicy
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.text import format_instant
from outbox_sdk.shell.commit import TRANSACTION_RETRIES, TransactsItems
from outbox_sdk.shell.handling import find_origin
from outbox_sdk.shell.transaction import Transaction, open_outbox_transaction

if TYPE_CHECKING:
    # The clients' own type, so that the entry goes into `TransactItems` without a cast.
    from types_aiobotocore_dynamodb.type_defs import TransactWriteItemTypeDef

    # `Outbox` alone is then one that takes messages with `topic=` only, which any outbox does. Defaults of
    # type variables exist from Python 3.13 on, and type checkers bring this module.
    from typing_extensions import TypeVar as _TypeVar

    from outbox_sdk.shell.claims import BodyWriter

    _EventT_contra = _TypeVar("_EventT_contra", contravariant=True, default=Never)
else:
    _EventT_contra = TypeVar("_EventT_contra", contravariant=True)

_CatalogEventT = TypeVar("_CatalogEventT")

__all__ = ["MAX_MESSAGE_ITEM_BYTES", "Outbox"]

MAX_MESSAGE_ITEM_BYTES = MAX_ITEM_BYTES - 1_024
"""DynamoDB's limit for an item, names included, less the room that marking or parking it may need."""


class Outbox(Generic[_EventT_contra]):
    """Writes messages into an outbox table, inside transactions that stay the caller's.

    ``catalog`` holds the messages that may be put, each with its topic, and to a type checker makes this an
    ``Outbox[OrderCreated | OrderShipped]``. ``topic_max_bytes`` and ``envelope`` are what the relay is
    configured with, so that a message which could not be published is refused before it is written.
    ``buckets`` spreads the index of outstanding messages (1 to 100). ``claim_check`` sends bodies over a size
    to S3, and a pointer in their place.

    It holds no client, and does no I/O: :meth:`put` only builds a value.

    >>> from outbox_sdk import Catalog, message
    >>> import msgspec
    >>> @message("order.created", topic="order--created")
    ... class OrderCreated(msgspec.Struct):
    ...     order_id: str
    >>> outbox = Outbox("outbox", catalog=Catalog(OrderCreated))
    >>> entry = outbox.put(OrderCreated("7"), aggregate_id="order-7", message_id="m-1")
    >>> entry["Put"]["Item"]["PK"], entry["Put"]["Item"]["Message"]
    ({'S': 'AGGREGATE#order-7'}, {'S': '{"order_id":"7"}'})
    """

    @overload
    def __init__(
        self: "Outbox[Never]",
        table_name: str,
        *,
        catalog: None = None,
        design: TableDesign = ...,
        topic_max_bytes: int | TopicLimits = ...,
        envelope: EnvelopeKind = ...,
        buckets: int = ...,
        claim_check: ClaimCheck | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: "Outbox[_CatalogEventT]",
        table_name: str,
        *,
        catalog: Catalog[_CatalogEventT],
        design: TableDesign = ...,
        topic_max_bytes: int | TopicLimits = ...,
        envelope: EnvelopeKind = ...,
        buckets: int = ...,
        claim_check: ClaimCheck | None = ...,
    ) -> None: ...
    def __init__(
        self,
        table_name: str,
        *,
        catalog: Catalog[Any] | None = None,
        design: TableDesign = TableDesign.ordered,
        topic_max_bytes: int | TopicLimits = TopicLimits(),  # noqa: B008 - a frozen value
        envelope: EnvelopeKind = "raw",
        buckets: int = 16,
        claim_check: ClaimCheck | None = None,
    ) -> None:
        if not 1 <= buckets <= 100:
            raise ConfigurationError("buckets", f"{buckets} is not between 1 and 100")
        self.table_name = table_name
        self.design = design
        self._catalog = catalog
        self._limits = TopicLimits(topic_max_bytes) if isinstance(topic_max_bytes, int) else topic_max_bytes
        self._envelope: EnvelopeKind = envelope
        self._buckets = buckets
        self._claim_check = claim_check

    @overload
    def put(
        self,
        message: _EventT_contra,
        *,
        aggregate_id: str,
        of: type[_EventT_contra] | None = None,
        topic: str | None = None,
        correlation_id: str | None = None,
        message_id: str | None = None,
        sequence: int | None = None,
        headers: Mapping[str, str] | None = None,
        created_at: datetime | None = None,
        hops: int | None = None,
        claims: list[Claim] | None = None,
    ) -> "TransactWriteItemTypeDef": ...
    @overload
    def put(
        self,
        message: object,
        *,
        aggregate_id: str,
        topic: str,
        correlation_id: str | None = None,
        message_id: str | None = None,
        sequence: int | None = None,
        headers: Mapping[str, str] | None = None,
        created_at: datetime | None = None,
        hops: int | None = None,
        claims: list[Claim] | None = None,
    ) -> "TransactWriteItemTypeDef": ...
    def put(
        self,
        message: object,
        *,
        aggregate_id: str,
        of: type[Any] | None = None,
        topic: str | None = None,
        correlation_id: str | None = None,
        message_id: str | None = None,
        sequence: int | None = None,
        headers: Mapping[str, str] | None = None,
        created_at: datetime | None = None,
        hops: int | None = None,
        claims: list[Claim] | None = None,
    ) -> "TransactWriteItemTypeDef":
        """Build the entry of ``TransactWriteItems`` that writes one message.

        ``message`` is of a class of the catalog, which says its topic; ``of`` names the class where it is a
        dictionary of a TypedDict. With ``topic`` it may also be anything else that has JSON, or the body
        itself as a string. ``aggregate_id`` is what the message is about: order is kept within it.
        ``message_id`` is what consumers deduplicate by, a random one by default. ``sequence`` is the
        aggregate's own version: two messages of one aggregate in one transaction keep their order only with
        it. ``headers`` become SNS attributes. The write fails while an item of the same message is in the
        table.

        While a delivery is handled (see :func:`~outbox_sdk.handling`), ``hops`` is by default the delivery's
        plus 1, so that consumers who write to each other come to an end. Where ten attributes leave room,
        ``correlation_id`` is the delivery's, or else its message id, and the headers ``traceparent``,
        ``tracestate`` and ``CausationId`` are added. With OpenTelemetry, the trace is that of the current
        span.

        With a claim check, a body over its size is added to ``claims`` instead of the item: write what is in
        there before you commit, by :func:`~outbox_sdk.write_claims` or by ``put_object(**claim.request())``
        each. :meth:`transaction` does it for you.

        Not promised: that the message is written. It is written when your transaction commits.

        Raises:
            InvalidMessageError: naming the argument that breaks a limit or a rule.
        """
        origin = find_origin()
        if hops is None:
            hops = origin.hops
        known = self._find_type(message, of, topic)
        body = self._encode(message, of)
        identifier = MessageId(message_id if message_id is not None else str(uuid4()))
        check_text("message_id", identifier)
        check_text("aggregate_id", aggregate_id)
        if correlation_id is not None and correlation_id != "":  # an empty one says the same as none
            check_text("correlation_id", correlation_id)
        check_headers({} if headers is None else headers)
        if sequence is not None:
            check_sequence(sequence)
        check_hops(hops)
        keys = self.design.item_key_values(aggregate_id, identifier)
        written = OutboxMessage(
            key=ItemKey.from_item({name: {"S": value} for name, value in keys.items()}),
            marker={"S": bucket_of(identifier, self._buckets)},
            message_id=identifier,
            aggregate_id=AggregateId(aggregate_id),
            topic=find_route(known, topic),
            body=body,
            correlation_id=None if correlation_id is None else CorrelationId(correlation_id),
            created_at=_format_created_at(created_at),
            message_type=None if known is None else known.name,
            schema_version=None if known is None else known.version,
            content_type=None if isinstance(message, str) else "application/json",
            headers=dict(headers or {}),
            sequence=sequence,
            hops=hops,
        )
        pointing, claim = self._claim(written, claims)
        outgoing = take_over(pointing, origin)
        item = encode_item(outgoing, self.design)
        self._check(outgoing, item)
        if claims is not None and claim is not None:
            claims.append(claim)
        # Any: the clients' own type is a closed dictionary, which the core does not know.
        entry: Any = message_action(self.table_name, item, self.design)
        return entry  # type: ignore[no-any-return]

    def transaction(
        self,
        client: TransactsItems,
        *,
        s3: "BodyWriter | None" = None,
        retries: RetryPolicy = TRANSACTION_RETRIES,
        jitter: Callable[[], float] = random,
    ) -> "AbstractAsyncContextManager[Transaction[_EventT_contra]]":
        """Open a block whose actions and messages are committed together where it ends.

        ``client`` is a DynamoDB client of aiobotocore or aioboto3, which stays the caller's. An empty block
        sends nothing, and so does one that raises. What is tried again, and what is not promised, says
        :func:`~outbox_sdk.open_transaction`. One outbox serves any number of blocks at a time.

        ``s3`` is a client for an outbox with a claim check: bodies over its size are written where the block
        ends, side by side, before anything is committed. Where that fails nothing is, and what was written
        is swept later.

        Raises:
            ConfigurationError: a client is one of boto3 or not entered yet; the block has not begun.
            TransactionError: one of its children, where the block ends: MessageAlreadyPublished,
                AlreadyProcessed, ConditionFailed, TransactionConflict, TransactionRefused or
                TransactionInDoubt.
            ClaimError: a body could not be written; nothing was committed.

        >>> outbox = Outbox("outbox")
        >>> async def place_order(client):
        ...     async with outbox.transaction(client) as tx:
        ...         tx.put(TableName="orders", Item={"PK": {"S": "7"}})
        ...         tx.publish('{"id": 7}', aggregate_id="order-7", topic="order--created")
        """
        return open_outbox_transaction(self, client, s3=s3, retries=retries, jitter=jitter)

    def _find_type(self, message: object, of: type[Any] | None, topic: str | None) -> MessageType | None:
        """Give what is known of a message; one without a topic of its own must be in the catalog."""
        message_class = type(message) if of is None else of
        if topic is not None and of is None:
            return find_message_type(message_class)
        if self._catalog is None or message_class not in self._catalog:
            if of is not None:
                raise InvalidMessageError("of", f"{of.__name__} is not in the catalog; add it to Catalog(…)")
            hint = "; name a TypedDict by of=" if message_class is dict else ""
            raise InvalidMessageError(
                "topic",
                f"{message_class.__name__} is not in the catalog; add it to Catalog(…) or give topic={hint}",
            )
        return self._catalog.type_of(message_class)

    def _encode(self, message: object, of: type[Any] | None) -> str:
        if isinstance(message, str):
            return message
        if self._catalog is not None and (of is not None or type(message) in self._catalog):
            return self._catalog.encode(message, of)
        return encode_body(message)

    def _claim(
        self, message: OutboxMessage, claims: list[Claim] | None
    ) -> tuple[OutboxMessage, Claim | None]:
        """Take out a body that is to be claimed; nobody has to write it where there is no list for it."""
        if self._claim_check is None:
            return message, None
        pointing, claim = claim_body(
            message, self._claim_check, self.design, table_name=self.table_name, nonce=token_hex(8)
        )
        if claim is not None and claims is None:
            raise InvalidMessageError(
                "claims",
                f"message {message.message_id} has a body of {len(claim.body)} bytes, of which "
                f"{self._claim_check.over_bytes} go into an item: give transaction() a client as s3=, "
                "or put() a list as claims= and write what is in it first",
            )
        return pointing, claim

    def _check(self, message: OutboxMessage, item: dict[str, Any]) -> None:
        """Refuse what the relay could not publish, by the relay's own rules, and what DynamoDB refuses."""
        decoded = decode_item(item, message.key, self.design)
        if isinstance(decoded, Poison):
            reason = advise_producer(decoded.reason, message)
            raise InvalidMessageError("message", f"message {message.message_id} is refused: {reason}")
        fault = find_publish_fault(
            message, kind=self._envelope, limits=self._limits, source=f"/outbox/{self.table_name}"
        )
        if fault is not None:
            field = "headers" if fault.reason.startswith(("attribute", "extension-name")) else "message"
            reason = advise_producer(fault.reason, message)
            raise InvalidMessageError(field, f"message {message.message_id} is refused: {reason}")
        self._check_keys(item)
        size = item_size(item)
        if size > MAX_MESSAGE_ITEM_BYTES:
            raise InvalidMessageError(
                "message",
                f"message {message.message_id} makes an item of {size} of {MAX_MESSAGE_ITEM_BYTES} bytes",
            )

    def _check_keys(self, item: dict[str, Any]) -> None:
        by_aggregate = self.design.keyed_by == "aggregate"
        for name, limit, field in (
            (self.design.partition_key, 2_048, "aggregate_id" if by_aggregate else "message_id"),
            (self.design.sort_key, 1_024, "message_id"),
        ):
            size = 0 if name is None else len(item[name]["S"].encode())
            if size > limit:
                raise InvalidMessageError(field, f"{name} has {size} of {limit} bytes")


def _format_created_at(created_at: object) -> str:
    if created_at is None:
        return format_instant(datetime.now(UTC))
    if not isinstance(created_at, datetime):
        problem = f"is of type {type(created_at).__name__}; give a datetime with a time zone"
        raise InvalidMessageError("created_at", problem)
    try:
        return format_instant(created_at)
    except (ValueError, OverflowError) as error:
        raise InvalidMessageError("created_at", str(error)) from error
