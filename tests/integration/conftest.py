"""The local servers, one of each per test session, and clients for them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from outbox_sdk.embedded_stack import EmbeddedStack, open_embedded_stack
from tests.support.aws import open_client
from tests.support.servers import open_dynamodb_local, open_moto, server_or_skip

__all__ = ["aws_client", "dynamodb_local", "ministack", "moto"]


@pytest.fixture(scope="session")
def ministack() -> Iterator[EmbeddedStack]:
    """An embedded stack that the tests of one session share: use names of your own for tables and topics."""
    with server_or_skip(open_embedded_stack()) as stack:
        yield stack


@pytest.fixture(scope="session")
def dynamodb_local() -> Iterator[str]:
    """The endpoint URL of a DynamoDB Local that the tests of one session share."""
    with server_or_skip(open_dynamodb_local()) as endpoint_url:
        yield endpoint_url


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The endpoint URL of a Moto server that the tests of one session share."""
    with server_or_skip(open_moto()) as endpoint_url:
        yield endpoint_url


@pytest.fixture(scope="session")
def aws_client() -> Callable[..., AbstractAsyncContextManager[Any]]:
    """The function that opens a client, given the name of a service and an endpoint URL."""
    return open_client
