"""What a person has filled in, as a selection of messages."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request

from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.selection import Selection
from outbox_sdk.core.text import format_instant
from outbox_sdk.core.when import parse_when

__all__ = ["FIELDS", "MAX_FORM_BYTES", "Form", "form_of_selection", "read_form"]

FIELDS: Mapping[str, str] = {
    "id": "Message id",
    "aggregate": "Aggregate",
    "topic": "Topic",
    "type": "Type",
    "reason": "Reason begins with",
    "since": "Since",
    "until": "Until",
}
"""What messages are chosen by, and what it is called on the pages."""

MAX_FORM_BYTES = 262_144
_MAX_FIELDS = 2_000
_VERBATIM = frozenset({"id", "aggregate", "topic", "type", "reason"})


class Form:
    """The fields of a query or of a form that was sent. What is blank counts as left out."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, text in pairs:
            if text.strip():
                # An id is what it is, spaces at its ends too.
                known = text if name in _VERBATIM else text.strip()
                self._values.setdefault(name, []).append(known)

    def all(self, name: str) -> tuple[str, ...]:
        """Give each value of a field."""
        return tuple(self._values.get(name, ()))

    def one(self, name: str) -> str | None:
        """Give the first value of a field."""
        return next(iter(self.all(name)), None)

    @property
    def chosen(self) -> dict[str, tuple[str, ...]]:
        """The fields that choose messages, as far as they are filled in."""
        return {name: self.all(name) for name in FIELDS if self.all(name)}

    def query(self, **more: str) -> str:
        """Write the fields that choose messages as the query of a link, with what a link adds."""
        chosen = [(name, text) for name, texts in self.chosen.items() for text in texts]
        return urlencode([*chosen, *more.items()], errors="surrogatepass")

    def number(self, name: str, *, default: int, most: int) -> int:
        """Read a whole number between 1 and ``most``.

        Raises:
            ConfigurationError: it is none.
        """
        text = self.one(name) or str(default)
        if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= most):
            raise ConfigurationError(name, f"is not a whole number between 1 and {most}")
        return int(text)

    def selection(self, *, now: datetime, limit: int | None = None) -> Selection:
        """Make the selection that the fields say.

        Raises:
            ConfigurationError: a field is wrong; it goes by the name that it has on the page.
        """
        since, until = self.one("since"), self.one("until")
        try:
            return Selection(
                message_ids=self.all("id"),
                aggregate_ids=self.all("aggregate"),
                topics=self.all("topic"),
                message_types=self.all("type"),
                reasons=self.all("reason"),
                since=None if since is None else parse_when(since, now=now, variable=FIELDS["since"]),
                until=None if until is None else parse_when(until, now=now, variable=FIELDS["until"]),
                limit=limit,
            )
        except ConfigurationError as error:
            raise ConfigurationError(FIELDS.get(error.variable, error.variable), error.problem) from None


def form_of_selection(selection: Selection) -> Form:
    """Fill a form in as a selection says, but for its limit."""
    named: Mapping[str, Sequence[str]] = {
        "id": selection.message_ids,
        "aggregate": selection.aggregate_ids,
        "topic": selection.topics,
        "type": selection.message_types,
        "reason": selection.reasons,
        "since": () if selection.since is None else (format_instant(selection.since),),
        "until": () if selection.until is None else (format_instant(selection.until),),
    }
    return Form((name, text) for name, texts in named.items() for text in texts)


async def read_form(request: Request) -> Form:
    """Read a form that was sent as browsers send it.

    Raises:
        ConfigurationError: it is too large, or none.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise ConfigurationError("form", f"is larger than {MAX_FORM_BYTES} bytes")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind != "application/x-www-form-urlencoded":
        raise ConfigurationError("form", "is not sent as application/x-www-form-urlencoded")
    try:
        return Form(parse_qsl(body.decode("ascii"), max_num_fields=_MAX_FIELDS))
    except (UnicodeDecodeError, ValueError):
        raise ConfigurationError("form", f"cannot be read, or has more than {_MAX_FIELDS} fields") from None
