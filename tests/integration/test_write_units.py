"""Write units as computed are those that DynamoDB Local reports, wherever it reports them truly."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from itertools import product
from typing import Any

import pytest

from outbox_sdk.core.mark import MarkStrategy
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.write_units import example_message, write_units
from outbox_sdk.provisioning import create_outbox_table
from tests.support.measured_write_units import measure_write_units

pytestmark = [pytest.mark.integration, pytest.mark.once]


@pytest.mark.parametrize("strategy", ["single", "delete"])
@pytest.mark.parametrize(
    "design", [TableDesign.ordered, TableDesign.message_keyed], ids=["ordered", "message_keyed"]
)
async def test_write_units_are_what_dynamodb_local_reports(
    dynamodb_local: str,
    aws_client: Callable[..., AbstractAsyncContextManager[Any]],
    unique: str,
    design: TableDesign,
    strategy: MarkStrategy,
) -> None:
    async with aws_client("dynamodb", dynamodb_local) as dynamodb:
        await create_outbox_table(dynamodb, unique, design=design)
        # Around a kilobyte the mark itself, and the time to live, make the difference.
        sizes = (100, 560, 575, 590, 605, 620, 1_000, 10_000, 99_000)
        for number, (size, sequence, ttl_days) in enumerate(product(sizes, (None, 7), (None, 7))):
            message = example_message(body_bytes=size, design=design, sequence=sequence, number=number)
            computed = write_units(
                message, design, strategy=strategy, in_transaction=False, ttl_days=ttl_days
            )
            measured = await measure_write_units(
                dynamodb, unique, message, design, strategy=strategy, ttl_days=ttl_days
            )

            assert measured == computed, (size, sequence, ttl_days)
