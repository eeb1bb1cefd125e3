"""One cold start, as Lambda makes one: a fresh process, a handler imported, one event answered.

Run as ``python -I cold_main.py FOLDER MODULE EVENT_FILE`` with the function's environment. Standard output is
the handler's own; what was measured goes to standard error as JSON, in milliseconds of CPU.
"""

import json
import os
import sys
from importlib import import_module
from time import process_time
from types import SimpleNamespace


def main(folder: str, module: str, event_file: str) -> None:
    marks = {"interpreter": process_time()}
    sys.path[:0] = [folder]
    if module != "nothing":
        # Every function has metrics, whether this version of the handler makes any or not.
        metrics = import_module("aws_lambda_powertools.metrics")
        metrics.Metrics(namespace="bench", service="bench")
        marks["metrics"] = process_time()
        handler = import_module(module).handler
        marks["handler"] = process_time()
        with open(event_file) as file:  # noqa: PTH123 - pathlib is no import of the handler's
            event = json.load(file)
        marks["event"] = process_time()
        context = SimpleNamespace(
            function_name="relay",
            function_version="1",
            memory_limit_in_mb=256,
            invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:relay",
            aws_request_id="00000000-0000-0000-0000-000000000000",
            get_remaining_time_in_millis=lambda: 60_000,
        )
        answer = handler(event, context)
        marks["first batch"] = process_time()
        assert answer == {"batchItemFailures": []}, answer
    steps, before = {}, 0.0
    for name, at in marks.items():
        steps[name], before = (at - before) * 1e3, at
    sys.stderr.write(json.dumps({"steps": steps, "modules": len(sys.modules)}))


main(*sys.argv[1:])
sys.stderr.flush()
os._exit(0)  # Lambda freezes a process, and never lets it tidy up
