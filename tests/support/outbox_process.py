"""Gives the ``outbox`` command to be run in a process whose AWS calls are judged."""

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import recorded_calls

__all__ = ["outbox_command"]

_MAIN = Path(__file__).with_name("outbox_main.py")


@contextmanager
def outbox_command() -> Iterator[list[str]]:
    """Give the command; what it was found to do is known when the block ends, as it must have by then."""
    with tempfile.TemporaryDirectory() as scratch:
        result_file = Path(scratch) / "calls.json"
        yield [sys.executable, str(_MAIN), str(result_file)]
        document = json.loads(result_file.read_text(encoding="utf-8"))
        recorded_calls.merge_calls(document["findings"], document["calls"])
