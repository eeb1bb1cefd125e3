"""What is bounded: retries, pauses, deadlines, memory, and which shards may be read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox_sdk.core.identifiers import SequenceNumber
from outbox_sdk.core.retry import RetryPolicy, plan_deadline, retry_delay
from outbox_sdk.core.shards import Shard, readable_shards
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell.context import PublishedMemo
from tests.property import strategies as our

POLICIES = st.builds(
    RetryPolicy, attempts=st.integers(1, 50), base=st.floats(0.001, 5), cap=st.floats(0.001, 60)
)
JITTER = st.floats(0, 1, exclude_max=True)


@given(POLICIES, st.integers(1, 60), st.sampled_from(["Throttled", "ConnectionClosed"]), JITTER)
def test_a_pause_is_bounded_and_attempts_come_to_an_end(
    policy: RetryPolicy, attempt: int, code: str, jitter: float
) -> None:
    """A request is made at most as often as the policy says, and never waits longer than its cap."""
    delay = retry_delay(policy, attempt=attempt, code=code, jitter=jitter)
    if attempt >= policy.attempts:
        assert delay is None
    elif attempt == 1 and code == "ConnectionClosed":
        assert delay == 0.0
    else:
        assert delay is not None
        assert 0 <= delay <= policy.cap
        assert delay <= policy.base * 2 ** (attempt - 1)


@given(POLICIES, st.integers(1, 48), JITTER.filter(bool))
def test_pauses_grow(policy: RetryPolicy, attempt: int, jitter: float) -> None:
    """Each further attempt waits no shorter than the one before it, for the same random number."""
    one = retry_delay(policy, attempt=attempt, code="", jitter=jitter)
    two = retry_delay(policy, attempt=attempt + 1, code="", jitter=jitter)
    assert one is None or two is None or one <= two


def test_a_pause_is_bounded_however_many_attempts_were_made() -> None:
    """A reader that has waited for two hours goes on waiting: its retries are without end."""
    policy = RetryPolicy(attempts=1_000_000_000, base=0.1, cap=10.0)
    assert retry_delay(policy, attempt=1_026, code="", jitter=0.5) == 5.0


@given(st.floats(0, 1e9), st.floats(0, 900), st.floats(0.2, 5), st.floats(0, 0.2))
def test_a_deadline_leaves_time_to_answer(
    now: float, remaining: float, margin: float, reserve: float
) -> None:
    """No request is begun in the margin, and nothing is left running when the invocation ends."""
    deadline = plan_deadline(now, remaining, margin=margin, reserve=reserve)
    assert deadline.stop <= deadline.cut <= now + remaining
    assert deadline.stop == pytest.approx(now + remaining - margin)
    assert deadline.cut == pytest.approx(now + remaining - reserve)
    endless = plan_deadline(now, None)
    assert endless.stop == endless.cut == float("inf")


@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.sampled_from(["add", "discard"]), st.integers(0, 9)), max_size=40),
)
def test_the_memory_is_bounded_and_never_remembers_what_was_not_published(
    capacity: int, steps: list[tuple[str, int]]
) -> None:
    """What a warm process remembers may be forgotten, at worst a duplicate; invented, it would be a loss."""
    memo = PublishedMemo(capacity)
    key = our.item_key(TableDesign.ordered, "a", "m")
    published: set[int] = set()
    for step, number in steps:
        if step == "add":
            memo.add([(key, SequenceNumber(str(number)))])
            published.add(number)
        else:
            memo.discard([(key, SequenceNumber(str(number)))])
            published.discard(number)
        asked = [(key, SequenceNumber(str(n))) for n in range(10)]
        remembered = {int(name or "") for _, name in memo.known(asked)}
        assert remembered <= published
        assert len(remembered) <= capacity
        if step == "add":
            assert number in remembered
        other = our.item_key(TableDesign.ordered, "b", "m")
        assert memo.known([(other, SequenceNumber(str(number)))]) == frozenset()


@given(our.shard_trees(), st.data())
def test_a_child_shard_waits_for_its_parent(shards: tuple[Shard, ...], data: st.DataObject) -> None:
    """Records of one item stay in order over a split: a listed parent is read to its end first."""
    names = [shard.shard_id for shard in shards]
    finished = data.draw(st.sets(st.sampled_from(names))) if names else set()
    reading = data.draw(st.sets(st.sampled_from(names))) if names else set()
    ready = readable_shards(shards, finished=finished, reading=reading)
    for shard in ready:
        assert shard.shard_id not in finished | reading
        assert shard.parent_id not in names or shard.parent_id in finished


@given(our.shard_trees())
def test_every_shard_is_read_once(shards: tuple[Shard, ...]) -> None:
    """Whatever has been trimmed, a stream is read to its end, and nothing in it twice."""
    finished: list[str] = []
    while ready := readable_shards(shards, finished=finished, reading=()):
        finished.extend(shard.shard_id for shard in ready)
    assert sorted(finished) == sorted(shard.shard_id for shard in shards)
