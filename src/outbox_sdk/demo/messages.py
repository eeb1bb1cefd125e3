"""What the demo writes: generated orders, or the lines of a file. Pure; nothing is written in here."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from outbox_sdk.core.catalog import Catalog
from outbox_sdk.core.errors import InvalidMessageError, OutboxError
from outbox_sdk.core.message_type import message
from outbox_sdk.shell.producer import Outbox

__all__ = [
    "CATALOG",
    "FIFO_TOPIC",
    "STANDARD_TOPIC",
    "DemoMessage",
    "InputLineError",
    "OrderChanged",
    "OrderNotified",
    "generate_messages",
    "parse_lines",
]

STANDARD_TOPIC = "order--notified"
FIFO_TOPIC = "order--changed.fifo"


@message("order.notified", topic=STANDARD_TOPIC)
class OrderNotified(msgspec.Struct):
    """Tells somebody of an order; on a standard topic."""

    order_id: str
    recipient: str


@message("order.changed", topic=FIFO_TOPIC)
class OrderChanged(msgspec.Struct):
    """A new version of an order; on a FIFO topic, in the order of the versions."""

    order_id: str
    version: int
    status: str


CATALOG: Catalog[OrderNotified | OrderChanged] = Catalog(OrderNotified, OrderChanged)
_STATUSES = ("placed", "paid", "packed", "shipped", "delivered")


class InputLineError(OutboxError):
    """A line of the input file is refused; nothing was written."""

    def __init__(self, number: int, problem: str) -> None:
        super().__init__(f"line {number}: {problem}")
        self.number = number


class DemoMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message to write. ``transaction`` numbers the transaction it belongs to, within its aggregate.

    ``message`` is what :meth:`~outbox_sdk.Outbox.put` takes; ``verbatim`` tells that the file gave the body
    as a string rather than as JSON.
    """

    aggregate_id: str
    topic: str
    message: Any
    transaction: int
    verbatim: bool = False
    sequence: int | None = None


def generate_messages(count: int) -> Iterator[DemoMessage]:
    """Make ``count`` messages: each transaction changes an order and writes one or two messages about it."""
    orders = max(1, min(100, count // 10))
    for position in range(count):
        number, second = divmod(position, 2)
        version, order = divmod(number, orders)
        order_id = f"order-{order + 1}"
        if second:
            event: Any = OrderNotified(order_id, f"customer-{order + 1}@example.com")
        else:
            event = OrderChanged(order_id, version + 1, _STATUSES[version % len(_STATUSES)])
        yield DemoMessage(
            aggregate_id=order_id,
            topic=CATALOG.type_of(type(event)).topic,
            message=event,
            transaction=version,
            sequence=None if second else version + 1,
        )


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    aggregate_id: str
    topic: str
    message: msgspec.Raw


def parse_lines(lines: Iterable[bytes], outbox: Outbox) -> list[DemoMessage]:
    """Read a file of one JSON object a line: ``aggregate_id``, ``topic`` and ``message``.

    A string is the body verbatim. Any other JSON is the body as the slice of the line it stands in, so that
    no number and no blank changes on the way. ``outbox`` says what it would refuse.

    Raises:
        InputLineError: the first line that is malformed or cannot be published, by its number from 1.
    """
    messages: list[DemoMessage] = []
    transactions: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        try:
            parsed = msgspec.json.decode(line, type=_Line)
            raw = bytes(parsed.message)
            verbatim = raw.startswith(b'"')
            body = msgspec.json.decode(raw, type=str) if verbatim else raw.decode()
            # An id as long as the one it will get: ids count towards the topic's limit.
            stand_in = f"{number:036d}"
            outbox.put(body, aggregate_id=parsed.aggregate_id, topic=parsed.topic, message_id=stand_in)
        except UnicodeDecodeError as error:
            raise InputLineError(number, "is not UTF-8") from error
        except RecursionError as error:
            raise InputLineError(number, "is nested too deep") from error
        except (msgspec.MsgspecError, InvalidMessageError) as error:
            raise InputLineError(number, str(error)) from error
        transaction = transactions.get(parsed.aggregate_id, 0)
        transactions[parsed.aggregate_id] = transaction + 1
        messages.append(
            DemoMessage(
                aggregate_id=parsed.aggregate_id,
                topic=parsed.topic,
                message=body,
                transaction=transaction,
                verbatim=verbatim,
            )
        )
    return messages
