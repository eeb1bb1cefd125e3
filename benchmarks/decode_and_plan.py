"""What does deciding cost, from the parsed event to the requests, next to the floor of plain dictionaries?

Run: ``python -m benchmarks.decode_and_plan`` (or ``nox -s bench``).

The floor reads the same attributes out of the same event by hand, without a check, and builds the same
``PublishBatch`` arguments: what any relay has to do. Both run alternately in one process; the figure to look
at is the ratio, since microseconds belong to the machine.
"""

import platform
import statistics
from collections.abc import Callable
from importlib.metadata import version
from time import perf_counter, time
from typing import Any

from outbox_sdk.core.identifiers import AccountId, Region
from outbox_sdk.core.plan import Wrapping, plan_batch, plan_intake, plan_lookup
from outbox_sdk.core.publish import pack_requests, publish_batch_request
from outbox_sdk.core.routing import Routing
from outbox_sdk.core.stream import decode_event
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell.producer import Outbox
from outbox_sdk.testing import stream_event

RECORDS = 100
BODY_BYTES = 1_000
ROUNDS = 60
WRAPPING = Wrapping(
    routing=Routing(region=Region("us-east-1"), account_id=AccountId("123456789012")), source="/outbox/outbox"
)


def make_event(topic: str) -> dict[str, Any]:
    outbox = Outbox("outbox")
    body = '{"text":"' + "x" * (BODY_BYTES - 11) + '"}'
    return stream_event(
        *(outbox.put(body, aggregate_id=f"order-{number % 20}", topic=topic) for number in range(RECORDS))
    )


def decode(event: dict[str, Any]) -> int:
    return len(decode_event(event, TableDesign.ordered, table_name="outbox"))


def decode_and_plan(event: dict[str, Any]) -> int:
    intake = plan_intake(decode_event(event, TableDesign.ordered, table_name="outbox"))
    keys = plan_lookup(intake, now=time(), recheck_after=1e9, published=lambda *_: False)
    assert not keys
    plan = plan_batch(intake, lookups={}, published=lambda *_: False, deletes=False, wrapping=WRAPPING)
    requests = 0
    lanes = [list(lane) for lane in plan.lanes]
    while heads := [lane.pop(0) for lane in lanes if lane]:
        requests += len([publish_batch_request(r) for r in pack_requests(head.entry for head in heads)])
    return requests


def floor(event: dict[str, Any]) -> int:
    requests: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    for record in event["Records"]:
        image = record["dynamodb"]["NewImage"]
        entries.append(
            {
                "Id": str(len(entries)),
                "Message": image["Message"]["S"],
                "MessageAttributes": {
                    name: {"DataType": "String", "StringValue": image[name]["S"]}
                    for name in ("MessageId", "AggregateId")
                },
            }
        )
        if len(entries) == 10:
            arn = "arn:aws:sns:us-east-1:123456789012:" + image["Topic"]["S"]
            requests.append({"TopicArn": arn, "PublishBatchRequestEntries": entries})
            entries = []
    return len(requests)


def measure(
    cases: dict[str, tuple[Callable[[dict[str, Any]], int], dict[str, Any]]],
) -> dict[str, list[float]]:
    """Run all cases in turn, round after round; give microseconds a record."""
    samples: dict[str, list[float]] = {name: [] for name in cases}
    for round_number in range(ROUNDS + 5):
        for name, (function, event) in cases.items():
            started = perf_counter()
            function(event)
            if round_number >= 5:  # the first rounds warm up
                samples[name].append((perf_counter() - started) / RECORDS * 1e6)
    return samples


def main() -> None:
    standard, fifo = make_event("order--created"), make_event("order--created.fifo")
    samples = measure(
        {
            "floor: dictionaries by hand": (floor, standard),
            "decode": (decode, standard),
            "decode and plan, standard topic": (decode_and_plan, standard),
            "decode and plan, FIFO topic, 20 aggregates": (decode_and_plan, fifo),
        }
    )
    base = statistics.median(samples["floor: dictionaries by hand"])
    print(f"{RECORDS} records of {BODY_BYTES:,} bytes, {ROUNDS} rounds; medians")
    print(f"Python {platform.python_version()}, msgspec {version('msgspec')}, {platform.platform()}\n")
    print("| what | µs a record | spread (10–90 %) | times the floor |")
    print("|---|---:|---:|---:|")
    for name, values in samples.items():
        deciles = statistics.quantiles(values, n=10)
        median = statistics.median(values)
        print(f"| {name} | {median:.2f} | {deciles[0]:.2f}–{deciles[-1]:.2f} | {median / base:.1f} |")


if __name__ == "__main__":
    main()
