"""`outbox cost`: what an outbox costs a month, from a model and list prices; AWS is not asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from outbox_sdk.cli.admin import age, plain, print_document, print_table
from outbox_sdk.cli.options import JsonOption
from outbox_sdk.cli.output import errors_to_exit_codes
from outbox_sdk.core.cost import Billed
from outbox_sdk.core.cost_report import CostOption, CostReport, describe_cost
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.event_source import EventSource
from outbox_sdk.core.function import ARCHITECTURES, Architecture
from outbox_sdk.core.mark import MARK_STRATEGIES, MarkStrategy
from outbox_sdk.core.prices import US_EAST_1, Prices, decode_prices
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.workload import Workload, parse_rate

__all__ = ["cost"]

_MILLION = 1_000_000


def cost(
    *,
    rate: Annotated[
        str, typer.Option(help="Messages in a time, as an average: 200/s, 5000/min, 2M/day, 1B/month.")
    ],
    size: Annotated[int, typer.Option(help="Bytes of a body.")] = 1_024,
    fifo: Annotated[bool, typer.Option("--fifo/--standard", help="FIFO topics or standard ones.")] = False,
    topics: Annotated[int, typer.Option(help="How many topics the messages go to.")] = 1,
    subscriptions: Annotated[int, typer.Option(help="Queues of each topic.")] = 1,
    aggregate_rate: Annotated[str, typer.Option(help="Of the rate, what one aggregate brings.")] = "1/s",
    table_design: Annotated[str, typer.Option(help="ordered or message_keyed.")] = "ordered",
    transaction: Annotated[bool, typer.Option(help="Put within a transaction.")] = True,
    sequence: Annotated[bool, typer.Option("--sequence/--no-sequence", help="Put with a number.")] = False,
    mark_strategy: Annotated[str, typer.Option(help="batch, single or delete.")] = "batch",
    ttl_days: Annotated[int, typer.Option(help="Days that a message is kept; 0 is for ever.")] = 7,
    batch_size: Annotated[int, typer.Option(help="Of the event source mapping.")] = 100,
    batch_window: Annotated[int, typer.Option(help="Seconds that Lambda waits for a batch to fill.")] = 1,
    parallelization_factor: Annotated[int, typer.Option(help="Of the event source mapping.")] = 1,
    memory: Annotated[int, typer.Option(help="MB of the functions.")] = 512,
    architecture: Annotated[str, typer.Option(help="arm64 or x86_64.")] = "arm64",
    metrics: Annotated[bool, typer.Option(help="The functions' figures.")] = True,
    monitoring: Annotated[bool, typer.Option(help="Alarms and the dashboard.")] = True,
    sweeper: Annotated[bool, typer.Option(help="A sweeper that runs each hour.")] = True,
    prices: Annotated[
        Path | None, typer.Option(help="JSON with region, as_of, and the prices that differ from us-east-1.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Work out what an outbox costs a month, and what each option makes of it. Asks AWS nothing."""
    with errors_to_exit_codes(), _options_named():
        workload = Workload(
            rate=parse_rate(rate, variable="--rate"),
            body_bytes=size,
            fifo=fifo,
            topics=topics,
            aggregate_rate=parse_rate(aggregate_rate, variable="--aggregate-rate"),
            design=_design(table_design),
            in_transaction=transaction,
            sequenced=sequence,
            strategy=_strategy(mark_strategy),
            ttl_days=_days(ttl_days),
            source=EventSource(
                batch_size=batch_size,
                batch_window_seconds=batch_window,
                parallelization_factor=parallelization_factor,
            ),
            memory_mb=memory,
        )
        billed = Billed(
            architecture=_architecture(architecture),
            subscriptions=subscriptions,
            metrics=metrics,
            monitoring=monitoring,
            sweeper=sweeper,
        )
        report = describe_cost(
            workload, billed, _prices(prices), source=None if prices is None else str(prices)
        )
    if as_json:
        print_document(report)
    else:
        _print(report)


_OPTIONS = {
    "rate": "--rate",
    "aggregate_rate": "--aggregate-rate",
    "body_bytes": "--size",
    "topics": "--topics",
    "subscriptions": "--subscriptions",
    "batch_size": "--batch-size",
    "batch_window_seconds": "--batch-window",
    "parallelization_factor": "--parallelization-factor",
    "memory_mb": "--memory",
}


@contextmanager
def _options_named() -> Iterator[None]:
    """Name the option behind a field that is out of bounds."""
    try:
        yield
    except ConfigurationError as error:
        if error.variable not in _OPTIONS:
            raise
        raise ConfigurationError(_OPTIONS[error.variable], error.problem) from error


def _design(text: str) -> TableDesign:
    designs = {"ordered": TableDesign.ordered, "message_keyed": TableDesign.message_keyed}
    if text not in designs:
        raise ConfigurationError("--table-design", f"{text!r} is neither ordered nor message_keyed")
    return designs[text]


def _strategy(text: str) -> MarkStrategy:
    for strategy in MARK_STRATEGIES:
        if text == strategy:
            return strategy
    raise ConfigurationError("--mark-strategy", f"{text!r} is not one of {', '.join(MARK_STRATEGIES)}")


def _architecture(text: str) -> Architecture:
    for architecture in ARCHITECTURES:
        if text == architecture:
            return architecture
    raise ConfigurationError("--architecture", f"{text!r} is not one of {', '.join(ARCHITECTURES)}")


def _days(days: int) -> int | None:
    if not 0 <= days <= _MAX_DAYS:
        raise ConfigurationError("--ttl-days", f"{days} is not between 0, for ever, and {_MAX_DAYS}")
    return days or None


_MAX_DAYS = 36_500


def _prices(path: Path | None) -> Prices:
    if path is None:
        return US_EAST_1
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError("--prices", f"{path} cannot be read ({error.strerror})") from error
    return decode_prices(content, variable="--prices")


def _print(report: CostReport) -> None:
    rows: list[tuple[object, ...]] = [
        (line.service, line.what, _amount(line.quantity), line.unit, _usd(line.usd)) for line in report.lines
    ]
    rows.append(("", "a month", _amount(report.messages), "messages", _usd(report.usd)))
    title = (
        f"{report.rate_per_second:,.6g} messages a second of {report.body_bytes} bytes, a month of 730 hours"
    )
    columns = {"service": "", "what": "", "quantity": "right", "unit": "", "USD": "right"}
    print_table(title, columns, rows)
    lag = "" if report.lag_seconds is None else f", {age(report.lag_seconds)} from commit to publish"
    typer.echo(
        f"{report.usd_per_million:.2f} USD a million messages: {report.write_units_per_message} write units "
        f"each, {report.messages_per_invocation:.1f} in an invocation{lag}"
    )
    if not report.sustainable:
        typer.echo(
            f"These settings do not carry that rate ({report.bottleneck}): see docs/explanation/capacity.md"
        )
    options: list[tuple[object, ...]] = [
        (each.option, each.now, _other(each), _usd(each.usd), f"{each.difference_usd:+,.2f}")
        for each in report.options
    ]
    columns = {"option": "", "now": "", "otherwise": "", "USD": "right", "difference": "right"}
    print_table("\nWith and without", columns, options)
    unverified = [each.name for each in report.prices if not each.verified]
    typer.echo(
        f"List prices of {plain(report.region)} as of {plain(report.as_of)}, without what is free a month."
    )
    if unverified:
        typer.echo(f"Not verified: {', '.join(unverified)}")


def _other(option: CostOption) -> str:
    return option.other if option.sustainable else f"{option.other} (does not carry the rate)"


def _usd(amount: float) -> str:
    return f"{amount:,.2f}"


def _amount(quantity: float) -> str:
    return f"{quantity / _MILLION:,.2f} M" if quantity >= _MILLION else f"{quantity:,.6g}"
