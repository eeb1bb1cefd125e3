"""The Lambda handler: an event loop and a relay for the life of the process, a log line and figures a batch.

Importing this module reads no environment and opens nothing; the first invocation does.
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from time import time
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from outbox_sdk.core.classification import is_credential_fault
from outbox_sdk.core.configuration import parse_environment
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.metrics import measure_batch
from outbox_sdk.core.outcome import BatchReport, BatchResponse
from outbox_sdk.core.report import describe_batch, describe_records
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell.context import HoldMemo, InFlight, PublishedMemo
from outbox_sdk.shell.emf import emit_figures
from outbox_sdk.shell.relay import Relay, open_relay

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

__all__ = ["RelayHandler", "handler"]

_NAME = "outbox-relay"


class RelayHandler:
    """A callable for Lambda, kept as a module's global; make one to read a table with names of its own.

    .. code-block:: python

        handler = RelayHandler(design=msgspec.structs.replace(TableDesign.ordered, partition_key="pk"))

    With ``tracer``, of OpenTelemetry, each message that is sent is a span within its own trace.

    The configuration is read from the environment at the first invocation, and an error in it fails that
    invocation with one sentence naming the variable.

    Lambda invokes it once at a time. A local stack may not: it may invoke it from several threads, and again
    from within the write that marks a message. Each invocation under way has a loop of its own, and what one
    has published is known to all.
    """

    def __init__(self, *, design: TableDesign | None = None, tracer: "Tracer | None" = None) -> None:
        self._design = design
        self._tracer = tracer
        self._idle: list[_Engine] = []
        self._memo = PublishedMemo()
        self._done = PublishedMemo()
        self._holds = HoldMemo()
        self._in_flight = InFlight()
        self._logger: Logger | None = None
        self._table_name = ""

    def __call__(self, event: Any, context: Any) -> BatchResponse:
        """Relay one batch; give Lambda's partial batch response.

        Raises:
            InvalidEventError: the event cannot be named record by record; Lambda brings all of it again.
            ConfigurationError: a variable is missing or wrong, or the event is another table's.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self._invoke(event, context)
        # From within a batch, in its own thread: no second loop may run here.
        with ThreadPoolExecutor(max_workers=1) as threads:
            return threads.submit(self._invoke, event, context).result()

    def close(self) -> None:
        """Close the clients and the loops. Lambda never calls it; tests do."""
        while self._idle:
            self._idle.pop().close()

    def _invoke(self, event: Any, context: Any) -> BatchResponse:
        # Before anything is published: trouble with the log must not fail a batch that is out already.
        logger = self._logger = self._logger or _create_logger()
        engine = self._take_engine()
        try:
            report = engine.run(event, context)
        finally:
            self._idle.append(engine)
        _log(logger, report, context)
        emit_figures(
            lambda: measure_batch(report, now=time()),
            table_name=self._table_name,
            function_name=getattr(context, "function_name", None) or _NAME,
            logger=logger,
        )
        return report.response

    def _take_engine(self) -> "_Engine":
        """Give an engine that nobody uses: the last one used, so that Lambda has one for ever."""
        try:
            return self._idle.pop()  # atomic: no two threads are given the same
        except IndexError:
            return _Engine(self)

    async def _open_relay(self, context: Any, resources: AsyncExitStack) -> Relay:
        relay = await resources.enter_async_context(
            open_relay(
                parse_environment(os.environ),
                function_arn=getattr(context, "invoked_function_arn", None),
                design=self._design,
                tracer=self._tracer,
            )
        )
        self._table_name = relay.context.table_name
        relay.context = replace(
            relay.context, memo=self._memo, done=self._done, holds=self._holds, in_flight=self._in_flight
        )
        return relay


class _Engine:
    """One event loop, and the relay whose clients are open on it; for one invocation at a time.

    One loop for all its invocations: clients are bound to the loop on which they were opened, and a loop for
    each invocation would leave them with a closed one.
    """

    def __init__(self, handler: RelayHandler) -> None:
        self._handler = handler
        # A factory of its own, so that the runner leaves the thread's current loop alone.
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._resources = AsyncExitStack()
        self._relay: Relay | None = None

    def run(self, event: Any, context: Any) -> BatchReport:
        """Relay one batch."""
        # The runner's own `run` listens for Ctrl-C first, which takes as long as ten messages: nobody presses
        # it in Lambda, and anywhere else it ends the batch without this as well.
        return self._runner.get_loop().run_until_complete(self._relay_batch(event, context))

    def close(self) -> None:
        """Close the clients and the loop."""
        self._runner.run(self._close_relay())
        self._runner.close()

    async def _relay_batch(self, event: Any, context: Any) -> BatchReport:
        if self._relay is None:
            await self._close_relay()
            self._relay = await self._handler._open_relay(context, self._resources)
        remaining = getattr(context, "get_remaining_time_in_millis", None)
        report = await self._relay.relay_batch(
            event, remaining_seconds=None if remaining is None else remaining() / 1000
        )
        if any(map(is_credential_fault, report.codes())):
            # The next invocation opens new clients, which look for credentials anew. Closing these is left to
            # it as well: the answer does not wait for that.
            self._relay = None
        return report

    async def _close_relay(self) -> None:
        resources, self._resources, self._relay = self._resources, AsyncExitStack(), None
        await resources.aclose()


def _log(logger: Logger, report: BatchReport, context: Any) -> None:
    names = {"function_request_id": getattr(context, "aws_request_id", None)}
    for line in (*describe_records(report), describe_batch(report)):
        write = {"INFO": logger.info, "WARNING": logger.warning, "ERROR": logger.error}[line.level]
        write(line.event, extra={**names, **line.fields})


def _create_logger() -> Logger:
    try:
        return Logger(service=os.environ.get("POWERTOOLS_SERVICE_NAME") or _NAME)
    except ValueError as error:
        # Powertools checks its own variables; the error's text says which value it does not know.
        raise ConfigurationError("POWERTOOLS_LOG_LEVEL or another variable of the log", str(error)) from error


_handler = RelayHandler()


def handler(event: Any, context: Any) -> BatchResponse:
    """Relay one batch of a DynamoDB stream; the entry point of the Lambda function.

    Configure the event source mapping with ``ReportBatchItemFailures``. See :class:`RelayHandler`.
    """
    return _handler(event, context)
