"""The pages that look: how the outbox stands, what is in it, and one message."""

from typing import Literal

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from outbox_sdk.console.access import Access
from outbox_sdk.console.charts import Chart, build_chart
from outbox_sdk.console.forms import Form, read_form
from outbox_sdk.console.rendering import Renderer
from outbox_sdk.console.samples import Sampler
from outbox_sdk.console.tasks import Tasks
from outbox_sdk.core.message_view import MessageView, describe_life
from outbox_sdk.core.wording import describe_duration
from outbox_sdk.shell.admin import Admin

__all__ = ["PAGE_SIZE", "LookingPages", "check_csrf"]

PAGE_SIZE = 50
_MAX_PAGE = 200
_FRESH_SECONDS = 3.0
_TABLE_ROWS = 12
_RECENT = 5


def check_csrf(access: Access, form: Form) -> None:
    """Refuse a form that no page of this console has made.

    Raises:
        HTTPException: 403.
    """
    if not access.is_csrf(form.one("csrf") or ""):
        raise HTTPException(403)


class LookingPages:
    """Pages that change nothing. Bodies are on the one page only that is asked for by a form."""

    def __init__(
        self, admin: Admin, renderer: Renderer, sampler: Sampler, tasks: Tasks, access: Access
    ) -> None:
        self._admin = admin
        self._renderer = renderer
        self._sampler = sampler
        self._tasks = tasks
        self._access = access

    def routes(self) -> list[Route]:
        """Give the addresses of the pages."""
        return [
            Route("/", self.overview),
            Route("/outstanding", self.outstanding),
            Route("/parked", self.parked),
            Route("/message", self.message),
            Route("/message/payload", self.payload, methods=["POST"]),
            Route("/message/scan", self.scan, methods=["POST"]),
        ]

    async def overview(self, request: Request) -> Response:
        """Show how the outbox stands, and how it stood while this console has been running."""
        await self._sampler.look(not_after=_FRESH_SECONDS)
        samples = self._sampler.samples
        step = max(1, -(-len(samples) // _TABLE_ROWS))
        return self._renderer.page(
            "overview.html",
            status=200,
            now=self._sampler.latest,
            trouble=self._sampler.trouble,
            charts=self._charts(),
            rows=samples[::-1][::step],
            every=self._sampler.every,
            refresh=request.query_params.get("refresh") == "on",
            tasks=self._tasks.recent[:_RECENT],
        )

    def _charts(self) -> list[Chart]:
        samples = self._sampler.samples
        times = [sample.at for sample in samples]
        backlog = {
            "Outstanding": [sample.outstanding for sample in samples],
            "Parked": [sample.parked for sample in samples],
        }
        lag = {"Oldest outstanding": [sample.lag_seconds for sample in samples]}
        charts = (
            build_chart("Messages in the outbox", times, backlog, lambda count: f"{count:,.0f}"),
            build_chart("Age of the oldest outstanding message", times, lag, describe_duration),
        )
        return [chart for chart in charts if chart is not None]

    async def outstanding(self, request: Request) -> Response:
        """List outstanding messages."""
        return await self._list(request, "outstanding")

    async def parked(self, request: Request) -> Response:
        """List parked messages."""
        return await self._list(request, "parked")

    async def _list(self, request: Request, state: Literal["outstanding", "parked"]) -> Response:
        form = Form(request.query_params.multi_items())
        page = form.number("page", default=1, most=_MAX_PAGE)
        # One more than is shown tells whether there is another page.
        selection = form.selection(now=self._admin.context.now(), limit=page * PAGE_SIZE + 1)
        read = self._admin.parked if state == "parked" else self._admin.pending
        found = await read(selection)
        begin = (page - 1) * PAGE_SIZE
        shown = found[begin : begin + PAGE_SIZE]
        more = len(found) > begin + PAGE_SIZE and page < _MAX_PAGE
        return self._renderer.page(
            "list.html",
            state=state,
            form=form,
            page=page,
            begin=begin,
            messages=shown,
            advice=tuple(dict.fromkeys(each.advice for each in shown if each.advice)),
            following=form.query(page=str(page + 1)) if more else None,
            preceding=form.query(page=str(page - 1)) if page > 1 else None,
            known=self._sampler.latest,
        )

    async def message(self, request: Request) -> Response:
        """Show one message's life, or ask which."""
        form = Form(request.query_params.multi_items())
        message_id = form.one("id")
        if message_id is None:
            return self._renderer.page("message.html", form=form, lives=(), asked=False, scanned=False)
        found = await self._admin.show(message_id, aggregate_id=form.one("aggregate"))
        return self._lives(form, found)

    async def payload(self, request: Request) -> Response:
        """Show it with what it says."""
        return await self._show_by_form(request, payload=True)

    async def scan(self, request: Request) -> Response:
        """Look for it in the whole table."""
        return await self._show_by_form(request, scan=True)

    async def _show_by_form(self, request: Request, *, payload: bool = False, scan: bool = False) -> Response:
        form = await read_form(request)
        check_csrf(self._access, form)
        found = await self._admin.show(
            form.one("id") or "", aggregate_id=form.one("aggregate"), payload=payload, scan=scan
        )
        return self._lives(form, found, scanned=scan)

    def _lives(self, form: Form, found: tuple[MessageView, ...], *, scanned: bool = False) -> Response:
        lives = tuple((view, describe_life(view)) for view in found)
        return self._renderer.page(
            "message.html", 200 if lives else 404, form=form, lives=lives, asked=True, scanned=scanned
        )
