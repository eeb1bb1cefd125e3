"""The pages that send again: what is meant, what would happen to it, and what has become of it."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from outbox_sdk.console.access import Access
from outbox_sdk.console.forms import Form, form_of_selection, read_form
from outbox_sdk.console.pages import check_csrf
from outbox_sdk.console.rendering import Renderer
from outbox_sdk.console.tasks import ConsoleTask, Kind, Tasks
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.shell.admin import Admin

__all__ = ["ActionPages"]

_PATIENCE_SECONDS = 2.0


class ActionPages:
    """Pages of redrives and replays. Each begins as a dry run, and only its page can be confirmed."""

    def __init__(self, admin: Admin, renderer: Renderer, tasks: Tasks, access: Access) -> None:
        self._admin = admin
        self._renderer = renderer
        self._tasks = tasks
        self._access = access

    def routes(self) -> list[Route]:
        """Give the addresses of the pages."""
        return [
            Route("/redrive", self.choose_redrive),
            Route("/redrive", self.begin_redrive, methods=["POST"]),
            Route("/replay", self.choose_replay),
            Route("/replay", self.begin_replay, methods=["POST"]),
            Route("/tasks/{number:int}", self.show),
            Route("/tasks/{number:int}/confirm", self.confirm, methods=["POST"]),
            Route("/tasks/{number:int}/stop", self.stop, methods=["POST"]),
            Route("/tasks/{number:int}/take-up", self.take_up, methods=["POST"]),
        ]

    async def choose_redrive(self, request: Request) -> Response:
        """Ask which parked messages are meant."""
        return self._choose("redrive", request)

    async def choose_replay(self, request: Request) -> Response:
        """Ask which dispatched messages are meant."""
        return self._choose("replay", request)

    def _choose(self, kind: Kind, request: Request) -> Response:
        form = Form(request.query_params.multi_items())
        return self._renderer.page("choose.html", kind=kind, form=form)

    async def begin_redrive(self, request: Request) -> Response:
        """Begin the dry run of a redrive."""
        return await self._begin("redrive", request)

    async def begin_replay(self, request: Request) -> Response:
        """Begin the dry run of a replay."""
        return await self._begin("replay", request)

    async def _begin(self, kind: Kind, request: Request) -> Response:
        form = await read_form(request)
        check_csrf(self._access, form)
        if form.one("chosen") and not form.all("id"):  # else it would mean all of them
            raise ConfigurationError(kind, "no message was chosen; go back and choose some")
        return await self._to(self._tasks.start(kind, form.selection(now=self._admin.context.now())))

    async def show(self, request: Request) -> Response:
        """Show what would be done, or how far it has come."""
        task = self._find(request)
        chosen = form_of_selection(task.selection)
        return self._renderer.page("task.html", task=task, report=task.report, form=chosen)

    async def confirm(self, request: Request) -> Response:
        """Do what the dry run has shown."""
        check_csrf(self._access, await read_form(request))
        return await self._to(self._tasks.confirm(self._find(request)))

    async def take_up(self, request: Request) -> Response:
        """Do the rest of what ended before its time."""
        check_csrf(self._access, await read_form(request))
        return await self._to(self._tasks.take_up(self._find(request)))

    async def stop(self, request: Request) -> Response:
        """Begin nothing more of it."""
        check_csrf(self._access, await read_form(request))
        task = self._find(request)
        task.stop.set()
        return await self._to(task)

    def _find(self, request: Request) -> ConsoleTask:
        task = self._tasks.find(request.path_params["number"])
        if task is None:
            raise HTTPException(404)
        return task

    async def _to(self, task: ConsoleTask) -> Response:
        # Most end at once, and then the page need not be loaded again.
        await self._tasks.wait(task, _PATIENCE_SECONDS)
        return RedirectResponse(f"/tasks/{task.number}", status_code=303)
