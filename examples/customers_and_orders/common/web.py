"""JSON over HTTP: bodies are msgspec Structs, and what goes wrong is an answer with a code and a sentence."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any, TypeVar

import msgspec
import uvicorn
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from outbox_sdk import TransactionConflict, TransactionInDoubt

__all__ = [
    "MAX_BODY_BYTES",
    "Identifier",
    "Problem",
    "answer",
    "build_error_handlers",
    "open_server",
    "read_body",
    "read_identifier",
]

MAX_BODY_BYTES = 16_384

Identifier = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}\Z")]
"""An id that a client chooses: it is part of a path, and of a key."""

_T = TypeVar("_T")
_ErrorHandler = Callable[[Request, Exception], Response]


class Problem(msgspec.Struct, frozen=True):
    """What every refused request is answered with. The sentence quotes nothing of the request."""

    code: str
    sentence: str


def answer(body: msgspec.Struct, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a Struct as JSON."""
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")


async def read_body(request: Request, body_type: type[_T]) -> _T:
    """Read the body of a request.

    Raises:
        HTTPException: 413 for one that is too long, 400 for one that is not of this type.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, f"The body is longer than {MAX_BODY_BYTES} bytes.")
    try:
        return msgspec.json.decode(body, type=body_type)
    # The second is a key that is not UTF-8; the last are brackets in brackets.
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        sentence = str(error) if isinstance(error, msgspec.ValidationError) else "It is no JSON."
        raise HTTPException(400, f"The body cannot be read. {sentence}") from None


def read_identifier(request: Request, name: str) -> str:
    """Read an id from the path.

    Raises:
        HTTPException: 400, it is none.
    """
    try:
        return msgspec.convert(request.path_params[name], Identifier)
    except msgspec.ValidationError:
        sentence = f"{name} has 1 to 64 letters, digits, dots, hyphens and underscores."
        raise HTTPException(400, sentence) from None


def build_error_handlers(statuses: Mapping[type[Exception], int]) -> Mapping[Any, _ErrorHandler]:
    """Say how each error of a service is answered; what DynamoDB is too busy for may be tried again."""

    def of_service(_: Request, error: Exception) -> Response:
        status = next(status for kind, status in statuses.items() if isinstance(error, kind))
        return answer(Problem(_code_of(type(error).__name__), str(error)), status)

    def of_http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for nothing else
        codes = {400: "bad-request", 404: "not-found", 405: "method-not-allowed", 413: "too-large"}
        problem = Problem(codes.get(error.status_code, "refused"), error.detail)
        return answer(problem, error.status_code, error.headers)

    def of_busy(_: Request, error: Exception) -> Response:
        problem = Problem(_code_of(type(error).__name__), "Try again; to repeat this request is harmless.")
        return answer(problem, 503, {"Retry-After": "1"})

    busy = dict.fromkeys((TransactionConflict, TransactionInDoubt), of_busy)
    return {**dict.fromkeys(statuses, of_service), **busy, HTTPException: of_http}


def _code_of(name: str) -> str:
    """Write the name of a class as a code.

    >>> _code_of("UnknownOrder")
    'unknown-order'
    """
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")


class _Server(uvicorn.Server):
    """Leaves signals to the program that it is a part of."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing."""
        yield


@asynccontextmanager
async def open_server(app: ASGIApp, port: int = 0) -> AsyncIterator[str]:
    """Serve an application on a port of 127.0.0.1, 0 for any free one; give its address.

    At the end of the block, requests under way have a few seconds to end.
    """
    config = uvicorn.Config(
        app, lifespan="off", log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=3
    )
    server = _Server(config)
    # Connections wait here until the server accepts them, so the address is good at once.
    with socket.create_server(("127.0.0.1", port)) as listening:
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving
