"""A consumer on the CloudEvents SDK: it reads bodies of queue messages, one JSON string a line, as events.

Run with ``COUNT``. It says ``ready``, and writes what it has read as a line of JSON each.
"""

import json
import os
import sys

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

__all__ = ["main"]


def main() -> None:
    """Read ``COUNT`` bodies."""
    print("ready", flush=True)  # noqa: T201 - what the test waits for
    for _ in range(int(os.environ["COUNT"])):
        body = json.loads(sys.stdin.readline())
        event = JSONFormat().read(CloudEvent, body)  # raises where the event breaks the specification
        time = event.get_time()
        attributes = {**event.get_attributes(), "time": time and time.isoformat()}
        seen = {"data": event.get_data(), "attributes": attributes}
        print("consumed", json.dumps(seen), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
