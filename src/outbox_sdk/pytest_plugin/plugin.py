"""The fixtures, as pytest finds them: options, what a project overrides, and the stacks.

Installed with the SDK and loaded by every pytest beside it, so nothing of the SDK is imported before a
fixture is asked for.
"""

import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import pytest

if TYPE_CHECKING:
    from outbox_sdk.core.catalog import Catalog
    from outbox_sdk.core.table import TableDesign
    from outbox_sdk.pytest_plugin.endpoint import Endpoint
    from outbox_sdk.pytest_plugin.stack import OutboxStack

__all__ = [
    "outbox_catalog",
    "outbox_design",
    "outbox_endpoint",
    "outbox_memory_stack",
    "outbox_stack",
    "outbox_table_name",
    "outbox_topics",
    "pytest_addoption",
]

_FixtureT = TypeVar("_FixtureT", bound=Callable[..., Any])

try:
    from pytest_asyncio import fixture as _async_fixture
except ImportError:  # the SDK is installed without the extra

    def _async_fixture(function: _FixtureT) -> _FixtureT:  # type: ignore[no-redef] # what stands in for it
        def needs_the_extra() -> None:
            pytest.fail(
                f'{function.__name__} needs pytest-asyncio. Run: pip install "dynamodb-outbox-sdk[testing]"',
                pytrace=False,
            )

        needs_the_extra.__doc__ = function.__doc__
        fixture: Any = pytest.fixture(name=function.__name__)
        return fixture(needs_the_extra)  # type: ignore[no-any-return] # a fixture, whatever its type


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--outbox-stack``, and the setting of the same name."""
    text = "where outbox_stack is: embedded (default), moto, memory, or the URL of a local server"
    parser.getgroup("outbox").addoption("--outbox-stack", metavar="KIND", help=text)
    parser.addini("outbox_stack", text, default="embedded")


@pytest.fixture(scope="session")
def outbox_catalog() -> "Catalog[Any] | None":
    """The events of the project, whose topics are made. Override it in ``conftest.py``."""
    return None


@pytest.fixture(scope="session")
def outbox_topics() -> Sequence[str]:
    """Names of further topics to make. Override it where not every topic is in the catalog."""
    return ()


@pytest.fixture(scope="session")
def outbox_table_name() -> str:
    """The name of the outbox table, ``outbox``. Override it with what the service is configured with."""
    return "outbox"


@pytest.fixture(scope="session")
def outbox_design() -> "TableDesign":
    """The design of the outbox table, ``TableDesign.ordered``. Override it with the service's own."""
    from outbox_sdk.core.table import TableDesign

    return TableDesign.ordered


@pytest.fixture(scope="session")
def outbox_endpoint(pytestconfig: pytest.Config) -> "Iterator[Endpoint | None]":
    """The server of this session, started when it is first asked for; ``None`` for the stack in memory."""
    from outbox_sdk.core.errors import OutboxError
    from outbox_sdk.pytest_plugin.endpoint import open_endpoint

    kind = pytestconfig.getoption("outbox_stack") or pytestconfig.getini("outbox_stack")
    if kind == "memory":
        yield None
        return
    opened = open_endpoint(kind)
    endpoint: Endpoint | str
    try:
        endpoint = opened.__enter__()
    except OutboxError as error:
        endpoint = str(error)
    if isinstance(endpoint, str):  # out here, so that pytest does not show it twice
        pytest.fail(endpoint, pytrace=False)
    yield endpoint
    opened.__exit__(None, None, None)


class _Project(NamedTuple):
    """What the fixtures that a project overrides say; ``topics`` is ``None`` where it names none."""

    table_name: str
    design: "TableDesign"
    topics: Sequence[str] | None


@pytest.fixture(scope="session")
def _outbox_project(
    outbox_table_name: str,
    outbox_design: "TableDesign",
    outbox_catalog: "Catalog[Any] | None",
    outbox_topics: Sequence[str],
) -> _Project:
    if outbox_catalog is None and not outbox_topics:
        return _Project(outbox_table_name, outbox_design, None)
    own = [] if outbox_catalog is None else [outbox_catalog.type_of(each).topic for each in outbox_catalog]
    return _Project(outbox_table_name, outbox_design, sorted({*own, *outbox_topics}))


@_async_fixture
async def outbox_stack(
    outbox_endpoint: "Endpoint | None", _outbox_project: _Project, monkeypatch: pytest.MonkeyPatch
) -> "AsyncIterator[OutboxStack]":
    """An empty outbox for one test: table, topics, a queue behind each, and the relay between.

    On a server the test's environment leads every AWS SDK to it, and nowhere else.
    """
    project = _outbox_project
    if outbox_endpoint is None:
        yield _open_memory_stack(project)
        return
    from outbox_sdk.pytest_plugin.endpoint import misleading_variables
    from outbox_sdk.pytest_plugin.server import open_server_stack

    for name in misleading_variables(list(os.environ)):
        monkeypatch.delenv(name)
    for name, value in outbox_endpoint.variables().items():
        monkeypatch.setenv(name, value)
    async with open_server_stack(
        outbox_endpoint, table_name=project.table_name, design=project.design, topics=project.topics or ()
    ) as stack:
        yield stack


@pytest.fixture
def outbox_memory_stack(_outbox_project: _Project) -> "OutboxStack":
    """An empty outbox in memory, in less than a millisecond: the same relay between doubles."""
    return _open_memory_stack(_outbox_project)


def _open_memory_stack(project: _Project) -> "OutboxStack":
    from outbox_sdk.pytest_plugin.memory import open_memory_stack

    return open_memory_stack(table_name=project.table_name, design=project.design, topics=project.topics)
