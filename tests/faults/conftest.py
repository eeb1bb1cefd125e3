"""The canary: whatever fails in here, no payload may be seen.

The helpers of ``tests.faults.support`` put a constant text into every body, header and error text. The
fixture below, at work in every test of this folder, collects all that a user could see and looks for it.
"""

import logging
import traceback
from collections.abc import Iterator
from uuid import uuid4

import pytest

from outbox_sdk.lambda_handler import RelayHandler
from tests.faults.support import CANARY, said
from tests.support.handlers import open_handler
from tests.support.wire import Wire, open_wire


class Canary:
    """What the test has let a user see so far."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture
        self._output = ""
        self.records: list[logging.LogRecord] = []

    def output(self) -> str:
        """Give all that was printed; a test that looks at it asks here, so that the fixture sees it too."""
        captured = self._capture.readouterr()
        self._output += captured.out + captured.err
        return self._output

    def texts(self) -> Iterator[str]:
        """Go through all that was said, logged and printed."""
        yield from said()
        for record in self.records:
            yield f"{record.getMessage()} {record.__dict__!r}"
            if record.exc_info:
                yield "".join(traceback.format_exception(record.exc_info[1]))
        yield self.output()


@pytest.fixture(autouse=True)
def canary(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Canary]:
    """Fail the test if the canary is in a log record of any logger, in what was printed, or in what was said.

    Use ``canary.output()`` instead of ``capfd`` to look at what was printed.
    """
    canary = Canary(capfd)
    handle = logging.Logger.handle

    def overhear(logger: logging.Logger, record: logging.LogRecord) -> None:
        canary.records.append(record)
        handle(logger, record)

    # Loggers may have handlers and propagation of their own, but all of them come by here.
    monkeypatch.setattr(logging.Logger, "handle", overhear)
    # Powertools keeps the stream of the first logger of a name, which is this test's own.
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", f"relay-{uuid4().hex[:8]}")
    ours = logging.getLogger("outbox_sdk")
    level = ours.level
    ours.setLevel(logging.DEBUG)
    said().clear()
    yield canary
    ours.setLevel(level)
    leaks = [text.replace(CANARY, "(the payload)")[:500] for text in canary.texts() if CANARY in text]
    said().clear()
    assert not leaks, "the payload can be seen"


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Wire]:
    """Run the tests' own endpoint of AWS, one for all tests of a worker."""
    with open_wire() as opened:
        yield opened


@pytest.fixture
def wire(endpoint: Wire) -> Wire:
    """The endpoint, with nothing scripted and nothing counted."""
    endpoint.reset()
    return endpoint


@pytest.fixture
def handler(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> Iterator[RelayHandler]:
    """A handler as Lambda would find it, but for the endpoint; its credentials are those of key ``OLD``."""
    with open_handler(wire, monkeypatch, access_key="OLD") as opened:
        yield opened
