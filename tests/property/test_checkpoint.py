"""The answer to Lambda, and what Lambda does with it: nothing that is not settled is left behind."""

from collections import defaultdict
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from outbox_sdk.core.checkpoint import count_settled
from outbox_sdk.core.identifiers import ItemKey, SequenceNumber, TopicName
from outbox_sdk.core.outcome import (
    BatchReport,
    Dispatched,
    Held,
    Outcome,
    RecordReport,
    Settled,
    Unmarked,
    Unparked,
    encode_response,
    is_reported,
)
from outbox_sdk.core.report import describe_batch, describe_records
from tests.property import strategies as our
from tests.property.test_plan import plan_of


def records_of(numbers: list[str]) -> list[dict[str, Any]]:
    return [{"dynamodb": {"SequenceNumber": number}} for number in numbers]


NUMBERS = st.integers(0, 8).flatmap(our.sequence_numbers)


@given(st.data())
def test_the_response_is_always_legal(data: st.DataObject) -> None:
    """Ids come verbatim from the batch, once each: an unknown one would fail the batch as a whole."""
    numbers = data.draw(NUMBERS)
    results = [data.draw(our.outcomes()) for _ in numbers]
    response: Any = encode_response(zip(map(SequenceNumber, numbers), results, strict=True))
    assert set(response) == {"batchItemFailures"}  # misspelt, it would be complete success
    named = [failure["itemIdentifier"] for failure in response["batchItemFailures"]]
    assert all(set(failure) == {"itemIdentifier"} for failure in response["batchItemFailures"])
    expected = [
        number
        for number, outcome in zip(numbers, results, strict=True)
        if isinstance(outcome, Held | Unmarked | Unparked)
    ]
    assert sorted(named, key=numbers.index) == expected
    assert [int(name) for name in named] == sorted(int(name) for name in named)


@given(st.data())
def test_no_failure_lies_before_the_checkpoint(data: st.DataObject) -> None:
    """Lambda goes on behind the settled front of a batch: it brings everything else again."""
    numbers = data.draw(NUMBERS)
    results = [data.draw(our.outcomes()) for _ in numbers]
    settled = count_settled(
        records_of(numbers), encode_response(zip(map(SequenceNumber, numbers), results, strict=True))
    )
    assert not any(is_reported(outcome) for outcome in results[:settled])
    assert settled == len(numbers) or is_reported(results[settled])  # and no further back than it has to


@given(st.data())
def test_lambda_reads_any_response_as_aws_does(data: st.DataObject) -> None:
    """The stream reader settles what Lambda would settle for the same response, sensible or not."""
    numbers = data.draw(NUMBERS)
    response = data.draw(our.lambda_responses(numbers))
    settled = count_settled(records_of(numbers), response)
    failures = response.get("batchItemFailures") if isinstance(response, dict) else None
    if not failures:
        assert settled == len(numbers)
        return
    identifiers = [f.get("itemIdentifier") if isinstance(f, dict) else None for f in failures]
    known = [identifier in numbers for identifier in identifiers]
    assert settled == (min(numbers.index(str(i)) for i in identifiers) if all(known) else 0)


@given(st.data())
def test_redelivery_delivers_everything_in_order(data: st.DataObject) -> None:
    """Through any failures, each message is accepted, and first in the order of its aggregate's commits.

    The model publishes lane by lane, fails where it is told, and answers with the real response; what
    Lambda brings again is decided by the real checkpoint.
    """
    topics = st.sampled_from(["one.fifo", "two.fifo"]).map(TopicName)
    event = data.draw(
        our.events(rich=False, kinds=("message",), topics=topics, repeats=False, shuffled=False, max_size=8)
    )
    wrapping = data.draw(our.wrappings(open_to_all=True))
    batch_size = data.draw(st.integers(1, 8))
    marks_fail = data.draw(st.booleans())
    accepted: list[ItemKey] = []
    pending = event.records
    attempts_with_faults = data.draw(st.integers(0, 6))
    rounds = 0
    while pending:
        rounds += 1
        assert rounds <= 50
        batch = our.DrawnEvent(event.design, pending[:batch_size])
        plan = plan_of(batch, wrapping)
        ended: dict[ItemKey, Outcome] = {}
        for lane in plan.lanes:
            stops = data.draw(st.integers(0, len(lane))) if rounds <= attempts_with_faults else len(lane)
            for position, record in enumerate(lane):
                if position < stops:
                    accepted.append(record.key)
                    unmarked = marks_fail and rounds <= attempts_with_faults
                    ended[record.key] = Unmarked("Timeout") if unmarked else Dispatched()
                else:
                    ended[record.key] = Held("Throttled", behind=position > stops)
        response = encode_response((SequenceNumber(r.number), ended[r.key]) for r in batch.records)
        pending = pending[count_settled([r.wire for r in batch.records], response) :]
    firsts = list(dict.fromkeys(accepted))
    assert sorted(firsts, key=repr) == sorted((record.key for record in event.records), key=repr)
    lanes: dict[object, list[int]] = defaultdict(list)
    position_of = {record.key: position for position, record in enumerate(event.records)}
    for key in firsts:
        message = event.records[position_of[key]].message
        assert message is not None
        if message.sequence is None:
            lanes[message.topic, message.aggregate_id].append(position_of[key])
    for positions in lanes.values():
        assert positions == sorted(positions)


@given(st.data())
def test_a_report_counts_every_record_and_shows_no_payload(data: st.DataObject) -> None:
    """Logs name ids, counts and codes; what a message holds stays in the table and on the topic."""
    design = data.draw(our.designs())
    reports = []
    for number in data.draw(NUMBERS):
        message = data.draw(our.messages(design, rich=False))
        reports.append(
            RecordReport(
                sequence_number=SequenceNumber(number),
                key=message.key,
                outcome=data.draw(our.outcomes()),
                message_id=message.message_id,
                topic=message.topic,
            )
        )
    report = BatchReport(tuple(reports))
    summary = describe_batch(report)
    assert sum(report.counts().values()) == len(reports) == summary.fields["records"]
    assert summary.fields["reported"] == len(report.response["batchItemFailures"])
    assert sum(report.skips().values()) == sum(isinstance(r.outcome, Settled) for r in reports)
    lines = [line for line in describe_records(report) if line.event != "message_id_collision"]
    assert len({(line.event, str(line.fields)) for line in lines}) == len(lines)
    told = sum(line.fields.get("count", 1) for line in lines)
    wanted = ("Parked", "Unparked", "Unmarked", "MarkRefused")
    assert told == sum(
        type(r.outcome).__name__ in wanted or (isinstance(r.outcome, Held) and not r.outcome.behind)
        for r in reports
    )
    names = {"message_id", "topic", "key", "sequence_number", "code", "count", "reason", "keys", "advice"}
    assert all(set(line.fields) <= names for line in lines)
