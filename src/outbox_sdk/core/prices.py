"""What AWS asks for what an outbox uses: prices as data, with their date and where they were read.

They are list prices of one Region. Whoever has others, by Region or by contract, brings them in a file.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from outbox_sdk.core.errors import ConfigurationError

__all__ = ["PRICE_SOURCES", "US_EAST_1", "PriceSource", "Prices", "decode_prices"]


class Prices(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """List prices of a Region in USD, on the day ``as_of``. A GB has 2**30 bytes, a million is a million.

    The names say of how much: ``_million`` of requests, units or messages, ``_gb`` of data, ``_gb_month``
    of what is stored for a month. ``dynamodb_free_storage_gb`` is what is stored for nothing. Higher tiers,
    which are cheaper, are not known here, nor what an account has free each month besides.
    """

    region: str
    as_of: str

    dynamodb_write_million: float = 0.625
    dynamodb_read_million: float = 0.125
    dynamodb_storage_gb_month: float = 0.25
    dynamodb_free_storage_gb: float = 25.0
    stream_read_million: float = 0.0

    lambda_request_million: float = 0.20
    lambda_x86_64_gb_second: float = 0.000_016_666_7
    lambda_arm64_gb_second: float = 0.000_013_333_4

    sns_request_million: float = 0.50
    sns_fifo_publish_million: float = 0.30
    sns_fifo_publish_gb: float = 0.017
    sns_fifo_delivery_million: float = 0.01
    sns_fifo_delivery_gb: float = 0.001

    logs_gb: float = 0.50
    metric_month: float = 0.30
    alarm_month: float = 0.10
    dashboard_month: float = 3.0


class PriceSource(msgspec.Struct, frozen=True):
    """Where a price is to be read, and whether it was found there: ``verified``."""

    where: str
    verified: bool


US_EAST_1 = Prices(region="us-east-1", as_of="2026-11-28")
"""On demand, first tier, as of the day on which the sources were read."""

_DYNAMODB = "https://aws.amazon.com/dynamodb/pricing/"
_SNS = "https://aws.amazon.com/sns/pricing/"
_STREAMS = (
    "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CostOptimization_StreamsUsage.html"
)
_REQUEST_UNITS = "https://airbyte.com/data-engineering-resources/dynamodb-pricing"
_LAMBDA = "https://cloudchipr.com/blog/aws-lambda-pricing"
_LAMBDA_NOTES = "https://git.mcrn.ar/mariano/lambda_local_runner"  # docs/lambdas-md/lambda-13-cost.md
_CLOUDWATCH_TOLD = (
    "https://www.factualminds.com/blog/amazon-cloudwatch-pricing-metrics-logs-alarms-dashboards/"
)
_ALARMS = "https://c3x.dev/resources/aws/aws_cloudwatch_metric_alarm"
_SNS_TOLD = "https://www.factualminds.com/blog/amazon-sns-pricing-publishes-fanout-protocols/"

PRICE_SOURCES: Mapping[str, PriceSource] = {
    "dynamodb_write_million": PriceSource(_REQUEST_UNITS, verified=True),
    "dynamodb_read_million": PriceSource(_REQUEST_UNITS, verified=True),
    "dynamodb_storage_gb_month": PriceSource(_DYNAMODB, verified=True),
    "dynamodb_free_storage_gb": PriceSource(_DYNAMODB, verified=True),
    "stream_read_million": PriceSource(_STREAMS, verified=True),
    "lambda_request_million": PriceSource(_LAMBDA_NOTES, verified=True),
    "lambda_x86_64_gb_second": PriceSource(_LAMBDA, verified=True),
    "lambda_arm64_gb_second": PriceSource(_LAMBDA, verified=True),
    "sns_request_million": PriceSource(_SNS_TOLD, verified=True),
    "sns_fifo_publish_million": PriceSource(_SNS_TOLD, verified=True),
    "sns_fifo_publish_gb": PriceSource(_SNS, verified=False),
    "sns_fifo_delivery_million": PriceSource(_SNS, verified=False),
    "sns_fifo_delivery_gb": PriceSource(_SNS, verified=False),
    "logs_gb": PriceSource(_CLOUDWATCH_TOLD, verified=True),
    "metric_month": PriceSource("https://signoz.io/guides/cloudwatch-pricing", verified=True),
    "alarm_month": PriceSource(_ALARMS, verified=True),
    "dashboard_month": PriceSource(_CLOUDWATCH_TOLD, verified=True),
}
"""By the name of a price. What is not verified is the list price as it is commonly known."""


def decode_prices(content: bytes, *, variable: str) -> Prices:
    """Read prices from JSON: ``region``, ``as_of``, and those that differ from us-east-1's list prices.

    ``variable`` is what the file was given as.

    Raises:
        ConfigurationError: it is no such JSON, has a name that is none, or a price below 0.

    >>> prices = decode_prices(
    ...     b'{"region": "eu-west-1", "as_of": "2026-11-01", "logs_gb": 0.57}', variable="--prices"
    ... )
    >>> prices.region, prices.logs_gb, prices.alarm_month
    ('eu-west-1', 0.57, 0.1)
    """
    try:
        prices = msgspec.json.decode(content, type=Prices)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(variable, f"is no JSON of prices: {error}") from error
    amounts: dict[str, Any] = msgspec.structs.asdict(prices)  # two of them are text
    for name in PRICE_SOURCES:
        if not 0 <= amounts[name] <= _MAX_PRICE:
            raise ConfigurationError(
                variable, f"{name} is {amounts[name]}, and not between 0 and {_MAX_PRICE}"
            )
    return prices


_MAX_PRICE = 1_000_000
