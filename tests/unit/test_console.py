"""The console's pages over an outbox in memory: what they show, what they do, and what they hide."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

from outbox_sdk import Outbox
from outbox_sdk.console import build_access, build_app
from outbox_sdk.console.samples import Sampler
from outbox_sdk.console.tasks import Tasks
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import TableName
from outbox_sdk.core.retry import RetryPolicy
from outbox_sdk.core.selection import Selection
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell.admin import Admin, AdminContext
from outbox_sdk.shell.aws.errors import AwsError
from outbox_sdk.shell.table_calls import RetryingCalls
from outbox_sdk.testing import InMemoryCalls, InMemoryStack
from tests.support.asgi import Browser

OUTBOX = Outbox("outbox")
SECRET = "s3cr3t-b0dy"


class Desk:
    """An outbox in memory with a console before it, and a browser that looks at it."""

    def __init__(self) -> None:
        self.stack = InMemoryStack(topics=["orders", "bills"])
        self.calls = BreakableCalls(self.stack)
        calls = RetryingCalls(self.calls, policy=RetryPolicy(attempts=1))
        self.admin = Admin(
            AdminContext(calls=calls, table_name=TableName("outbox"), design=TableDesign.ordered)
        )
        self.browser = Browser(build_app(self.admin, build_access("127.0.0.1")))

    def write(self, *numbers: int, parked: bool = False, **attributes: str) -> None:
        """Commit messages called ``m-<number>``; those to be parked go to a name that no topic has."""
        for number in numbers:
            entry: Any = OUTBOX.put(
                SECRET, aggregate_id=f"o-{number}", topic="orders", message_id=f"m-{number}"
            )
            item = entry["Put"]["Item"]
            item["Headers"] = {"M": {"tenant": {"S": "s3cr3t-header"}}}
            item.update({name: {"S": text} for name, text in attributes.items()})
            if parked:
                item["Topic"] = {"S": "b@d"}
            self.stack.write(entry)

    async def csrf(self) -> str:
        """What the console's forms carry."""
        return (await self.browser.get("/redrive")).hidden("csrf")

    async def post(self, path: str, **form: Any) -> Any:
        """Send a form of the console's own, and give the page that it leads to."""
        answer = await self.browser.post(path, {"csrf": await self.csrf(), **form})
        return answer if answer.status != 303 else await self.browser.follow(answer)


class BreakableCalls(InMemoryCalls):
    """Answers until told not to."""

    def __init__(self, stack: InMemoryStack) -> None:
        super().__init__(stack.table)
        self.failing: Exception | None = None
        self._writes_left: int | None = None
        self._on_last: Callable[[], None] = lambda: None

    def stop_after(self, writes: int, on_last: Callable[[], None]) -> None:
        """Tell somebody when so many writes are done."""
        self._writes_left, self._on_last = writes, on_last

    async def call(self, operation: str, arguments: Any) -> Any:
        if self.failing is not None:
            raise self.failing
        if operation == "UpdateItem" and self._writes_left is not None:
            self._writes_left -= 1
            if self._writes_left == 0:
                self._on_last()
        return await super().call(operation, arguments)


@pytest.fixture
async def desk() -> Desk:
    desk = Desk()
    desk.write(1, 2, parked=True)
    await desk.stack.relay()
    desk.write(3, 4, 5)
    return desk


async def test_the_overview_tells_how_the_outbox_stands(desk: Desk) -> None:
    first = await desk.browser.get("/")
    assert first.status == 200
    assert "Outstanding 3" in first.words
    assert "Parked 2" in first.words
    assert '<a href="/outstanding?topic=orders">orders</a>' in first.text
    assert '<a href="/parked?reason=' in first.text
    assert "The charts begin with the second look" in first.words


async def test_the_charts_have_axes_and_say_the_same_in_words() -> None:
    desk = Desk()
    sampler = Sampler(desk.admin, every=0.01)
    app = build_app(desk.admin, build_access("127.0.0.1"), sample_every=0.01)
    desk.write(1, 2)
    await sampler.look()
    assert [sample.outstanding for sample in sampler.samples] == [2]
    async with running(app):
        for _ in range(3):
            await asyncio.sleep(0.03)
        page = await Browser(app).get("/")
    assert page.text.count('role="img"') == 2
    assert page.text.count("<polyline") >= 3
    assert "Outstanding: now 2, at most 2." in page.words
    assert "The same as a table" in page.words
    for label in re.findall(r'aria-labelledby="([^"]+)"', page.text):
        for name in label.split():
            assert f'id="{name}"' in page.text


class running:  # noqa: N801 - reads as a function
    """The lifespan of an application, as a server keeps it."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __aenter__(self) -> None:
        self.inbox: asyncio.Queue[Any] = asyncio.Queue()
        self.outbox: asyncio.Queue[Any] = asyncio.Queue()
        self.task = asyncio.create_task(self.app({"type": "lifespan"}, self.inbox.get, self.outbox.put))
        await self.inbox.put({"type": "lifespan.startup"})
        assert (await self.outbox.get())["type"] == "lifespan.startup.complete"

    async def __aexit__(self, *_: object) -> None:
        await self.inbox.put({"type": "lifespan.shutdown"})
        assert (await self.outbox.get())["type"] == "lifespan.shutdown.complete"
        await self.task


async def test_lists_are_searched(desk: Desk) -> None:
    page = await desk.browser.get("/parked")
    assert "m-1" in page.text
    assert "m-3" not in page.text
    assert "What to do" in page.words
    page = await desk.browser.get("/outstanding?id=m-4")
    assert "m-4" in page.text
    assert "m-5" not in page.text
    assert "1 to 1, the oldest first." in page.words
    assert "None that the search means." in (await desk.browser.get("/parked?reason=size")).words
    assert "m-3" not in (await desk.browser.get("/outstanding?since=2999-01-01")).text


async def test_lists_come_in_pages_that_show_each_message_once() -> None:
    desk = Desk()
    desk.write(*range(120))
    page = await desk.browser.get("/outstanding?topic=orders")
    seen = re.findall(r">(m-\d+)</a>", page.text)
    while following := re.search(r'rel="next" href="([^"]+)"', page.text):
        page = await desk.browser.get(following[1].replace("&amp;", "&"))
        seen += re.findall(r">(m-\d+)</a>", page.text)
    assert sorted(seen) == sorted(f"m-{number}" for number in range(120))
    assert 'rel="prev"' in page.text


async def test_what_a_producer_wrote_does_nothing_to_a_page() -> None:
    desk = Desk()
    evil = "<script>alert(1)</script>\u202egnp.\x1b[2J"
    desk.write(1, MessageId=evil, Topic=evil, MessageType=evil)
    for path in ("/", "/outstanding"):
        page = await desk.browser.get(path)
        assert "<script" not in page.text
        assert not {"\u202e", "\x1b"} & set(page.text)
        assert "\\u202e" in page.text
        assert "&lt;script&gt;" in page.text
    desk.write(2)
    for item in desk.stack.table.items.values():
        item["Headers"] = {"M": {evil: {"S": evil}}}
    page = await desk.post("/message/payload", id="m-2", aggregate="o-2")
    assert page.text.count("&lt;script&gt;") == 3, "among the names, and the header with its value"
    assert "<script" not in page.text
    assert not {"\u202e", "\x1b"} & set(page.text)


async def test_a_message_is_shown_with_its_life_and_not_with_what_it_says(desk: Desk) -> None:
    page = await desk.browser.get("/message?id=m-1&aggregate=o-1")
    assert page.status == 200
    assert re.search(r"Life Created \d{4}-\S+ \S+ UTC Parked \d{4}-", page.words)
    assert "What to do:" in page.words
    assert "tenant" in page.words  # a header by its name


async def test_no_page_shows_a_payload_but_the_one_that_is_asked_by_a_form(desk: Desk) -> None:
    for path in ("/", "/outstanding", "/parked", "/message?id=m-1", "/message?id=m-1&payload=on", "/redrive"):
        page = await desk.browser.get(path)
        assert page.status == 200
        assert "s3cr3t" not in page.text, path
    assert (await desk.browser.get("/message/payload?id=m-1")).status == 405
    page = await desk.post("/message/payload", id="m-1", aggregate="o-1")
    assert SECRET in page.text
    assert "s3cr3t-header" in page.text


async def test_a_dispatched_message_is_found_by_its_aggregate_or_by_a_scan(desk: Desk) -> None:
    await desk.stack.relay()
    desk.calls.made.clear()
    missing = await desk.browser.get("/message?id=m-3")
    assert missing.status == 404
    assert "Read the whole table for it" in missing.words
    assert "dispatched" in (await desk.browser.get("/message?id=m-3&aggregate=o-3")).words
    assert "Scan" not in desk.calls.made
    assert "dispatched" in (await desk.post("/message/scan", id="m-3")).words
    assert "Scan" in desk.calls.made


async def test_a_redrive_is_first_looked_at_then_confirmed_and_done_once(desk: Desk) -> None:
    page = await desk.post("/redrive", id=["m-1", "m-2"])
    assert "2 parked messages would become outstanding" in page.words
    assert "Nothing has been changed yet." in page.words
    assert (await desk.admin.status()).parked.count == 2

    number = page.text.partition("/tasks/")[2].partition("/")[0]
    done = await desk.post(f"/tasks/{number}/confirm")
    assert "Done: 2 messages sent again." in done.words
    assert (await desk.admin.status()).parked.count == 0
    again = await desk.post(f"/tasks/{number}/confirm")
    assert again.text == done.text
    assert "This was confirmed" in (await desk.browser.get(f"/tasks/{number}")).words
    view = (await desk.admin.show("m-1", aggregate_id="o-1"))[0]
    assert (view.state, view.redrives) == ("outstanding", 1)


@pytest.mark.parametrize("most", [2_000, 1])
async def test_what_is_redriven_is_what_was_shown(
    desk: Desk, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of as many as are kept; else no more than were counted."""
    monkeypatch.setattr("outbox_sdk.console.tasks._SHOWN_MOST", most)
    assert "2 parked messages would become outstanding" in (await desk.post("/redrive")).words
    await desk.admin.redrive(Selection(message_ids=("m-1",)))
    await desk.stack.relay()  # parks it anew
    page = await desk.post("/tasks/1/confirm")
    items = {item["MessageId"]["S"]: item for item in desk.stack.table.items.values()}
    counts = {name: item["RedriveCount"]["N"] for name, item in items.items() if "RedriveCount" in item}
    assert counts == {"m-1": "1" if most > 1 else "2", "m-2": "1"}
    assert ("Changed meanwhile 1" in page.words) == (most > 1)


async def test_no_more_is_redriven_than_was_confirmed(desk: Desk) -> None:
    page = await desk.post("/redrive")
    desk.write(6, parked=True)
    await desk.stack.relay()
    number = page.text.partition("/tasks/")[2].partition("/")[0]
    assert "Done: 2 messages" in (await desk.post(f"/tasks/{number}/confirm")).words
    assert [view.message_id for view in await desk.admin.parked()] == ["m-6"]


async def test_what_was_confirmed_and_done_is_not_taken_up_again() -> None:
    """One id of two is parked: the other is reported, and no button sends the first again."""
    desk = Desk()
    desk.write(1, parked=True)
    await desk.stack.relay()
    look = await desk.post("/redrive", id=["m-1", "m-9"])
    assert "1 parked message would become outstanding" in look.words
    page = await desk.post("/tasks/1/confirm")
    assert "Not found m-9" in page.words
    await desk.stack.relay()  # parks it anew
    assert "Do the rest" not in page.words
    refused = await desk.post("/tasks/2/take-up")
    assert refused.status == 400
    assert desk.stack.table.items[next(iter(desk.stack.table.items))]["RedriveCount"] == {"N": "1"}


async def test_to_choose_none_of_a_list_does_not_mean_all_of_it(desk: Desk) -> None:
    page = await desk.browser.get("/parked")
    refused = await desk.post("/redrive", chosen=page.hidden("chosen"))
    assert refused.status == 400
    assert "no message was chosen" in refused.words
    chosen = await desk.post("/redrive", chosen=page.hidden("chosen"), id="m-2")
    assert "1 parked message would become" in chosen.words


async def test_a_redrive_of_nothing_cannot_be_confirmed(desk: Desk) -> None:
    page = await desk.post("/redrive", reason="size")
    assert "Nothing would be done" in page.words
    assert "/confirm" not in page.text
    number = 1
    refused = await desk.post(f"/tasks/{number}/confirm")
    assert refused.status == 400
    assert "nothing is there to be confirmed" in refused.words
    assert (await desk.post("/tasks/7/confirm")).status == 404


@pytest.mark.parametrize("until", ["", "2999-01-01"])
async def test_a_replay_is_of_what_was_counted_and_tells_consumers(desk: Desk, until: str) -> None:
    await desk.stack.relay()
    page = await desk.post("/replay", topic="orders", until=until)
    assert "3 dispatched messages would become outstanding" in page.words
    desk.write(9)
    await desk.stack.relay()  # dispatched after they were counted
    number = page.text.partition("/tasks/")[2].partition("/")[0]
    before = len(desk.stack.published)
    assert "Done: 3 messages" in (await desk.post(f"/tasks/{number}/confirm")).words
    await desk.stack.relay()
    again = desk.stack.published[before:]
    assert sorted(message.message_id for message in again) == ["m-3", "m-4", "m-5"]
    assert all("replayed" in message.attributes for message in again)


async def test_a_replay_of_one_message_begins_at_its_page(desk: Desk) -> None:
    await desk.stack.relay()
    page = await desk.browser.get("/message?id=m-3&aggregate=o-3")
    assert 'action="/replay"' in page.text
    page = await desk.post("/replay", id=page.hidden("id"), aggregate=page.hidden("aggregate"))
    assert "1 dispatched message would become" in page.words


@pytest.mark.parametrize("kind", ["redrive", "replay"])
async def test_a_task_that_was_stopped_is_taken_up_and_sends_nothing_twice(desk: Desk, kind: Any) -> None:
    await desk.stack.relay()
    desk.write(6, 7, parked=True)
    await desk.stack.relay()
    tasks = Tasks(desk.admin)
    looked = tasks.start(kind, Selection())
    await tasks.wait(looked, 5)
    count = looked.to_confirm
    assert count == {"redrive": 4, "replay": 3}[kind]

    first = tasks.confirm(looked)
    desk.calls.stop_after(1, first.stop.set)
    await tasks.wait(first, 5)
    assert first.report is not None
    assert first.report.interrupted
    assert 0 < first.report.done < count
    if kind == "replay":
        await desk.stack.relay()  # what was done is dispatched once more before the rest is taken up
    rest = tasks.take_up(first)
    assert tasks.take_up(first) is rest
    await tasks.wait(rest, 5)
    assert rest.report is not None
    assert rest.report.succeeded
    assert first.report.done + rest.report.done == count
    states = [item.get("RedriveCount") for item in desk.stack.table.items.values()]
    assert states.count({"N": "1"}) == count
    with pytest.raises(ConfigurationError, match="nothing of it is left"):
        tasks.take_up(rest)
    await desk.stack.relay()
    replayed = [message.attributes.get("replayed") for message in desk.stack.published]
    # Both parts are one replay to consumers.
    assert len({*replayed} - {None}) == (1 if kind == "replay" else 0)
    assert sum(each is not None for each in replayed) == (count if kind == "replay" else 0)


async def test_a_task_is_stopped_and_what_is_begun_ends_with_the_console(desk: Desk) -> None:
    tasks = Tasks(desk.admin)
    task = tasks.start("redrive", Selection(), dry_run=False)
    await tasks.close()
    assert task.ended
    assert task.stop.is_set()
    for _ in range(4):
        tasks.start("redrive", Selection())
    with pytest.raises(ConfigurationError, match="4 tasks are running"):
        tasks.start("redrive", Selection())
    await tasks.close()
    for _ in range(80):
        await tasks.wait(tasks.start("redrive", Selection()), 1)
    assert len(tasks.recent) <= 51


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/outstanding?since=yesterday", "Since: 'yesterday' is neither"),
        ("/parked?since=1h&until=2h", "Until: is not later than since"),
        ("/outstanding?page=0", "page: is not a whole number"),
        ("/outstanding?page=²", "page: is not a whole number"),
        ("/outstanding?page=999999999999", "page: is not a whole number"),
    ],
)
async def test_wrong_input_is_refused_with_a_sentence(desk: Desk, path: str, sentence: str) -> None:
    answer = await desk.browser.get(path)
    assert answer.status == 400
    assert sentence in answer.words


async def test_what_dynamodb_refuses_is_told_with_advice(desk: Desk) -> None:
    desk.calls.failing = AwsError("AccessDeniedException", 400, "quoting s3cr3t")
    answer = await desk.browser.get("/parked")
    assert answer.status == 502
    assert "AccessDeniedException" in answer.words
    assert "s3cr3t" not in answer.text
    answer = await desk.browser.get("/")
    assert (answer.status, "The last look failed." in answer.words) == (200, True)
    page = await desk.post("/redrive")
    assert "AccessDeniedException" in page.words
    assert "/confirm" not in page.text


async def test_samples_are_bounded_and_a_failed_look_is_a_gap(desk: Desk) -> None:
    sampler = Sampler(desk.admin, keep=3)
    for _ in range(5):
        await sampler.look()
    assert len(sampler.samples) == 3
    desk.calls.failing = AwsError("AccessDeniedException", 400, "quoting s3cr3t")
    await sampler.look(not_after=3_600)  # young enough
    troubles = [sampler.trouble]
    await sampler.look()
    troubles.append(sampler.trouble)
    assert sampler.latest is not None  # as it was
    desk.calls.failing = None
    await sampler.look()
    assert [sample.outstanding for sample in sampler.samples] == [3, None, 3]
    assert [trouble is None for trouble in (*troubles, sampler.trouble)] == [True, False, True]
    assert "s3cr3t" not in str(troubles)
