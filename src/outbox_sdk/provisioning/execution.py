"""Making planned calls, or only writing them down, and patience with what AWS learns a moment later."""

import asyncio
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from outbox_sdk.core.deployment import Call

__all__ = ["Execution"]

_PAUSE_SECONDS = 2.0
_PATIENCE_SECONDS = 120.0

# What Lambda and the scheduler say while a role is known to IAM and not yet to them, or while a function is
# still at work on the last change. By code and a part of the text: codes stand for lasting faults as well.
_NOT_YET = (
    ("InvalidParameterValueException", "cannot be assumed"),
    ("InvalidParameterValueException", "ensure the role can perform"),
    # Of a destination's rights, which are looked at by themselves.
    ("InvalidParameterValueException", "execution role does not have permissions"),
    # A function with variables makes a grant to its role, which the key service does not know yet either.
    ("InvalidParameterValueException", "KMS key is invalid for CreateGrant"),
    ("ValidationException", "to assume the role"),
    ("ResourceConflictException", "in progress"),
    ("ResourceInUseException", ""),
    # A mapping that was deleted a moment ago keeps its place until it is gone.
    ("ResourceConflictException", "existing mapping with UUID"),
)


class Execution:
    """Makes calls with the clients given, in order; ``calls`` are those made.

    With ``dry_run`` nothing is called, and ``calls`` are those that would have been made. ``on_call`` is
    told of each when it is made.
    """

    def __init__(
        self,
        clients: Mapping[str, Any],
        *,
        dry_run: bool = False,
        on_call: Callable[[Call], None] | None = None,
    ) -> None:
        self.dry_run: bool = dry_run
        self._on_call = on_call
        self.calls: list[Call] = []
        self._clients = clients

    async def run(self, *calls: Call) -> None:
        """Make calls; what does not hold yet is tried again for two minutes."""
        for call in calls:
            if not self.dry_run:
                await self._make(call)
            self.calls.append(call)
            if self._on_call is not None:
                self._on_call(call)

    async def _make(self, call: Call) -> None:
        client = self._clients[call.service]
        loop = asyncio.get_running_loop()
        until = loop.time() + _PATIENCE_SECONDS
        while True:
            try:
                with _body_as_stream(client, call):
                    await getattr(client, call.method)(**call.request)
            except client.exceptions.ClientError as error:
                passing = call.service in ("lambda", "scheduler") and _is_not_yet(error.response["Error"])
                if loop.time() > until or not passing:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return


@contextmanager
def _body_as_stream(client: Any, call: Call) -> Iterator[None]:
    """Send what is large in pieces.

    aiohttp warns of bodies over a megabyte, and where warnings are errors that would end the deployment.
    """

    def wrap(request: Any, **_: Any) -> None:
        if isinstance(request.body, bytes):
            request.body = io.BytesIO(request.body)

    event = f"before-send.{call.service}"
    client.meta.events.register(event, wrap)
    try:
        yield
    finally:
        client.meta.events.unregister(event, wrap)


def _is_not_yet(error: Mapping[str, Any]) -> bool:
    code, text = error.get("Code"), error.get("Message") or ""
    return any(code == known and part in text for known, part in _NOT_YET)
