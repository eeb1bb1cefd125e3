"""Templates and what they write with: text of producers escaped, durations and instants in words."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FunctionLoader, StrictUndefined, select_autoescape
from starlette.responses import Response

from outbox_sdk.console.forms import FIELDS
from outbox_sdk.core.message_view import MessageView
from outbox_sdk.core.wording import describe_duration, escape_unprintable

__all__ = ["Renderer", "asset", "message_address"]


def asset(name: str) -> str:
    """Read a template, or what is sent as it is."""
    return (files("outbox_sdk.console") / "templates" / name).read_text(encoding="utf-8")


def message_address(view: MessageView) -> str | None:
    """Give the address of a message's page; ``None`` where its item does not say its id."""
    if view.message_id is None:
        return None
    named = {"id": view.message_id, "aggregate": view.aggregate_id}
    query = {name: text for name, text in named.items() if text is not None}
    return f"/message?{urlencode(query, errors='surrogatepass')}"


class Renderer:
    """Makes pages. ``always`` is what each of them is given."""

    def __init__(self, always: Mapping[str, Any]) -> None:
        self._environment = Environment(
            loader=FunctionLoader(asset),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(
            {"plain": _plain, "body": _body, "duration": describe_duration, "instant": _instant}
        )
        self._environment.globals.update({**always, "address": message_address, "FIELDS": FIELDS})

    def page(self, name: str, status: int = 200, **values: Any) -> Response:
        """Make one page of a template."""
        text = self._environment.get_template(name).render(**values)
        return Response(text.encode(errors="replace"), status, {"Content-Type": "text/html; charset=utf-8"})


def _plain(value: object) -> str:
    return "–" if value is None or value == "" else escape_unprintable(str(value))


def _body(text: str) -> str:
    return escape_unprintable(text, keep="\n\t")


def _instant(text: str | None) -> str:
    # Fixed-width UTC without its fractions; what other producers write stays as it is.
    if text is None:
        return "–"
    plain = escape_unprintable(text)
    return f"{plain[:10]} {plain[11:19]} UTC" if len(plain) == 27 and plain.endswith("Z") else plain
