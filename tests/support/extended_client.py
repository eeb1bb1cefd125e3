"""AWS's Extended Client Library for SQS, installed beside the tests, and one read with it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from outbox_sdk.packaging.cache import cache_directory, published
from tests.support.installer import install_wheels
from tests.support.lambda_parts import lock_of

__all__ = ["extended_client", "read_with_extended_client"]

_READ = """
import json, sys
from sqs_extended_client import SQSExtendedClientSession

sqs = SQSExtendedClientSession().client("sqs")
found = sqs.receive_message(
    QueueUrl=sys.argv[1], MaxNumberOfMessages=10, WaitTimeSeconds=5, MessageAttributeNames=["All"]
).get("Messages", [])
json.dump([[message["Body"], message.get("MessageAttributes", {})] for message in found], sys.stdout)
"""


@contextmanager
def extended_client() -> Iterator[Path]:
    """Give a directory with the library and what it needs in it. Raises ServerUnavailable."""
    lock = lock_of("extended-client")
    digest = sha256(lock.read_bytes()).hexdigest()[:16]
    python = f"{sys.version_info.major}.{sys.version_info.minor}"

    def fill(directory: Path) -> None:
        install_wheels(directory, "--no-deps", "--require-hashes", "-r", str(lock))

    yield published(cache_directory() / f"extended-client-{digest}-python-{python}", fill)


def read_with_extended_client(
    libraries: Path, queue_url: str, endpoint_url: str
) -> list[tuple[str, dict[str, Any]]]:
    """Receive messages with AWS's library; give bodies and attributes as it shows them.

    They are not deleted: the library takes a handle for what follows the last dash in it, and those of a
    local stack have dashes, which AWS's have not.
    """
    done = subprocess.run(
        # Without the tests' own packages beside it.
        [sys.executable, "-S", "-c", _READ, queue_url],
        env={
            "PYTHONPATH": str(libraries),
            "AWS_ENDPOINT_URL": endpoint_url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": "us-east-1",
            "NO_PROXY": "127.0.0.1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return [(body, attributes) for body, attributes in json.loads(done.stdout)]
