"""Starts the servers that integration tests talk to besides the embedded stack."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from sys import executable
from typing import TypeVar

import pytest

from outbox_sdk._local_server.loopback import (
    HOST,
    LaunchPlan,
    ServerStartError,
    basic_environment,
    open_loopback_server,
)
from outbox_sdk.embedded_stack import EmbeddedStackError
from tests.support.dynamodb_local import dynamodb_local_launch_plan
from tests.support.unavailable import ServerUnavailable

__all__ = ["open_dynamodb_local", "open_moto", "server_or_skip"]

_Server = TypeVar("_Server")


@contextmanager
def server_or_skip(server: AbstractContextManager[_Server]) -> Iterator[_Server]:
    """Run ``server``; where it cannot be had skip the test, or fail it in CI, with the reason.

    It is a failure when ``CI`` is "true" or ``OUTBOX_REQUIRE_ALL_SERVERS`` is "1", so that a skip never hides
    there what was not tested.
    """
    with ExitStack() as stack:
        try:
            entered = stack.enter_context(server)
        except (EmbeddedStackError, ServerUnavailable) as error:
            required = os.environ.get("CI") == "true" or os.environ.get("OUTBOX_REQUIRE_ALL_SERVERS") == "1"
            (pytest.fail if required else pytest.skip)(str(error))
        yield entered


@contextmanager
def open_dynamodb_local(*, startup_timeout_seconds: float = 60.0) -> Iterator[str]:
    """Run DynamoDB Local in memory on loopback and yield its endpoint URL.

    All credentials and regions see the same tables. The first call on a machine downloads 57 MB, and more
    where there is no Java. Raises ServerUnavailable.
    """
    plan = dynamodb_local_launch_plan()
    with ExitStack() as stack:
        server = open_loopback_server(
            plan, name="DynamoDB Local", health_path="/", startup_timeout_seconds=startup_timeout_seconds
        )
        try:
            port = stack.enter_context(server)
        except ServerStartError as error:
            raise ServerUnavailable(str(error)) from error
        yield f"http://{HOST}:{port}"


@contextmanager
def open_moto(*, startup_timeout_seconds: float = 60.0) -> Iterator[str]:
    """Run Moto's server on loopback, one request at a time, and yield its endpoint URL.

    Raises ServerUnavailable.
    """
    if find_spec("moto") is None:
        raise ServerUnavailable('moto is not installed; run: pip install "moto[server]"')
    with ExitStack() as stack:
        server = open_loopback_server(
            _moto_plan, name="Moto", health_path="/moto-api/", startup_timeout_seconds=startup_timeout_seconds
        )
        try:
            port = stack.enter_context(server)
        except ServerStartError as error:
            raise ServerUnavailable(str(error)) from error
        yield f"http://{HOST}:{port}"


def _moto_plan(port: int, scratch_directory: Path) -> LaunchPlan:
    environment = basic_environment(scratch_directory) | {"MOTO_PORT": str(port)}
    return LaunchPlan((executable, "-m", "outbox_sdk._local_server.moto_main", str(port)), environment)
