"""Plans, settlements and reports of small batches, compared as a whole with what they must be."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from outbox_sdk import TableDesign
from outbox_sdk.core.account import account_for
from outbox_sdk.core.aggregate_order import in_order, merge_oldest
from outbox_sdk.core.backlog import BUCKETS, Fetched
from outbox_sdk.core.classification import ErrorClass
from outbox_sdk.core.effort import Effort
from outbox_sdk.core.entry import Entry
from outbox_sdk.core.identifiers import (
    AccountId,
    AggregateId,
    ItemKey,
    MessageId,
    Region,
    SequenceNumber,
    TopicArn,
    TopicName,
)
from outbox_sdk.core.lanes import MessageRecord, hold_unreadable, plan_held_lane, plan_lanes
from outbox_sdk.core.lookup import Found, LookupResult, Missing, Unreadable
from outbox_sdk.core.mark import Mark, Park, plan_mark
from outbox_sdk.core.message import OutboxMessage, Poison, Skipped
from outbox_sdk.core.outcome import (
    BatchReport,
    Dispatched,
    Held,
    MarkRefused,
    Outcome,
    Parked,
    PublishedOnly,
    RecordReport,
    Settled,
    Unmarked,
    Unparked,
)
from outbox_sdk.core.plan import BatchPlan, Wrapping, plan_batch, plan_intake, plan_lookup
from outbox_sdk.core.publish import (
    EntryFailed,
    Failed,
    Published,
    PublishRequest,
    Refused,
    RequestFailed,
    Settlement,
    decode_publish_response,
    failure_codes,
    pack_requests,
    settle_publish,
)
from outbox_sdk.core.report import LogLine
from outbox_sdk.core.retry import Deadline, RetryPolicy, plan_deadline, retry_delay
from outbox_sdk.core.routing import Routing
from outbox_sdk.core.stream import Record, decode_event
from outbox_sdk.core.sweep import Outstanding, SweepPlan, plan_republish, plan_sweep
from outbox_sdk.core.sweep_report import (
    SweepReport,
    Trouble,
    describe_sweep,
    describe_troubles,
    encode_sweep,
)
from outbox_sdk.core.task_report import TaskReport, count_by

DESIGN = TableDesign.ordered
ORDERS = TopicArn("arn:aws:sns:eu-west-1:123456789012:orders")
FIFO = TopicArn("arn:aws:sns:eu-west-1:123456789012:orders.fifo")
ROUTING = Routing(region=Region("eu-west-1"), account_id=AccountId("123456789012"))
WRAPPING = Wrapping(routing=ROUTING, source="outbox")
MARKER = {"S": "01"}


def key(name: str) -> ItemKey:
    return ItemKey((("PK", "S", "AGGREGATE#a"), ("SK", "S", f"MESSAGE#{name}")))


def message(name: str, *, topic: str = "orders", **more: Any) -> OutboxMessage:
    return OutboxMessage(key(name), MARKER, MessageId(name), AggregateId("a"), TopicName(topic), "{}", **more)


def record(number: int, content: Any, name: str, **more: Any) -> Record:
    return Record(SequenceNumber(str(number)), key(name), content, **more)


def message_record(name: str, position: int, **more: Any) -> MessageRecord:
    entry = WRAPPING.encode(message(name, topic="orders.fifo", **more))
    assert isinstance(entry, Entry)
    return MessageRecord(entry, position, SequenceNumber(str(position)), float(position))


def never(_key: ItemKey, _number: SequenceNumber) -> bool:
    return False


# Accounts


def account(outcomes: dict[str, Outcome], *records: Record, **more: Any) -> BatchReport:
    plan = plan_batch(plan_intake(records), lookups={}, published=never, deletes=False, wrapping=WRAPPING)
    arguments: dict[str, Any] = {"plan": plan, "lookups": {}, "effort": Effort(retries=1), **more}
    return account_for(records, outcomes={key(name): each for name, each in outcomes.items()}, **arguments)


def test_each_record_is_reported_with_its_names_and_times() -> None:
    poison = Poison(key=key("p"), marker=MARKER, reason="empty", message_id=MessageId("p"))
    records = (
        record(1, message("m"), "m", creation=100.0),
        record(2, Skipped("marked"), "n", creation=101.0),
        record(3, poison, "p", creation=102.0),
    )
    outcomes: dict[str, Outcome] = {"m": Dispatched(gone=True), "n": Settled("marked"), "p": Parked("empty")}
    report = account(outcomes, *records, accepted={key("m"): 100.5})
    assert report == BatchReport(
        records=(
            RecordReport(
                SequenceNumber("1"),
                key("m"),
                Dispatched(gone=True),
                MessageId("m"),
                TopicName("orders"),
                ORDERS,
                100.0,
            ),
            RecordReport(SequenceNumber("2"), key("n"), Settled("marked"), creation=101.0),
            RecordReport(SequenceNumber("3"), key("p"), Parked("empty"), MessageId("p"), creation=102.0),
        ),
        effort=Effort(retries=1, gone=1),
        published=1,
        latencies=(0.5,),
    )


def test_a_removal_behind_a_message_is_reported_where_that_was_to_go() -> None:
    records = record(1, message("m"), "m"), record(2, Skipped("removed"), "m", creation=5.0)
    report = account({"m": Dispatched()}, *records)
    assert report.records[1] == RecordReport(
        SequenceNumber("2"), key("m"), Settled("removed"), None, None, ORDERS, 5.0
    )


def test_latencies_are_of_what_came_by_the_record_that_wrote_it() -> None:
    records = (
        record(1, message("a"), "a", creation=100.0),
        record(2, message("b"), "b", creation=100.0),
        record(3, message("c"), "c", creation=100.0),
        record(4, message("d"), "d", creation=100.0, modified=True),
        record(5, message("e"), "e"),
        record(6, message("f"), "f", creation=100.0),
    )
    accepted = {key("a"): 100.25, key("b"): 99.0, key("c"): 100.0, key("d"): 101.0, key("e"): 101.0}
    outcomes: dict[str, Outcome] = {name: Dispatched() for name in "abcde"}
    report = account({**outcomes, "f": Held("Timeout")}, *records, accepted=accepted)
    assert report.latencies == (0.25, 0.0, 0.0)
    assert report.published == 5


@pytest.mark.parametrize(
    ("removal", "options", "reason"),
    [
        ("expired", {}, "expired_undispatched"),
        ("removed", {}, "removed_undispatched"),
        ("removed", {"deletes": True}, "removed"),
        ("expired", {"deletes": True}, "expired_undispatched"),
        ("expired", {"marks": False}, "removed"),
        (None, {}, "removed"),
    ],
)
def test_a_removal_that_took_a_message_along_is_told(removal: Any, options: Any, reason: str) -> None:
    gone = record(1, Skipped("removed"), "m", removal=removal)
    (told,) = account({"m": Settled("removed")}, gone, **options).records
    assert told.outcome == Settled(reason)
    (settled,) = account({"m": Settled("dispatched")}, gone, **options).records
    assert settled.outcome == Settled("removed"), "the same batch brought the message too"


def test_what_was_published_without_its_item_is_counted() -> None:
    outcomes: dict[str, Outcome] = {
        "a": Dispatched(),
        "b": PublishedOnly(),
        "c": MarkRefused("x"),
        "d": Unmarked("x"),
        "e": Held("x"),
        "f": Dispatched(),
    }
    records = [record(number, message(name), name) for number, name in enumerate(outcomes)]
    lookups: dict[ItemKey, LookupResult] = {key(name): Missing() for name in "abcdeg"}
    report = account(outcomes, *records, lookups={**lookups, key("f"): Found(True)})
    assert report.effort == Effort(retries=1, published_from_image=4)


# Plans of a batch


def test_a_batch_is_planned_item_by_item() -> None:
    old = "2026-11-23T08:00:00Z"
    now = datetime(2026, 11, 23, 9, tzinfo=UTC).timestamp()
    names = [f"m{number}" for number in range(8)]
    messages = {name: message(name, redrive_count=1) for name in names}
    messages["old"] = message("old", created_at=old)
    messages["edge"] = message("edge", created_at="2026-11-23T08:30:00Z")
    messages["again"] = message("again", created_at=old, redrive_count=1)
    messages["bad"] = message("bad", topic="b@d")
    messages["held"] = message("held", topic="b@d")
    poison = Poison(key=key("p"), marker=MARKER, reason="empty", redrive_count=2)
    records = [record(number, each, name) for number, (name, each) in enumerate(messages.items(), 10)]
    records += [record(30, poison, "p"), record(31, Skipped("marked"), "s")]
    lookups: dict[ItemKey, LookupResult] = {
        key("m0"): Found(outstanding=False),
        key("m1"): Found(outstanding=True, redrive_count=2),
        key("m2"): Found(outstanding=True, redrive_count=1),
        key("m3"): Missing(),
        key("m4"): Unreadable("Throttled"),
        key("held"): Unreadable("Timeout"),
    }

    def plan(*, deletes: bool) -> BatchPlan:
        return plan_batch(
            plan_intake(records),
            lookups=lookups,
            published=lambda each, number: each == key("m5") and number == "15",
            deletes=deletes,
            wrapping=WRAPPING,
            now=now,
            park_older_than=1800,
        )

    kept, deleting = plan(deletes=False), plan(deletes=True)
    assert [each.message.message_id for each in kept.marks] == ["m5"]
    assert [each.sequence_number for each in kept.marks] == ["15"]
    assert kept.parks == (
        Park(key("p"), MARKER, "empty", 2),
        Park(key("old"), MARKER, "age:1800", 0),
        Park(key("bad"), MARKER, "topic-name", 0),
    )
    decided = {
        key("s"): Settled("marked"),
        key("m0"): Settled("dispatched"),
        key("m1"): Settled("redriven"),
        key("m4"): Held("Throttled"),
        key("held"): Held("Timeout"),
    }
    assert kept.decided == decided
    assert [lane[0].key for lane in kept.lanes] == [
        key(name) for name in ("m2", "m3", "m6", "m7", "edge", "again")
    ]
    assert [lane[0].position for lane in kept.lanes] == [12, 13, 16, 17, 19, 20]
    assert [lane[0].sequence_number for lane in kept.lanes] == ["12", "13", "16", "17", "19", "20"]
    assert deleting.decided == {**decided, key("m3"): Settled("deleted")}


def test_what_may_have_been_dealt_with_is_looked_up() -> None:
    records = [
        record(1, message("new"), "new", creation=100.0),
        record(2, message("old"), "old", creation=40.0),
        record(3, message("changed"), "changed", creation=100.0, modified=True),
        record(4, message("timeless"), "timeless"),
        record(5, message("gone"), "gone", creation=100.0),
        record(6, Skipped("removed"), "gone", creation=100.0),
        record(7, message("known"), "known"),
    ]
    asked = plan_lookup(
        plan_intake(records),
        now=100.0,
        recheck_after=60.0,
        published=lambda each, number: each == key("known") and number == "7",
    )
    assert asked == (key("old"), key("changed"), key("timeless"), key("gone"))


def test_the_records_of_an_item_are_one_arrival_whatever_their_order() -> None:
    first, second, echo = (
        record(9, message("m"), "m"),
        record(10, message("m", redrive_count=1), "m"),
        record(11, Skipped("marked"), "m"),
    )
    for records in ((first, second), (second, first)):
        arrival = plan_intake(records).messages[key("m")]
        assert (arrival.position, arrival.record, arrival.removed) == (9, second, False)
    settled = plan_intake((echo, first, second))
    assert (settled.messages, settled.settled) == ({}, {key("m"): Settled("marked")})
    back = plan_intake((first, record(10, Skipped("removed"), "m"), record(12, message("m"), "m")))
    assert (back.messages[key("m")].position, back.messages[key("m")].removed) == (9, False)
    after = plan_intake((first, echo, record(12, message("m"), "m")))
    assert after.messages[key("m")].position == 12


# Lanes


def test_a_lane_goes_by_its_numbers_if_all_have_one() -> None:
    third, first, second = (
        message_record(name, position, sequence=sequence)
        for name, position, sequence in (("c", 1, 3), ("a", 2, 1), ("b", 3, 1))
    )
    assert plan_lanes([third, first, second]) == ((first, second, third),)
    bare = message_record("d", 4)
    assert plan_lanes([bare, third, second, first]) == ((third, first, second, bare),)
    zero = message_record("z", 9, sequence=0)
    assert plan_lanes([first, zero]) == ((zero, first),)


def test_what_cannot_be_read_holds_what_is_behind_it() -> None:
    a, b, c, d = (message_record(name, place) for place, name in enumerate("abcd"))
    lanes, held = hold_unreadable([(a, b, c), (d,)], {key("b"): "Throttled", key("d"): "Timeout"})
    assert lanes == ((a,),)
    assert held == {
        key("b"): Held("Throttled"),
        key("c"): Held("Throttled", behind=True),
        key("d"): Held("Timeout"),
    }
    assert hold_unreadable([(a, b)], {key("x"): "Timeout"}) == (((a, b),), {})
    assert hold_unreadable([(a, b)], {}) == (((a, b),), {})


def test_a_held_lane_is_parked_when_its_time_is_over() -> None:
    lane = [message_record("a", 10), message_record("b", 12)]
    parks = (Park(key("a"), MARKER, "held:NotFound"), Park(key("b"), MARKER, "held:NotFound"))

    def plan(now: float, since: float, each: Any = lane) -> tuple[Park, ...]:
        return plan_held_lane(each, code="NotFound", now=now, held_since=since, park_after=30.0)

    assert plan(40.0, 0.0) == parks
    assert plan(39.9, 0.0) == ()
    assert plan(49.9, 20.0) == ()
    assert plan(50.0, 20.0) == parks
    assert plan(99.0, 0.0, []) == ()
    assert plan(99.0, 0.0, [msgspec.structs.replace(lane[0], creation=None)]) == ()


def test_a_mark_counts_up_and_expires_in_days() -> None:
    subject = message("m", dispatch_count=2, redrive_count=3)
    mark = plan_mark(subject, now="n", now_seconds=1000.9, ttl_days=2)
    assert mark == Mark(
        key=key("m"),
        marker=MARKER,
        dispatched_at="n",
        dispatch_count=3,
        redrive_count=3,
        expires_at=1000 + 2 * 86_400,
    )
    assert plan_mark(subject, now="n", now_seconds=1000.9).expires_at is None


# Publishing


def entry(name: str, *, topic: TopicArn = ORDERS, size: int = 10, limit: int = 25, most: int = 10) -> Entry:
    made = WRAPPING.encode(message(name))
    assert isinstance(made, Entry)
    return msgspec.structs.replace(made, topic=topic, size=size, limit=limit, max_entries=most)


def test_requests_are_packed_by_bytes_and_by_number() -> None:
    a, b, c, d = (entry(name) for name in "abcd")
    other = entry("o", topic=FIFO)
    assert pack_requests([a, other, b, c, d]) == (
        PublishRequest(ORDERS, (a, b)),
        PublishRequest(ORDERS, (c, d)),
        PublishRequest(FIFO, (other,)),
    )
    full = entry("f", size=15)
    assert pack_requests([a, full]) == (PublishRequest(ORDERS, (a, full)),), "25 of 25 bytes"
    huge = entry("h", size=99)
    assert pack_requests([huge]) == (PublishRequest(ORDERS, (huge,)),)
    two = [entry(name, limit=99, most=2) for name in "abc"]
    assert [len(each.entries) for each in pack_requests(two)] == [2, 1]
    assert pack_requests([]) == ()


def test_both_lists_of_an_answer_are_read() -> None:
    request = PublishRequest(ORDERS, tuple(entry(name) for name in "abcde"))
    answer = {
        "Successful": [{"Id": "1", "MessageId": "sns-1"}, {"Id": "4"}],
        "Failed": [{"Id": "0", "Code": "C", "SenderFault": True, "Message": "T"}, {"Id": "3"}],
    }
    assert decode_publish_response(request, answer) == (
        EntryFailed("C", True, "T"),
        Published("sns-1"),
        EntryFailed("MissingFromResponse"),
        EntryFailed("", False, ""),
        Published(""),
    )
    one = PublishRequest(ORDERS, (entry("a"),))
    empties: tuple[Any, ...] = ({}, {"Successful": None, "Failed": None})
    for empty in empties:
        assert decode_publish_response(one, empty) == (EntryFailed("MissingFromResponse"),)
    assert failure_codes((Published(""), EntryFailed("C"), EntryFailed("D"))) == ("C", "D")
    assert failure_codes(RequestFailed("C")) == ("C",)


def test_each_entry_is_settled_by_its_own_answer() -> None:
    a, b, c, d, e = (entry(name) for name in "abcde")
    answer = (
        Published("1"),
        EntryFailed("Throttled"),
        EntryFailed("KMSDisabled", True),
        EntryFailed("NeverHeardOf", True),
        EntryFailed("InvalidParameter", True, "TopicArn"),
    )
    assert settle_publish(PublishRequest(ORDERS, (a, b, c, d, e)), answer) == Settlement(
        results=(
            (a, Published("1")),
            (c, Failed("KMSDisabled", ErrorClass.CONFIGURATION)),
            (d, Refused("NeverHeardOf")),
            (e, Failed("InvalidParameter", ErrorClass.CONFIGURATION)),
        ),
        retryable=((b, Failed("Throttled", ErrorClass.RETRY)),),
    )


def test_a_request_that_failed_as_a_whole_is_settled_taken_apart_or_tried_again() -> None:
    entries = tuple(entry(name) for name in "abc")
    whole, one = PublishRequest(ORDERS, entries), PublishRequest(ORDERS, entries[:1])

    def apart(*parts: tuple[Entry, ...]) -> Settlement:
        return Settlement(isolated=tuple(PublishRequest(ORDERS, part) for part in parts))

    singles = tuple((each,) for each in entries)
    assert settle_publish(whole, RequestFailed("InvalidParameter", 400)) == apart(*singles)
    assert settle_publish(whole, RequestFailed("NeverHeardOf", 400)) == apart(*singles)
    assert settle_publish(whole, RequestFailed("BatchRequestTooLong", 400)) == apart(entries[:1], entries[1:])
    assert settle_publish(one, RequestFailed("InvalidParameter", 400)) == Settlement(
        results=((entries[0], Refused("InvalidParameter")),)
    )
    assert settle_publish(one, RequestFailed("NeverHeardOf", 400)) == Settlement(
        results=((entries[0], Failed("NeverHeardOf", ErrorClass.CONFIGURATION)),)
    )
    for failure in (
        RequestFailed("NotFound", 404),
        RequestFailed("NeverHeardOf", 403),
        RequestFailed("InvalidParameter", 400, "TopicArn"),
    ):
        failed = Failed(failure.code, ErrorClass.CONFIGURATION)
        assert settle_publish(whole, failure) == Settlement(results=tuple((e, failed) for e in entries))
    for code in ("Throttled", "NeverHeardOf"):
        again = Failed(code, ErrorClass.RETRY)
        assert settle_publish(whole, RequestFailed(code, 500)) == Settlement(
            retryable=tuple((e, again) for e in entries)
        )
    eleven = tuple(entry(str(number)) for number in range(11))
    assert settle_publish(PublishRequest(ORDERS, eleven), RequestFailed("InvalidParameter", 400)) == apart(
        eleven[:5], eleven[5:]
    )


def test_pauses_double_up_to_their_cap_and_end() -> None:
    policy = RetryPolicy(attempts=70, base=0.05, cap=2.0)
    pauses = [retry_delay(policy, attempt=n, code="Throttled", jitter=1.0) for n in (1, 2, 6, 7, 69, 70)]
    assert pauses == [0.05, 0.1, 1.6, 2.0, 2.0, None]
    assert retry_delay(policy, attempt=2, code="ConnectionClosed", jitter=1.0) == 0.1
    assert retry_delay(RetryPolicy(attempts=1), attempt=1, code="ConnectionClosed", jitter=1.0) is None
    assert plan_deadline(10.0, 5.0, margin=2.0, reserve=1.0) == Deadline(stop=13.0, cut=14.0)
    assert plan_deadline(10.0, None) == Deadline()


# Outcomes


def test_a_report_counts_its_outcomes_its_skips_its_reasons_and_its_codes() -> None:
    outcomes: list[Outcome] = [
        *(Dispatched(), PublishedOnly(), MarkRefused("a"), Unmarked("b"), Parked("held:c"), Parked("size:9")),
        *(Unparked("r", "d"), Held("e"), Held("e", behind=True), Settled("marked"), Settled("parked")),
        *(Settled("foreign"), Settled("removed"), Settled("dispatched"), Settled("deleted")),
        *(Settled("redriven"), Settled("settled elsewhere"), Settled("expired_undispatched")),
        *(Settled("removed_undispatched"), Settled("new"), Settled("marked")),
    ]
    report = BatchReport(
        tuple(RecordReport(SequenceNumber(str(n)), key(str(n)), each) for n, each in enumerate(outcomes, 90))
    )
    assert report.counts() == {
        "dispatched": 1,
        "held": 2,
        "mark_refused": 1,
        "parked": 2,
        "published_only": 1,
        "settled": 12,
        "unmarked": 1,
        "unparked": 1,
    }
    assert list(report.counts()) == sorted(report.counts())
    assert report.skips() == {
        "already_deleted": 1,
        "already_dispatched": 1,
        "expired_undispatched": 1,
        "foreign": 1,
        "self_echo": 2,
        "skipped_new": 1,
        "park_echo": 1,
        "redriven_since": 1,
        "removed": 1,
        "removed_undispatched": 1,
        "settled_elsewhere": 1,
    }
    assert report.reasons() == {"held:c": 1, "size:9": 1}
    assert report.codes() == {"b", "c", "d", "e"}
    assert report.response == {
        "batchItemFailures": [{"itemIdentifier": number} for number in ("93", "96", "97", "98")]
    }


def test_ids_that_two_items_share_are_told_once_each() -> None:
    def told(number: int, name: str, message_id: str | None) -> RecordReport:
        identifier = None if message_id is None else MessageId(message_id)
        return RecordReport(SequenceNumber(str(number)), key(name), Dispatched(), identifier)

    records = (
        told(1, "a", None),
        told(2, "b", None),
        told(3, "c", "x"),
        told(4, "c", "x"),
        told(5, "d", "x"),
        told(6, "e", "x"),
        told(7, "f", "y"),
        told(8, "g", "y"),
    )
    assert BatchReport(records).collisions() == (records[4], records[7])


def test_a_task_has_succeeded_where_nothing_is_undone() -> None:
    done = TaskReport(task="redrive", table="outbox", began_at="t", meant=2, done=1, changed=1)
    assert done.succeeded
    undone: list[dict[str, Any]] = [
        {"behind": 1},
        {"refused": {"r": 1}},
        {"failed": {"c": 1}},
        {"not_found": ("m",)},
        {"interrupted": True},
    ]
    for change in undone:
        assert not msgspec.structs.replace(done, **change).succeeded, change


def test_a_hundred_names_are_counted_and_the_others_together() -> None:
    counts: dict[str, int] = {}
    for number in range(102):
        count_by(counts, f"n{number}")
    count_by(counts, "n0")
    count_by(counts, None)
    assert len(counts) == 101
    assert (counts["n0"], counts["n99"], counts["(others)"]) == (2, 1, 3)


# Sweeps


def outstanding(name: str, aggregate: str, hour: int | None, **more: Any) -> Outstanding:
    created = None if hour is None else datetime(2026, 11, 23, hour, tzinfo=UTC)
    return Outstanding(
        key=key(name), marker=MARKER, aggregate=AggregateId(aggregate), created=created, **more
    )


def test_a_sweep_takes_the_oldest_of_each_aggregate_up_to_its_limit() -> None:
    a1, a2 = outstanding("a1", "a", 2), outstanding("a2", "a", 5)
    b1, b2 = outstanding("b1", "b", 3, touched_at="5"), outstanding("b2", "b", 4, touched_at="4")
    c1 = outstanding("c1", "c", None)
    d1, d2 = outstanding("d1", "d", 7), outstanding("d2", "d", 6, sequence=1)
    items = [c1, d1, d2, b2, a2, b1, a1]
    cutoff = datetime(2026, 11, 23, 6, tzinfo=UTC)

    touched = plan_sweep(items, cutoff=cutoff, limit=9, unless_touched_since="5")
    assert touched == SweepPlan((a1, b2, a2, d2, c1), {"young": 1, "touched": 1})
    assert touched.aggregates == ((a1, a2), (b2,), (d2,), (c1,))
    published = plan_sweep(items, cutoff=cutoff, limit=2, unless_touched_since=None)
    assert published == SweepPlan((a1, b1), {"young": 1})

    young = datetime(2026, 11, 23, 1, tzinfo=UTC)
    numbered = [outstanding("n1", "n", 2, sequence=1), outstanding("n2", "n", 1, sequence=2)]
    assert plan_sweep(numbered, cutoff=young, limit=9, unless_touched_since=None) == SweepPlan(
        (), {"young": 1, "behind": 1}
    )
    assert plan_sweep(numbered, cutoff=young, limit=9, unless_touched_since="9") == SweepPlan(
        (numbered[1],), {"young": 1}
    )


def test_items_go_by_number_and_then_by_age() -> None:
    late, early = outstanding("x", "a", 5, sequence=0), outstanding("y", "a", 4, sequence=1)
    same = outstanding("z", "a", 3, sequence=1)
    assert in_order([early, same, late]) == [late, same, early]
    bare = outstanding("w", "a", None)
    assert in_order([bare, late, same]) == [same, late, bare]
    assert list(merge_oldest([[late, same], [], [early]])) == [early, late, same]


def test_what_a_sweep_publishes_itself_is_planned_as_a_batch_is() -> None:
    def item(name: str, **more: Any) -> dict[str, Any]:
        texts = {"MessageId": name, "AggregateId": "a", "Topic": "orders", "Message": "{}"}
        attributes = {each: {"S": text} for each, text in texts.items()}
        return {**key(name).to_item(), **attributes, "NotDispatched": MARKER, **more}

    items = [
        outstanding("stopped", "s", 1),
        outstanding("unread", "u", 2),
        outstanding("after", "u", 3),
        outstanding("gone", "g", 4),
        outstanding("done", "d", 5),
        outstanding("odd", "o", 6),
        outstanding("bad", "b", 7),
        outstanding("old", "x", 1),
        outstanding("good", "y", 8),
        outstanding("timeless", "z", None),
    ]
    fetched: dict[ItemKey, Any] = {
        key("unread"): Unreadable("Throttled"),
        key("gone"): Missing(),
        key("done"): Fetched({**key("done").to_item(), "MessageId": {"S": "done"}}),
        key("odd"): Fetched(item("odd", Topic={"N": "1"})),
        key("bad"): Fetched(item("bad", Topic={"S": "b@d"})),
        key("old"): Fetched(item("old", CreatedAt={"S": "2026-11-23T01:00:00Z"})),
        key("good"): Fetched(item("good", CreatedAt={"S": "2026-11-23T08:00:00Z"})),
        key("timeless"): Fetched(item("timeless")),
    }
    plan = plan_republish(
        items,
        fetched,
        blocked={AggregateId("s"): "Timeout"},
        design=DESIGN,
        wrapping=WRAPPING,
        now=datetime(2026, 11, 23, 9, tzinfo=UTC).timestamp(),
        park_older_than=3600,
    )
    assert plan.decided == {
        key("stopped"): Held("Timeout", behind=True),
        key("unread"): Held("Throttled"),
        key("after"): Held("Throttled", behind=True),
        key("gone"): Settled("deleted"),
        key("done"): Settled("dispatched"),
    }
    assert plan.parks == (
        Park(key("odd"), MARKER, "type:Topic:N"),
        Park(key("bad"), MARKER, "topic-name"),
        Park(key("old"), MARKER, "age:3600"),
    )
    assert plan.marks == ()
    good = items[8].created
    assert good is not None
    assert [
        (lane[0].key, lane[0].position, lane[0].sequence_number, lane[0].creation) for lane in plan.lanes
    ] == [(key("good"), 8, None, good.timestamp()), (key("timeless"), 9, None, None)]


SWEPT = SweepReport(
    found=9,
    touched=3,
    outcomes={"dispatched": 2},
    skipped={"young": 1},
    troubles=(
        Trouble(event="publish_failed", code="KMSDisabled", count=2, first=key("a"), topic_arn=ORDERS),
        Trouble(event="touch_failed", code="Throttled", count=1, first=key("b")),
        Trouble(event="fetch_failed", code="Throttled", count=4, first=key("c")),
        Trouble(event="message_parked", code="hops", count=5, first=key("d"), topic_arn=ORDERS),
    ),
    unread={"07": "Timeout", "03": "Timeout", "x": "AccessDenied"},
    oldest_age_seconds=12.5,
)


def test_a_sweep_is_summed_up() -> None:
    document = {
        "found": 9,
        "touched": 3,
        "outcomes": {"dispatched": 2},
        "skipped": {"young": 1},
        "failures": {"KMSDisabled": 2, "Throttled": 5},
        "unread": {"07": "Timeout", "03": "Timeout", "x": "AccessDenied"},
        "oldest_age_seconds": 12.5,
    }
    assert encode_sweep(SWEPT) == document
    assert describe_sweep(SWEPT) == LogLine("backlog_swept", {**document, "unread": 3})
    assert not SWEPT.succeeded
    assert SweepReport(troubles=SWEPT.troubles[3:]).succeeded, "what is parked waits for a person"
    assert not SweepReport(troubles=SWEPT.troubles[:1]).succeeded
    assert not SweepReport(unread={"07": "Timeout"}).succeeded


def test_a_sweeps_troubles_are_lines_of_a_log() -> None:
    busy = (
        "DynamoDB is throttled: raise the table's capacity; if the error names an index, its key is hot: "
        "raise OUTBOX_NOT_DISPATCHED_BUCKETS of the producers"
    )
    slow = "AWS did not answer in time: nothing to do while it passes by itself; if it lasts, check the route"
    read = "allow the sweeper's role dynamodb:Query on the index of outstanding items"

    def place(name: str) -> str:
        return f"PK=AGGREGATE#a SK=MESSAGE#{name}"

    assert list(describe_troubles(SWEPT)) == [
        LogLine(
            "publish_failed",
            {
                "code": "KMSDisabled",
                "count": 2,
                "key": place("a"),
                "topic_arn": ORDERS,
                "advice": f"enable the key of {ORDERS}, or give the topic another one",
            },
            "ERROR",
        ),
        LogLine(
            "touch_failed",
            {"code": "Throttled", "count": 1, "key": place("b"), "advice": busy},
            "WARNING",
        ),
        LogLine(
            "fetch_failed",
            {"code": "Throttled", "count": 4, "key": place("c"), "advice": busy},
            "WARNING",
        ),
        LogLine(
            "message_parked",
            {"reason": "hops", "count": 5, "key": place("d"), "topic_arn": ORDERS},
            "WARNING",
        ),
        LogLine(
            "buckets_unread",
            {"code": "Timeout", "count": 2, "buckets": ["03", "07"], "advice": slow},
            "WARNING",
        ),
        LogLine(
            "buckets_unread",
            {"code": "AccessDenied", "count": 1, "buckets": ["x"], "advice": read},
            "ERROR",
        ),
    ]
    every = SweepReport(unread=dict.fromkeys(BUCKETS, "Timeout"))
    assert list(describe_troubles(every)) == [
        LogLine("buckets_unread", {"code": "Timeout", "count": 101, "advice": slow}, "WARNING")
    ]


# The stream


def wire(name: str, new: Any = None, old: Any = None, **more: Any) -> dict[str, Any]:
    change = {"Keys": key("m").to_item(), "SequenceNumber": "7", "NewImage": new, "OldImage": old}
    time = more.pop("creation", 100)
    return {"eventName": name, "dynamodb": {**change, "ApproximateCreationDateTime": time}, **more}


WAITS = {"NotDispatched": {"S": "01"}}
TTL = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


@pytest.mark.parametrize(
    ("given", "content", "modified", "removal"),
    [
        (wire("REMOVE", None, WAITS), "removed", True, "removed"),
        (wire("REMOVE", None, WAITS, userIdentity=TTL), "removed", True, "expired"),
        (
            wire(
                "REMOVE",
                None,
                WAITS,
                userIdentity={"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"},
            ),
            "removed",
            True,
            "expired",
        ),
        (wire("REMOVE", None, WAITS, userIdentity={**TTL, "type": "User"}), "removed", True, "removed"),
        (wire("REMOVE", None, WAITS, userIdentity={**TTL, "principalId": "x"}), "removed", True, "removed"),
        (wire("REMOVE", None, WAITS, userIdentity="?"), "removed", True, "removed"),
        (wire("REMOVE", None, {"NotDispatched": {"S": "parked"}}), "removed", True, None),
        (wire("REMOVE"), "removed", True, None),
        (wire("MODIFY", {"NotDispatched": {"S": "parked"}}, WAITS), "parked", True, None),
        (wire("MODIFY", {"IsDispatched": {"BOOL": True}}), "marked", True, None),
        (wire("MODIFY", {}, WAITS), "marked", True, None),
        (wire("MODIFY", {}, {"a": {"S": "b"}}), "foreign", True, None),
        (wire("INSERT", {"IsDispatched": {"BOOL": False}}), "foreign", False, None),
    ],
)
def test_what_there_is_nothing_to_publish_of(
    given: dict[str, Any], content: str, modified: bool, removal: str | None
) -> None:
    assert decode_event({"Records": [given]}, DESIGN) == (
        Record(SequenceNumber("7"), key("m"), Skipped(content), modified, 100.0, removal),  # type: ignore[arg-type]  # drawn from the table
    )


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (0, 0.0),
        (1.5, 1.5),
        (-1, None),
        (1e11, None),
        (99_999_999_999, 99_999_999_999.0),
        (True, None),
        ("5", None),
    ],
)
def test_a_time_beyond_any_calendar_is_as_good_as_absent(given: Any, seconds: float | None) -> None:
    (decoded,) = decode_event({"Records": [wire("REMOVE", creation=given)]}, DESIGN)
    assert decoded.creation == seconds
