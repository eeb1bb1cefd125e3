"""How much does a warm batch cost next to the reference, and next to the same bytes replayed?

Run: ``nox -s bench -- warm_batch``, or ``python -m benchmarks.warm_batch``.

The reference is ``benchmarks.reference``, called through its handler, as the project's relay is. The floor
sends the very requests that the relay has sent, signatures and all, over plain aiohttp: the publishes
together, then the marks together.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp

from benchmarks.harness.answers import Answer, Bar, Plot, Series, Table, describe_machine, print_answer
from benchmarks.harness.endpoint import Endpoint, open_endpoint
from benchmarks.harness.events import TABLE, make_event, refresh
from benchmarks.harness.runs import Sample, alternate

Handler = Callable[[Any, Any], Any]

RECORDS = 100
DELAYS_MS = (0, 5, 20)
_NOWHERE = Path(os.devnull).open("w")  # noqa: SIM115 - open for as long as a logger may write to it
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    "AWS_SESSION_TOKEN": "t" * 400,  # Lambda always has one, and it is long
    "AWS_LAMBDA_FUNCTION_NAME": "relay",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "DYNAMODB_OUTBOX_TABLE_NAME": TABLE,
    "OUTBOX_ALLOW_ANY_TOPIC": "true",
    "POWERTOOLS_SERVICE_NAME": "bench",
}
CONTEXT = SimpleNamespace(
    function_name="relay",
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:relay",
    aws_request_id="00000000-0000-0000-0000-000000000000",
    get_remaining_time_in_millis=lambda: 60_000,
)


@contextmanager
def lambda_environment(endpoint: Endpoint) -> Iterator[None]:
    """Let the process look as a Lambda function does whose AWS is the endpoint, its log thrown away."""
    changed = {**ENVIRONMENT, "AWS_ENDPOINT_URL": endpoint.url}
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        with redirect_stdout(_NOWHERE):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def record_requests(
    endpoint: Endpoint, handler: Callable[[Any, Any], Any]
) -> list[tuple[dict[str, str], bytes]]:
    """Let the relay relay one batch; give the requests that it made."""
    handler(make_event(1), CONTEXT)
    event = make_event(RECORDS)
    refresh(event)
    endpoint.keep_requests()
    assert handler(event, CONTEXT) == {"batchItemFailures": []}
    return endpoint.take_requests()


class Floor:
    """The same requests once more, over an aiohttp session of its own."""

    def __init__(self, url: str, requests: list[tuple[dict[str, str], bytes]]) -> None:
        self._url = url
        self._runner = asyncio.Runner()
        publishes = [request for request in requests if b"Action=PublishBatch" in request[1]]
        marks = [request for request in requests if request not in publishes]
        self._waves = (publishes, marks)
        self._session: aiohttp.ClientSession | None = None

    def run(self) -> None:
        """Replay all requests."""
        self._runner.run(self._replay())

    def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            self._runner.run(self._session.close())
        self._runner.close()

    async def _replay(self) -> None:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=50)
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        for wave in self._waves:
            await asyncio.gather(*(self._send(self._session, *request) for request in wave))

    async def _send(self, session: aiohttp.ClientSession, headers: dict[str, str], body: bytes) -> None:
        async with session.post(self._url, headers=headers, data=body) as response:
            await response.read()


def measure(records: int, rounds: int, reference_records: int) -> dict[int, dict[str, Sample]]:
    """Run the three alternately, delay after delay; give what each took."""
    from benchmarks.reference.relay import handler as reference
    from outbox_sdk.lambda_handler import RelayHandler

    def through(
        handler: Callable[[Any, Any], Any], size: int = records
    ) -> Callable[[], Callable[[], object]]:
        def prepare() -> Callable[[], object]:
            event = make_event(size)
            refresh(event)
            return lambda: handler(event, CONTEXT)

        return prepare

    samples = {}
    with open_endpoint() as endpoint, lambda_environment(endpoint):
        relay = RelayHandler()
        floor = Floor(endpoint.url, record_requests(endpoint, relay))
        try:
            endpoint.take_counts()
            through(relay)()()
            counts = endpoint.take_counts()
            expected = {"PublishBatch": -(-records // 10), "BatchExecuteStatement": -(-records // 25)}
            assert {**counts, "connections": 0} == {**expected, "connections": 0}, counts
            for delay in DELAYS_MS:
                endpoint.set_delay(delay)
                samples[delay] = alternate(
                    {
                        "reference": through(reference, reference_records),
                        "relay": through(relay),
                        "floor": lambda: floor.run,
                    },
                    rounds=rounds,
                    rare={"reference": max(1, rounds // 2)},
                )
        finally:
            floor.close()
            relay.close()
    return samples


# By delay: × the reference, bar and goal; × the floor's wall time, bar and goal.
LIMITS = {
    0: ((300, 900), None),
    5: ((150, 250), (1.6, 1.25)),
    20: ((60, 80), (1.25, 1.1)),
}


def answer(rounds: int = 60, reference_records: int = RECORDS) -> Answer:
    rows: list[tuple[str, ...]] = []
    bars: list[Bar] = []
    relays, floors = [], []
    for delay, measured in measure(RECORDS, rounds, reference_records).items():
        reference = measured["reference"].scaled(RECORDS / reference_records)
        relay, floor = measured["relay"], measured["floor"]
        relays.append(reference.wall.median / relay.wall.median)
        floors.append(reference.wall.median / floor.wall.median)
        (bar, goal), wall = LIMITS[delay]
        what = f"faster than the reference, {delay} ms"
        bars.append(Bar(what=what, value=relays[-1], sense="≥", bar=bar, goal=goal))
        if wall is not None:
            over = relay.wall.median / floor.wall.median
            what = f"wall time of the floor's, {delay} ms"
            bars.append(Bar(what=what, value=over, sense="≤", bar=wall[0], goal=wall[1]))
        else:
            over = relay.cpu.median / floor.cpu.median
            bars.append(Bar(what="CPU of the floor's", value=over, sense="≤", bar=7, goal=2.5))
        for name, sample in (("reference", reference), ("relay", relay), ("floor", floor)):
            rows.append(
                (
                    f"{name}, {delay} ms",
                    f"{sample.wall.median * 1e3:,.2f}",
                    f"{sample.wall.low * 1e3:,.2f}–{sample.wall.high * 1e3:,.2f}",
                    f"{sample.cpu.median / RECORDS * 1e6:,.1f}",
                    f"{reference.wall.median / sample.wall.median:,.0f}",
                    f"{sample.wall.median / floor.wall.median:,.2f}",
                    f"{sample.cpu.median / floor.cpu.median:,.2f}",
                )
            )
    delays = tuple(f"{delay} ms" for delay in DELAYS_MS)
    headers = ("what", "wall, ms", "10–90 %", "CPU, µs a record", "× reference", "× floor", "× floor, CPU")
    question, _, method = (__doc__ or "").partition("\n\n")
    return Answer(
        name="warm_batch",
        question=question,
        method=method,
        bars=tuple(bars),
        tables=(
            Table(
                title=f"A warm batch of {RECORDS} messages of 1 KB, by what AWS takes to answer a call",
                headers=headers,
                rows=tuple(rows),
            ),
        ),
        plots=(
            Plot(
                name="warm_batch",
                title=f"A warm batch of {RECORDS}, times the reference",
                x_label="AWS answers after",
                y_label="times the reference",
                kind="bars",
                log_y=True,
                series=(Series("relay", delays, tuple(relays)), Series("floor", delays, tuple(floors))),
            ),
        ),
        machine=describe_machine(),
    )


if __name__ == "__main__":
    print_answer(answer(*map(int, sys.argv[1:])))
