"""``PublishBatch`` on the wire: the form that SNS reads, and the XML that it answers with."""

from functools import lru_cache
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

_BEFORE_TOPIC = "Action=PublishBatch&Version=2010-03-31&TopicArn="
_ENTRIES = tuple(f"&PublishBatchRequestEntries.member.{number}." for number in range(1, MAX_ENTRIES + 1))
# No text that is published holds it (`find_text_fault`), so it parts values, and so does what is made of it.
_BETWEEN = "\0"
_BETWEEN_ENCODED = "%00"


def encode_publish_request(request: PublishRequest) -> bytes:
    """Write the form of one ``PublishBatch``. Entry ids are positions, unique in any request.

    Raises:
        UnicodeEncodeError: a text holds half a surrogate pair.
    """
    names = [_BEFORE_TOPIC]
    values: list[str] = [request.topic]
    for position, entry in enumerate(request.entries):
        attributes, group, deduplication = entry.envelope.attributes, entry.group_id, entry.deduplication_id
        has_group = group is not None and deduplication is not None
        names += _names(position, tuple([(each.name, each.kind) for each in attributes]), has_group)
        values += [entry.envelope.body, *[each.value for each in attributes]]
        if group is not None and deduplication is not None:
            values += [group, deduplication]
    # A compiled encoder of forms, there because aiohttp is: the standard library's takes five times as long.
    # It is called once for all values, for half of what it takes is being called.
    encoded = URL.build(query=[("", _BETWEEN.join(values))]).raw_query_string.removeprefix("=")
    parts = zip(names, encoded.split(_BETWEEN_ENCODED), strict=True)
    return "".join([text for part in parts for text in part]).encode("ascii")


@lru_cache(maxsize=1024)
def _names(position: int, attributes: tuple[tuple[str, str], ...], has_group: bool) -> tuple[str, ...]:
    """Give what stands before each value of an entry; names and types of attributes need no encoding."""
    entry = _ENTRIES[position]
    names = [f"{entry}Id={position}{entry}Message="]
    for number, (name, kind) in enumerate(attributes, start=1):
        place = f"{entry}MessageAttributes.entry.{number}."
        names.append(f"{place}Name={name}{place}Value.DataType={kind}{place}Value.StringValue=")
    if has_group:
        names += [f"{entry}MessageGroupId=", f"{entry}MessageDeduplicationId="]
    return tuple(names)


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
