"""The sentence for each failure, whole: a person reads it at night and does what it says."""

import pytest

from outbox_sdk.core.remedies import find_call_remedy, find_park_remedy, find_remedy

TOPIC = "arn:aws:sns:eu-west-1:123456789012:orders"
QUEUE = "arn:aws:sqs:eu-west-1:123456789012:orders"
BUS = "arn:aws:events:eu-west-1:123456789012:event-bus/orders"
STREAM = "arn:aws:kinesis:eu-west-1:123456789012:stream/orders"

CREDENTIALS = (
    "the credentials are missing, expired or unknown: give the relay a role or renew its credentials"
)
OWN_CREDENTIALS = "the credentials are missing, expired or unknown: log in, or name a profile"
CLOCK = "the signature was refused: correct the host's clock, which may be minutes off, or the secret key"
NETWORK = (
    "no connection: check DNS, the security group, the route or VPC endpoint of the service, and "
    "AWS_ENDPOINT_URL"
)
SLOW = "AWS did not answer in time: nothing to do while it passes by itself; if it lasts, check the route"
OWN_TROUBLE = "AWS has trouble of its own: nothing to do while it passes by itself"
DEADLINE = "no time was left: raise the function's timeout, or lower the mapping's batch size"
UNKNOWN = "nothing is known about this code: look it up in AWS's documentation of the call"
TABLE = "the table or its index is not there: correct DYNAMODB_OUTBOX_TABLE_NAME or the Region, or create it"
TABLE_BUSY = (
    "DynamoDB is throttled: raise the table's capacity; if the error names an index, its key is hot: raise "
    "OUTBOX_NOT_DISPATCHED_BUCKETS of the producers"
)
CONFLICT = "others write the same items: nothing to do while it passes by itself"
SHAPE = "DynamoDB refuses the request: compare the table's keys and indexes with the relay's TableDesign"
COLLECTION = (
    "the aggregate's items have reached 10 GB: delete dispatched ones and set OUTBOX_DISPATCHED_TTL_DAYS"
)
MARK_SHAPE = f"{SHAPE}; the message is out, and its item stays outstanding"
MARK_RIGHT = (
    "allow the relay's role, on the outbox table, what OUTBOX_MARK_STRATEGY needs: dynamodb:PartiQLUpdate "
    "for batch, dynamodb:UpdateItem for single, dynamodb:BatchWriteItem for delete; until then messages are "
    "sent twice"
)


@pytest.mark.parametrize(
    ("code", "topic", "sentence"),
    [
        ("ExpiredToken", TOPIC, CREDENTIALS),
        ("SignatureDoesNotMatch", TOPIC, CLOCK),
        ("InvalidSignatureException", QUEUE, CLOCK),
        ("ConnectionClosed", TOPIC, NETWORK),
        ("Timeout", STREAM, SLOW),
        ("RequestTimeoutException", TOPIC, SLOW),
        ("InternalError", TOPIC, OWN_TROUBLE),
        ("MissingFromResponse", BUS, OWN_TROUBLE),
        ("DeadlineExceeded", TOPIC, DEADLINE),
        ("NeverHeardOf", TOPIC, UNKNOWN),
        (
            "ThrottlingException",
            TOPIC,
            f"SNS is throttled: ask for a higher quota of {TOPIC}'s Region, or lower OUTBOX_MAX_CONCURRENCY",
        ),
        (
            "ThrottlingException",
            None,
            "SNS is throttled: ask for a higher quota of the topic's Region, or lower OUTBOX_MAX_CONCURRENCY",
        ),
        (
            "ThrottlingException",
            STREAM,
            f"{STREAM} is throttled: ask for a higher quota, give a stream more shards, or lower "
            "OUTBOX_MAX_CONCURRENCY",
        ),
        (
            "KMSThrottlingException",
            TOPIC,
            f"KMS is throttled: ask for a higher request quota, or let the key of {TOPIC} be used less",
        ),
        (
            "AuthorizationError",
            TOPIC,
            f"allow the relay's role sns:Publish on {TOPIC}, in the topic's policy too if it has one",
        ),
        (
            "AccessDenied",
            None,
            "allow the relay's role sns:Publish on the topic, in the topic's policy too if it has one",
        ),
        (
            "AccessDeniedException",
            QUEUE,
            f"allow the relay's role sqs:SendMessage on {QUEUE}, in the queue's policy too if it has one",
        ),
        (
            "AccessDeniedException",
            BUS,
            f"allow the relay's role events:PutEvents and events:DescribeEventBus on {BUS}, in the event "
            "bus's policy too if it has one",
        ),
        (
            "AccessDeniedException",
            STREAM,
            f"allow the relay's role kinesis:PutRecords on {STREAM}, in the stream's policy too "
            "if it has one",
        ),
        (
            "NotFoundException",
            TOPIC,
            f"create topic {TOPIC}, or correct the message's topic name, AWS_SNS_TOPIC_PREFIX or the Region",
        ),
        ("QueueDoesNotExist", QUEUE, f"create queue {QUEUE}, or correct the message's route or the Region"),
        (
            "ResourceNotFoundException",
            BUS,
            f"create event bus {BUS}, or correct the message's route or the Region",
        ),
        (
            "UnsupportedOperation",
            QUEUE,
            f"{QUEUE} takes no such request: is a queue with .fifo in its name FIFO, and no other?",
        ),
        (
            "InvalidParameter",
            TOPIC,
            f"SNS does not take {TOPIC} here: topics live in the Region and account of the function, or of "
            "AWS_REGION and AWS_ACCOUNT_ID",
        ),
        (
            "KmsAccessDenied",
            QUEUE,
            f"allow the relay's role kms:GenerateDataKey* and kms:Decrypt on the key of {QUEUE}",
        ),
        ("KMSDisabledException", BUS, f"enable the key of {BUS}, or give the event bus another one"),
    ],
)
def test_what_to_do_about_a_publish(code: str, topic: str | None, sentence: str) -> None:
    assert find_remedy("publish_failed", code, topic_arn=topic) == sentence


@pytest.mark.parametrize(
    ("event", "code", "sentence"),
    [
        ("mark_failed", "NoCredentials", CREDENTIALS),
        ("mark_failed", "AccessDeniedException", MARK_RIGHT),
        ("mark_refused", "NotAuthorized", MARK_RIGHT),
        (
            "park_failed",
            "AccessDenied",
            "allow the relay's role dynamodb:UpdateItem on the outbox table; parking needs it with any "
            "strategy",
        ),
        (
            "lookup_failed",
            "AccessDenied",
            "allow the relay's role dynamodb:BatchGetItem on the outbox table",
        ),
        (
            "fetch_failed",
            "NotAuthorized",
            "allow the relay's role dynamodb:BatchGetItem on the outbox table",
        ),
        (
            "touch_failed",
            "AccessDenied",
            "allow the sweeper's role dynamodb:UpdateItem on the outbox table",
        ),
        (
            "buckets_unread",
            "AccessDenied",
            "allow the sweeper's role dynamodb:Query on the index of outstanding items",
        ),
        ("no_such_event", "AccessDenied", UNKNOWN),
        (
            "mark_failed",
            "ValidationException",
            f"{SHAPE}; the message is out, and its item stays outstanding",
        ),
        ("mark_refused", "ValidationError", MARK_SHAPE),
        ("park_failed", "ValidationException", SHAPE),
        ("mark_failed", "ResourceNotFoundException", TABLE),
        ("lookup_failed", "TransactionConflictException", CONFLICT),
        ("mark_failed", "ReplicatedWriteConflictException", CONFLICT),
        ("mark_refused", "ItemCollectionSizeLimitExceededException", COLLECTION),
        ("mark_failed", "ProvisionedThroughputExceededException", TABLE_BUSY),
        ("mark_failed", "ThrottlingError", TABLE_BUSY),
        ("lookup_failed", "ServiceUnavailable", OWN_TROUBLE),
        ("lookup_failed", "EndpointConnectionError", NETWORK),
        ("lookup_failed", "NeverHeardOf", UNKNOWN),
    ],
)
def test_what_to_do_about_the_table(event: str, code: str, sentence: str) -> None:
    assert find_remedy(event, code) == sentence


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("AccessDeniedException", "allow these credentials dynamodb:Scan on the outbox table and its index"),
        ("NotAuthorized", "allow these credentials dynamodb:Scan on the outbox table and its index"),
        ("ExpiredTokenException", OWN_CREDENTIALS),
        ("ResourceNotFoundException", TABLE),
        ("ValidationException", SHAPE),
        ("ThrottlingException", TABLE_BUSY),
        ("RequestExpired", CLOCK),
        ("NeverHeardOf", UNKNOWN),
    ],
)
def test_what_to_do_about_a_persons_call(code: str, sentence: str) -> None:
    assert find_call_remedy("Scan", code) == sentence


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        (
            "held:KMSDisabled",
            f"enable the key of {TOPIC}, or give the topic another one; then redrive by this reason",
        ),
        ("held:NeverHeardOf", f"{UNKNOWN}; then redrive by this reason"),
        (
            "size:300000",
            "larger than its destination takes: send less, or raise its limit and OUTBOX_TOPIC_MAX_BYTES",
        ),
        ("hops", "consumers write to each other in a circle: find the one that answers its own cause"),
        (
            "age:3600",
            "older than OUTBOX_PARK_OLDER_THAN_SECONDS, as after a restore: redrive what is still wanted",
        ),
        (
            "InvalidParameter",
            "the destination refuses this very message: compare its size with OUTBOX_TOPIC_MAX_BYTES and the "
            "destination's own limit, and its body and attributes with what is allowed there",
        ),
        ("charset:U+0000", None),
        ("", None),
    ],
)
def test_what_to_do_about_a_parked_message(reason: str, sentence: str | None) -> None:
    assert find_park_remedy(reason, topic_arn=TOPIC) == sentence


def test_a_held_message_without_a_known_topic_is_mended_by_the_same_sentence() -> None:
    assert find_park_remedy("held:KMSDisabled") == (
        "enable the key of the topic, or give the topic another one; then redrive by this reason"
    )
