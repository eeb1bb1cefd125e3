"""Figures on standard output in CloudWatch's embedded metric format, by way of Powertools."""

import os
import sys
from collections.abc import Callable, Iterable

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from outbox_sdk.core.metrics import FUNCTION_DIMENSION, NAMESPACE, TABLE_DIMENSION, Figure

__all__ = ["emit_figures"]

_ADVICE = (
    "what was relayed or swept is settled, but its figures are missing, and alarms on them see nothing: "
    "read POWERTOOLS_METRICS_NAMESPACE and the error, and report it if both are in order"
)


def emit_figures(
    measure: Callable[[], Iterable[Figure]], *, table_name: str, function_name: str, logger: Logger
) -> None:
    """Write the figures of one invocation as one line; nothing under ``POWERTOOLS_METRICS_DISABLED``.

    Never raises for trouble of its own, for what is measured is over and must not be done again: it is one
    line ``metrics_failed`` of the log, with the kind of the error.
    """
    try:
        _flush(measure(), table_name, function_name)
    except Exception as error:
        # Without the error's text, which may quote anything.
        logger.error("metrics_failed", extra={"error": type(error).__name__, "advice": _ADVICE})


def _flush(figures: Iterable[Figure], table_name: str, function_name: str) -> None:
    # Given whole: `add_metric` takes values one by one, writes a text of all of them for each, and flushes
    # by itself at the hundredth. An instance of its own: those of `Metrics` share one set in a process.
    provider = AmazonCloudWatchEMFProvider(
        metric_set={
            figure.metric.name: {"Unit": figure.metric.unit, "Value": list(figure.values)}
            for figure in figures
        },
        dimension_set={FUNCTION_DIMENSION: function_name, TABLE_DIMENSION: table_name},
        namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE") or NAMESPACE,
        service="",  # else POWERTOOLS_SERVICE_NAME would be a third dimension, which no alarm names
    )
    provider.flush_metrics()
    sys.stdout.flush()  # Lambda's own is not buffered; whatever stands for it elsewhere may be
