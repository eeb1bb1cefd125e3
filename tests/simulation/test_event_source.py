"""The simulated mapping does what Lambda was recorded to do with each answer of a handler."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.core.table import TableDesign
from outbox_sdk.testing.simulation import Calm, Scenario, run_virtually
from outbox_sdk.testing.simulation import Mapping as Settings
from outbox_sdk.testing.simulation.event_source import SimulatedMapping
from outbox_sdk.testing.simulation.ledger import EPOCH, Ledger
from outbox_sdk.testing.simulation.stream import RETENTION_SECONDS, SimulatedStream

DESIGN = TableDesign.ordered
Handler = Callable[[list[str]], Any]


def image(number: int) -> dict[str, Any]:
    return {"MessageId": {"S": f"m{number}"}, DESIGN.not_dispatched: {"S": "00"}}


def key(number: int, aggregate: str = "a") -> ItemKey:
    return ItemKey((("PK", "S", f"AGGREGATE#{aggregate}"), ("SK", "S", f"MESSAGE#m{number}")))


def read(
    handler: Handler,
    *,
    records: int = 4,
    shards: int = 1,
    split_after: int | None = None,
    now: float = 0.0,
    **settings: Any,
) -> tuple[list[list[str]], list[str], float]:
    """Let a mapping read a stream; give the batches it brought, what it gave up, and the time it took."""

    async def run() -> tuple[list[list[str]], list[str], float]:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(now)
        stream = SimulatedStream(shards, longer_from=2)
        for number in range(records):
            stream.append(key(number), new=image(number), old=None, now=EPOCH)
            if number == split_after:
                stream.split(0)
        batches: list[list[str]] = []

        async def invoke(batch: Sequence[Mapping[str, Any]]) -> Any:
            batches.append([name(record) for record in batch])
            answer = handler(batches[-1])
            if isinstance(answer, Exception):
                return None
            by_name = {name(record): record["dynamodb"]["SequenceNumber"] for record in batch}
            return answer(by_name) if callable(answer) else answer

        mapping = SimulatedMapping(
            stream,
            invoke,
            settings=Settings(**settings),
            design=DESIGN,
            plan=Calm(),
            ledger=Silent(Scenario(commits=()), DESIGN, clock=loop.time),
            changed=asyncio.Event(),
        )
        reading = asyncio.create_task(mapping.run())
        await asyncio.sleep(0)
        await asyncio.wait_for(mapping.rested.wait(), 200_000)
        reading.cancel()
        await asyncio.wait({reading})
        return batches, [name(record) for record in mapping.given_up], loop.time() - now

    return run_virtually(run())


class Silent(Ledger):
    """A ledger that knows of no messages: the records here were committed by nobody."""

    def let_go(self, records: Any) -> None:
        pass

    def discarded(self, records: Any, why: str, *, by_design: bool) -> None:
        pass


def name(record: Mapping[str, Any]) -> str:
    return str(record["dynamodb"]["NewImage"]["MessageId"]["S"])


def report(*names: str) -> Callable[[Mapping[str, str]], Any]:
    return lambda numbers: {"batchItemFailures": [{"itemIdentifier": numbers[name]} for name in names]}


def once(first: Any) -> Handler:
    """Answer the first batch in one way, and all others with success."""
    answers = [first]
    return lambda batch: answers.pop() if answers else {"batchItemFailures": []}


ALL = ["m0", "m1", "m2", "m3"]


@pytest.mark.parametrize(
    "answer", [[], "", {}, {"batchItemFailures": []}, {"batchItemFailures": None}, {"batchItemFailure": [{}]}]
)
def test_success_in_all_its_spellings_brings_nothing_again(answer: Any) -> None:
    batches, _, _ = read(lambda batch: answer)
    assert batches == [ALL]


@pytest.mark.parametrize(
    "failure", [{"itemIdentifier": ""}, {"itemIdentifier": None}, {"itemIdentifier": "123"}, {"wrong": "1"}]
)
def test_an_answer_that_names_nothing_of_the_batch_brings_all_of_it(failure: Any) -> None:
    batches, _, _ = read(once({"batchItemFailures": [failure]}))
    assert batches == [ALL, ALL]


def test_several_ids_mean_the_lowest_and_all_behind_it() -> None:
    batches, _, _ = read(once(report("m3", "m1")))
    assert batches == [ALL, ["m1", "m2", "m3"]]


def test_an_error_of_the_function_halves_the_batch() -> None:
    batches, _, _ = read(once(ValueError()), bisect=True)
    assert batches == [ALL, ["m0", "m1"], ["m2", "m3"]]


def test_without_bisecting_an_error_brings_the_same_batch() -> None:
    batches, _, _ = read(once(ValueError()), bisect=False)
    assert batches == [ALL, ALL]


def test_retries_used_up_give_up_all_that_is_left_of_the_batch() -> None:
    """Innocents included, as on AWS: which is why nothing here may be left to that."""

    def handler(batch: list[str]) -> Any:
        return report("m1") if "m1" in batch else {}

    batches, given_up, _ = read(handler, max_retry_attempts=2)
    assert batches == [ALL, ["m1", "m2", "m3"], ["m1", "m2", "m3"]]
    assert given_up == ["m1", "m2", "m3"]


def test_endless_retries_pause_longer_and_longer_up_to_a_minute() -> None:
    left = iter(range(12))

    def handler(batch: list[str]) -> Any:
        return report("m0") if next(left, None) is not None else {}

    batches, given_up, seconds = read(handler)
    assert len(batches) == 13
    assert given_up == []
    assert 280.0 < seconds < 300.0  # 0.2, 0.4, … 51.2, and then 60 s three times


def test_records_that_are_too_old_are_given_up() -> None:
    _, given_up, seconds = read(lambda batch: ValueError(), records=2, max_record_age=100.0)
    assert sorted(given_up) == ["m0", "m1"]
    assert seconds >= 100.0


def test_what_has_left_the_stream_is_not_read() -> None:
    batches, given_up, _ = read(lambda batch: {}, now=RETENTION_SECONDS + 1.0)
    assert batches in ([], [[]])
    assert given_up == []


def test_a_mapping_that_is_off_reads_nothing_until_it_is_on() -> None:
    batches, _, seconds = read(lambda batch: {}, disabled=((0.0, 500.0),))
    assert batches == [ALL]
    assert seconds >= 500.0


def test_a_parent_is_read_to_its_end_before_its_children() -> None:
    failed = iter(range(3))

    def handler(batch: list[str]) -> Any:
        return ValueError() if next(failed, None) is not None else {}

    batches, _, _ = read(handler, split_after=1, bisect=False)
    parent = [batch for batch in batches if batch == ["m0", "m1"]]
    assert len(parent) == 4
    assert batches[:4] == parent


def test_batches_are_no_larger_than_they_may_be() -> None:
    batches, _, _ = read(lambda batch: {}, batch_size=3)
    assert batches == [["m0", "m1", "m2"], ["m3"]]


def test_a_filter_lets_outstanding_images_pass_and_what_was_outstanding() -> None:
    async def run() -> list[str]:
        ledger = Silent(Scenario(commits=()), DESIGN, clock=asyncio.get_running_loop().time)
        stream = SimulatedStream(1)
        seen: list[str] = []

        async def invoke(batch: Sequence[Mapping[str, Any]]) -> Any:
            seen.extend(record["eventName"] for record in batch)
            return {}

        outstanding, parked, done = (
            image(1),
            {**image(1), DESIGN.not_dispatched: {"S": "parked"}},
            {"a": {"S": "b"}},
        )
        for old, new in (
            (None, outstanding),
            (outstanding, done),
            (outstanding, parked),
            (outstanding, None),
        ):
            stream.append(key(1), new=new, old=old, now=EPOCH)
        stream.append(key(1), new=None, old=done, now=EPOCH)
        mapping = SimulatedMapping(
            stream,
            invoke,
            settings=Settings(filtered=True),
            design=DESIGN,
            plan=Calm(),
            ledger=ledger,
            changed=asyncio.Event(),
        )
        reading = asyncio.create_task(mapping.run())
        await asyncio.sleep(5.0)
        reading.cancel()
        await asyncio.wait({reading})
        return seen

    assert run_virtually(run()) == ["INSERT", "REMOVE"]
