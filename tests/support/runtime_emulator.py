"""Runs AWS's Runtime Interface Emulator in front of awslambdaric: one function, one invocation at a time."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from outbox_sdk._local_server.loopback import (
    HOST,
    LaunchPlan,
    ServerStartError,
    open_loopback_server,
    reserve_port,
)
from outbox_sdk.core.function import HANDLERS
from tests.support.lambda_parts import emulator_binary
from tests.support.lambda_runtime import Deployed, function_command, function_environment
from tests.support.unavailable import ServerUnavailable

__all__ = ["EMULATOR_ACCOUNT_ID", "Emulator", "FunctionError", "open_emulator"]

EMULATOR_ACCOUNT_ID = "012345678912"
"""The account of every function in it, whatever the environment says."""

_PATH = "/2015-03-31/functions/function/invocations"


class FunctionError(Exception):
    """The invocation failed or took too long; Lambda would bring the whole batch again."""


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running emulator. It starts the function at the first invocation."""

    url: str

    async def invoke(self, event: Any) -> Any:
        """Invoke the function; give its answer, decoded.

        Raises FunctionError, which the emulator itself does not tell apart by status: all is 200.
        """
        async with aiohttp.ClientSession() as session, session.post(self.url, json=event) as answer:
            text = await answer.text()
        try:
            document = json.loads(text)
        except ValueError:
            raise FunctionError(text) from None  # "Task timed out after 3.00 seconds"
        if isinstance(document, dict) and "errorMessage" in document:
            raise FunctionError(text)
        return document


@contextmanager
def open_emulator(
    deployed: Deployed,
    variables: Mapping[str, str],
    *,
    handler: str = HANDLERS["relay"],
    timeout_seconds: int = 30,
) -> Iterator[Emulator]:
    """Run the emulator and its function on loopback for the length of the block.

    Raises ServerUnavailable.
    """
    binary = emulator_binary()
    with ExitStack() as exits:
        # It listens on two ports, and by default on all interfaces.
        reservation = exits.enter_context(closing(reserve_port()))
        api_address = f"{HOST}:{reservation.getsockname()[1]}"

        def plan(port: int, scratch: Path) -> LaunchPlan:
            environment = function_environment(deployed, handler, variables, home=scratch)
            listen = ("--runtime-interface-emulator-address", f"{HOST}:{port}")
            command = (*listen, "--runtime-api-address", api_address, *function_command(deployed, handler))
            limit = {"AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout_seconds)}
            return LaunchPlan((str(binary), *command), environment | limit)

        try:
            server = open_loopback_server(
                plan, name="Runtime Interface Emulator", health_path="/", startup_timeout_seconds=30.0
            )
            port = exits.enter_context(server)
        except ServerStartError as error:
            raise ServerUnavailable(str(error)) from error
        yield Emulator(f"http://{HOST}:{port}{_PATH}")
