"""`outbox cost`: what it prints, what it is told, and how it says what is wrong."""

import doctest
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from outbox_sdk.cli import app
from outbox_sdk.core.cost import Billed, plan_cost
from outbox_sdk.core.event_source import EventSource
from outbox_sdk.core.prices import PRICE_SOURCES, US_EAST_1
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.workload import Workload
from tests.support.admin_commands import read_lines
from tests.support.documents import ROOT

PAGE = ROOT / "docs" / "how-to" / "cost.md"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["cost", *arguments], env={"COLUMNS": "160"})


def document(*arguments: str) -> dict[str, Any]:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    (line,) = read_lines("cost", done.stdout)
    return dict(line)


def test_every_option_arrives() -> None:
    told = document(
        *("--rate", "6k/min", "--size", "2000", "--fifo", "--topics", "3", "--subscriptions", "2"),
        *("--aggregate-rate", "30/min", "--table-design", "message_keyed", "--no-transaction", "--sequence"),
        *("--mark-strategy", "single", "--ttl-days", "0", "--batch-size", "50", "--batch-window", "2"),
        *("--parallelization-factor", "2", "--memory", "256", "--architecture", "x86_64"),
        *("--no-metrics", "--no-monitoring", "--no-sweeper"),
    )
    workload = Workload(
        rate=100, body_bytes=2_000, fifo=True, topics=3, aggregate_rate=0.5, design=TableDesign.message_keyed,
        in_transaction=False, sequenced=True, strategy="single", ttl_days=None, memory_mb=256,
        source=EventSource(batch_size=50, batch_window_seconds=2, parallelization_factor=2),
    )  # fmt: skip
    billed = Billed(architecture="x86_64", subscriptions=2, metrics=False, monitoring=False, sweeper=False)
    assert told["usd"] == plan_cost(workload, billed).usd
    assert len(told["lines"]) == len(plan_cost(workload, billed).lines)


def test_without_options_it_is_the_default_workload() -> None:
    told = document("--rate", "200/s")
    assert told["usd"] == plan_cost(Workload(rate=200), Billed()).usd
    assert (told["region"], told["as_of"]) == (US_EAST_1.region, US_EAST_1.as_of)


def test_people_see_the_sum_the_options_and_what_is_not_verified() -> None:
    done = run("--rate", "200/s", "--size", "900")
    assert done.exit_code == 0
    text = " ".join(done.stdout.split())
    for part in (
        "200 messages a second of 900 bytes",
        "a month │ 525.60 M │ messages │ 2,703.73",
        "5.14 USD a million messages: 8 write units each, 100.0 in an invocation",
        "transaction │ with │ without │ 2,046.73 │ -657.00",
        "List prices of us-east-1 as of 2026-11-28",
        "Not verified: sns_fifo_publish_gb, sns_fifo_delivery_million, sns_fifo_delivery_gb",
    ):
        assert part in text, part
    assert "does not carry" not in text
    too_much = " ".join(run("--rate", "100000/s").stdout.split())
    assert "These settings do not carry that rate (table throughput)" in too_much


def test_prices_of_yours_are_used_and_named(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text('{"region": "eu-west-1", "as_of": "2026-11-01", "sns_fifo_publish_million": 0.6}')
    told = document("--rate", "200/s", "--fifo", "--prices", str(path))
    lines = {f"{line['service']} {line['what']}": line["usd"] for line in told["lines"]}
    assert lines["SNS FIFO publishes"] == pytest.approx(200 * 2_628_000 * 0.6 / 1e6)
    assert (told["region"], told["as_of"]) == ("eu-west-1", "2026-11-01")
    used = {each["name"]: each for each in told["prices"]}
    own = {"name": "sns_fifo_publish_million", "usd": 0.6, "source": str(path), "verified": True}
    assert used["sns_fifo_publish_million"] == own
    assert used["alarm_month"]["source"] == PRICE_SOURCES["alarm_month"].where


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--rate", "200"], "--rate: '200' is no number of messages in a time, as 200/s"),
        (["--rate", "0/s"], "--rate: 0.0 is not between 0.001 and 1000000"),
        (["--rate", "1/s", "--size", "0"], "--size: 0 is not between 1 and 400000"),
        (["--rate", "1/s", "--size", "300000"], "--size: no topic takes such a message: size"),
        (["--rate", "1/s", "--aggregate-rate", "x"], "--aggregate-rate: 'x' is no number of messages"),
        (["--rate", "1/s", "--topics", "0"], "--topics: 0 is not between"),
        (["--rate", "1/s", "--subscriptions", "-1"], "--subscriptions: -1 is not between"),
        (
            ["--rate", "1/s", "--table-design", "x"],
            "--table-design: 'x' is neither ordered nor message_keyed",
        ),
        (
            ["--rate", "1/s", "--mark-strategy", "x"],
            "--mark-strategy: 'x' is not one of batch, single, delete",
        ),
        (["--rate", "1/s", "--ttl-days", "-1"], "--ttl-days: -1 is not between 0, for ever, and 36500"),
        (["--rate", "1/s", "--batch-size", "0"], "--batch-size: 0 is not between 1 and 10000"),
        (["--rate", "1/s", "--batch-window", "301"], "--batch-window: 301 is not between 0 and 300"),
        (["--rate", "1/s", "--parallelization-factor", "11"], "--parallelization-factor: 11 is not between"),
        (["--rate", "1/s", "--memory", "64"], "--memory: 64 is not between 128 and 10240"),
        (["--rate", "1/s", "--architecture", "mips"], "--architecture: 'mips' is not one of arm64, x86_64"),
        (["--rate", "1/s", "--prices", "/no/such"], "--prices: /no/such cannot be read (No such file"),
        ([], "Missing option '--rate'"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_exit_code_2(arguments: list[str], problem: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert problem in " ".join(done.stderr.split())
    assert done.stdout == ""


def test_the_page_shows_what_the_model_gives() -> None:
    page = PAGE.read_text()
    examples = "".join(re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    test = doctest.DocTestParser().get_doctest(examples, {}, PAGE.name, str(PAGE), 0)

    assert len(test.examples) >= 8
    assert doctest.DocTestRunner().run(test).failed == 0


def test_the_page_has_every_price_with_its_source_and_says_what_is_not_verified() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| ([\d.]+) \| [^|]* \| <?([^ |>]*)>? \| (yes|no) \|$", PAGE.read_text(), re.M
    )
    told = {name: (float(usd), where, checked == "yes") for name, usd, where, checked in rows}
    assert told == {
        name: (getattr(US_EAST_1, name), source.where, source.verified)
        for name, source in PRICE_SOURCES.items()
    }


def test_the_page_shows_the_options_as_the_command_gives_them() -> None:
    rows = re.findall(
        r"^\| ([a-z ]+) \| ([^|]+) \| ([^|]+) \| ([\d,.]+) \| ([-+][\d,.]+) \|$", PAGE.read_text(), re.M
    )
    options = document("--rate", "200/s", "--size", "900")["options"]
    assert [tuple(cell.strip() for cell in row) for row in rows] == [
        (each["option"], each["now"], each["other"], f"{each['usd']:,.2f}", f"{each['difference_usd']:+,.2f}")
        for each in options
    ]
