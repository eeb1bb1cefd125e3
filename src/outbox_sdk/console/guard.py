"""What stands before every page: refusals, the token, headers that browsers obey, and no word too many."""

import logging
from collections.abc import Awaitable, Callable

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from outbox_sdk.console.access import COOKIE, Access, find_refusal

__all__ = ["OPEN_REQUESTS", "SECURITY_HEADERS", "Guard"]

_LOGGER = logging.getLogger("outbox_sdk")

OPEN_REQUESTS = frozenset({("POST", "/enter"), ("GET", "/console.css"), ("GET", "/icon.svg")})
"""What may be asked by those who have not given the token yet; none of it knows of an outbox.

By method too, for the page that tells of a wrong one names the table.
"""

SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Not no-referrer: it would make the Origin of the console's own forms "null".
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Guard:
    """Lets requests through to the pages by the rules of an :class:`~outbox_sdk.console.access.Access`.

    ``ask`` makes the page that asks for the token. A refusal is a bare sentence: it tells a foreign page
    nothing of the outbox. What a page fails with is logged by its kind alone: its text may quote an item.
    """

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        *,
        ask: Callable[[Request], Response],
    ) -> None:
        self.app: ASGIApp = app
        self._access = access
        self._ask = ask

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # there is nothing but pages
            return
        request = Request(scope, receive)
        began = False

        async def send_guarded(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        try:
            await self._answer(request, scope, receive, send_guarded)
        except Exception as error:
            _LOGGER.error("console_failed kind=%s", type(error).__name__)
            if not began:
                sentence = "Something went wrong in the console. Nothing more is known here; see its log."
                await PlainTextResponse(sentence, 500)(scope, receive, send_guarded)

    async def _answer(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        headers = request.headers
        sentence = find_refusal(
            self._access,
            method=request.method,
            hosts=headers.getlist("host"),
            origin=headers.get("origin"),
            site=headers.get("sec-fetch-site"),
            mode=headers.get("sec-fetch-mode"),
        )
        answer: Callable[[Scope, Receive, Send], Awaitable[None]] = self.app
        if sentence is not None:
            answer = PlainTextResponse(sentence, 403)
        # The path as the pages are found by it, and not as it is read out of an address.
        elif (request.method, scope["path"]) not in OPEN_REQUESTS and not self._access.has_entered(
            request.cookies.get(COOKIE)
        ):
            answer = self._ask(request)
        await answer(scope, receive, send)
