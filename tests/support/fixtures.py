"""The fixtures of the local servers, for every suite that talks to one: each server runs once a worker.

A suite imports them into its ``conftest.py``.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack
from typing import Any, TypeVar
from uuid import uuid4

import pytest

from outbox_sdk.embedded_stack import EmbeddedStack, open_embedded_stack
from tests.support.aws import open_client
from tests.support.lambda_runtime import Deployed, open_deployed
from tests.support.servers import open_dynamodb_local, open_moto, server_or_skip

__all__ = ["aws_client", "deployed", "dynamodb_local", "endpoint_of", "ministack", "moto", "unique"]

_Server = TypeVar("_Server")

_STACK = pytest.StashKey[ExitStack]()
_SERVERS = pytest.StashKey[dict[str, Any]]()


@pytest.fixture(scope="session")
def ministack(pytestconfig: pytest.Config) -> EmbeddedStack:
    """An embedded stack that the tests of one session share: use names of your own for tables and topics."""
    return _shared(pytestconfig, "ministack", open_embedded_stack)


@pytest.fixture(scope="session")
def dynamodb_local(pytestconfig: pytest.Config) -> str:
    """The endpoint URL of a DynamoDB Local that the tests of one session share."""
    return _shared(pytestconfig, "dynamodb_local", open_dynamodb_local)


@pytest.fixture(scope="session")
def moto(pytestconfig: pytest.Config) -> str:
    """The endpoint URL of a Moto server that the tests of one session share."""
    return _shared(pytestconfig, "moto", open_moto)


@pytest.fixture(scope="session")
def deployed(pytestconfig: pytest.Config) -> Deployed:
    """The unpacked zip of the functions, which the tests of one session share, and what runs it."""
    return _shared(pytestconfig, "deployed", open_deployed)


@pytest.fixture(scope="session")
def aws_client() -> Callable[..., AbstractAsyncContextManager[Any]]:
    """The function that opens a client, given the name of a service and an endpoint URL."""
    return open_client


@pytest.fixture
def unique() -> str:
    """A name that no other test uses, for tables, topics and queues."""
    return f"t-{uuid4().hex[:12]}"


def endpoint_of(request: pytest.FixtureRequest, part: str) -> str:
    """Give the endpoint URL of the server whose fixture is called ``part``, and start it if need be."""
    server: EmbeddedStack | str = request.getfixturevalue(part)
    return server if isinstance(server, str) else server.endpoint_url


def _shared(
    config: pytest.Config, name: str, open_server: Callable[[], AbstractContextManager[_Server]]
) -> _Server:
    # A fixture imported by two conftests is two fixtures to pytest, and would start two servers.
    if _STACK not in config.stash:
        config.stash[_STACK] = ExitStack()
        config.stash[_SERVERS] = {}
        config.add_cleanup(config.stash[_STACK].close)
    servers: dict[str, _Server] = config.stash[_SERVERS]
    if name not in servers:
        servers[name] = config.stash[_STACK].enter_context(server_or_skip(open_server()))
    return servers[name]
