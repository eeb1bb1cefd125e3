"""What docs/how-to/transactions.md shows for boto3, aioboto3 and PynamoDB runs, where each is installed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from outbox_sdk import create_outbox_table
from outbox_sdk.packaging.cache import cache_directory, published
from tests.support.installer import install_wheels
from tests.support.servers import server_or_skip

pytestmark = [pytest.mark.integration, pytest.mark.once]

ROOT = Path(__file__).parents[2]
MAIN = ROOT / "tests" / "support" / "other_clients_main.py"

# aioboto3 pins another aiobotocore than is installed here, so each is put in a directory of its own.
PACKAGES = {
    "boto3": (),
    "aioboto3": ("aioboto3==15.5.0", "msgspec>=0.21,<1"),
    "PynamoDB": ("pynamodb==6.1.0", "msgspec>=0.21,<1"),
}


@contextmanager
def installed(packages: tuple[str, ...]) -> Iterator[list[str]]:
    """Give what goes on the path for these packages. Raises ServerUnavailable."""
    if not packages:
        yield []
        return
    name = packages[0].replace("==", "-")
    target = cache_directory() / f"client-{name}-{sys.implementation.cache_tag}"
    yield [str(published(target, lambda directory: install_wheels(directory, *packages)))]


@pytest.mark.parametrize("client", PACKAGES)
async def test_the_example_of_a_client_runs(
    dynamodb_local: str,
    aws_client: Callable[..., AbstractAsyncContextManager[Any]],
    unique: str,
    client: str,
) -> None:
    orders = f"{unique}-orders"
    async with aws_client("dynamodb", dynamodb_local) as dynamodb:
        await create_outbox_table(dynamodb, unique)
        await dynamodb.create_table(
            TableName=orders,
            KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        with server_or_skip(installed(PACKAGES[client])) as path:
            outcomes = run(client, dynamodb_local, unique, orders, path=path)

        message = (
            "message order-7-created was published before, as PK=AGGREGATE#order-7 SK=MESSAGE#order-7-created"
        )
        assert outcomes == ["committed", f"MessageAlreadyPublished: {message}"]
        assert (await dynamodb.scan(TableName=unique))["Count"] == 1
        assert (await dynamodb.scan(TableName=orders))["Count"] == 1


def run(*arguments: str, path: list[str]) -> list[str]:
    environment = {
        "PATH": os.environ["PATH"],
        # What is named here goes before what is installed.
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), *path]),
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    done = subprocess.run(
        [sys.executable, str(MAIN), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    outcomes: list[str] = json.loads(done.stdout)
    return outcomes
