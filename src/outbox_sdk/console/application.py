"""The console as an ASGI application: its pages, and the guard before them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from outbox_sdk.console.access import COOKIE, Access
from outbox_sdk.console.actions import ActionPages
from outbox_sdk.console.forms import read_form
from outbox_sdk.console.guard import Guard
from outbox_sdk.console.pages import LookingPages
from outbox_sdk.console.rendering import Renderer, asset
from outbox_sdk.console.samples import Sampler
from outbox_sdk.console.tasks import Tasks
from outbox_sdk.core.errors import ConfigurationError, OutboxError
from outbox_sdk.shell.admin import Admin

__all__ = ["build_app"]

_WRONG_TOKEN_SECONDS = 1.0


def build_app(admin: Admin, access: Access, *, sample_every: float = 15.0) -> ASGIApp:
    """Build the console of one outbox. It samples and tidies up within the application's lifespan."""
    sampler, tasks = Sampler(admin, every=sample_every), Tasks(admin)
    renderer = Renderer({"csrf": access.csrf, "table": str(admin.context.table_name)})

    def ask(_: Request) -> Response:
        return renderer.page("enter.html", 401, wrong=False)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        sampling = asyncio.create_task(sampler.run())
        try:
            yield
        finally:
            sampling.cancel()
            with suppress(asyncio.CancelledError):
                await sampling
            await tasks.close()

    looking = LookingPages(admin, renderer, sampler, tasks, access)
    actions = ActionPages(admin, renderer, tasks, access)
    routes = [
        *looking.routes(),
        *actions.routes(),
        Route("/enter", _entrance(access, renderer), methods=["POST"]),
        Route("/console.css", _asset("console.css", "text/css; charset=utf-8")),
        Route("/icon.svg", _asset("icon.svg", "image/svg+xml")),
    ]

    def on_error(_: Request, error: Exception) -> Response:
        # Wrong input is the person's, and what DynamoDB refuses is not the console's fault either.
        status = 400 if isinstance(error, ConfigurationError) else 502
        return renderer.page("problem.html", status, sentence=str(error))

    def on_http_error(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        sentence = _SENTENCES.get(status, "This request cannot be answered.")
        return renderer.page("problem.html", status, sentence=sentence)

    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={OutboxError: on_error, HTTPException: on_http_error},
    )
    return Guard(app, access, ask=ask)


_SENTENCES = {
    403: "This form is from another run of the console, or from another site. Load the page again.",
    404: "There is no such page, or no longer.",
    405: "This page is not asked for that way.",
}


def _entrance(access: Access, renderer: Renderer) -> Callable[[Request], Awaitable[Response]]:
    async def enter(request: Request) -> Response:
        try:
            token = (await read_form(request)).one("token") or ""
        except ConfigurationError:
            token = ""  # the page that says what is wrong with a form names the table
        if not access.is_token(token):
            await asyncio.sleep(_WRONG_TOKEN_SECONDS)  # guessing takes its time
            return renderer.page("enter.html", 401, wrong=True)
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(COOKIE, access.session, httponly=True, samesite="strict")
        return answer

    return enter


def _asset(name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    content = asset(name)

    async def send(_: Request) -> Response:
        return Response(content, headers={"Content-Type": media_type})

    return send
