"""Publishing: whatever SNS answers, every entry ends in exactly one way, and retrying comes to an end."""

from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from outbox_sdk.core.classification import ErrorClass
from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.core.publish import (
    EntryFailed,
    Failed,
    Published,
    PublishRequest,
    Refused,
    RequestFailed,
    Settlement,
    decode_publish_response,
    settle_publish,
)
from tests.property import strategies as our
from tests.property.test_plan import plan_of


@st.composite
def requests(draw: st.DrawFn) -> PublishRequest:
    """One request of 1 to 10 entries, as a plan gives it."""
    topics = st.just(our.TOPIC)
    event = draw(
        our.events(rich=False, kinds=("message",), topics=topics, max_size=10, repeats=False).filter(
            lambda event: event.records
        )
    )
    lanes = plan_of(event, draw(our.wrappings(open_to_all=True))).lanes
    entries = tuple(record.entry for lane in lanes for record in lane)
    return PublishRequest(entries[0].topic, entries)


def keys(request: PublishRequest) -> list[Any]:
    return [entry.message.key for entry in request.entries]


def settled_keys(settlement: Settlement) -> list[Any]:
    return [
        *(entry.message.key for entry, _ in settlement.results),
        *(entry.message.key for entry, _ in settlement.retryable),
        *(key for part in settlement.isolated for key in keys(part)),
    ]


@given(st.data())
def test_every_entry_ends_in_exactly_one_way(data: st.DataObject) -> None:
    """Published, refused, failed, to be retried or to be isolated: no answer loses or doubles an entry."""
    request = data.draw(requests())
    settlement = settle_publish(request, data.draw(our.publish_responses(len(request.entries))))
    assert sorted(settled_keys(settlement), key=repr) == sorted(keys(request), key=repr)
    for part in settlement.isolated:
        assert part.topic == request.topic
        assert 1 <= len(part.entries) < len(request.entries)  # so isolating comes to an end
    for _, failed in settlement.retryable:
        assert failed.error_class is ErrorClass.RETRY


@given(st.data())
def test_only_what_sns_accepted_counts_as_published(data: st.DataObject) -> None:
    """A mark never precedes SNS's acceptance: no failure is ever read as a success."""
    request = data.draw(requests())
    response = data.draw(our.publish_responses(len(request.entries)))
    settlement = settle_publish(request, response)
    published = {entry.message.key for entry, result in settlement.results if isinstance(result, Published)}
    if isinstance(response, RequestFailed):
        assert published == set()
    else:
        accepted = zip(keys(request), response, strict=True)
        assert published == {key for key, result in accepted if isinstance(result, Published)}


@given(st.data())
def test_what_can_pass_by_itself_is_never_refused(data: st.DataObject) -> None:
    """Throttling and outages park nothing; a wrong configuration holds; only the message's fault refuses."""
    request = data.draw(requests())
    response = data.draw(our.publish_responses(len(request.entries)))
    settlement = settle_publish(request, response)
    for _, result in settlement.results:
        if isinstance(result, Refused):
            assert result.code not in (*our.RETRY_CODES, *our.CONFIGURATION_CODES)
        if isinstance(result, Failed):
            assert result.error_class is ErrorClass.CONFIGURATION
    codes = {failed.code for _, failed in settlement.retryable}
    assert codes.isdisjoint({*our.CONFIGURATION_CODES, *our.MESSAGE_CODES})


@given(requests(), st.sampled_from([*our.MESSAGE_CODES, "NeverHeardOf"]))
def test_isolation_ends_with_every_entry_judged_alone(request: PublishRequest, code: str) -> None:
    """A 400 for a whole request is tried down to single entries; each is then judged for its own sake.

    A code that nobody has listed holds and never parks: it may be throttling or a wrong credential by a new
    name, and parking would turn that into a mass of parked messages.
    """

    def apply(part: PublishRequest) -> Iterator[tuple[Any, object]]:
        settlement = settle_publish(part, RequestFailed(code, 400))
        assert settlement.retryable == ()
        for entry, result in settlement.results:
            yield entry.message.key, result
        for smaller in settlement.isolated:
            yield from apply(smaller)

    judged = list(apply(request))
    assert sorted(keys(request), key=repr) == sorted((key for key, _ in judged), key=repr)
    expected = Failed(code, ErrorClass.CONFIGURATION) if code == "NeverHeardOf" else Refused(code)
    assert {result for _, result in judged} == {expected}


@given(st.data())
def test_one_bad_entry_is_found_and_its_neighbours_go(data: st.DataObject) -> None:
    """SNS fails a whole request for one bad entry; the others are published all the same."""
    request = data.draw(requests())
    bad = data.draw(st.sets(st.sampled_from(keys(request)), max_size=3))
    code = data.draw(st.sampled_from(["InvalidParameter", "BatchRequestTooLong"]))
    published: set[ItemKey] = set()
    refused: set[ItemKey] = set()
    pending = [request]
    while pending:
        part = pending.pop()
        if bad & set(keys(part)):
            settlement = settle_publish(part, RequestFailed(code, 400))
        else:
            settlement = settle_publish(part, tuple(Published("id") for _ in part.entries))
        pending.extend(settlement.isolated)
        for entry, result in settlement.results:
            (published if isinstance(result, Published) else refused).add(entry.message.key)
    assert refused == bad
    assert published == set(keys(request)) - bad


@given(st.data())
def test_both_lists_of_an_answer_are_read(data: st.DataObject) -> None:
    """Accepted is what `Successful` names and `Failed` does not; an entry in neither has failed."""
    request = data.draw(requests())
    answer = data.draw(our.publish_answers(len(request.entries)))
    results = decode_publish_response(request, answer)
    assert not isinstance(results, RequestFailed)
    assert len(results) == len(request.entries)
    accepted = {success["Id"]: success["MessageId"] for success in answer.get("Successful", ())}
    failed = {failure["Id"]: failure for failure in answer.get("Failed", ())}
    for position, result in enumerate(results):
        identifier = str(position)
        if identifier in failed:
            failure = failed[identifier]
            assert result == EntryFailed(failure["Code"], failure["SenderFault"], failure["Message"])
        elif identifier in accepted:
            assert result == Published(accepted[identifier])
        else:
            assert isinstance(result, EntryFailed)
            (after,) = settle_publish(
                PublishRequest(request.topic, request.entries[:1]), (result,)
            ).retryable  # the outcome is unknown: it must come again
            assert after[0] == request.entries[0]
