"""Who may use the console: names, sites, forms and the token; and what its answers let a browser do."""

import asyncio
import logging
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from typer.testing import CliRunner

from outbox_sdk import Outbox
from outbox_sdk.cli import app as command
from outbox_sdk.console import build_access, build_app, serve_console
from outbox_sdk.console.access import find_refusal
from outbox_sdk.console.forms import MAX_FORM_BYTES
from outbox_sdk.console.guard import SECURITY_HEADERS, Guard
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.testing import InMemoryStack
from tests.support.asgi import Browser

TOKEN = "0123456789abcdef0123456789abcdef"


def build(host: str = "127.0.0.1", token: str | None = None) -> Any:
    stack = InMemoryStack()
    stack.write(Outbox("outbox").put("{}", aggregate_id="o-1", topic="orders", message_id="m-1"))
    return build_app(stack.admin(), build_access(host, token))


def posts() -> Iterator[str]:
    """Each address that takes a form, but the one that asks for the token."""
    guard = build()
    assert isinstance(guard, Guard)
    for route in guard.app.routes:  # type: ignore[attr-defined] # Starlette's
        if "POST" in route.methods and route.path != "/enter":
            yield route.path.replace("{number:int}", "1")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8787", "[::1]:8787"])
async def test_the_console_answers_to_this_machines_names(host: str) -> None:
    assert (await Browser(build(), host=host).get("/")).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "evil.example:8787",
        "127.0.0.1.nip.io",
        "10.0.0.1",
        "",
        "a b",
    ],
)
async def test_a_foreign_host_is_refused_and_told_nothing(host: str) -> None:
    for path in ("/", "/console.css", "/enter", "/nope"):
        answer = await Browser(build(), host=host).get(path)
        assert answer.status == 403
        assert answer.text == "This console does not answer to that host name."


def test_two_hosts_or_none_are_refused() -> None:
    access = build_access("127.0.0.1")
    for hosts in ([], ["localhost", "localhost"]):
        assert find_refusal(access, method="GET", hosts=hosts, origin=None, site=None, mode=None)


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://localhost",
        "http://localhost:9999",
        "null",
        "http://localhost:8787.evil.example",
    ],
)
async def test_a_foreign_origin_is_refused(origin: str) -> None:
    browser = Browser(build())
    assert (await browser.get("/", origin=origin)).status == 403
    csrf = (await browser.get("/redrive")).hidden("csrf")
    for path in posts():
        assert (await browser.post(path, {"csrf": csrf}, origin=origin)).status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_what_another_site_makes_the_browser_send_is_refused(site: str) -> None:
    browser = Browser(build())
    csrf = (await browser.get("/redrive")).hidden("csrf")
    for path in posts():
        answer = await browser.post(
            path, {"csrf": csrf}, origin=None, sec_fetch_site=site, sec_fetch_mode="navigate"
        )
        assert answer.status == 403
    assert (await browser.get("/", sec_fetch_site=site, sec_fetch_mode="no-cors")).status == 403
    # A link in a chat or a wiki may be followed: it changes nothing.
    assert (await browser.get("/", sec_fetch_site=site, sec_fetch_mode="navigate")).status == 200


@pytest.mark.parametrize("path", list(posts()))
@pytest.mark.parametrize("csrf", ["", "guessed", "é"])
async def test_a_form_that_no_page_has_made_is_refused(path: str, csrf: str) -> None:
    answer = await Browser(build()).post(path, {"csrf": csrf, "id": "m-1"}, origin=None, sec_fetch_site=None)
    assert answer.status == 403
    assert "Load the page again" in answer.words


def test_all_that_changes_something_is_known() -> None:
    assert sorted(posts()) == [
        "/message/payload",
        "/message/scan",
        "/redrive",
        "/replay",
        "/tasks/1/confirm",
        "/tasks/1/stop",
        "/tasks/1/take-up",
    ]


async def test_a_form_has_a_bound_and_a_type() -> None:
    browser = Browser(build())
    for body, kind in ((b"a" * 300_000, "application/x-www-form-urlencoded"), (b"{}", "application/json")):
        answer = await browser.ask("POST", "/redrive", body, {"content-type": kind})
        assert answer.status == 400
    many = b"&".join(b"id=m" for _ in range(3_000))
    answer = await browser.ask(
        "POST", "/redrive", many, {"content-type": "application/x-www-form-urlencoded"}
    )
    assert answer.status == 400


@pytest.mark.parametrize(
    "path", ["/", "/parked", "/nope", "/outstanding?page=0", "/console.css", "/message/payload"]
)
async def test_each_answer_tells_browsers_what_is_not_allowed(path: str) -> None:
    for browser in (Browser(build()), Browser(build(), host="evil.example"), Browser(build(token=TOKEN))):
        answer = await browser.get(path)
        for name, text in SECURITY_HEADERS.items():
            assert answer.headers[name.lower()] == text
        assert "server" not in answer.headers


def test_pages_obey_their_own_policy() -> None:
    """No script, no style within, nothing from elsewhere."""
    folder = files("outbox_sdk.console") / "templates"
    for file in folder.iterdir():
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:|@import", text), file.name
        assert re.findall(r"(?:https?:)?//[a-z][\w.]*", text) in ([], ["http://www.w3.org"]), file.name
        assert "|safe" not in text
        for form in re.findall(r'<form method="post".*?</form>', text, re.DOTALL):
            assert "m.guard(csrf)" in form or 'action="/enter"' in form, file.name


async def test_with_a_token_nothing_is_shown_before_it_is_given(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    browser = Browser(build("0.0.0.0", TOKEN), host="192.0.2.7:8787")  # noqa: S104 - nothing listens
    for path in ("/", "/parked", "/redrive", "/nope"):
        answer = await browser.get(path)
        assert answer.status == 401
        assert "asks for a token" in answer.words
        assert "outbox" not in answer.words.lower()
    assert (await browser.post("/redrive", {"csrf": "x"})).status == 401

    entered = await browser.post("/enter", {"token": TOKEN})
    assert (entered.status, entered.headers["location"]) == (303, "/")
    assert {"HttpOnly", "SameSite=strict"} <= set(entered.headers["set-cookie"].split("; "))
    assert TOKEN not in str(entered)
    page = await browser.get("/")
    assert page.status == 200
    assert TOKEN not in str(page) + caplog.text
    browser.cookies = {"outbox_console": TOKEN}  # the token itself is no cookie
    assert (await browser.get("/")).status == 401


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "HEAD"])
@pytest.mark.parametrize(
    "path", ["/enter", "/enter/", "/ent\ter", "/enter\n", "/console.css", "/console.css/x"]
)
async def test_no_refusal_tells_which_outbox_it_is_before_the_token_is_given(
    method: str, path: str, pauses: list[float]
) -> None:
    browser = Browser(build(token=TOKEN))
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        for body in (b"token=\xff", b"x" * (MAX_FORM_BYTES + 1)):
            answer = await browser.ask(method, path, body, {"content-type": kind})
            assert "outbox" not in answer.words.lower(), (kind, answer.words)
            assert "set-cookie" not in answer.headers


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses that were made, none of which takes time."""
    made = []

    async def sleep(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr("outbox_sdk.console.application.asyncio.sleep", sleep)
    return made


@pytest.mark.parametrize("token", ["", TOKEN[:-1], TOKEN + "0", "é"])
async def test_a_wrong_token_is_refused_after_a_while(token: str, pauses: list[float]) -> None:
    answer = await Browser(build(token=TOKEN)).post("/enter", {"token": token})
    assert answer.status == 401
    assert "set-cookie" not in answer.headers
    assert pauses == [1.0]


async def test_the_door_is_not_opened_from_another_site_nor_where_there_is_none(pauses: list[float]) -> None:
    answer = await Browser(build(token=TOKEN)).post("/enter", {"token": TOKEN}, origin="http://evil.example")
    assert answer.status == 403
    assert (await Browser(build()).post("/enter", {"token": ""})).status == 401


async def test_a_listener_on_all_addresses_takes_addresses_and_no_foreign_names() -> None:
    for host, status in (("192.0.2.7", 401), ("[2001:db8::1]:1", 401), ("evil.example", 403)):
        browser = Browser(build("0.0.0.0", TOKEN), host=host)  # noqa: S104 - nothing listens
        assert (await browser.get("/")).status == status


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("Console.Example", "console.example"),
        ("console.example:8443", "console.example:8443"),
        ("[2001:db8:0::1]:8443", "[2001:db8::1]:8443"),
        ("2001:DB8:0::1", "[2001:db8::1]"),
    ],
)
async def test_a_name_that_is_allowed_is_answered_to(given: str, asked: str) -> None:
    access = build_access("127.0.0.1", allowed_hosts=[given])
    browser = Browser(build_app(InMemoryStack().admin(), access), host=asked)
    assert (await browser.get("/redrive")).status == 200


@pytest.mark.parametrize("given", ["https://console.example", "console.example/", "", "*", "a b"])
def test_what_no_browser_asks_for_is_not_taken_for_a_name(given: str) -> None:
    with pytest.raises(ConfigurationError, match="is no name that a browser"):
        build_access("127.0.0.1", allowed_hosts=[given])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "console.example"])  # noqa: S104
def test_other_hosts_need_a_token(host: str) -> None:
    with pytest.raises(ConfigurationError, match="OUTBOX_CONSOLE_TOKEN: others than this machine"):
        build_access(host)
    with pytest.raises(ConfigurationError, match="at least 20"):
        build_access(host, "short")
    assert TOKEN not in repr(build_access(host, TOKEN))


@pytest.mark.once
def test_the_command_refuses_before_it_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OUTBOX_CONSOLE_TOKEN", raising=False)
    where = ["--table", "outbox", "--region", "eu-west-1"]
    done = CliRunner().invoke(command, ["console", "--host", "192.0.2.7", *where])
    assert done.exit_code == 2
    assert "OUTBOX_CONSOLE_TOKEN" in done.stderr
    taken = socket.create_server(("127.0.0.1", 0))
    with taken:
        port = str(taken.getsockname()[1])
        done = CliRunner().invoke(command, ["console", "--port", port, *where], env={"AWS_PROFILE": None})
    assert done.exit_code == 2
    assert "cannot listen on 127.0.0.1" in done.stderr


async def test_what_a_page_fails_with_is_logged_by_its_kind_alone(caplog: pytest.LogCaptureFixture) -> None:
    admin = InMemoryStack().admin()

    async def fail(*_: Any, **__: Any) -> Any:
        raise KeyError("s3cr3t")

    admin.parked = fail  # type: ignore[method-assign] # so that a page fails
    answer = await Browser(build_app(admin, build_access("127.0.0.1"))).get("/parked?id=m-77")
    assert answer.status == 500
    assert "s3cr3t" not in answer.text + caplog.text
    assert "m-77" not in caplog.text
    assert "console_failed kind=KeyError" in caplog.text


async def test_the_console_is_served_logs_nothing_and_stops(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    stop, where = asyncio.Event(), asyncio.Queue[str]()
    serving = asyncio.create_task(
        serve_console(InMemoryStack().admin(), port=0, stop=stop, on_ready=where.put_nowait)
    )
    address = await where.get()
    port = int(address.rpartition(":")[2].strip("/"))
    for host, status in ((f"127.0.0.1:{port}", b"200 OK"), ("evil.example", b"403 Forbidden")):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /parked?id=m-77 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert b"server:" not in answer.lower()
        writer.close()
    stop.set()
    async with asyncio.timeout(10):
        await serving
    assert "m-77" not in caplog.text
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.once
def test_without_its_extra_the_command_says_what_to_install() -> None:
    """Python itself says what is missing: the modules are hidden from a new interpreter."""
    code = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "from outbox_sdk.cli import main; sys.argv = ['outbox', 'console', '--table', 't']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert 'uvicorn is missing. Run: pip install "dynamodb-outbox-sdk[console]"' in done.stderr
