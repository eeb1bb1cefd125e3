"""``PublishBatch`` on the wire: the form that SNS reads, and the XML that it answers with."""

from typing import Any
from xml.etree.ElementTree import Element, ParseError, fromstring

from yarl import URL

from outbox_sdk.core.publish import (
    MAX_ENTRIES,
    PublishRequest,
    PublishResponse,
    RequestFailed,
    decode_publish_response,
)

__all__ = ["FORM_HEADERS", "decode_publish_answer", "encode_publish_request"]

FORM_HEADERS = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}

_ACTION = (("Action", "PublishBatch"), ("Version", "2010-03-31"))
_ENTRIES = tuple(f"PublishBatchRequestEntries.member.{number}." for number in range(1, MAX_ENTRIES + 1))
_ATTRIBUTES = tuple(f"MessageAttributes.entry.{number}." for number in range(1, 11))


def encode_publish_request(request: PublishRequest) -> bytes:
    """Write the form of one ``PublishBatch``. Entry ids are positions, unique in any request.

    Raises:
        UnicodeEncodeError: a text holds half a surrogate pair.
    """
    fields: list[tuple[str, str]] = [*_ACTION, ("TopicArn", request.topic)]
    for position, entry in enumerate(request.entries):
        prefix = _ENTRIES[position]
        fields.append((prefix + "Id", str(position)))
        fields.append((prefix + "Message", entry.envelope.body))
        for place, attribute in zip(_ATTRIBUTES, entry.envelope.attributes, strict=False):
            name = prefix + place
            fields.append((name + "Name", attribute.name))
            fields.append((name + "Value.DataType", attribute.kind))
            fields.append((name + "Value.StringValue", attribute.value))
        if entry.group_id is not None and entry.deduplication_id is not None:
            fields.append((prefix + "MessageGroupId", entry.group_id))
            fields.append((prefix + "MessageDeduplicationId", entry.deduplication_id))
    # A compiled encoder of forms, there because aiohttp is: the standard library's takes five times as long.
    return URL.build(query=fields).raw_query_string.encode("ascii")


def decode_publish_answer(request: PublishRequest, status: int, body: bytes) -> PublishResponse:
    """Read what came back for a request: both lists of results, or one failure for all.

    An answer that SNS would not give, as of something on the way, is a failure by its status, or
    ``UnreadableResponse`` where that is 200.
    """
    try:
        root = fromstring(body)  # noqa: S314 - from AWS over TLS, and expat bounds what entities expand to
    except ParseError:
        root = Element("")
    if status != 200:
        error = _child(root, "Error")
        return RequestFailed(_text(error, "Code") or str(status), status, _text(error, "Message"))
    result = _child(root, "PublishBatchResult")
    if result is None:
        return RequestFailed("UnreadableResponse")
    return decode_publish_response(
        request,
        {
            "Successful": _members(result, "Successful"),
            "Failed": [
                {**failure, "SenderFault": failure.get("SenderFault") == "true"}
                for failure in _members(result, "Failed")
            ],
        },
    )


def _members(result: Element, name: str) -> list[dict[str, Any]]:
    members = _child(result, name)
    if members is None:
        return []
    return [{_name(field): field.text or "" for field in member} for member in members]


def _child(node: Element | None, name: str) -> Element | None:
    return None if node is None else next((child for child in node if _name(child) == name), None)


def _text(node: Element | None, name: str) -> str:
    child = _child(node, name)
    return "" if child is None else child.text or ""


def _name(node: Element) -> str:
    """Give a tag without its namespace, which local stacks write as they like."""
    return node.tag.rpartition("}")[2]
