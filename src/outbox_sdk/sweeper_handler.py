"""The sweeper's Lambda handler, for a schedule: one event loop and one relay for the life of the process.

Importing this module reads no environment and opens nothing; the first invocation does.
"""

import asyncio
import os
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from outbox_sdk.core.classification import ErrorClass, known_class
from outbox_sdk.core.configuration import RelayConfiguration, parse_environment
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.lookup import Unreadable
from outbox_sdk.core.metrics import measure_sweep
from outbox_sdk.core.report import LogLine
from outbox_sdk.core.sweep_report import (
    SweepReport,
    describe_sweep,
    describe_troubles,
    encode_sweep,
    parse_sweep_event,
)
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell.emf import emit_figures
from outbox_sdk.shell.relay import Relay, open_relay

if TYPE_CHECKING:
    from outbox_sdk.core.metrics import BacklogSize

__all__ = ["SweeperHandler", "handler"]

_NAME = "outbox-sweeper"

_CLAIMS_PAUSE_SECONDS = 20 * 3_600.0
"""A sweep of claims lists all of them, and none becomes an orphan within the hour: one a day is enough."""


_UNREAD_ADVICE = (
    "the sweep is done, and the metrics lack the backlog: read the code, and whether the index can be queried"
)


class SweeperHandler:
    """A callable for Lambda, kept as a module's global; make one to sweep a table with names of its own.

    The configuration is the relay's, read from the environment at the first invocation.
    """

    def __init__(self, *, design: TableDesign | None = None) -> None:
        self._design = design
        self._runner: asyncio.Runner | None = None
        self._resources = AsyncExitStack()
        self._relay: Relay | None = None
        self._configuration: RelayConfiguration | None = None
        self._logger: Logger | None = None

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """Sweep once; give what was found and done, as JSON takes it.

        With ``OUTBOX_CLAIM_BUCKET`` claimed bodies are swept as well, once a day and in the time that is
        left; what became of them is under ``claims``.

        Raises:
            InvalidEventError: ``publish`` or ``limit`` in the event is of another type or out of bounds.
            ConfigurationError: a variable is missing or wrong.
        """
        # One loop for all invocations: clients are bound to the loop on which they were opened.
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(self._sweep(event, context))

    def close(self) -> None:
        """Close the clients and the loop. Lambda never calls it; tests do."""
        if self._runner is not None:
            self._runner.run(self._resources.aclose())
            self._runner.close()
        self._runner, self._relay, self._configuration = None, None, None
        self._resources = AsyncExitStack()

    async def _sweep(self, event: Any, context: Any) -> dict[str, Any]:
        order = parse_sweep_event(event)
        logger = self._logger = self._logger or _create_logger()
        configuration = self._configuration = self._configuration or parse_environment(os.environ)
        relay = await self._open(configuration, context)
        report = await relay.sweep(
            limit=order.limit, publish=order.publish, remaining_seconds=_remaining_seconds(context)
        )
        _log(logger, report, context)
        size = await _read_size(relay, report, context)
        if isinstance(size, LogLine):
            _write(logger, [size], context)
            size = None
        emit_figures(
            lambda: measure_sweep(report, size),
            table_name=relay.context.table_name,
            function_name=getattr(context, "function_name", None) or _NAME,
            logger=logger,
        )
        if configuration.outbox_claim_bucket is None:
            return encode_sweep(report)
        from outbox_sdk.core.claim_sweep import describe_claim_sweep, encode_claim_sweep

        claims = await relay.sweep_claims(
            remaining_seconds=_remaining_seconds(context), pause_seconds=_CLAIMS_PAUSE_SECONDS
        )
        _write(logger, [describe_claim_sweep(claims)], context)
        return {**encode_sweep(report), "claims": encode_claim_sweep(claims)}

    async def _open(self, configuration: RelayConfiguration, context: Any) -> Relay:
        if self._relay is None:
            self._relay = await self._resources.enter_async_context(
                open_relay(
                    configuration,
                    function_arn=getattr(context, "invoked_function_arn", None),
                    design=self._design,
                )
            )
        return self._relay


async def _read_size(relay: Relay, report: SweepReport, context: Any) -> "BacklogSize | LogLine | None":
    """Read how large the backlog is behind a sweep that has read all of it; what hinders that is one line.

    It costs the figures, and not the sweep, which is done.
    """
    if report.unread:
        return None
    try:
        size = await relay.read_backlog_size(remaining_seconds=_remaining_seconds(context))
    except Exception as error:
        size = Unreadable(type(error).__name__)
    if not isinstance(size, Unreadable):
        return size
    passing = size.code == "Deadline" or known_class(size.code) is ErrorClass.RETRY
    fields = {"code": size.code, "advice": _UNREAD_ADVICE}
    return LogLine("backlog_unread", fields, "WARNING" if passing else "ERROR")


def _remaining_seconds(context: Any) -> float | None:
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return None if remaining is None else remaining() / 1000


def _log(logger: Logger, report: SweepReport, context: Any) -> None:
    _write(logger, (*describe_troubles(report), describe_sweep(report)), context)


def _write(logger: Logger, lines: Iterable[LogLine], context: Any) -> None:
    names = {"function_request_id": getattr(context, "aws_request_id", None)}
    for line in lines:
        write = {"INFO": logger.info, "WARNING": logger.warning, "ERROR": logger.error}[line.level]
        write(line.event, extra={**names, **line.fields})


def _create_logger() -> Logger:
    try:
        return Logger(service=os.environ.get("POWERTOOLS_SERVICE_NAME") or _NAME)
    except ValueError as error:
        # Powertools checks its own variables; the error's text says which value it does not know.
        raise ConfigurationError("POWERTOOLS_LOG_LEVEL or another variable of the log", str(error)) from error


_handler = SweeperHandler()


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Sweep the outbox; the entry point of a Lambda function that a schedule invokes.

    ``{"publish": true}`` in the event publishes the backlog instead of touching it, ``{"limit": 500}`` sets
    how many items it takes up. See :class:`SweeperHandler`.
    """
    return _handler(event, context)
