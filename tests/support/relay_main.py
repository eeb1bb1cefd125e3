"""The command ``outbox relay`` in a process that was forked from one which has loaded it, and its death."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any, Literal
from unittest.mock import patch

# Loaded once for all relays, together with the rest of what the command needs.
import aiobotocore.session  # noqa: F401
import msgspec

import outbox_sdk.shell.streams  # noqa: F401
from outbox_sdk.cli import main
from outbox_sdk.shell.aws.service import AwsService

__all__ = ["Death", "relay_until_death"]


class Death(msgspec.Struct, frozen=True):
    """When a relay dies: by its ``request``-th request to SNS or DynamoDB, counted from 1.

    ``when`` is before it is sent, some ``milliseconds`` afterwards, answered or not, or when its answer has
    come, of which the relay then never knows.
    """

    request: int
    when: Literal["before", "amid", "after"]
    milliseconds: float = 0.0


def relay_until_death(
    table_name: str, variables: Mapping[str, str], death: Death | None, output: Connection
) -> None:
    """Be the command, with its lines on ``output``, and be killed as by ``kill -9``."""
    os.environ.update(variables)
    os.dup2(output.fileno(), sys.stdout.fileno())
    sys.argv = ["outbox", "relay", "--table", table_name, "--json"]
    if death is not None:
        patch.object(AwsService, "post", _mortal(AwsService.post, death)).start()
    main()


# Any: the method's own type, with `self` before it.
def _mortal(post: Any, death: Death) -> Any:
    requests = 0

    async def post_or_die(self: AwsService, *arguments: Any) -> Any:
        nonlocal requests
        requests += 1
        last = requests == death.request
        if last and death.when == "before":
            _die()
        if last and death.when == "amid":
            asyncio.get_running_loop().call_later(death.milliseconds / 1_000, _die)
        answer = await post(self, *arguments)
        if last and death.when == "after":
            _die()
        return answer

    return post_or_die


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
