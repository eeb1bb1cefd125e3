"""Asks an ASGI application for pages in this process, as a browser would: headers, forms, cookies."""

import re
from collections.abc import Mapping
from html import unescape
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.types import ASGIApp

__all__ = ["Answer", "Browser"]


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def words(self) -> str:
        """The text as a person reads it, without tags and with single spaces."""
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", self.text)).split())

    def hidden(self, name: str) -> str:
        """The value of the first hidden field of a name."""
        found = re.search(rf'name="{name}" value="([^"]*)"', self.text)
        assert found is not None, f"the page has no hidden field {name}"
        return unescape(found[1])


class Browser:
    """Starlette's own client needs httpx, which aiobotocore would load too: the handlers must not."""

    def __init__(self, app: ASGIApp, **headers: str) -> None:
        self.app = app
        self.headers = {"host": "localhost:8787", **headers}
        self.cookies: dict[str, str] = {}

    async def get(self, path: str, **headers: str | None) -> Answer:
        """Ask for a page."""
        return await self.ask("GET", path, b"", headers)

    async def post(self, path: str, form: Mapping[str, Any], **headers: str | None) -> Answer:
        """Send a form, with the headers of one of the console's own pages."""
        own = {
            "origin": f"http://{self.headers['host']}",
            "content-type": "application/x-www-form-urlencoded",
            "sec_fetch_site": "same-origin",
        }
        return await self.ask("POST", path, urlencode(form, doseq=True).encode(), {**own, **headers})

    async def follow(self, answer: Answer) -> Answer:
        """Load the page that an answer leads to."""
        assert answer.status == 303, answer.words
        return await self.get(answer.headers["location"])

    async def ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str | None]) -> Answer:
        """Make a request; a header that is ``None`` is left out."""
        sent = {**self.headers, **headers}
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={text}" for name, text in self.cookies.items())
        plain, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": plain,
            "raw_path": plain.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [
                (name.replace("_", "-").encode(), text.encode())
                for name, text in sent.items()
                if text is not None
            ],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 8787),
        }
        messages: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            messages.append(message)

        await self.app(scope, receive, send)
        head = {name.decode(): text.decode() for name, text in messages[0]["headers"]}
        if "set-cookie" in head:
            name, _, text = head["set-cookie"].partition(";")[0].partition("=")
            self.cookies[name] = text
        return Answer(
            messages[0]["status"], head, b"".join(each.get("body", b"") for each in messages).decode()
        )
