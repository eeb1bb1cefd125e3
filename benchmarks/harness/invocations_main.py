"""A function's process: imports the relay, then answers one event after the other, and says what each took.

Run as ``python -m benchmarks.harness.invocations_main``; on standard input come the paths of events as JSON
text, a line each, and to each goes a line of JSON to standard error. The memory is what the process held at
most while it answered, above what it held with the event parsed.
"""

import json
import os
import sys
from pathlib import Path
from time import perf_counter, process_time

from benchmarks.warm_batch import CONTEXT
from outbox_sdk.lambda_handler import handler


def main() -> None:
    print("ready", file=sys.stderr, flush=True)
    for line in sys.stdin:
        event = json.loads(Path(line.strip()).read_bytes())
        held = _memory("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        started, used = perf_counter(), process_time()
        answer = handler(event, CONTEXT)
        took = {"wall": perf_counter() - started, "cpu": process_time() - used}
        assert answer == {"batchItemFailures": []}, answer
        grown = _memory("VmHWM") - held
        print(json.dumps({**took, "bytes": grown}), file=sys.stderr, flush=True)
    os._exit(0)


def _memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()
