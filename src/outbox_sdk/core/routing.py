"""From a logical topic name to the ARN it may go to; nothing is looked up, nothing is created."""

import re
from functools import lru_cache

import msgspec

from outbox_sdk.core.destinations import SNS, parse_route
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import AccountId, Partition, Region, TopicArn, TopicName

__all__ = [
    "Refusal",
    "Routing",
    "is_fifo",
    "is_topic_name",
    "parse_function_arn",
    "resolve_route",
    "resolve_topic",
]

_TOPIC_NAME = re.compile(SNS.names)
_MAX_NAME = 256


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """Why a message cannot be published as it is: its own fault, and retrying would not help.

    ``reason`` goes into the item's ``ParkReason``; it never quotes the message.
    """

    reason: str


class Routing(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """Where topics and other destinations live, and which of them a producer may reach.

    ``allowed`` holds routes as producers write them, a topic's before the prefix; ``None`` allows every topic
    under the prefix, and no other destination.
    """

    region: Region
    account_id: AccountId
    partition: Partition = Partition("aws")
    prefix: str = ""
    allowed: frozenset[TopicName] | None = None


def resolve_route(route: str, routing: Routing) -> TopicArn | Refusal:
    """Build the ARN of a destination that is no topic, or say why it is out of reach.

    The prefix is the topics'. Only what is allowed by name is in reach.

    >>> here = {"region": Region("eu-west-1"), "account_id": AccountId("123456789012")}
    >>> routing = Routing(**here, allowed=frozenset({TopicName("sqs:billing")}))
    >>> resolve_route("sqs:billing", routing)
    'arn:aws:sqs:eu-west-1:123456789012:billing'
    >>> resolve_route("kinesis:orders", routing)
    Refusal(reason='destination-not-allowed')
    """
    parsed = parse_route(route)
    if parsed is None:
        return Refusal("destination-name")
    if routing.allowed is None or route not in routing.allowed:
        return Refusal("destination-not-allowed")
    kind, name = parsed
    return TopicArn(
        f"arn:{routing.partition}:{kind.service}:{routing.region}:{routing.account_id}:{kind.resource}{name}"
    )


def resolve_topic(name: TopicName | str, routing: Routing) -> TopicArn | Refusal:
    """Build the ARN of a topic, or say why it is out of reach.

    An ARN given as a name is refused: a producer must not choose account or Region.

    >>> routing = Routing(region=Region("eu-west-1"), account_id=AccountId("123456789012"), prefix="dev-")
    >>> resolve_topic("order--created", routing)
    'arn:aws:sns:eu-west-1:123456789012:dev-order--created'
    >>> resolve_topic("arn:aws:sns:us-east-1:999999999999:theirs", routing)
    Refusal(reason='topic-name')
    """
    # Topics repeat, and what is longer than any name is not worth remembering.
    return _resolve(name, routing) if len(name) <= _MAX_NAME else Refusal("topic-name")


@lru_cache(maxsize=1024)
def _resolve(name: str, routing: Routing) -> TopicArn | Refusal:
    if not (is_topic_name(name) and is_topic_name(routing.prefix + name)):
        return Refusal("topic-name")
    if routing.allowed is not None and name not in routing.allowed:
        return Refusal("topic-not-allowed")
    return TopicArn(
        f"arn:{routing.partition}:sns:{routing.region}:{routing.account_id}:{routing.prefix}{name}"
    )


def is_topic_name(name: str) -> bool:
    """Tell whether SNS takes a name for a topic, ``.fifo`` included."""
    return _TOPIC_NAME.fullmatch(name) is not None


def is_fifo(topic: TopicArn | TopicName | str) -> bool:
    """Tell a FIFO topic by its name, as SNS does."""
    return topic.endswith(".fifo")


def parse_function_arn(arn: str) -> tuple[Partition, Region, AccountId]:
    """Read partition, Region and account from a Lambda function's own ARN.

    Raises:
        ConfigurationError: the text is no such ARN.

    >>> parse_function_arn("arn:aws:lambda:eu-west-1:123456789012:function:relay")
    ('aws', 'eu-west-1', '123456789012')
    """
    parts = arn.split(":")
    if len(parts) < 7 or parts[0] != "arn" or parts[2] != "lambda" or not all(parts[1:6]):
        raise ConfigurationError("invoked_function_arn", f"{arn!r} is not the ARN of a Lambda function")
    return Partition(parts[1]), Region(parts[3]), AccountId(parts[4])
