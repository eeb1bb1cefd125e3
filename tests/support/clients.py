"""What a deployment takes: clients at a local server, some of which die in the middle, and a package."""

import io
import zipfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Literal, NamedTuple

from tests.support.aws import open_client

__all__ = ["DeploymentClients", "KilledError", "Killer", "open_deployment_clients", "zipped", "zipped_files"]


class DeploymentClients(NamedTuple):
    """In the order in which a deployment takes them. Any: these are also stand-ins."""

    functions: Any
    iam: Any
    dynamodb: Any
    s3: Any


@asynccontextmanager
async def open_deployment_clients(endpoint_url: str) -> AsyncIterator[DeploymentClients]:
    """Open them at a local server."""
    async with AsyncExitStack() as stack:
        yield DeploymentClients(
            *[
                await stack.enter_async_context(open_client(service, endpoint_url))
                for service in ("lambda", "iam", "dynamodb", "s3")
            ]
        )


class KilledError(BaseException):
    """The process ended. No ``except Exception`` may take it for an answer."""


class Killer:
    """Ends a deployment at its n-th write: before the request is sent, or when it has had its effect."""

    def __init__(self, position: int, when: Literal["before", "after"]) -> None:
        self.writes: list[str] = []
        self._position = position
        self._when = when

    def around(self, clients: DeploymentClients) -> DeploymentClients:
        """Give the same clients, but for their end."""
        return DeploymentClients(*map(self.of, clients))

    def of(self, client: Any) -> Any:
        """Give the same client, but for its end."""
        return _Mortal(client, self)

    async def make(self, name: str, call: Any, arguments: dict[str, Any]) -> Any:
        """Make a write, or die of it."""
        self.writes.append(name)
        last = len(self.writes) == self._position + 1
        if last and self._when == "before":
            raise KilledError
        answer = await call(**arguments)
        if last:
            raise KilledError
        return answer


class _Mortal:
    def __init__(self, client: Any, killer: Killer) -> None:
        self._client = client
        self._killer = killer

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not name.startswith(("create_", "put_", "update_", "delete_")):
            return found

        async def write(**arguments: Any) -> Any:
            return await self._killer.make(name, found, arguments)

        return write


def zipped(content: str) -> bytes:
    """Give a package that is none: what is deployed with it never runs."""
    # Without the first, a stack in this environment would find the package that is installed here.
    return zipped_files({"outbox_sdk/__init__.py": b"", "outbox_sdk/lambda_handler.py": content.encode()})


def zipped_files(files: Mapping[str, bytes]) -> bytes:
    """Put files into a zip."""
    with io.BytesIO() as buffer:
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return buffer.getvalue()
