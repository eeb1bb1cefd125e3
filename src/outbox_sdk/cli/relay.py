"""`outbox relay`: the relay without Lambda, until stopped."""

import asyncio
import logging
from collections.abc import Callable
from typing import Annotated

import typer

from outbox_sdk.cli.options import (
    AllowedTopicsOption,
    EndpointOption,
    EnvelopeOption,
    JsonOption,
    PrefixOption,
    ProfileOption,
    RegionOption,
    StrategyOption,
    TableOption,
    settings_of,
)
from outbox_sdk.cli.output import errors_to_exit_codes, line_printer, run_until_stopped
from outbox_sdk.core.outcome import BatchReport
from outbox_sdk.core.report import LogLine, describe_batch, describe_records
from outbox_sdk.shell.relay import open_relay
from outbox_sdk.shell.settings import Settings

__all__ = ["relay"]


def relay(
    *,
    table: TableOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    topic_prefix: PrefixOption = None,
    allowed_topics: AllowedTopicsOption = None,
    mark_strategy: StrategyOption = None,
    envelope: EnvelopeOption = None,
    batch_size: Annotated[int, typer.Option(min=1, max=1_000, help="Records a batch.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """Relay a table's stream to its topics, without Lambda, until stopped."""
    with errors_to_exit_codes():
        settings = settings_of(
            dynamodb_outbox_table_name=table,
            aws_endpoint_url=endpoint_url,
            aws_region=region,
            aws_sns_topic_prefix=topic_prefix,
            outbox_allowed_topics=allowed_topics,
            outbox_mark_strategy=mark_strategy,
            outbox_envelope=envelope,
        )
        run_until_stopped(
            lambda stop: _relay_until(
                stop, settings, profile=profile, batch_size=batch_size, show=line_printer(as_json=as_json)
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


class _LineHandler(logging.Handler):
    """Shows what the stream reader logs in the way of all other lines."""

    def __init__(self, show: Callable[[LogLine], None]) -> None:
        super().__init__()
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        names = ("code", "error", "where", "attempt", "records")
        fields = {name: getattr(record, name) for name in names if hasattr(record, name)}
        self._show(LogLine(record.getMessage(), fields))
