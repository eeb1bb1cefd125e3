"""What the log says of a batch: a line for each class of trouble, and what a person can do about it."""

from typing import Any

import pytest

from outbox_sdk.core.effort import Effort
from outbox_sdk.core.identifiers import ItemKey, MessageId, SequenceNumber, TopicArn, TopicName
from outbox_sdk.core.outcome import (
    IN_FLIGHT,
    BatchReport,
    Dispatched,
    Held,
    MarkRefused,
    Outcome,
    Parked,
    RecordReport,
    Settled,
    Unmarked,
    Unparked,
)
from outbox_sdk.core.remedies import find_park_remedy, find_remedy
from outbox_sdk.core.report import LogLine, describe_batch, describe_records

ARN = TopicArn("arn:aws:sns:eu-west-1:123456789012:dev-orders")


def record(number: int, outcome: Outcome, **fields: Any) -> RecordReport:
    defaults: dict[str, Any] = {
        "sequence_number": SequenceNumber(str(number)),
        "key": ItemKey((("PK", "S", f"AGGREGATE#{number}"),)),
        "message_id": MessageId(f"m-{number}"),
        "topic": TopicName("orders"),
    }
    return RecordReport(outcome=outcome, **{**defaults, **fields})


def lines_of(*records: RecordReport) -> list[LogLine]:
    return list(describe_records(BatchReport(records)))


def test_one_line_tells_of_all_that_met_the_same_fault() -> None:
    denied = [record(number, Held("AuthorizationError"), topic_arn=ARN) for number in range(500)]
    behind = [record(number, Held("AuthorizationError", behind=True)) for number in range(500, 900)]

    (line,) = lines_of(*denied, *behind)

    assert (line.event, line.level) == ("publish_failed", "ERROR")
    assert line.fields == {
        "code": "AuthorizationError",
        "count": 500,
        "topic_arn": ARN,
        "message_id": "m-0",
        "topic": "orders",
        "key": "PK=AGGREGATE#0",
        "sequence_number": "0",
        "advice": f"allow the relay's role sns:Publish on {ARN}, in the topic's policy too if it has one",
    }


def test_topics_codes_and_calls_are_told_apart() -> None:
    other = TopicArn(f"{ARN}2")
    lines = lines_of(
        record(1, Held("NotFound"), topic_arn=ARN),
        record(2, Held("NotFound"), topic_arn=other),
        record(3, Held("Throttled"), topic_arn=ARN),
        record(4, Held("AccessDeniedException")),
        record(5, Unmarked("AccessDeniedException"), topic_arn=ARN),
        record(6, Unmarked("AccessDeniedException"), topic_arn=other),
        record(7, Unparked("empty", "AccessDeniedException")),
        record(8, MarkRefused("ValidationError")),
    )

    assert [(line.event, line.level, line.fields["count"]) for line in lines] == [
        ("publish_failed", "ERROR", 1),
        ("publish_failed", "ERROR", 1),
        ("publish_failed", "WARNING", 1),
        ("lookup_failed", "ERROR", 1),
        ("mark_failed", "ERROR", 2),
        ("park_failed", "ERROR", 1),
        ("mark_refused", "ERROR", 1),
    ]
    assert len({line.fields["advice"] for line in lines}) == len(lines)


def test_a_flood_of_parked_messages_is_a_line_for_each_reason_and_ten_keys() -> None:
    lines = lines_of(
        *(record(number, Parked("json")) for number in range(300)),
        *(record(number, Parked(f"size:{number}>200")) for number in range(300, 600)),
        record(600, Parked("empty")),
    )

    assert [(line.event, line.level, line.fields["count"]) for line in lines] == [
        ("message_parked", "WARNING", 300),
        ("message_parked", "WARNING", 300),
        ("message_parked", "WARNING", 1),
    ]
    assert lines[0].fields["keys"] == [f"PK=AGGREGATE#{number}" for number in range(10)]
    assert lines[1].fields["reason"] == "size:300>200"
    assert lines[2].fields["keys"] == ["PK=AGGREGATE#600"]


def test_reasons_to_park_are_counted() -> None:
    outcomes: list[Outcome] = [
        Parked("topic-name"),
        Parked("empty"),
        Dispatched(),
        Parked("topic-name"),
        Unparked("json", "c"),
    ]
    report = BatchReport(tuple([record(number, outcome) for number, outcome in enumerate(outcomes)]))

    assert report.reasons() == {"empty": 1, "topic-name": 2}
    assert BatchReport(()).reasons() == {}


def test_what_another_invocation_is_at_work_on_is_no_trouble() -> None:
    (line,) = lines_of(record(1, Held(IN_FLIGHT)))

    assert (line.event, line.level) == ("held_in_flight", "INFO")


def test_messages_that_are_lost_are_told_once_for_each_way() -> None:
    lines = lines_of(
        *(record(number, Settled("expired_undispatched"), message_id=None) for number in range(3)),
        record(3, Settled("removed_undispatched"), message_id=None),
        record(4, Settled("removed"), message_id=None),
    )

    assert [(line.event, line.level, line.fields["count"]) for line in lines] == [
        ("expired_undispatched", "ERROR", 3),
        ("removed_undispatched", "ERROR", 1),
    ]
    assert lines[0].fields["key"] == "PK=AGGREGATE#0"
    assert "time to live" in lines[0].fields["advice"]


def test_one_line_for_all_message_ids_that_two_items_share() -> None:
    twice = [
        record(position, Dispatched(), message_id=MessageId(f"m-{position % 3}")) for position in range(6)
    ]
    again = record(0, Dispatched())  # another record of the same item

    (line,) = lines_of(*twice, again)

    assert (line.event, line.level) == ("message_id_collision", "WARNING")
    assert (line.fields["count"], line.fields["message_id"]) == (3, "m-0")
    assert lines_of(twice[0], again) == []


def test_the_batch_line_has_counts_of_skips_and_effort_where_there_are_any() -> None:
    echoes = (record(1, Settled("marked")), record(2, Settled("marked")), record(3, Settled("foreign")))
    report = BatchReport((*echoes, record(4, Dispatched(gone=True))), Effort(publish_requests=1, retries=2))

    assert describe_batch(report) == LogLine(
        "batch_relayed",
        {
            "records": 4,
            "reported": 0,
            "dispatched": 1,
            "settled": 3,
            "self_echo": 2,
            "foreign": 1,
            "publish_requests": 1,
            "retries": 2,
        },
    )


@pytest.mark.parametrize(
    ("event", "code", "words"),
    [
        ("publish_failed", "AuthorizationError", ["sns:Publish", ARN]),
        ("publish_failed", "AccessDenied", ["sns:Publish", ARN]),
        ("publish_failed", "NotFound", ["create topic", ARN, "AWS_SNS_TOPIC_PREFIX", "Region"]),
        ("publish_failed", "InvalidParameter", [ARN, "Region", "account"]),
        ("publish_failed", "KMSAccessDenied", ["kms:GenerateDataKey*", "kms:Decrypt", ARN]),
        ("publish_failed", "KMSDisabledException", ["enable the key", ARN]),
        ("publish_failed", "KMSThrottling", ["KMS", "quota"]),
        ("publish_failed", "Throttled", ["quota", "OUTBOX_MAX_CONCURRENCY"]),
        ("publish_failed", "ConnectionFailed", ["DNS", "VPC endpoint"]),
        ("publish_failed", "Deadline", ["timeout", "batch size"]),
        ("publish_failed", "NeverHeardOf", ["documentation"]),
        ("publish_failed", "ExpiredToken", ["credentials"]),
        ("mark_failed", "UnrecognizedClientException", ["credentials"]),
        ("lookup_failed", "NoCredentials", ["credentials"]),
        ("publish_failed", "SignatureDoesNotMatch", ["clock"]),
        ("mark_failed", "InvalidSignatureException", ["clock"]),
        ("publish_failed", "RequestExpired", ["clock"]),
        (
            "mark_failed",
            "AccessDeniedException",
            ["dynamodb:PartiQLUpdate for batch", "dynamodb:UpdateItem", "dynamodb:BatchWriteItem"],
        ),
        ("park_failed", "AccessDeniedException", ["dynamodb:UpdateItem"]),
        ("lookup_failed", "AccessDeniedException", ["dynamodb:BatchGetItem"]),
        ("mark_failed", "ResourceNotFoundException", ["DYNAMODB_OUTBOX_TABLE_NAME"]),
        ("mark_failed", "ProvisionedThroughputExceeded", ["capacity", "OUTBOX_NOT_DISPATCHED_BUCKETS"]),
        ("mark_failed", "TransactionConflict", ["same items"]),
        ("mark_refused", "ValidationException", ["TableDesign", "the message is out"]),
        ("mark_refused", "ItemCollectionSizeLimitExceeded", ["10 GB", "OUTBOX_DISPATCHED_TTL_DAYS"]),
        ("park_failed", "ValidationException", ["TableDesign"]),
    ],
)
def test_a_remedy_says_what_to_do(event: str, code: str, words: list[str]) -> None:
    advice = find_remedy(event, code, topic_arn=ARN)

    assert [word for word in words if word not in advice] == []


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("hops:16", "circle"),
        ("age:60", "OUTBOX_PARK_OLDER_THAN_SECONDS"),
        ("size:2>1", "OUTBOX_TOPIC_MAX_BYTES"),
        ("topic-not-allowed", "OUTBOX_ALLOWED_TOPICS"),
        ("held:NotFound", "create topic"),
        ("InvalidParameter", "OUTBOX_TOPIC_MAX_BYTES"),
    ],
)
def test_a_reason_to_park_that_somebody_can_mend_says_how(reason: str, word: str) -> None:
    assert word in (find_park_remedy(reason) or "")


def test_a_reason_that_says_it_all_needs_no_advice() -> None:
    assert find_park_remedy("missing:Topic") is None


@pytest.mark.parametrize(
    ("arn", "code", "said"),
    [
        ("arn:aws:sqs:eu-west-1:1:q", "AccessDenied", "allow the relay's role sqs:SendMessage on {}"),
        ("arn:aws:sqs:eu-west-1:1:q", "QueueDoesNotExist", "create queue {}"),
        ("arn:aws:sqs:eu-west-1:1:q", "KmsDisabled", "enable the key of {}, or give the queue another one"),
        ("arn:aws:sqs:eu-west-1:1:q.fifo", "UnsupportedOperation", "{} takes no such request"),
        (
            "arn:aws:events:eu-west-1:1:event-bus/b",
            "AccessDeniedException",
            "allow the relay's role events:PutEvents and events:DescribeEventBus on {}",
        ),
        (
            "arn:aws:events:eu-west-1:1:event-bus/b",
            "NotAuthorizedForSourceException",
            "allow the relay's role",
        ),
        ("arn:aws:kinesis:eu-west-1:1:stream/s", "ResourceNotFoundException", "create stream {}"),
        (
            "arn:aws:kinesis:eu-west-1:1:stream/s",
            "ProvisionedThroughputExceededException",
            "{} is throttled: ask for a higher quota, give a stream more shards",
        ),
    ],
)
def test_advice_is_that_of_the_kind_of_destination(arn: str, code: str, said: str) -> None:
    assert find_remedy("publish_failed", code, topic_arn=arn).startswith(said.format(arn))


@pytest.mark.parametrize(
    "reason",
    [
        "destination-not-allowed",
        "destination-name",
        "detail-type:129>128",
        "extension-name:x-y",
        "MalformedDetail",
        "InvalidArgumentException",
        "ValidationException",
    ],
)
def test_what_a_destination_refuses_is_parked_with_advice(reason: str) -> None:
    advice = find_park_remedy(reason)
    assert advice
    assert "SNS" not in advice  # which of four services it was, a reason does not say
