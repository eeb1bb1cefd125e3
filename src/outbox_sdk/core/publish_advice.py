"""What a producer can do about a message that is refused, added to the reason as the relay would store it."""

from collections.abc import Mapping

from outbox_sdk.core.envelope import MAX_ATTRIBUTES, RESERVED_ATTRIBUTES, is_attribute_name
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.remedies import find_park_remedy

__all__ = ["advise_producer"]

_LONGEST_NAME = 64
_CHARACTER = "SQS does not carry the character: take it out, or encode the text"
_ADVICE: Mapping[str, str] = {
    "size": "use a claim check, or raise topic_max_bytes to what its destination takes",
    "attribute-empty": "give the header a value, or leave it out",
    "empty": "a body has at least one character",
    "charset": _CHARACTER,
    "unicode": _CHARACTER,
}


def advise_producer(reason: str, message: OutboxMessage) -> str:
    """Give a reason with what to do about it; headers are named, no value and no body is quoted.

    >>> from outbox_sdk import Outbox
    >>> Outbox("outbox").put("{}", aggregate_id="7", topic="t", message_id="m-1", headers={"MessageId": "x"})
    Traceback (most recent call last):
    outbox_sdk.core.errors.InvalidMessageError: headers: message m-1 is refused: attribute-name; the header
    'MessageId' is reserved for the relay: give it another name
    """
    advice = _find_advice(reason, message)
    return reason if advice is None else f"{reason}; {advice}"


def _find_advice(reason: str, message: OutboxMessage) -> str | None:
    kind, _, rest = reason.partition(":")
    if kind == "attributes":
        return (
            f"at most {MAX_ATTRIBUTES} attributes travel, yours are {rest}, of which "
            f"{len(message.headers)} are headers: send fewer"
        )
    if kind == "attribute-name":
        return _advise_name(message)
    return _ADVICE.get(kind) or find_park_remedy(reason)


def _advise_name(message: OutboxMessage) -> str | None:
    for name in message.headers:
        shown = repr(name[:_LONGEST_NAME])
        if name in RESERVED_ATTRIBUTES:
            return f"the header {shown} is reserved for the relay: give it another name"
        if not is_attribute_name(name):
            return (
                f"the header {shown} is no name of an attribute: use 1 to 256 of A-Z, a-z, 0-9, _, - and "
                "single dots within, and do not begin with aws. or amazon."
            )
    return None
