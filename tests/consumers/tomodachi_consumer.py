"""A service on tomodachi, as its users write one: it subscribes to a topic and takes messages in `JsonBase`.

Run by ``python -m tomodachi run tomodachi_consumer.py`` with ``ENDPOINT_URL``, ``TOPIC_PREFIX`` and
``COUNT``. It says ``ready`` when it has subscribed, writes what it was handed as a line of JSON each, and
ends after ``COUNT``.
"""

import json
import os
from typing import Any

import tomodachi
from tomodachi.envelope import JsonBase

__all__ = ["Consumer"]


class Consumer(tomodachi.Service):  # type: ignore[misc]  # without the package its classes are Any
    """Takes orders that were created."""

    name = "consumer"
    options = tomodachi.Options(
        aws_endpoint_urls=tomodachi.Options.AWSEndpointURLs(
            sns=os.environ["ENDPOINT_URL"], sqs=os.environ["ENDPOINT_URL"]
        ),
        aws_sns_sqs=tomodachi.Options.AWSSNSSQS(
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
            topic_prefix=os.environ["TOPIC_PREFIX"],
        ),
    )
    _count = 0

    @tomodachi.aws_sns_sqs("order--created", competing=True, message_envelope=JsonBase)  # type: ignore[untyped-decorator]
    async def take(
        self, data: Any, metadata: Any, service: Any, message_uuid: str, message_attributes: dict[str, Any]
    ) -> None:
        """Write down one message."""
        seen = {
            "data": data,
            "metadata": metadata,
            "service": service,
            "message_uuid": message_uuid,
            "attributes": message_attributes,
        }
        print("consumed", json.dumps(seen), flush=True)  # noqa: T201 - the answer
        self._count += 1
        if self._count == int(os.environ["COUNT"]):
            tomodachi.exit()

    async def _started_service(self) -> None:
        print("ready", flush=True)  # noqa: T201 - what the test waits for
