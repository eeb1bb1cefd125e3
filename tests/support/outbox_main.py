"""Runs the ``outbox`` command as ``python -m outbox_sdk.cli`` does, and judges the calls that it makes.

Run by path as ``python outbox_main.py RESULT_FILE ARGUMENT…``.
"""

import atexit
import json
import runpy
import sys
from pathlib import Path

__all__ = ["main"]

_ROOT = Path(__file__).parents[2]


def main(result_file: Path) -> None:
    """Run the command with the arguments that are left, and write down at the end which calls it made."""
    sys.path[0] = str(_ROOT)  # not this folder, whose modules have names of others
    from tests.support import recorded_calls

    recorded_calls.install()

    def write() -> None:
        document = {"findings": recorded_calls.take_findings(), "calls": recorded_calls.count_calls()}
        result_file.write_text(json.dumps(document), encoding="utf-8")

    atexit.register(write)
    runpy.run_module("outbox_sdk.cli", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(Path(sys.argv.pop(1)))
