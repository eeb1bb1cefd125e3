"""DynamoDB on the wire: calls and answers as JSON 1.0, and what an answer of another status says."""

from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["decode_answer", "decode_error", "encode_arguments", "headers_of"]

_API = "DynamoDB_20120810"


def headers_of(operation: str) -> dict[str, str]:
    """Give the headers that name a call.

    >>> headers_of("GetItem")["X-Amz-Target"]
    'DynamoDB_20120810.GetItem'
    """
    return {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"{_API}.{operation}"}


def encode_arguments(arguments: Mapping[str, Any]) -> bytes:
    """Write the arguments of a call, as AWS clients take them. Binary values become base64 text.

    Raises:
        UnicodeEncodeError: a text holds half a surrogate pair.

    >>> encode_arguments({"Key": {"PK": {"B": b"x"}}})
    b'{"Key":{"PK":{"B":"eA=="}}}'
    """
    return msgspec.json.encode(arguments)


def decode_answer(body: bytes) -> Any:
    """Read an answer; ``None`` where it is none of DynamoDB's. Binary values stay base64 text."""
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return answer if isinstance(answer, dict) else None


def decode_error(status: int, body: bytes) -> tuple[str, str]:
    """Read the code and the sentence of a refusal; an answer of something on the way goes by its status.

    >>> decode_error(400, b'{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"x"}')
    ('ThrottlingException', 'x')
    >>> decode_error(503, b"<html>Service Unavailable</html>")
    ('503', '')
    """
    answer = decode_answer(body) or {}
    kind = answer.get("__type")
    # `namespace#Code`, and in older services `Code:address`.
    code = kind.partition(":")[0].rpartition("#")[2] if isinstance(kind, str) else ""
    return code or str(status), str(answer.get("message", answer.get("Message", "")))
