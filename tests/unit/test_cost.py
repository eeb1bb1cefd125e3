"""What an outbox costs: three examples by hand, the prices, and what each option makes of it."""

import msgspec
import pytest
from aws_lambda_powertools import Logger

from deploy.monitoring import alarms, log_metrics
from outbox_sdk.core.cost import (
    ALARMS,
    FIGURES_BYTES,
    LOG_METRICS,
    RELAY_SERIES,
    SWEEPER_SERIES,
    VALUE_BYTES,
    Billed,
    Cost,
    plan_cost,
)
from outbox_sdk.core.cost_report import describe_cost
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.event_source import EventSource
from outbox_sdk.core.function import Architecture
from outbox_sdk.core.metrics import (
    COMMIT_TO_PUBLISH_LATENCY,
    MARKED,
    PUBLISHED,
    BacklogSize,
    Figure,
    measure_batch,
    measure_sweep,
)
from outbox_sdk.core.outcome import BatchReport
from outbox_sdk.core.prices import PRICE_SOURCES, US_EAST_1, Prices, decode_prices
from outbox_sdk.core.sweep_report import SweepReport
from outbox_sdk.core.workload import Workload, parse_rate
from outbox_sdk.shell.emf import emit_figures

MONTH = 730 * 60 * 60
GB = 1_024 * 1_024 * 1_024
WITHIN = 0.02
# 102 buckets and the parked items, read once by the sweep (without the parked ones) and once to count.
SWEEPS_USD = 730 * (101 + 102) * 0.5 * 0.125 / 1e6
WATCHING_USD = 17 * 0.10 + 3 + 2 * 0.30 + (3 + 4) * 0.30


def parts_of(cost: Cost) -> dict[str, float]:
    return {f"{line.service} {line.what}": line.usd for line in cost.lines}


def check(cost: Cost, expected: dict[str, float], *, gb_second: float = 0.000_013_333_4) -> None:
    """Compare the sum, and each part that makes a cent or more."""
    parts = parts_of(cost)
    sweeper = 730 * 0.20 / 1e6 + 730 * 2 * 0.5 * gb_second  # half a GB for two seconds each hour
    total = sum(expected.values()) + SWEEPS_USD + sweeper + WATCHING_USD
    assert cost.usd == pytest.approx(total, rel=WITHIN)
    for name, usd in expected.items():
        assert parts[name] == pytest.approx(usd, rel=WITHIN, abs=0.01), name
    watching = ("metrics", "metrics of the log", "alarms", "dashboard")
    assert sum(parts[f"CloudWatch {name}"] for name in watching) == pytest.approx(WATCHING_USD)
    assert parts["DynamoDB sweeps"] == pytest.approx(SWEEPS_USD)
    assert parts["DynamoDB stream reads by Lambda"] == 0
    assert parts["Lambda sweeper: requests"] + parts["Lambda sweeper: duration"] == pytest.approx(sweeper)
    named = {*expected, *(f"CloudWatch {name}" for name in watching)}
    assert {*parts} - named == {
        "DynamoDB sweeps",
        "DynamoDB stream reads by Lambda",
        "Lambda sweeper: requests",
        "Lambda sweeper: duration",
    }


def test_200_messages_a_second_of_900_bytes_by_hand() -> None:
    """Orders on standard topics: in transactions, marked in batches, kept for a week.

    The item has 400 bytes besides the body: 1,300, which is 2 units. The put in a transaction takes 2 x 2
    and 1 for the index, the mark 2 and 1 for the index. Two shards (200 x 6 units of the table) give
    100 messages a second each, and so a full batch of 100 a second: 2 invocations a second together, each
    with 10 publishes of 10 messages. 10 x 1.1 KB are less than 64 KB. An invocation takes 20 ms for the
    publishes, 10 ms for the marks, and for CPU 100 x 0.05 ms and 14 x 0.5 ms, on 512 of 1,769 MB.
    """
    messages = 200 * MONTH
    seconds = 0.020 + 0.010 + (100 * 0.000_05 + 14 * 0.000_5) * 1_769 / 512
    kept = 1_300 - 15 + 43 + 15 + 100  # NotDispatched goes, LastDispatchedAt and ExpiresAt come
    stored = 200 * 7 * 86_400 * kept / GB
    check(
        plan_cost(Workload(rate=200, body_bytes=900)),
        {
            "DynamoDB puts": messages * 5 * 0.625 / 1e6,  # 1,642.50
            "DynamoDB marks": messages * 3 * 0.625 / 1e6,  # 985.50
            "DynamoDB storage": (stored - 25) * 0.25,  # 34.39
            "Lambda relay: requests": 2 * MONTH * 0.20 / 1e6,  # 1.05
            "Lambda relay: duration": 2 * MONTH * seconds * 0.5 * 0.000_013_333_4,  # 2.50
            "SNS publishes": messages / 10 * 0.50 / 1e6,  # 26.28
            "CloudWatch log lines": (2 * MONTH + 730) * 900 / GB * 0.50,  # 2.20
            "CloudWatch figures in the log": 2 * MONTH * (370 + 100 * 4) / GB * 0.50,  # 1.88
        },
    )


def test_5000_messages_a_minute_on_fifo_topics_by_hand() -> None:
    """Changes of documents, in order, with a sequence, on x86, for three queues.

    The item has 2,000 bytes of body, 400 of other attributes, 9 of the sequence and 5 of ".fifo", so 3 units:
    the put 2 x 3, and 1 for each index; the mark 3 and 1 for the index of outstanding messages. The one
    shard gives 83 messages a second. A batch has 100, as 83 a second are more than the window and the pause
    of 0.25 s let through; so 0.83 invocations a second. Few aggregates have two messages in a batch: 10.6
    publishes, of 1.45 rounds on average. With its attributes an entry has 2.3 KB.
    """
    rate = 5_000 / 60
    messages = rate * MONTH
    invocations = messages / 100
    seconds = 1.45 * 0.020 + 0.010 + (100 * 0.000_05 + 14.6 * 0.000_5) * 1_769 / 512
    kept = (2_000 + 400 + 10 + 5 - 15 + 43 + 15 + 100) + (48 + 46 + 10 + 100)  # the item, and its index entry
    stored = rate * 7 * 86_400 * kept / GB
    data = messages * (2_000 + 336) / GB
    workload = Workload(rate=rate, body_bytes=2_000, fifo=True, sequenced=True, aggregate_rate=0.01)
    check(
        plan_cost(workload, Billed(architecture="x86_64", subscriptions=3)),
        {
            "DynamoDB puts": messages * 8 * 0.625 / 1e6,  # 1,095.00
            "DynamoDB marks": messages * 4 * 0.625 / 1e6,  # 547.50
            "DynamoDB storage": (stored - 25) * 0.25,  # 26.16
            "Lambda relay: requests": invocations * 0.20 / 1e6,  # 0.44
            "Lambda relay: duration": invocations * seconds * 0.5 * 0.000_016_666_7,  # 1.49
            "SNS FIFO publishes": messages * 0.30 / 1e6,  # 65.70
            "SNS FIFO publishes: data": data * 0.017,  # 8.10
            "SNS FIFO deliveries": messages * 3 * 0.01 / 1e6,  # 6.57
            "SNS FIFO deliveries: data": data * 3 * 0.001,  # 1.43
            "CloudWatch log lines": (invocations + 730) * 900 / GB * 0.50,  # 0.92
            "CloudWatch figures in the log": invocations * (370 + 100 * 4) / GB * 0.50,  # 0.79
        },
        gb_second=0.000_016_666_7,
    )


def test_2_million_messages_a_day_that_are_deleted_by_hand() -> None:
    """Small notifications, each put alone and deleted when it is published, without a batch window.

    The item has 500 bytes, which is 1 unit: 2 with the index, for the put and for the delete. Lambda reads
    again 0.25 s after an invocation of 35 ms, in which 23.1 a second make 6.6 messages: 20 ms for a
    publish, 10 ms for the marks, and CPU for 6.6 records and 2 calls. Of 6.6 messages on average there are
    more than 10 in 7 of 100 batches, which publish twice.
    """
    messages = 2e6 / 86_400 * MONTH
    invocations = messages / 6.6
    seconds = 0.030 + (6.6 * 0.000_05 + 2.07 * 0.000_5) * 1_769 / 512
    workload = Workload(
        rate=2e6 / 86_400,
        body_bytes=100,
        in_transaction=False,
        strategy="delete",
        source=EventSource(batch_window_seconds=0),
    )
    check(
        plan_cost(workload),
        {
            "DynamoDB puts": messages * 2 * 0.625 / 1e6,  # 76.04
            "DynamoDB marks": messages * 2 * 0.625 / 1e6,  # 76.04
            "DynamoDB storage": 0.0,
            "Lambda relay: requests": invocations * 0.20 / 1e6,  # 1.84
            "Lambda relay: duration": invocations * seconds * 0.5 * 0.000_013_333_4,  # 2.13
            "SNS publishes": invocations * 1.07 * 0.50 / 1e6,  # 4.94
            "CloudWatch log lines": (invocations + 730) * 900 / GB * 0.50,  # 3.86
            "CloudWatch figures in the log": invocations * (370 + 6.6 * 4) / GB * 0.50,  # 1.70
        },
    )


def test_the_alarms_and_metrics_counted_are_those_of_a_deployment() -> None:
    assert len(alarms()) == ALARMS
    assert len(log_metrics()) == LOG_METRICS
    # A healthy batch has its latency besides; a healthy sweep finds something outstanding.
    assert len(measure_batch(BatchReport(()), now=0.0)) + 1 == RELAY_SERIES
    size = BacklogSize(outstanding=1, parked=0, oldest_age_seconds=1.0)
    assert len(measure_sweep(SweepReport(), size)) == SWEEPER_SERIES


@pytest.mark.parametrize("count", [1, 10, 100])
def test_the_bytes_of_figures_are_those_that_are_written(
    count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = (
        Figure(PUBLISHED, (count,)),
        Figure(MARKED, (count,)),
        Figure(COMMIT_TO_PUBLISH_LATENCY, tuple(range(400, 400 + count))),
    )
    emit_figures(
        lambda: figures, table_name="outbox", function_name="outbox-relay", logger=Logger(service="relay")
    )
    written = len(capsys.readouterr().out)
    assert written == pytest.approx(FIGURES_BYTES + VALUE_BYTES * count, rel=0.05)


def test_a_million_messages_cost_the_sum_of_the_lines() -> None:
    cost = plan_cost(Workload(rate=50))
    assert cost.messages == 50 * MONTH
    assert cost.usd == pytest.approx(sum(line.usd for line in cost.lines))
    assert cost.usd_per_million * cost.messages / 1e6 == pytest.approx(cost.usd)


@pytest.mark.parametrize("name", [name for name in PRICE_SOURCES if name != "dynamodb_free_storage_gb"])
@pytest.mark.parametrize("fifo", [False, True])
@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_each_price_is_used_where_it_belongs(name: str, architecture: Architecture, *, fifo: bool) -> None:
    """Twice the price makes twice the lines that it is of, and no others."""
    of = USED_BY[name]
    if name.startswith("sns_fifo") != fifo and name.startswith("sns"):
        of = set()
    if name == ("lambda_x86_64_gb_second" if architecture == "arm64" else "lambda_arm64_gb_second"):
        of = set()
    workload, billed = Workload(rate=500, fifo=fifo), Billed(architecture=architecture, subscriptions=2)
    prices = msgspec.structs.replace(US_EAST_1, stream_read_million=0.02)
    twice = msgspec.structs.replace(prices, **{name: 2 * getattr(prices, name)})
    before, after = (parts_of(plan_cost(workload, billed, each)) for each in (prices, twice))
    assert {part for part in before if after[part] != before[part]} == of
    assert all(after[part] == pytest.approx(2 * before[part]) for part in of)


USED_BY = {
    "dynamodb_write_million": {"DynamoDB puts", "DynamoDB marks"},
    "dynamodb_read_million": {"DynamoDB sweeps"},
    "dynamodb_storage_gb_month": {"DynamoDB storage"},
    "stream_read_million": {"DynamoDB stream reads by Lambda"},
    "lambda_request_million": {"Lambda relay: requests", "Lambda sweeper: requests"},
    "lambda_x86_64_gb_second": {"Lambda relay: duration", "Lambda sweeper: duration"},
    "lambda_arm64_gb_second": {"Lambda relay: duration", "Lambda sweeper: duration"},
    "sns_request_million": {"SNS publishes"},
    "sns_fifo_publish_million": {"SNS FIFO publishes"},
    "sns_fifo_publish_gb": {"SNS FIFO publishes: data"},
    "sns_fifo_delivery_million": {"SNS FIFO deliveries"},
    "sns_fifo_delivery_gb": {"SNS FIFO deliveries: data"},
    "logs_gb": {"CloudWatch log lines", "CloudWatch figures in the log"},
    "metric_month": {"CloudWatch metrics", "CloudWatch metrics of the log"},
    "alarm_month": {"CloudWatch alarms"},
    "dashboard_month": {"CloudWatch dashboard"},
}


def test_every_price_has_a_source() -> None:
    assert {*PRICE_SOURCES} == {*Prices.__struct_fields__} - {"region", "as_of"}
    assert all(source.where.startswith("https://") for source in PRICE_SOURCES.values())


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"no", "is no JSON of prices"),
        (b"\xff", "is no JSON of prices"),
        (b"{}", "missing required field `region`"),
        (b'{"region": "r", "as_of": "d", "log_gb": 1}', "unknown field `log_gb`"),
        (b'{"region": "r", "as_of": "d", "logs_gb": "1"}', "Expected `float`, got `str` - at `$.logs_gb`"),
        (b'{"region": "r", "as_of": "d", "logs_gb": -1}', "logs_gb is -1.0, and not between 0 and"),
    ],
)
def test_prices_that_are_none_are_refused(content: bytes, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        decode_prices(content, variable="--prices")
    assert str(caught.value).startswith("--prices: ")
    assert problem in str(caught.value)


def test_each_option_is_the_same_workload_with_one_thing_changed() -> None:
    workload = Workload(rate=100, body_bytes=900)
    report = describe_cost(workload)
    plain = plan_cost(workload).usd
    by_hand = {
        ("transaction", "without"): msgspec.structs.replace(workload, in_transaction=False),
        ("sequence", "with"): msgspec.structs.replace(workload, sequenced=True),
        ("time to live", "for ever, after a year"): msgspec.structs.replace(workload, ttl_days=None),
        ("topics", "FIFO"): msgspec.structs.replace(workload, fifo=True),
        ("marks", "single"): msgspec.structs.replace(workload, strategy="single"),
        ("marks", "delete"): msgspec.structs.replace(workload, strategy="delete"),
        ("batch window", "0 s"): msgspec.structs.replace(
            workload, source=EventSource(batch_window_seconds=0)
        ),
        ("batch window", "5 s"): msgspec.structs.replace(
            workload, source=EventSource(batch_window_seconds=5)
        ),
    }
    beside = {
        ("architecture", "x86_64"): Billed(architecture="x86_64"),
        ("metrics", "without"): Billed(metrics=False),
        ("monitoring", "without"): Billed(monitoring=False),
        ("sweeper", "without"): Billed(sweeper=False),
    }
    expected = {name: plan_cost(changed).usd for name, changed in by_hand.items()}
    expected |= {name: plan_cost(workload, billed).usd for name, billed in beside.items()}

    assert {(each.option, each.other): each.usd for each in report.options} == expected
    for each in report.options:
        assert each.difference_usd == pytest.approx(each.usd - plain)
    assert report.usd == plain


def test_an_option_that_is_switched_on_is_shown_switched_off() -> None:
    workload = Workload(
        rate=100, in_transaction=False, sequenced=True, fifo=True, ttl_days=None, strategy="delete"
    )
    billed = Billed(architecture="x86_64", metrics=False, monitoring=False, sweeper=False)
    report = describe_cost(workload, billed)
    assert [(each.option, each.now, each.other) for each in report.options] == [
        ("transaction", "without", "with"),
        ("sequence", "with", "without"),
        ("time to live", "for ever, after a year", "7 days"),
        ("topics", "FIFO", "standard"),
        ("marks", "delete", "batch"),
        ("marks", "delete", "single"),
        ("batch window", "1 s", "0 s"),
        ("batch window", "1 s", "5 s"),
        ("architecture", "x86_64", "arm64"),
        ("metrics", "without", "with"),
        ("monitoring", "without", "with"),
        ("sweeper", "without", "with"),
    ]


def test_a_rate_that_is_not_carried_is_told() -> None:
    report = describe_cost(Workload(rate=100_000))
    assert (report.sustainable, report.lag_seconds, report.bottleneck) == (False, None, "table throughput")
    fifo = next(each for each in describe_cost(Workload(rate=4_000)).options if each.other == "FIFO")
    assert not fifo.sustainable


@pytest.mark.parametrize(
    ("text", "rate"),
    [("200/s", 200), ("5000/min", 5_000 / 60), (" 2M / day", 2e6 / 86_400), ("1.5k/h", 1_500 / 3_600),
     ("1B/month", 1e9 / MONTH), ("2628K/month", 1)],
)  # fmt: skip
def test_rates_are_read(text: str, rate: float) -> None:
    assert parse_rate(text, variable="--rate") == pytest.approx(rate)


@pytest.mark.parametrize("text", ["", "200", "/s", "-1/s", "200/", "200/q", "1e3/s", "2m/day", "200/s/s"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^--rate: .* is no number of messages in a time"):
        parse_rate(text, variable="--rate")


@pytest.mark.parametrize("count", [-1, 12_500_001])
def test_subscriptions_have_bounds(count: int) -> None:
    with pytest.raises(ConfigurationError, match="subscriptions"):
        Billed(subscriptions=count)
