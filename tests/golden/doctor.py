"""What the doctor says of whole stacks, word by word: `python -m tests.golden.doctor` writes it anew.

Whoever changes a text or a bound reads the difference before committing it.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

from outbox_sdk import TableDesign
from outbox_sdk.core.doctor import IndexFacts, MappingFacts, Stack, SubscriptionFacts, diagnose
from outbox_sdk.core.identifiers import TopicName
from tests.support.doctor_stacks import (
    KEY,
    OPEN,
    PLACE,
    PLANTS,
    ROOT_ARN,
    healthy,
    key_policy,
    policy,
    replace,
    topic,
    variables,
    with_function,
    with_key,
    with_mapping,
    with_policies,
    with_readers,
    with_second_mapping,
    with_settings,
    with_table,
    with_topic,
)

__all__ = ["CASES", "FINDINGS", "tell"]

FINDINGS = Path(__file__).with_name("doctor-findings.txt")


def allowing(*routes: str, **changes: Any) -> Stack:
    """Let the relay publish to these routes only."""
    return with_settings(outbox_allowed_topics=frozenset(map(TopicName, routes)), **changes)


def on(day: str, runtime: str) -> Stack:
    taken_at = datetime.fromisoformat(day).replace(tzinfo=UTC)
    return replace(with_function(runtime=runtime), taken_at=taken_at)


def skewed(seconds: float) -> Stack:
    return replace(healthy(), clock_skew_seconds=seconds)


def two_destinations() -> Stack:
    return with_second_mapping(on_failure=PLACE.arn("sqs", "dlq"))


def healthy_mappings() -> tuple[MappingFacts, ...]:
    return healthy().mappings or ()


def unplaced(stack: Stack) -> Stack:
    """Nobody knows the account, and the role has no ARN."""
    return replace(stack, place=None, role=replace(stack.role, arn=None))


def denying(*actions: str, principal: object) -> dict[str, Any]:
    return {"Statement": [*key_policy({"AWS": ROOT_ARN})["Statement"],
                          *key_policy(principal, list(actions), "Deny")["Statement"]]}  # fmt: skip


def index(name: str, *key: str, is_local: bool = False, projection: str | None = "KEYS_ONLY") -> IndexFacts:
    return IndexFacts(name=name, key=key, is_local=is_local, projection=projection)


OUTSTANDING = index("NotDispatchedMessagesIndex", "NotDispatched", "CreatedAt")
SEQUENCE = index("AggregateSequenceIndex", "PK", "Sequence", is_local=True)
STREAM_OFF = {"stream_arn": ""}
WIDER = {"Statement": [
    {"Effect": "Allow", "Action": ["sqs:*", "S3:GetObject"], "Resource": ["arn:aws:s3:::b/*"]},
    {"Effect": "Allow", "Action": ["sqs:SendMessage", "s3:PutObject", "iam:PassRole"], "Resource": ["*"]},
    {"Effect": "Deny", "Action": "*", "Resource": "arn:aws:s3:::never"},
    {"Effect": "Allow", "Action": ["Logs:*", "ec2:*", "cloudwatch:PutMetricData"], "Resource": "*"},
]}  # fmt: skip


def subscribed(*subscriptions: tuple[str, str]) -> Stack:
    facts = tuple(
        SubscriptionFacts(protocol=protocol, endpoint=endpoint) for protocol, endpoint in subscriptions
    )
    return with_topic(subscriptions=facts)


EDGES: dict[str, Callable[[], Stack]] = {
    "a healthy stack": healthy,
    "a mapping without an id that reads an old stream": lambda: with_mapping(
        mapping_id=None, stream_arn="old"),
    "a mapping without an id that begins late": lambda: with_mapping(
        mapping_id=None, starting_position="AT_TIMESTAMP"),
    "a mapping without an id that is off": lambda: with_mapping(mapping_id=None, enabled=False),
    "a mapping without a stream": lambda: with_mapping(stream_arn=""),
    "a stream that is off": lambda: with_table(**STREAM_OFF),
    "a last result that failed": lambda: with_mapping(last_result="FAILED: no more"),
    "a last result that is none": lambda: with_mapping(last_result="OK"),
    "no retry": lambda: with_mapping(retry_attempts=0),
    "an age of nothing": lambda: with_mapping(record_age_seconds=0),
    "an age of nearly an hour": lambda: with_mapping(record_age_seconds=3_599),
    "an age of an hour": lambda: with_mapping(record_age_seconds=3_600),
    "an age of nearly a day": lambda: with_mapping(record_age_seconds=86_399),
    "other response types": lambda: with_mapping(response_types=("Other",)),
    "other metrics": lambda: with_mapping(metrics=("Other",)),
    "two batches of a shard at a time": lambda: with_mapping(parallelization_factor=2),
    "two batches at a time to any topic": lambda: replace(
        with_settings(outbox_allowed_topics=None), mappings=with_mapping(parallelization_factor=2).mappings),
    "two batches at a time from a table without order": lambda: replace(
        with_settings(outbox_table_design=TableDesign.message_keyed),
        mappings=with_mapping(parallelization_factor=2).mappings),
    "a window of a second": lambda: with_mapping(tumbling_window_seconds=1),
    "one other reader": lambda: with_readers(1),
    "another relay that is off": lambda: with_second_mapping(function_name="old-relay", enabled=False),
    "another relay, of a mapping without an id": lambda: replace(healthy(), mappings=(
        *healthy_mappings(), replace(healthy_mappings()[0], mapping_id=None, function_name="o"))),
    "two mappings of the relay, one without a name": lambda: with_second_mapping(function_name=None),
    "failures to a queue of a name with s3": lambda: with_mapping(on_failure="arn:aws:sqs:s3:1:s3"),
    "neither destination nor sweeper": lambda: replace(
        with_mapping(on_failure="", mapping_id=None), sweeper=replace(healthy().sweeper, exists=False)),
    "no table": lambda: with_table(exists=False),
    "no function": lambda: with_function(exists=False),
    "no topic": lambda: replace(healthy(), topics=(replace(topic("p-viewed"), exists=False),)),
    "other indexes": lambda: with_table(indexes=(
        index("NotDispatchedMessagesIndex", "NotDispatched"),
        index("Sequence", "PK", "Sequence", is_local=True))),
    "no index": lambda: with_table(indexes=()),
    "an index of an unknown projection": lambda: with_table(indexes=(
        replace(OUTSTANDING, projection=None), SEQUENCE)),
    "indexes that include": lambda: with_table(indexes=(
        replace(OUTSTANDING, projection="INCLUDE"), SEQUENCE, index("Own", "A", projection="ALL"))),
    "a stream of old images": lambda: with_table(stream_view="OLD_IMAGE"),
    "one bucket and a constant marker": lambda: replace(
        with_settings(outbox_not_dispatched_buckets=1), table=with_table(constant_markers=True).table),
    "another attribute to expire by, and no days": lambda: replace(
        with_settings(outbox_dispatched_ttl_days=None), table=with_table(ttl_attribute="Other").table),
    "no time to live and no days": lambda: replace(
        with_settings(outbox_dispatched_ttl_days=None), table=with_table(ttl_attribute="").table),
    "kept for ever without a local index": lambda: replace(
        with_settings(outbox_dispatched_ttl_days=None, outbox_table_design=TableDesign.message_keyed),
        table=with_table(indexes=(OUTSTANDING,), key=("PK",)).table),
    "deleted, and no days": lambda: with_settings(
        outbox_mark_strategy="delete", outbox_dispatched_ttl_days=None),
    "parked for other reasons": lambda: with_table(park_reasons=("held:NotFound", "attributes")),
    "an endpoint for all and for one": lambda: with_function(variables={
        **variables(), "AWS_ENDPOINT_URL_SNS": "http://there", "AWS_ENDPOINT_URL": "http://there"}),
    "a prefix bounds the topics": lambda: with_settings(outbox_allowed_topics=None),
    "a list bounds the topics": lambda: with_settings(aws_sns_topic_prefix=""),
    "time that just suffices": lambda: with_function(timeout_seconds=12),
    "a batch that just fits": lambda: replace(
        with_function(timeout_seconds=30), mappings=with_mapping(batch_size=1_049).mappings),
    "a batch that does not fit": lambda: replace(
        with_function(timeout_seconds=30), mappings=with_mapping(batch_size=1_050).mappings),
    "more than a function can have": lambda: with_mapping(batch_size=60_000),
    "no lanes, and time that suffices": lambda: replace(
        allowing("viewed"), function=with_function(
            timeout_seconds=11, variables=variables(outbox_allowed_topics=frozenset({TopicName("viewed")}))
        ).function, mappings=with_mapping(batch_size=990).mappings),
    "no lanes, and a record more than there is time for": lambda: replace(
        allowing("viewed"), function=with_function(
            timeout_seconds=11, variables=variables(outbox_allowed_topics=frozenset({TopicName("viewed")}))
        ).function, mappings=with_mapping(batch_size=991).mappings),
    "any topic, and so lanes": lambda: replace(
        with_settings(outbox_allowed_topics=None), function=with_function(
            timeout_seconds=11, variables=variables(outbox_allowed_topics=None)).function),
    "91 days before the end of a runtime": lambda: on("2027-03-31", "python3.11"),
    "90 days before the end of a runtime": lambda: on("2027-04-01", "python3.11"),
    "the day before the end of a runtime": lambda: on("2027-06-29", "python3.11"),
    "the end of a runtime": lambda: on("2027-06-30", "python3.11"),
    "another language": lambda: with_function(runtime="nodejs22.x"),
    "reserved concurrency of one": lambda: with_function(reserved_concurrency=1),
    "a clock nearly 10 s ahead": lambda: skewed(9.9),
    "a clock 10 s ahead": lambda: skewed(10.0),
    "a clock 10 s behind": lambda: skewed(-10.0),
    "a clock nearly five minutes behind": lambda: skewed(-299.6),
    "a clock five minutes behind": lambda: skewed(-300.0),
    "no sweeper": lambda: replace(healthy(), sweeper=replace(
        healthy().sweeper, exists=False, runs=False, variables={})),
    "a sweeper that is told nothing": lambda: replace(healthy(), sweeper=replace(
        healthy().sweeper, variables={})),
    "a role without a policy": with_policies,
    "a role that only may not use keys": lambda: replace(
        healthy(), keys=(*(healthy().keys or ()), replace((healthy().keys or ())[0], arn=f"{KEY}2"))),
    "two destinations of failures": two_destinations,
    "no mapping": lambda: replace(healthy(), mappings=()),
    "policies wider than the outbox": lambda: with_policies(outbox=policy(), more=WIDER, all={
        "Statement": {"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:s3:::*"}}),
    "settings for which no policy can be written": lambda: with_settings(aws_sns_topic_prefix="a b"),
    "a FIFO topic that is not there": lambda: with_topic(exists=False),
    "a topic that denies the account's root": lambda: with_topic(arn=None, policy={"Statement": {
        "Effect": "Deny", "Principal": {"AWS": [ROOT_ARN]}, "Action": "sns:*", "Resource": "*"}}),
    "a topic that denies the account": lambda: with_topic(policy={"Statement": {
        "Effect": "Deny", "Principal": {"AWS": "123456789012"}, "Action": "sns:*", "Resource": "*"}}),
    "a topic that denies the role": lambda: with_topic(policy={"Statement": {
        "Effect": "Deny", "Principal": {"AWS": f"{ROOT_ARN[:-4]}role/r"}, "Action": "*", "Resource": "*"}}),
    "a topic that denies a role and an account which nobody knows": lambda: unplaced(with_topic(policy={
        "Statement": {"Effect": "Deny", "Principal": {"AWS": ROOT_ARN}, "Action": "*", "Resource": "*"}})),
    "a topic that denies something else": lambda: with_topic(policy={"Statement": {
        "Effect": "Deny", "Principal": "*", "Action": "sns:Subscribe", "Resource": "*"}}),
    "a topic of China that denies": lambda: replace(
        with_topic(policy={"Statement": {
            "Effect": "Deny", "Principal": {"AWS": "arn:aws-cn:iam::123456789012:root"}, "Action": "*"}}),
        place=replace(PLACE, partition="aws-cn")),
    "a topic without an ARN for everyone": lambda: with_topic(arn=None, policy={"Statement": OPEN}),
    "a topic that takes a byte less": lambda: with_topic(max_bytes=262_143, arn=None),
    "topics of other sizes": lambda: replace(
        with_function(variables={**variables(), "OUTBOX_TOPIC_MAX_BYTES": "100000,created.fifo=300000"}),
        sweeper=replace(healthy().sweeper, variables={
            **variables(), "OUTBOX_TOPIC_MAX_BYTES": "100000,created.fifo=300000"})),
    "subscriptions of all kinds": lambda: subscribed(
        ("sqs", "arn:aws:sqs:e:1:q.fifo"), ("lambda", "arn:aws:lambda:e:1:function:f"),
        ("sqs", "q1"), ("sqs", "q2")),
    "a FIFO topic of a table without order": lambda: with_settings(
        outbox_table_design=TableDesign.message_keyed),
    "a key that is off": lambda: with_key(state="Disabled"),
    "a key that denies data keys": lambda: with_key(policy=denying("kms:GenerateDataKey", principal="*")),
    "a key that denies decryption": lambda: with_key(
        policy=denying("kms:Decrypt", principal={"AWS": ROOT_ARN})),
    "a key that lets decrypt": lambda: with_key(policy=key_policy({"AWS": "123456789012"}, "kms:Decrypt")),
    "a key whose topics and table nobody could name": lambda: replace(
        with_topic(encryption_key=None), table=with_table(encryption_key=None).table),
    "other destinations than topics": lambda: allowing("viewed", "sqs:billing", "kinesis:orders"),
}  # fmt: skip
"""Where a check goes one way or the other: bounds, what is missing, and what has several forms."""


def _tell(name: str, stack: Stack) -> str:
    """Write all that is said of a stack: what to type on AWS, and what to write in Terraform."""
    live = diagnose(replace(stack, source="live"))
    planned = diagnose(replace(stack, source="plan"))
    lines = [f"# {name}: {live.checked} checks"]
    for found, written in zip_longest(live.findings, planned.findings):
        assert replace(found, remedy="") == replace(written, remedy="")
        lines += [
            f"{found.severity} {found.id}, {found.resource}: {found.what}",
            f"  risk: {found.risk}",
            f"  AWS: {found.remedy}",
            f"  Terraform: {written.remedy}",
        ]
    lines += [f"unchecked {each.id}, {each.resource}: {each.reason}" for each in live.unchecked]
    assert live.unchecked == planned.unchecked
    return "\n".join(lines)


CASES: dict[str, Callable[[], Stack]] = {
    **{f"{number} {check}": stack for number, (check, _, stack) in enumerate(PLANTS)},
    **EDGES,
}
"""Every planted fault and every edge."""


def tell(name: str) -> str:
    """Write what is said of one of them."""
    return _tell(name, CASES[name]())


if __name__ == "__main__":
    FINDINGS.write_text("\n\n".join(map(tell, CASES)) + "\n")
