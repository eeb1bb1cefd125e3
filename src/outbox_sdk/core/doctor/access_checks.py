"""What is looked at in rights, keys and topics: whether a message may pass, and who else may."""

from collections.abc import Iterator
from typing import Any

from outbox_sdk.core.destinations import services_of
from outbox_sdk.core.doctor.facts import KeyFacts, NotKnownError, RoleFacts, Stack, TopicFacts, known
from outbox_sdk.core.doctor.finding import Check, Problem
from outbox_sdk.core.doctor.policies import find_denied, find_missing, find_wide, lets_anyone
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import TopicName
from outbox_sdk.core.permissions import Grants, policy_document
from outbox_sdk.core.place import Place

__all__ = ["ACCESS_CHECKS"]

_PUBLISH = "sns:Publish"
_USES = ("kms:Decrypt", "kms:GenerateDataKey")


def _rights(stack: Stack, role: RoleFacts) -> Iterator[Problem]:
    held = known(role.policies, role, "policies")
    place = known(stack.place, stack, "place")
    for on_failure in sorted(_destinations(stack)):
        missing = list(dict.fromkeys(find_missing(held.values(), _wanted(stack, place, on_failure))))
        if missing:
            told = ", ".join(f"{action} on {resource}" for action, resource in missing[:_SHOWN])
            more = f", and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
            yield Problem(
                what=f"the role may not {told}{more}",
                risk="these calls are refused: messages stay outstanding, marks are not written and messages "
                "are published again, or Lambda cannot read the stream or keep what it gives up",
                aws="outbox deploy, which writes the policy that is needed (aws iam put-role-policy "
                f"--role-name {role.role_name})",
                terraform=f"aws_iam_role_policy of {role.role_name}, with local.policies of the module",
            )


_SHOWN = 3


def _destinations(stack: Stack) -> set[str]:
    return {known(each.on_failure, each, "on_failure") for each in stack.own_mappings()} or {""}


def _wanted(stack: Stack, place: Place, on_failure: str) -> dict[str, Any]:
    function = known(stack.function, stack, "function")
    grants = Grants(
        function_name=function.function_name,
        creates_log_group=False,
        on_failure=on_failure or None,
        kms_keys=tuple(each.arn for each in known(stack.keys, stack, "keys")),
        allow_any_topic=True,
    )
    try:
        return policy_document("relay", stack.configuration(), place, grants)
    except ConfigurationError as error:
        raise NotKnownError(function.name, f"no policy can be written for its settings ({error})") from error


def _wide(stack: Stack, role: RoleFacts) -> Iterator[Problem]:
    for name, document in known(role.policies, role, "policies").items():
        wide = list(dict.fromkeys(find_wide(document)))
        if wide:
            yield Problem(
                what=f"the policy {name} allows {', '.join(wide[:_SHOWN])} on more than the outbox",
                risk="what a producer writes decides what the relay does: it reaches other tables or topics "
                "with rights that nobody needs",
                aws=f"outbox deploy, and take {name} from the role {role.role_name}",
                terraform=f"take {name} from {role.role_name}: the module's own policy suffices",
            )


def _topic_exists(stack: Stack, topic: TopicFacts) -> Iterator[Problem]:
    if not known(topic.exists, topic, "exists"):
        yield Problem(
            what=f"there is no topic {topic.topic_name}",
            risk="messages to it are held for an hour, and everything of their aggregates behind them, and "
            "then parked",
            aws=f"aws sns create-topic --name {topic.topic_name}"
            + (" --attributes FifoTopic=true" if topic.topic_name.endswith(".fifo") else ""),
            terraform=f'create_topics = ["{topic.topic_name}"]',
        )


def _topic_policy(stack: Stack, topic: TopicFacts) -> Iterator[Problem]:
    policy = known(topic.policy, topic, "policy")
    principals = _principals(stack)
    aws = f"aws sns set-topic-attributes --topic-arn {topic.arn or '<arn>'} --attribute-name Policy …"
    terraform = "aws_sns_topic_policy without that statement"
    if find_denied(policy, _PUBLISH, principals):
        yield Problem(
            what="the topic's policy denies sns:Publish to the relay",
            risk="a denial stands over what the role may: nothing is published there, and it is parked after "
            "an hour",
            aws=aws,
            terraform=terraform,
        )
    if lets_anyone(policy, _PUBLISH):
        yield Problem(
            what="the topic's policy lets everyone publish",
            risk="whoever knows its ARN sends consumers what looks like a message of the outbox",
            aws=aws,
            terraform=terraform,
            severity="warning",
        )


def _principals(stack: Stack) -> tuple[str, ...]:
    role = known(stack.role, stack, "role")
    place = known(stack.place, stack, "place")
    root = f"arn:{place.partition}:iam::{place.account_id}:root"
    return (*([] if role.arn is None else [role.arn]), root, str(place.account_id))


def _topic_size(stack: Stack, topic: TopicFacts) -> Iterator[Problem]:
    limits = stack.configuration().outbox_topic_max_bytes
    prefix = stack.configuration().aws_sns_topic_prefix
    told = limits.of(TopicName(topic.topic_name.removeprefix(prefix)))
    taken = known(topic.max_bytes, topic, "max_bytes")
    if told > taken:
        yield Problem(
            what=f"the relay is told that the topic takes {told} bytes, and it takes {taken}",
            risk="messages in between are committed by producers, refused by SNS and parked",
            aws=f"aws sns set-topic-attributes --topic-arn {topic.arn or '<arn>'} --attribute-name "
            f"MaximumMessageSize --attribute-value {told}, or a lower OUTBOX_TOPIC_MAX_BYTES",
            terraform=f'settings = {{ outbox_topic_max_bytes = "{taken}" }}',
        )


def _fifo_queue(stack: Stack, topic: TopicFacts) -> Iterator[Problem]:
    if not topic.topic_name.endswith(".fifo"):
        return
    for each in known(topic.subscriptions, topic, "subscriptions"):
        if each.protocol == "sqs" and not each.endpoint.endswith(".fifo"):
            yield Problem(
                what=f"the FIFO topic is delivered to the standard queue {each.endpoint}",
                risk="the queue keeps no order and delivers more than once: the order ends there",
                aws="subscribe a FIFO queue instead, or tell the consumer to mind Sequence",
                terraform="fifo_queue = true of the queue, whose name ends in .fifo",
            )


def _fifo_table(stack: Stack, topic: TopicFacts) -> Iterator[Problem]:
    design = stack.configuration().outbox_table_design
    if topic.topic_name.endswith(".fifo") and (
        design.keyed_by != "aggregate" or design.sequence_index is None
    ):
        yield Problem(
            what="a FIFO topic is fed from a table that keeps no order of an aggregate",
            risk="messages of an aggregate come from several shards, and reach the topic in any order",
            aws="a table of the design ordered, with its local secondary index",
            terraform='design = "ordered"',
        )


def _key(stack: Stack, key: KeyFacts) -> Iterator[Problem]:
    state = known(key.state, key, "state")
    if state != "Enabled":
        yield Problem(
            what=f"the key of {key.used_by} is {state}",
            risk="nothing can be read, marked or published with it",
            aws=f"aws kms enable-key --key-id {key.arn} (or cancel-key-deletion first)",
            terraform="is_enabled = true",
        )
    policy = known(key.policy, key, "policy")
    principals = _principals(stack)
    for action in _USES:
        denied = find_denied(policy, action, principals)
        if denied or not lets_anyone(policy, action, principals):
            yield Problem(
                what=f"the policy of {key.used_by}'s key does not let the account or the role do {action}",
                risk="the role's own rights do not count with this key: publishing or marking is refused",
                aws=f"aws kms put-key-policy --key-id {key.arn} --policy-name default …, with the account's "
                "root, or the role, for kms:Decrypt and kms:GenerateDataKey",
                terraform="aws_kms_key_policy with the account's root, or the role",
            )
            return


def _routes(stack: Stack, subject: Stack) -> Iterator[Problem]:
    """Say of destinations that are no topics that nobody has looked at them."""
    services = services_of(stack.configuration().outbox_allowed_topics)
    others = [service for service in services if service != "sns"]
    if others:
        raise NotKnownError(stack.name, f"destinations of {', '.join(others)} are not looked at, topics only")
    known(stack.topics, stack, "topics")
    yield from ()


def _keys(stack: Stack, subject: Stack) -> Iterator[Problem]:
    """Say which keys nobody could name; those that are known are looked at by themselves."""
    table = known(stack.table, stack, "table")
    known(table.encryption_key, table, "encryption_key")
    for topic in known(stack.topics, stack, "topics"):
        known(topic.encryption_key, topic, "encryption_key")
    yield from ()


def _check(id_: str, about: Any, severity: Any, title: str, look: Any) -> Check:
    return Check(id=id_, about=about, severity=severity, title=title, look=look)


ACCESS_CHECKS: tuple[Check, ...] = (
    _check("role.rights", "role", "error", "The role may do all that the relay and its mapping do.", _rights),
    _check("role.wide", "role", "warning", "The role may do no more than that.", _wide),
    _check("key.known", "stack", "warning", "All keys are known by name.", _keys),
    _check("key.use", "key", "error", "Customers' keys are on, and let the relay use them.", _key),
    _check("topic.known", "stack", "warning", "All destinations are known by name.", _routes),
    _check("topic.exists", "topic", "error", "The topic is there.", _topic_exists),
    _check(
        "topic.policy",
        "topic",
        "error",
        "Its policy lets the relay in, and not everyone.",
        _topic_policy,
    ),
    _check("topic.size", "topic", "error", "It takes as much as the relay is told.", _topic_size),
    _check("topic.fifo-queue", "topic", "warning", "A FIFO topic is delivered to FIFO queues.", _fifo_queue),
    _check(
        "topic.fifo-table",
        "topic",
        "warning",
        "A FIFO topic is fed in order.",
        _fifo_table,
    ),
)
