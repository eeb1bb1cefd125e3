"""The whole relay, in a world of faults, redelivered until quiet: what is promised, and what is not lost."""

from collections import defaultdict
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from outbox_sdk.core.destinations import is_ordered_route
from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.core.outcome import Dispatched, Parked
from tests.property import strategies as our
from tests.property.world import BAD, DESIGN, TOPICS, Fault, World, run_virtually

EXAMPLES = settings().max_examples  # an example costs little, and the interesting ones are rare


@dataclass(frozen=True)
class Commit:
    """One message that a producer commits: good, refused by SNS, or undecodable."""

    topic: str
    aggregate: str
    kind: str = "good"


@dataclass(frozen=True)
class Step:
    """What happens between deliveries: a commit, a touch or a redrive of an item, or a cold start."""

    kind: str
    commit: Commit
    chosen: int


COMMITS = st.builds(
    Commit,
    topic=st.just("one.fifo") | st.sampled_from(sorted(TOPICS)),
    aggregate=st.sampled_from(["a", "a", "b"]),
    kind=st.sampled_from(["good"] * 6 + ["bad", "poison"]),
)


def episodes(kinds: str) -> st.SearchStrategy[dict[str, list[Fault]]]:
    """Faults for each port; one lasts for a call or for several, so that retries are used up."""
    fault = st.builds(Fault, st.sampled_from(kinds.split(", ")), st.integers(1, 15))
    lasting = st.builds(lambda fault, calls: [fault] * calls, fault, st.sampled_from([1, 1, 2, 4, 5, 9]))
    faults = st.lists(lasting, max_size=4).map(lambda parts: [fault for part in parts for fault in part])
    return st.fixed_dictionaries({}, optional=dict.fromkeys(["publish", "mark", "lookup", "park"], faults))


FAULTS = episodes(
    "none, throttled, closed, missing topic, partial, partly denied, partly unanswered, answer lost"
)
HANGS = episodes("none, hang, answer late, throttled, partial")


def key_of(number: int, commit: Commit) -> ItemKey:
    return our.item_key(DESIGN, commit.aggregate, f"m{number}")


def write_commits(world: World, commits: list[Commit]) -> dict[ItemKey, Commit]:
    keys = {}
    for number, commit in enumerate(commits):
        key = key_of(number, commit)
        item = {
            **key.to_item(),
            DESIGN.message_id: {"S": f"m{number}"},
            DESIGN.aggregate_id: {"S": commit.aggregate},
            DESIGN.topic: {"S": commit.topic},
            DESIGN.body: {"S": BAD if commit.kind == "bad" else f"body {number}"},
            DESIGN.not_dispatched: {"S": "x"},
        }
        if commit.kind == "poison":
            del item[DESIGN.body]
        world.write(key, item)
        keys[key] = commit
    return keys


def check_nothing_is_lost(world: World, commits: dict[ItemKey, Commit]) -> None:
    """Published and marked, or parked with its reason where a person finds it; there is no third way."""
    accepted = {acceptance.key for acceptance in world.accepted}
    for key, commit in commits.items():
        if commit.kind == "good":
            assert key in accepted
            assert world.marker_of(key) is None
            assert world.can_delete or world.items[key][DESIGN.is_dispatched] == {"BOOL": True}
        else:
            assert key not in accepted
            assert world.marker_of(key) == "parked"
            reason = "InvalidParameter" if commit.kind == "bad" else f"missing:{DESIGN.body}"
            assert world.items[key][DESIGN.park_reason] == {"S": reason}


def check_order(world: World, commits: dict[ItemKey, Commit]) -> None:
    """On FIFO topics, messages of one aggregate are first accepted in the order of their commits."""
    firsts = list(dict.fromkeys(acceptance.key for acceptance in world.accepted))
    committed = list(commits)
    lanes: dict[tuple[str, str], list[int]] = defaultdict(list)
    for key in firsts:
        commit = commits[key]
        if is_ordered_route(commit.topic):
            lanes[commit.topic, commit.aggregate].append(committed.index(key))
    for positions in lanes.values():
        assert positions == sorted(positions)


@given(st.lists(COMMITS, max_size=12), st.integers(1, 12), st.sampled_from([0.0, 5.0]), st.booleans())
def test_without_faults_everything_goes_once_and_in_one_delivery(
    commits: list[Commit], batch_size: int, recheck_after: float, can_delete: bool
) -> None:
    """Exactly once in a run without faults, and poison takes no neighbour along and blocks no batch."""
    world = World(batch_size=batch_size, recheck_after=recheck_after, can_delete=can_delete)
    written = write_commits(world, commits)
    run_virtually(world)
    check_nothing_is_lost(world, written)
    check_order(world, written)
    keys = [acceptance.key for acceptance in world.accepted]
    assert len(set(keys)) == len(keys)
    for report in world.reports:
        assert report.response == {"batchItemFailures": []}
    outcomes = [record.outcome for report in world.reports for record in report.records]
    assert sum(isinstance(outcome, Dispatched) for outcome in outcomes) == len(keys)
    assert sum(isinstance(outcome, Parked) for outcome in outcomes) == len(written) - len(keys)


@settings(max_examples=EXAMPLES * 6)
@given(
    st.lists(COMMITS, min_size=1, max_size=10),
    FAULTS,
    st.integers(1, 12),
    st.sampled_from([0.0, 5.0]),
    st.booleans(),
)
def test_through_any_faults_nothing_is_lost_and_order_is_kept(
    commits: list[Commit],
    faults: dict[str, list[Fault]],
    batch_size: int,
    recheck_after: float,
    can_delete: bool,
) -> None:
    """No loss, no mark before acceptance, no overtaking, no neighbour of poison taken along.

    The world asserts at each step that requests and responses are legal and that no task is left.
    """
    world = World(faults=faults, batch_size=batch_size, recheck_after=recheck_after, can_delete=can_delete)
    written = write_commits(world, commits)
    run_virtually(world)
    check_nothing_is_lost(world, written)
    check_order(world, written)


@settings(max_examples=EXAMPLES * 4)
@given(
    st.lists(COMMITS, min_size=1, max_size=8),
    HANGS,
    st.integers(1, 12),
    st.sampled_from([0.5, 1.0, 3.0, 30.0]),
)
def test_an_invocation_ends_in_time_whatever_hangs(
    commits: list[Commit], faults: dict[str, list[Fault]], batch_size: int, remaining_seconds: float
) -> None:
    """At the deadline everything under way is cancelled, reported, and settled by a later delivery."""
    world = World(faults=faults, batch_size=batch_size, remaining_seconds=remaining_seconds)
    written = write_commits(world, commits)
    if remaining_seconds <= 1.0:
        # No time for anything: all of it is reported, nothing published, and nothing is lost by that.
        world.faults = {}
        run_once(world)
        assert world.accepted == []
        assert world.calls == 0
        world.remaining_seconds = 30.0
    run_virtually(world)
    check_nothing_is_lost(world, written)
    check_order(world, written)


@settings(max_examples=EXAMPLES * 4)
@given(st.lists(COMMITS, min_size=1, max_size=8), FAULTS, st.data())
def test_restarts_touches_and_redrives_lose_nothing(
    commits: list[Commit], faults: dict[str, list[Fault]], data: st.DataObject
) -> None:
    """A cold start forgets, a sweeper touches, an operator redrives: at worst a message is sent twice."""
    world = World(faults=faults, batch_size=data.draw(st.integers(1, 6)))
    written = write_commits(world, commits)
    for _ in range(data.draw(st.integers(1, 5))):
        run_once(world)
        key = data.draw(st.sampled_from(list(written)))
        match data.draw(st.sampled_from(["restart", "touch", "redrive", "time"])):
            case "restart":
                world.restart()
            case "touch":
                if world.marker_of(key) not in (None, "parked"):
                    world.write(key, {**world.items[key], DESIGN.touched_at: {"S": str(world.now)}})
            case "redrive":
                if world.marker_of(key) == "parked":
                    gone = {DESIGN.parked_at, DESIGN.park_reason}
                    item = {name: value for name, value in world.items[key].items() if name not in gone}
                    item |= {DESIGN.not_dispatched: {"S": "x"}, DESIGN.redrive_count: {"N": "1"}}
                    world.write(key, item)
            case _:
                world.now += 60.0
    run_virtually(world)
    check_nothing_is_lost(world, written)
    check_order(world, written)


@given(st.lists(COMMITS, min_size=1, max_size=8), FAULTS, st.integers(1, 12))
def test_a_reader_that_starts_over_publishes_nothing_twice(
    commits: list[Commit], faults: dict[str, list[Fault]], batch_size: int
) -> None:
    """Records that are old news are looked up first: what is dispatched or parked is left alone."""
    world = World(faults=faults, batch_size=batch_size)
    written = write_commits(world, commits)
    stream = list(world.stream)
    run_virtually(world)
    accepted = list(world.accepted)
    world.restart()
    world.stream, world.now, world.faults = stream, world.now + 60.0, {}
    run_virtually(world)
    assert world.accepted == accepted
    check_nothing_is_lost(world, written)


def test_a_message_that_could_not_be_looked_up_is_not_overtaken() -> None:
    """On a FIFO topic nothing overtakes within an aggregate, also where the table leaves a key unread."""
    first_unread = [Fault("partial", 0b0001)] * 4  # to the last attempt
    world = World(faults={"lookup": first_unread}, recheck_after=0.0)
    written = write_commits(world, [Commit("one.fifo", "a"), Commit("one.fifo", "a")])
    run_virtually(world)
    check_nothing_is_lost(world, written)
    check_order(world, written)


def run_once(world: World) -> None:
    """One delivery."""
    run_virtually(world, deliveries=1)
