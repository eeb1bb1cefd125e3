"""The console before an embedded stack, in Chromium: a parked message is seen and sent again. And its end."""

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any

import pytest
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.ui import WebDriverWait

from outbox_sdk import Outbox, RelayConfiguration, open_admin, open_relay
from outbox_sdk.console import serve_console
from outbox_sdk.core.identifiers import Region, TableName
from outbox_sdk.embedded_stack import EmbeddedStack
from outbox_sdk.shell.admin import Admin
from tests.support.browser import open_browser
from tests.support.command import CREDENTIALS, environment
from tests.support.outbox_process import outbox_command
from tests.support.outbox_tables import open_outbox_table
from tests.support.topics import open_topic
from tests.support.unavailable import ServerUnavailable

pytestmark = [pytest.mark.integration, pytest.mark.once]

SECRET = "s3cr3t-b0dy"


@asynccontextmanager
async def serving(admin: Admin) -> AsyncIterator[str]:
    stop, where = asyncio.Event(), asyncio.Queue[str]()
    async with asyncio.TaskGroup() as group:
        group.create_task(
            serve_console(admin, port=0, sample_every=0.5, stop=stop, on_ready=where.put_nowait)
        )
        yield await where.get()
        stop.set()


@asynccontextmanager
async def relaying(configuration: RelayConfiguration, credentials: tuple[str, str]) -> AsyncIterator[None]:
    stop = asyncio.Event()
    async with open_relay(configuration, credentials=credentials) as relay, asyncio.TaskGroup() as group:
        group.create_task(relay.follow(stop=stop))
        yield
        stop.set()


@contextmanager
def browser_or_skip() -> Iterator[Chrome]:
    """Open a browser; without one the test is skipped in CI too, for it is the system's and no package."""
    with ExitStack() as stack:
        try:
            browser = stack.enter_context(open_browser())
        except ServerUnavailable as error:
            pytest.skip(str(error))
        yield browser


def text_of(browser: Chrome) -> str:
    """Read the page; a page that makes way for another one meanwhile is read anew."""
    ignored = (StaleElementReferenceException, NoSuchElementException)
    wait = WebDriverWait(browser, 30, ignored_exceptions=ignored)
    return wait.until(lambda shown: shown.find_element(By.TAG_NAME, "main").text)


def press(browser: Chrome, words: str) -> None:
    """Press a button, and wait until its page is gone."""
    button = browser.find_element(By.XPATH, f"//button[contains(., '{words}')]")
    button.click()
    WebDriverWait(browser, 30).until(staleness_of(button))


class Visit:
    """What a person does, a step at a time; each runs beside the loop that serves the pages."""

    def __init__(self, browser: Chrome, address: str) -> None:
        self.browser = browser
        self.address = address

    def overview(self) -> str:
        self.browser.get(self.address)
        return text_of(self.browser)

    def search_parked(self, message_id: str) -> str:
        self.browser.find_element(By.LINK_TEXT, "Parked").click()
        self.browser.find_element(By.NAME, "id").send_keys(message_id)
        press(self.browser, "Search")
        return text_of(self.browser)

    def redrive_what_was_found(self) -> tuple[str, str]:
        self.browser.find_element(By.CSS_SELECTOR, "input[type=checkbox]").click()
        press(self.browser, "Redrive the chosen")
        before = text_of(self.browser)
        press(self.browser, "Redrive 1 message")
        # The page of a task that is under way shows itself anew until it is done.
        WebDriverWait(self.browser, 30).until(lambda shown: "Done:" in text_of(shown))
        return before, text_of(self.browser)

    def load_until_it_says(self, path: str, words: str) -> str:
        def load(browser: Chrome) -> bool:
            browser.get(f"{self.address}{path}")
            return words in text_of(browser)

        WebDriverWait(self.browser, 30).until(load)
        return text_of(self.browser)

    def overflow_on_a_phone(self, path: str) -> int:
        """By how many pixels a page is wider than a phone."""
        size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.browser.get(f"{self.address}{path}")
        width: int = self.browser.execute_script("return document.documentElement.scrollWidth")
        return width - 390

    def payload(self) -> str:
        press(self.browser, "Show body and headers")
        return text_of(self.browser)


async def test_a_parked_message_is_found_redriven_and_dispatched(ministack: EmbeddedStack) -> None:
    async with open_outbox_table(ministack.endpoint_url) as table:
        configuration = RelayConfiguration(
            dynamodb_outbox_table_name=TableName(table.name),
            aws_endpoint_url=ministack.endpoint_url,
            aws_region=Region(ministack.region),
            aws_sns_topic_prefix=f"{table.name}-",
            outbox_park_held_after_seconds=0,  # a topic that is missing is not waited for
        )
        credentials = (ministack.access_key_id, ministack.secret_access_key)
        outbox = Outbox(table.name)
        for number in range(3):
            entry: Any = outbox.put(
                SECRET, aggregate_id=f"o-{number}", topic="orders", message_id=f"m-{number}"
            )
            await table.put(entry["Put"]["Item"])
        async with (
            open_admin(configuration, credentials=credentials) as admin,
            serving(admin) as address,
        ):
            with browser_or_skip() as browser:
                visit = Visit(browser, address)
                await follow_a_message(visit, configuration, credentials, ministack)


async def follow_a_message(
    visit: Visit,
    configuration: RelayConfiguration,
    credentials: tuple[str, str],
    stack: EmbeddedStack,
) -> None:
    words = await asyncio.to_thread(visit.overview)
    assert "Outstanding\n3" in words
    assert "Parked\n0" in words

    async with relaying(configuration, credentials):
        await asyncio.to_thread(visit.load_until_it_says, "", "Parked\n3")
        words = await asyncio.to_thread(visit.search_parked, "m-1")
        assert "held:" in words
        assert "m-1" in words
        assert "m-2" not in words

        # What it was parked for is mended first.
        name = f"{configuration.aws_sns_topic_prefix}orders"
        async with open_topic(stack.endpoint_url, name=name) as topic:
            before, after = await asyncio.to_thread(visit.redrive_what_was_found)
            assert "1 parked message would become outstanding" in before
            assert "Nothing has been changed yet" in before
            assert "Done: 1 message sent again" in after
            page = "message?id=m-1&aggregate=o-1"
            words = await asyncio.to_thread(visit.load_until_it_says, page, "dispatched")
            assert SECRET not in words
            assert SECRET in await asyncio.to_thread(visit.payload)
            (received,) = await topic.drain(expected=1)
            assert received.message_id == "m-1"
    words = await asyncio.to_thread(visit.overview)
    assert "Outstanding\n0" in words
    assert "Parked\n2" in words
    for path in ("", "parked", page, "redrive", "tasks/1", "tasks/2"):
        assert await asyncio.to_thread(visit.overflow_on_a_phone, path) <= 0, path
    assert await asyncio.to_thread(visit.browser.get_log, "browser") == []  # no policy was offended


async def test_the_command_serves_until_it_is_interrupted(ministack: EmbeddedStack) -> None:
    async with open_outbox_table(ministack.endpoint_url) as table:
        where = [
            "--table",
            table.name,
            "--endpoint-url",
            ministack.endpoint_url,
            "--region",
            ministack.region,
        ]
        with outbox_command() as command:
            process = await asyncio.create_subprocess_exec(
                *command, "console", "--port", "0", *where,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(**CREDENTIALS),
            )  # fmt: skip
            assert process.stdout is not None
            async with asyncio.timeout(60):
                line = (await process.stdout.readline()).decode()
            port = int(line.rpartition("127.0.0.1:")[2].partition("/")[0])
            # One connection is kept open, as browsers do.
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"GET /?q=m-77 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            assert b"200 OK" in await reader.readline()
            process.send_signal(signal.SIGINT)
            async with asyncio.timeout(20):
                output, errors = await process.communicate()
            writer.close()
        assert (process.returncode, output, errors) == (0, b"", b"")
