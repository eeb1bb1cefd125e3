"""What a log says of a delivery that failed: which message, and why, in no words of the message."""

import logging
from collections.abc import Mapping

from outbox_sdk.core.delivery import Delivery
from outbox_sdk.core.errors import UndecodableDeliveryError, UndecodableMessageError
from outbox_sdk.core.message_type import is_message_name
from outbox_sdk.core.pointer import ClaimError

__all__ = ["log_failed_delivery"]

_log = logging.getLogger("outbox_sdk")


def log_failed_delivery(record: object, delivery: Delivery | None, error: Exception) -> None:
    """Log one line, ``delivery_failed``, of a record that is going to come again.

    ``reason`` is that of an error of this package which has one of a closed set, or else the name of the
    error's type: its text may quote the message. Of a record that could not be read, only the id that SQS or
    SNS gave it is known.
    """
    kind = None if delivery is None else delivery.message_type
    fields = {
        "message_id": None if delivery is None else delivery.message_id,
        "message_type": kind if is_message_name(kind) else None,  # a foreign message may hold any text there
        "transport_message_id": _transport_id(record) if delivery is None else delivery.transport_message_id,
        "reason": _reason(error),
    }
    # In the sentence too, for Lambda's own format of text shows no fields; quoted, it stays one line.
    told = " ".join([f"{name}={value!r}" for name, value in fields.items() if value is not None])
    _log.warning("delivery_failed %s", told, extra=fields)


def _reason(error: Exception) -> str:
    if isinstance(error, UndecodableDeliveryError | UndecodableMessageError | ClaimError):
        return error.reason
    return type(error).__name__


def _transport_id(record: object) -> str | None:
    if not isinstance(record, Mapping):
        return None
    notification = record.get("Sns", record)
    places = (record, notification) if isinstance(notification, Mapping) else (record,)
    found = [place[name] for place in places for name in ("messageId", "MessageId") if name in place]
    return found[0] if found and isinstance(found[0], str) else None
