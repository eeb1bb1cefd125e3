"""The Lambda handler: one event loop and one relay for the life of the process, and one log line a batch.

Importing this module reads no environment and opens nothing; the first invocation does.
"""

import asyncio
import os
from contextlib import AsyncExitStack
from typing import Any

from aws_lambda_powertools import Logger

from outbox_sdk.core.configuration import parse_environment
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.outcome import BatchReport, BatchResponse
from outbox_sdk.core.report import describe_batch, describe_records
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell.relay import Relay, open_relay

__all__ = ["RelayHandler", "handler"]


class RelayHandler:
    """A callable for Lambda, kept as a module's global; make one to read a table with names of its own.

    .. code-block:: python

        handler = RelayHandler(design=msgspec.structs.replace(TableDesign.ordered, partition_key="pk"))

    The configuration is read from the environment at the first invocation, and an error in it fails that
    invocation with one sentence naming the variable.
    """

    def __init__(self, *, design: TableDesign = TableDesign.ordered) -> None:
        self._design = design
        self._runner: asyncio.Runner | None = None
        self._resources = AsyncExitStack()
        self._relay: Relay | None = None
        self._logger: Logger | None = None

    def __call__(self, event: Any, context: Any) -> BatchResponse:
        """Relay one batch; give Lambda's partial batch response.

        Raises:
            InvalidEventError: the event cannot be named record by record; Lambda brings all of it again.
            ConfigurationError: a variable is missing or wrong, or the event is another table's.
        """
        # One loop for all invocations: clients are bound to the loop on which they were opened, and a loop
        # for each invocation would leave them with a closed one.
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(self._relay_batch(event, context))

    def close(self) -> None:
        """Close the clients and the loop. Lambda never calls it; tests do."""
        if self._runner is not None:
            self._runner.run(self._resources.aclose())
            self._runner.close()
        self._runner, self._relay, self._resources = None, None, AsyncExitStack()

    async def _relay_batch(self, event: Any, context: Any) -> BatchResponse:
        # Before anything is published: trouble with the log must not fail a batch that is out already.
        logger = self._logger = self._logger or _create_logger()
        relay = await self._open(context)
        remaining = getattr(context, "get_remaining_time_in_millis", None)
        report = await relay.relay_batch(
            event, remaining_seconds=None if remaining is None else remaining() / 1000
        )
        _log(logger, report, context)
        return report.response

    async def _open(self, context: Any) -> Relay:
        if self._relay is None:
            configuration = parse_environment(os.environ)
            self._relay = await self._resources.enter_async_context(
                open_relay(
                    configuration,
                    function_arn=getattr(context, "invoked_function_arn", None),
                    design=self._design,
                )
            )
        return self._relay


def _log(logger: Logger, report: BatchReport, context: Any) -> None:
    names = {"function_request_id": getattr(context, "aws_request_id", None)}
    for line in (*describe_records(report), describe_batch(report)):
        write = {"INFO": logger.info, "WARNING": logger.warning, "ERROR": logger.error}[line.level]
        write(line.event, extra={**names, **line.fields})


def _create_logger() -> Logger:
    try:
        return Logger(service=os.environ.get("POWERTOOLS_SERVICE_NAME") or "outbox-relay")
    except ValueError as error:
        # Powertools checks its own variables; the error's text says which value it does not know.
        raise ConfigurationError("POWERTOOLS_LOG_LEVEL or another variable of the log", str(error)) from error


_handler = RelayHandler()


def handler(event: Any, context: Any) -> BatchResponse:
    """Relay one batch of a DynamoDB stream; the entry point of the Lambda function.

    Configure the event source mapping with ``ReportBatchItemFailures``. See :class:`RelayHandler`.
    """
    return _handler(event, context)
