"""What AWS refuses and what goes wrong on the way, translated in one place."""

import errno
import logging
from collections.abc import Mapping, Sequence
from traceback import extract_tb
from typing import Any, NamedTuple

from aiohttp import ClientConnectionError, ClientPayloadError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)

__all__ = ["AwsError", "AwsFault", "client_error", "is_aws_error", "is_call_error", "translate_error"]

_log = logging.getLogger("outbox_sdk")

_RESETS = (errno.ECONNABORTED, errno.ECONNRESET, errno.EPIPE, errno.ESHUTDOWN)


class AwsError(Exception):
    """A call that AWS refused. ``text`` may quote a message: never log it."""

    def __init__(self, code: str, status: int, text: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.text = text


class AwsFault(NamedTuple):
    """A failed call. ``status`` is 0 without a response; ``text`` may quote a message: never log it."""

    code: str
    status: int
    text: str


def translate_error(error: Exception) -> AwsFault:
    """Name what a client raised by AWS's own code, or by one of this package's for what happens on the way.

    What nobody foresaw goes by the name of its type, counts as passing, and is logged with its place.
    """
    match error:
        case AwsError():
            return AwsFault(error.code, error.status, error.text)
        case ClientError():
            body = error.response.get("Error", {})
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            return AwsFault(str(body.get("Code", "")), int(status), str(body.get("Message", "")))
        case NoCredentialsError() | PartialCredentialsError() | CredentialRetrievalError():
            code = "NoCredentials"
        case ConnectionClosedError():
            code = "ConnectionClosed"
        case ReadTimeoutError() | ConnectTimeoutError():
            code = "Timeout"
        case EndpointConnectionError() if _was_reset(error.kwargs.get("error")):
            code = "ConnectionClosed"
        case EndpointConnectionError() | ProxyConnectionError() | SSLError():
            code = "ConnectionFailed"
        case ParamValidationError() | UnicodeEncodeError():
            code = "EncodingFault"
        case _:
            # An answer that botocore cannot read, or trouble that it does not name: the outcome is unknown.
            code = type(error).__name__
            frame = extract_tb(error.__traceback__)[-1]
            where = f"{frame.filename}:{frame.lineno}"
            _log.warning("unexpected_error", extra={"error": code, "where": where})
    return AwsFault(code, 0, "")


def client_error(
    code: str, text: str, *, operation: str, reasons: Sequence[Mapping[str, Any]] = ()
) -> ClientError:
    """Make what a client raises for a refusal, for the doubles; ``reasons`` are those of a cancellation."""
    # Any: the documented type of a response has no place for what single errors carry.
    response: Any = {
        "Error": {"Code": code, "Message": text},
        "ResponseMetadata": {"HTTPStatusCode": 400},
        **({"CancellationReasons": list(reasons)} if reasons else {}),
    }
    return ClientError(response, operation)


def is_aws_error(error: Exception) -> bool:
    """Tell what AWS, or botocore on the way to it, has raised from a mistake in code."""
    return isinstance(error, AwsError | BotoCoreError | ClientError)


def is_call_error(error: Exception) -> bool:
    """Tell what befell a call, in AWS or on the way to it, from a mistake in code."""
    return is_aws_error(error) or isinstance(error, OSError | ClientConnectionError | ClientPayloadError)


def _was_reset(cause: object) -> bool:
    """Tell a connection that the other side has given up from one that was never made.

    aiobotocore calls both by one name. The first is what a process meets that was frozen for a while.
    """
    # What aiohttp raises for writing to a connection that is closing has no number, but a cause.
    while isinstance(cause, OSError):
        if isinstance(cause, ConnectionResetError) or cause.errno in _RESETS:
            return True
        cause = cause.__cause__
    return False
