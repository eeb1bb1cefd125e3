"""Looking at an outbox in memory: what is counted, listed and found, and by which calls."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from outbox_sdk import Outbox, Selection, TableCallError, TableDesign
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.message_view import decode_view
from outbox_sdk.core.passing import decode_passages
from outbox_sdk.core.remedies import find_call_remedy
from outbox_sdk.core.retry import RetryPolicy
from outbox_sdk.core.when import parse_when
from outbox_sdk.shell.admin import AdminContext
from outbox_sdk.shell.aws.errors import AwsError
from outbox_sdk.shell.inspection import find_messages, list_messages, read_status
from outbox_sdk.shell.table_calls import RetryingCalls
from outbox_sdk.testing import InMemoryCalls, InMemoryStack

OUTBOX = Outbox("outbox")


class Desk:
    """An outbox in memory, and the calls that are made to look at it."""

    def __init__(self, design: TableDesign = TableDesign.ordered, **options: Any) -> None:
        self.stack = InMemoryStack(design=design, **options)
        self.outbox = Outbox("outbox", design=design)
        self.calls = InMemoryCalls(self.stack.table)
        self.context = AdminContext(
            calls=RetryingCalls(self.calls),
            table_name=self.stack.admin().context.table_name,
            design=design,
        )

    def write(self, number: int, *, topic: str = "orders", aggregate: str = "o-1", **more: Any) -> None:
        """Commit a message called ``m-<number>``; its topic may be one that no producer may name."""
        entry: Any = self.outbox.put(
            '{"secret": 1}', aggregate_id=aggregate, topic="orders", message_id=f"m-{number}", **more
        )
        entry["Put"]["Item"]["Topic"] = {"S": topic}
        self.stack.write(entry)

    def change(self, number: int, **attributes: Any) -> None:
        """Change a message's item, as somebody might."""
        table = self.stack.table
        (key,) = [key for key, item in table.items.items() if item["MessageId"] == {"S": f"m-{number}"}]
        table.write(key, {**table.items[key], **attributes})


async def test_status_tells_what_is_outstanding_and_parked_by_topic_and_by_reason() -> None:
    desk = Desk(topics=["orders"])
    for number in range(3):
        desk.write(number)
    desk.write(3, topic="orders.fifo", aggregate="o-2")
    desk.write(4, topic="b@d", aggregate="o-3")
    await desk.stack.relay()
    desk.write(5)

    status = await read_status(desk.context)

    assert (status.outstanding.count, status.parked.count) == (2, 1)
    assert status.outstanding.by_topic == {"orders.fifo": 1, "orders": 1}
    assert status.parked.by_reason == {"topic-name": 1}
    assert status.outstanding.oldest_age_seconds is not None
    assert 0 <= status.outstanding.oldest_age_seconds < 60
    assert status.read_units is None, "what a server does not say is not made up"


async def test_status_reads_the_index_and_the_oldest_items_and_nothing_else() -> None:
    desk = Desk()
    for number in range(150):
        desk.write(number, aggregate=f"o-{number}")
    desk.calls.made.clear()

    status = await read_status(desk.context, sample=100)
    assert (status.outstanding.count, status.outstanding.looked_at) == (150, 100)
    assert (set(desk.calls.made), desk.calls.made.count("BatchGetItem")) == ({"Query", "BatchGetItem"}, 1)
    assert desk.calls.made.count("Query") == 102, (
        "a page of each bucket, of other producers' and of the parked"
    )

    desk.calls.made.clear()
    status = await read_status(desk.context, sample=0)
    assert (status.outstanding.count, status.outstanding.by_topic) == (150, {})
    assert set(desk.calls.made) == {"Query"}


async def test_lists_are_oldest_first_and_filtered() -> None:
    desk = Desk()
    begin = datetime(2026, 11, 20, 9, tzinfo=UTC)
    for number in range(9):
        desk.write(number, topic="orders" if number % 2 else "bills", aggregate=f"o-{number}")
        created = (begin + timedelta(hours=9 - number)).isoformat()
        desk.change(number, CreatedAt={"S": created})

    async def ids(selection: Selection | None = None) -> list[str | None]:
        return [each.message_id for each in await list_messages(desk.context, "outstanding", selection)]

    assert await ids() == [f"m-{number}" for number in range(8, -1, -1)]
    assert await ids(Selection(limit=2)) == ["m-8", "m-7"]
    assert await ids(Selection(topics=("orders",), limit=2)) == ["m-7", "m-5"]
    assert await ids(Selection(since=begin + timedelta(hours=3), until=begin + timedelta(hours=5))) == [
        "m-6",
        "m-5",
    ]
    assert await ids(Selection(message_ids=("m-1", "m-4"))) == ["m-4", "m-1"]
    assert await list_messages(desk.context, "parked") == ()
    with pytest.raises(ValueError, match="no index"):
        await list_messages(desk.context, "dispatched")


async def test_what_the_index_only_still_shows_is_not_listed() -> None:
    desk = Desk()
    desk.write(1)
    (key,) = desk.stack.table.items
    shown = dict(desk.stack.table.items[key])

    class Late(InMemoryCalls):
        async def call(self, operation: str, arguments: Any) -> Any:
            if operation == "BatchGetItem":  # the index has not heard of it yet
                desk.stack.table.items[key] = {**shown, "NotDispatched": {"S": "parked"}}
            return await super().call(operation, arguments)

    context = AdminContext(
        calls=RetryingCalls(Late(desk.stack.table)),
        table_name=desk.context.table_name,
        design=desk.context.design,
    )
    assert await list_messages(context, "outstanding") == ()


async def test_a_short_list_goes_on_where_the_oldest_are_settled_and_the_index_shows_them_still() -> None:
    """As after a redrive of many: else it would say that nothing is parked any more."""
    desk, shown = Desk(), InMemoryStack()
    for number in range(300):
        desk.write(number, aggregate=f"o-{number}")
        desk.change(number, NotDispatched={"S": "parked"})
    for key, item in desk.stack.table.items.items():
        shown.table.write(key, item)
    for number in range(250):
        desk.change(number, NotDispatched={"S": "x"})

    class Late(InMemoryCalls):
        async def call(self, operation: str, arguments: Any) -> Any:
            if operation == "Query":
                return await InMemoryCalls(shown.table).call(operation, arguments)
            return await super().call(operation, arguments)

    context = AdminContext(
        calls=RetryingCalls(Late(desk.stack.table)),
        table_name=desk.context.table_name,
        design=desk.context.design,
    )
    found = await list_messages(context, "parked", Selection(limit=2))
    assert [each.message_id for each in found] == ["m-250", "m-251"]


@pytest.mark.parametrize("design", [TableDesign.ordered, TableDesign.message_keyed])
async def test_a_message_is_found_in_every_state(design: TableDesign) -> None:
    desk = Desk(design)
    desk.write(1)

    async def states(**how: Any) -> list[str]:
        return [each.state for each in await find_messages(desk.context, "m-1", **how)]

    assert await states() == ["outstanding"]
    await desk.stack.relay()
    keyed = design.keyed_by == "message"
    assert await states() == (["dispatched"] if keyed else []), "no index has it"
    assert await states(aggregate_id="o-1") == ["dispatched"]
    assert await states(aggregate_id="o-2") == (["dispatched"] if keyed else [])
    scanned: list[int] = []
    assert await states(scan=True, on_scanned=scanned.append) == ["dispatched"]
    assert sum(scanned) == (0 if keyed else 1)


async def test_one_read_finds_a_message_whose_aggregate_is_known() -> None:
    desk = Desk()
    desk.write(1)
    await find_messages(desk.context, "m-1", aggregate_id="o-1")

    await find_messages(desk.context, "m-1", aggregate_id="o-2")

    assert desk.calls.made == ["BatchGetItem"] * 2


async def test_a_short_list_of_a_long_backlog_reads_little() -> None:
    desk = Desk()
    for number in range(400):
        desk.write(number, aggregate=f"o-{number}")
        desk.change(number, NotDispatched={"S": "x"})
    read: list[int] = []

    class Counting(InMemoryCalls):
        async def call(self, operation: str, arguments: Any) -> Any:
            answer = await super().call(operation, arguments)
            if operation == "Query":
                read.append(answer["Count"])
            return answer

    context = AdminContext(
        calls=RetryingCalls(Counting(desk.stack.table)),
        table_name=desk.context.table_name,
        design=desk.context.design,
    )
    assert len(await list_messages(context, "outstanding", Selection(limit=2))) == 2
    assert sum(read) == 102, "and a few more, for those that are settled by now"
    read.clear()
    assert len(await list_messages(context, "outstanding", Selection(limit=2, topics=("orders",)))) == 2
    assert sum(read) == 400


async def test_the_same_id_under_two_aggregates_is_two_messages() -> None:
    desk = Desk()
    desk.write(1)
    desk.write(1, aggregate="o-2")

    found = await find_messages(desk.context, "m-1")
    assert sorted(each.aggregate_id or "" for each in found) == ["o-1", "o-2"]


async def test_what_happens_is_told_as_it_passes() -> None:
    desk = Desk(topics=["orders"])
    table = desk.stack.table
    desk.write(1)
    desk.write(2, topic="b@d")
    await desk.stack.relay()
    desk.change(2, NotDispatched={"S": "03"}, RedriveCount={"N": "1"})
    desk.change(2, TouchedAt={"S": "2026-11-23T09:00:00.000000Z"})
    desk.change(1, NotDispatched={"S": "03"}, RedriveCount={"N": "1"})
    (sent,) = [key for key, item in table.items.items() if item["MessageId"] == {"S": "m-1"}]
    table.write(sent, None)

    passages = decode_passages({"Records": table.records}, table.design, Selection(), now=datetime.now(UTC))
    told = [(each.event, each.message.message_id) for each in passages]
    assert told[:2] == [("created", "m-1"), ("created", "m-2")]
    assert set(told[2:4]) == {("dispatched", "m-1"), ("parked", "m-2")}
    assert told[4:] == [("redriven", "m-2"), ("touched", "m-2"), ("replayed", "m-1"), ("removed", "m-1")]
    only = decode_passages(
        {"Records": table.records}, table.design, Selection(message_ids=("m-2",)), now=datetime.now(UTC)
    )
    assert {each.message.message_id for each in only} == {"m-2"}
    expired = {
        **table.records[-1],
        "userIdentity": {"principalId": "dynamodb.amazonaws.com", "type": "Service"},
    }
    (gone,) = decode_passages({"Records": [expired]}, table.design, Selection(), now=datetime.now(UTC))
    assert gone.event == "expired"


class Refusing:
    """Refuses the first calls by a code, and answers then."""

    def __init__(self, code: str, times: int) -> None:
        self.code, self.left, self.made = code, times, 0

    async def call(self, operation: str, arguments: Any) -> Any:
        self.made += 1
        if self.left:
            self.left -= 1
            raise AwsError(self.code, 400, "an item is quoted: s3cr3t")
        return {}


async def _no_pause(_: float) -> None:
    return


async def test_a_call_is_repeated_where_that_may_help_and_no_further() -> None:
    policy = RetryPolicy(attempts=3)
    throttled = Refusing("ThrottlingException", 2)
    assert await RetryingCalls(throttled, policy=policy, sleep=_no_pause).call("Query", {}) == {}
    assert throttled.made == 3

    for code, times, made in (("ThrottlingException", 3, 3), ("AccessDeniedException", 1, 1)):
        refusing = Refusing(code, times)
        with pytest.raises(TableCallError) as raised:
            await RetryingCalls(refusing, policy=policy, sleep=_no_pause).call("Query", {})
        assert (raised.value.code, refusing.made) == (code, made)
        assert "s3cr3t" not in f"{raised.value} {raised.value.__cause__}"
        assert raised.value.__suppress_context__
        assert raised.value.__cause__ is None


async def test_keys_that_dynamodb_leaves_undone_are_read_again() -> None:
    desk = Desk()
    for number in range(3):
        desk.write(number)

    class Partial(InMemoryCalls):
        left = 2

        async def call(self, operation: str, arguments: Any) -> Any:
            answer = await super().call(operation, arguments)
            if operation == "BatchGetItem" and self.left:
                self.left -= 1
                first, *rest = answer["Responses"]["outbox"]
                keys = [{"PK": item["PK"], "SK": item["SK"]} for item in rest]
                return {"Responses": {"outbox": [first]}, "UnprocessedKeys": {"outbox": {"Keys": keys}}}
            return answer

    context = AdminContext(
        calls=RetryingCalls(Partial(desk.stack.table)),
        table_name=desk.context.table_name,
        design=desk.context.design,
        sleep=_no_pause,
    )
    assert len(await list_messages(context, "outstanding")) == 3


def test_each_code_has_advice() -> None:
    assert "dynamodb:Scan" in find_call_remedy("Scan", "AccessDeniedException")
    assert "log in" in find_call_remedy("Scan", "ExpiredTokenException")
    assert "Region" in find_call_remedy("Scan", "ResourceNotFoundException")
    assert "throttled" in find_call_remedy("Scan", "ThrottlingException")


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"limit": 0}, "limit"),
        ({"topics": ("",)}, "topics"),
        ({"since": datetime(2026, 11, 23)}, "since"),  # noqa: DTZ001 - what is refused
        (
            {"since": datetime(2026, 11, 23, tzinfo=UTC), "until": datetime(2026, 11, 23, tzinfo=UTC)},
            "until",
        ),
    ],
)
def test_a_selection_that_cannot_be_meant_is_refused(changes: dict[str, Any], variable: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Selection(**changes)
    assert raised.value.variable == variable


@pytest.mark.parametrize("text", ["", "yesterday", "5", "-3h", "3y", "9" * 400 + "d", "99999999999w"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--since: .*neither an instant"):
        parse_when(text, now=datetime(2026, 11, 23, tzinfo=UTC), variable="--since")


def test_hours_are_hours() -> None:
    now = datetime(2026, 11, 23, 9, tzinfo=UTC)
    seconds = [(now - parse_when(text, now=now, variable="-")).total_seconds() for text in _TIMES]
    assert seconds == list(_TIMES.values())


_TIMES = {"1.5s": 1.5, "2m": 120, "3h": 10_800, "4d": 345_600, "5w": 3_024_000}


@pytest.mark.parametrize(
    ("item", "state"),
    [
        ({"LastDispatchedAt": {"S": "2026-11-23T09:00:00Z"}}, None),
        ({"MessageId": {"S": "m"}}, None),
        ({"MessageId": {"S": "m"}, "IsDispatched": {"BOOL": False}}, None),
        ({"MessageId": {"S": "m"}, "IsDispatched": {"BOOL": True}}, "dispatched"),
        ({"MessageId": {"S": "m"}, "LastDispatchedAt": {"S": "?"}}, "dispatched"),
        ({"NotDispatched": {"N": "7"}}, "outstanding"),
    ],
)
def test_other_items_of_the_table_are_no_messages(item: dict[str, Any], state: str | None) -> None:
    view = decode_view(item, TableDesign.ordered, now=datetime(2026, 11, 23, tzinfo=UTC))
    assert (None if view is None else view.state) == state


def test_what_cannot_be_read_is_left_out_and_what_cannot_travel_is_counted() -> None:
    item: dict[str, Any] = {
        "NotDispatched": {"S": "x"},
        "Message": {"S": "half \ud800"},
        "Sequence": {"N": "1.5"},
        "SchemaVersion": {"N": "9" * 5_000},
        "ExpiresAt": {"N": "9" * 30},
        "Headers": {"M": {"a": {"S": "1"}, "b": {"N": "1"}}},
    }
    view = decode_view(item, TableDesign.ordered, now=datetime(2026, 11, 23, tzinfo=UTC))

    assert view is not None
    assert (view.sequence, view.schema_version, view.expires_at) == (None, None, None)
    assert (view.body_bytes, view.header_names) == (8, ("a",))
