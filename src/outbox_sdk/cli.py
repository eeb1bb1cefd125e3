"""The ``outbox`` command: options in, the SDK called, numbers and exit codes out.

Exit codes: 0 for success, 1 for a demo in which a message was lost, doubled or late, for a sweep that could
not read, touch or publish something, or for a failure on the way, 2 for wrong input or configuration, 130
when interrupted.
"""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any

try:
    import typer
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Table
except ModuleNotFoundError as _error:
    raise SystemExit(f'{_error.name} is missing. Run: pip install "dynamodb-outbox-sdk[local]"') from _error

import msgspec

from outbox_sdk.core.errors import ConfigurationError, OutboxError
from outbox_sdk.core.outcome import BatchReport
from outbox_sdk.core.report import LogLine, describe_batch, describe_records
from outbox_sdk.core.sweep_report import SweepReport, describe_sweep, describe_troubles
from outbox_sdk.demo.messages import InputLineError, generate_messages, parse_lines
from outbox_sdk.demo.report import DemoReport, received_line
from outbox_sdk.demo.run import OUTBOX, DemoResult, run_demo
from outbox_sdk.demo.run import Progress as DemoProgress
from outbox_sdk.embedded_stack import open_embedded_stack
from outbox_sdk.shell.relay import open_relay
from outbox_sdk.shell.settings import Settings

__all__ = ["app", "demo", "main", "relay", "sweep"]

app: typer.Typer = typer.Typer(
    help="A transactional outbox for DynamoDB: try it, and relay messages to SNS.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
_stderr = Console(stderr=True)
_INTERRUPTED = 130


def main() -> None:
    """Run the command."""
    app()


@app.command()
def demo(
    *,
    messages: Annotated[int, typer.Option(min=1, max=100_000, help="How many messages to write.")] = 200,
    input_file: Annotated[
        Path | None,
        typer.Option(
            "--input",
            exists=True,
            dir_okay=False,
            readable=True,
            help='Write these instead: one {"aggregate_id", "topic", "message"} a line.',
        ),
    ] = None,
    received_file: Annotated[
        Path | None,
        typer.Option("--received", dir_okay=False, writable=True, help="Write each message received here."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show the whole way of messages, on a stack that runs inside this command."""
    with _errors_to_exit_codes():
        if input_file and received_file and received_file.exists() and received_file.samefile(input_file):
            raise ConfigurationError("--received", f"{received_file} is the input itself")
        written = list(generate_messages(messages)) if input_file is None else _read_input(input_file)
        with _open_output(received_file) as output, open_embedded_stack() as stack:
            with _progress_bars(len(written)) as progress:
                result = asyncio.run(run_demo(stack, written, progress))
            if output is not None:
                _write_received(output, result)
        report = result.report
        if as_json:
            sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
        else:
            Console().print(_demo_table(report), _verdict(report))
    if not report.succeeded:
        raise typer.Exit(1)


def _read_input(path: Path) -> list[Any]:
    try:
        with path.open("rb") as lines:
            return parse_lines(lines, OUTBOX)
    except InputLineError as error:
        raise ConfigurationError(str(path), str(error)) from error


@contextmanager
def _open_output(path: Path | None) -> Iterator[IO[bytes] | None]:
    """Open the output before anything is written, so that a wrong path costs nothing."""
    if path is None:
        yield None
        return
    try:
        output = path.open("wb")
    except OSError as error:
        raise ConfigurationError("--received", f"{path}: {error.strerror}") from error
    with output:
        yield output


def _write_received(output: IO[bytes], result: DemoResult) -> None:
    for message in result.received:
        known = result.written.get(message.message_id)
        output.write(received_line(message, verbatim=known is None or known.verbatim))


@contextmanager
def _progress_bars(total: int) -> Iterator[DemoProgress]:
    columns = (TextColumn("{task.description:>9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    hidden = not _stderr.is_terminal
    with Progress(*columns, console=_stderr, transient=True, disable=hidden) as bars:
        tasks = {name: bars.add_task(name, total=total) for name in ("written", "published", "received")}

        def show(progress: DemoProgress) -> None:
            for name, task in tasks.items():
                bars.update(task, completed=getattr(progress, name))

        yield DemoProgress(total, changed=show)


def _verdict(report: DemoReport) -> str:
    if report.succeeded:
        return "[green]Every message arrived once, in order.[/green]"
    return "[red]Not every message arrived once and in order.[/red]"


def _demo_table(report: DemoReport) -> Table:
    table = Table()
    table.add_column("messages")
    table.add_column("count", justify="right")
    rows = {
        "written in transactions": report.written,
        "published to their topics": report.published,
        "marked as dispatched": report.marked,
        "received from the queues": report.received,
        "lost": report.lost,
        "duplicates": report.duplicates,
        "order violations (FIFO)": report.order_violations,
    }
    for name, count in rows.items():
        table.add_row(name, f"{count:,}")
    table.add_section()
    table.add_row("seconds", f"{report.seconds:.2f}")
    return table


_TableOption = Annotated[
    str | None, typer.Option("--table", help="The outbox table; else DYNAMODB_OUTBOX_TABLE_NAME.")
]
_EndpointOption = Annotated[
    str | None,
    typer.Option("--endpoint-url", help="One endpoint for all services; else AWS_ENDPOINT_URL."),
]
_RegionOption = Annotated[
    str | None, typer.Option("--region", help="The Region; else AWS_REGION or the profile's.")
]
_ProfileOption = Annotated[str | None, typer.Option("--profile", help="A profile of the AWS configuration.")]
_PrefixOption = Annotated[
    str | None,
    typer.Option("--topic-prefix", help="Put before every topic name; else AWS_SNS_TOPIC_PREFIX."),
]
_StrategyOption = Annotated[
    str | None,
    typer.Option("--mark-strategy", help="batch, single or delete; else OUTBOX_MARK_STRATEGY."),
]
_EnvelopeOption = Annotated[
    str | None,
    typer.Option("--envelope", help="raw, cloudevents or tomodachi; else OUTBOX_ENVELOPE."),
]
_JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]


def _settings(**options: Any) -> Settings:
    """Read the settings; an option that was not given leaves it to the environment."""
    return Settings(**{name: value for name, value in options.items() if value is not None})


@app.command()
def relay(
    *,
    table: _TableOption = None,
    endpoint_url: _EndpointOption = None,
    region: _RegionOption = None,
    profile: _ProfileOption = None,
    topic_prefix: _PrefixOption = None,
    mark_strategy: _StrategyOption = None,
    envelope: _EnvelopeOption = None,
    batch_size: Annotated[int, typer.Option(min=1, max=1_000, help="Records a batch.")] = 100,
    as_json: _JsonOption = False,
) -> None:
    """Relay a table's stream to its topics, without Lambda, until stopped."""
    with _errors_to_exit_codes():
        settings = _settings(
            dynamodb_outbox_table_name=table,
            aws_endpoint_url=endpoint_url,
            aws_region=region,
            aws_sns_topic_prefix=topic_prefix,
            outbox_mark_strategy=mark_strategy,
            outbox_envelope=envelope,
        )
        _run(
            lambda stop: _relay_until(
                stop, settings, profile=profile, batch_size=batch_size, show=_printer(as_json=as_json)
            )
        )


async def _relay_until(
    stop: asyncio.Event,
    settings: Settings,
    *,
    profile: str | None,
    batch_size: int,
    show: Callable[[LogLine], None],
) -> None:
    configuration = settings.to_configuration()
    async with open_relay(configuration, profile=profile) as opened:

        def on_batch(report: BatchReport) -> None:
            for line in describe_records(report):
                show(line)
            show(describe_batch(report))

        logging.getLogger("outbox_sdk").addHandler(_LineHandler(show))
        show(LogLine("relay_started", {"table": configuration.dynamodb_outbox_table_name}))
        await opened.follow(stop=stop, on_batch=on_batch, batch_size=batch_size)
    show(LogLine("relay_stopped", {}))


@app.command()
def sweep(
    *,
    table: _TableOption = None,
    endpoint_url: _EndpointOption = None,
    region: _RegionOption = None,
    profile: _ProfileOption = None,
    topic_prefix: _PrefixOption = None,
    mark_strategy: _StrategyOption = None,
    envelope: _EnvelopeOption = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Publish the backlog at once, without the stream.")
    ] = False,
    older_than: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds an item was outstanding; else OUTBOX_SWEEP_AFTER_SECONDS."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many items; else OUTBOX_SWEEP_LIMIT.")
    ] = None,
    as_json: _JsonOption = False,
) -> None:
    """Take up again what has been outstanding for too long: touch it, or publish it."""
    with _errors_to_exit_codes():
        settings = _settings(
            dynamodb_outbox_table_name=table,
            aws_endpoint_url=endpoint_url,
            aws_region=region,
            aws_sns_topic_prefix=topic_prefix,
            outbox_mark_strategy=mark_strategy,
            outbox_envelope=envelope,
            outbox_sweep_after_seconds=older_than,
            outbox_sweep_limit=limit,
        )
        report = asyncio.run(_sweep(settings, profile=profile, publish=publish))
    show = _printer(as_json=as_json)
    for line in describe_troubles(report):
        show(line)
    show(describe_sweep(report))
    if not report.succeeded:
        raise typer.Exit(1)


async def _sweep(settings: Settings, *, profile: str | None, publish: bool) -> SweepReport:
    async with open_relay(settings.to_configuration(), profile=profile) as opened:
        return await opened.sweep(publish=publish)


class _LineHandler(logging.Handler):
    """Shows what the stream reader logs in the way of all other lines."""

    def __init__(self, show: Callable[[LogLine], None]) -> None:
        super().__init__()
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        names = ("code", "error", "where", "attempt", "records")
        fields = {name: getattr(record, name) for name in names if hasattr(record, name)}
        self._show(LogLine(record.getMessage(), fields))


def _printer(*, as_json: bool) -> Callable[[LogLine], None]:
    def show(line: LogLine) -> None:
        if as_json:
            text = msgspec.json.encode({"event": line.event, **line.fields}).decode()
        else:
            text = " ".join([line.event, *(f"{name}={value}" for name, value in line.fields.items())])
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    return show


def _run(work: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Run until done or until the first SIGINT or SIGTERM, which asks for a clean end; the second insists."""

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()

        def on_signal() -> None:
            if stop.is_set() and task is not None:
                task.cancel()
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, on_signal)
        await work(stop)

    asyncio.run(run())


@contextmanager
def _errors_to_exit_codes() -> Iterator[None]:
    """Turn this package's errors into one sentence and an exit code."""
    try:
        yield
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(_INTERRUPTED) from None
    except (OutboxError, ExceptionGroup) as raised:
        error: Exception = raised
        while isinstance(error, ExceptionGroup):  # tasks that ran side by side raise in a group
            error = error.exceptions[0]
        if not isinstance(error, OutboxError):
            raise
        _stderr.print(f"outbox: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(2 if isinstance(error, ConfigurationError) else 1) from None


if __name__ == "__main__":
    main()
