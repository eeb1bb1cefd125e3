"""Which topic a producer may reach, and which names are refused."""

import pytest

from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import AccountId, Partition, Region, TopicName
from outbox_sdk.core.routing import Refusal, Routing, is_fifo, parse_function_arn, resolve_topic


def routing(prefix: str = "", allowed: set[str] | None = None, partition: str = "aws") -> Routing:
    return Routing(
        region=Region("eu-west-1"),
        account_id=AccountId("123456789012"),
        partition=Partition(partition),
        prefix=prefix,
        allowed=None if allowed is None else frozenset(map(TopicName, allowed)),
    )


@pytest.mark.parametrize(
    "name",
    [
        "",
        "arn:aws:sns:eu-west-1:123456789012:orders",
        "orders/1",
        "orders.created",
        "orders.fifo.fifo",
        ".fifo",
        "orders.FIFO",
        "orders\n",
        "ördérs",
        "٣",
        "a" * 257,
        "a" * 252 + ".fifo",
        "orders:a:b",
    ],
)
def test_a_name_that_sns_would_not_take(name: str) -> None:
    assert resolve_topic(name, routing()) == Refusal("topic-name")


@pytest.mark.parametrize("name", ["a" * 256, "a" * 251 + ".fifo", "_-_"])
def test_a_name_at_the_edge(name: str) -> None:
    assert resolve_topic(name, routing()) == f"arn:aws:sns:eu-west-1:123456789012:{name}"


def test_the_prefix_counts_towards_the_length() -> None:
    assert resolve_topic("a" * 253, routing("dev")) != Refusal("topic-name")
    assert resolve_topic("a" * 253, routing("dev-")) == Refusal("topic-name")


def test_the_allow_list_names_topics_without_the_prefix() -> None:
    allowing = routing("dev-", {"orders"})
    assert resolve_topic("orders", allowing) == "arn:aws:sns:eu-west-1:123456789012:dev-orders"
    for name in ("dev-orders", "Orders", "orders2", "orders.fifo"):
        assert resolve_topic(name, allowing) == Refusal("topic-not-allowed")
    assert resolve_topic("orders", routing(allowed=set())) == Refusal("topic-not-allowed")


def test_other_partitions() -> None:
    assert resolve_topic("t", routing(partition="aws-cn")) == "arn:aws-cn:sns:eu-west-1:123456789012:t"


def test_a_fifo_topic_is_known_by_its_name() -> None:
    assert is_fifo("orders.fifo")
    assert not is_fifo("fifo")


def test_a_function_arn_with_an_alias() -> None:
    arn = "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:relay:live"
    assert parse_function_arn(arn) == ("aws-us-gov", "us-gov-west-1", "123456789012")


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "relay",
        "arn:aws:sns:eu-west-1:123456789012:function:t",
        "arn:aws:lambda:eu-west-1::function:relay",
    ],
)
def test_what_is_no_function_arn(arn: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_function_arn(arn)
    assert raised.value.variable == "invoked_function_arn"
