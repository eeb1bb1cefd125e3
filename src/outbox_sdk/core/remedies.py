"""What a person can do about a failure: one sentence for each kind, by event and code."""

from collections.abc import Iterable, Mapping

from outbox_sdk.core.classification import is_credential_fault, is_throttle
from outbox_sdk.core.destinations import EVENTBRIDGE, SNS, DestinationKind, route_of

__all__ = ["find_call_remedy", "find_park_remedy", "find_remedy"]

_CREDENTIALS = (
    "the credentials are missing, expired or unknown: give the relay a role or renew its credentials"
)
_OWN_CREDENTIALS = "the credentials are missing, expired or unknown: log in, or name a profile"
_CLOCK = "the signature was refused: correct the host's clock, which may be minutes off, or the secret key"
_NETWORK = (
    "no connection: check DNS, the security group, the route or VPC endpoint of the service, and "
    "AWS_ENDPOINT_URL"
)
_SLOW = "AWS did not answer in time: nothing to do while it passes by itself; if it lasts, check the route"
_OWN_TROUBLE = "AWS has trouble of its own: nothing to do while it passes by itself"
_DEADLINE = "no time was left: raise the function's timeout, or lower the mapping's batch size"
_UNKNOWN = "nothing is known about this code: look it up in AWS's documentation of the call"

_PUBLISH_RIGHT = "allow the relay's role {action} on {topic}, in the {what}'s policy too if it has one"
_TOPIC = "create topic {topic}, or correct the message's topic name, AWS_SNS_TOPIC_PREFIX or the Region"
_DESTINATION = "create {what} {topic}, or correct the message's route or the Region"
_WRONG_KIND = "{topic} takes no such request: is a queue with .fifo in its name FIFO, and no other?"
_ELSEWHERE = (
    "SNS does not take {topic} here: topics live in the Region and account of the function, or of AWS_REGION "
    "and AWS_ACCOUNT_ID"
)
_KEY_RIGHT = "allow the relay's role kms:GenerateDataKey* and kms:Decrypt on the key of {topic}"
_KEY = "enable the key of {topic}, or give the {what} another one"

_MARK_RIGHT = (
    "allow the relay's role, on the outbox table, what OUTBOX_MARK_STRATEGY needs: dynamodb:PartiQLUpdate "
    "for batch, dynamodb:UpdateItem for single, dynamodb:BatchWriteItem for delete; until then messages are "
    "sent twice"
)
_PARK_RIGHT = (
    "allow the relay's role dynamodb:UpdateItem on the outbox table; parking needs it with any strategy"
)
_READ_RIGHT = "allow the relay's role dynamodb:BatchGetItem on the outbox table"
_TABLE = "the table or its index is not there: correct DYNAMODB_OUTBOX_TABLE_NAME or the Region, or create it"
_TABLE_BUSY = (
    "DynamoDB is throttled: raise the table's capacity; if the error names an index, its key is hot: raise "
    "OUTBOX_NOT_DISPATCHED_BUCKETS of the producers"
)
_TOPIC_BUSY = "SNS is throttled: ask for a higher quota of {topic}'s Region, or lower OUTBOX_MAX_CONCURRENCY"
_DESTINATION_BUSY = (
    "{topic} is throttled: ask for a higher quota, give a stream more shards, or lower OUTBOX_MAX_CONCURRENCY"
)
_KEY_BUSY = "KMS is throttled: ask for a higher request quota, or let the key of {topic} be used less"
_CONFLICT = "others write the same items: nothing to do while it passes by itself"
_SHAPE = "DynamoDB refuses the request: compare the table's keys and indexes with the relay's TableDesign"
_MARK_SHAPE = f"{_SHAPE}; the message is out, and its item stays outstanding"
_MARK_COLLECTION = (
    "the aggregate's items have reached 10 GB: delete dispatched ones and set OUTBOX_DISPATCHED_TTL_DAYS"
)

# By the start of a code, so that `KMSDisabledException` goes with `KMSDisabled`.
_ANYWHERE: Mapping[str, str] = {
    "SignatureDoesNotMatch": _CLOCK,
    "InvalidSignature": _CLOCK,
    "RequestExpired": _CLOCK,
    "IncompleteSignature": _CLOCK,
    "Connection": _NETWORK,
    "Endpoint": _NETWORK,
    "Timeout": _SLOW,
    "RequestTimeout": _SLOW,
    "Internal": _OWN_TROUBLE,
    "ServiceUnavailable": _OWN_TROUBLE,
    "MissingFromResponse": _OWN_TROUBLE,
    "Deadline": _DEADLINE,
}
_PUBLISH: Mapping[str, str] = {
    "KMSThrottling": _KEY_BUSY,
    "KmsThrottled": _KEY_BUSY,
    "Authorization": _PUBLISH_RIGHT,
    "AccessDenied": _PUBLISH_RIGHT,
    "NotAuthorized": _PUBLISH_RIGHT,
    "NotFound": _TOPIC,
    "ResourceNotFound": _TOPIC,
    "InvalidParameter": _ELSEWHERE,
    "KMSAccessDenied": _KEY_RIGHT,
    "KmsAccessDenied": _KEY_RIGHT,
    "KMS": _KEY,
    "Kms": _KEY,
}
_PUBLISH_ELSEWHERE: Mapping[str, str] = {
    "QueueDoesNotExist": _DESTINATION,
    "ResourceNotFound": _DESTINATION,
    "InvalidAddress": _DESTINATION,
    "UnsupportedOperation": _WRONG_KIND,
}
_TABLE_CODES: Mapping[str, str] = {
    "ResourceNotFound": _TABLE,
    "Transaction": _CONFLICT,
    "ReplicatedWriteConflict": _CONFLICT,
    "Validation": _SHAPE,
    "ItemCollectionSizeLimitExceeded": _MARK_COLLECTION,
}
_RIGHTS: Mapping[str, str] = {
    "lookup_failed": _READ_RIGHT,
    "fetch_failed": _READ_RIGHT,
    "touch_failed": "allow the sweeper's role dynamodb:UpdateItem on the outbox table",
    "buckets_unread": "allow the sweeper's role dynamodb:Query on the index of outstanding items",
    "mark_failed": _MARK_RIGHT,
    "mark_refused": _MARK_RIGHT,
    "park_failed": _PARK_RIGHT,
}

_REFUSED = (
    "the destination refuses this very message: compare its size with OUTBOX_TOPIC_MAX_BYTES and the "
    "destination's own limit, and its body and attributes with what is allowed there"
)
_PARKS: Mapping[str, str] = {
    "BatchRequestTooLong": _REFUSED,
    "InvalidParameter": _REFUSED,
    "InvalidParameterValue": _REFUSED,
    "ParameterValueInvalid": _REFUSED,
    "ValidationError": _REFUSED,
    "ValidationException": _REFUSED,
    "hops": "consumers write to each other in a circle: find the one that answers its own cause",
    "age": "older than OUTBOX_PARK_OLDER_THAN_SECONDS, as after a restore: redrive what is still wanted",
    "InvalidArgument": _REFUSED,
    "InvalidArgumentException": _REFUSED,
    "InvalidMessageContents": _REFUSED,
    "MalformedDetail": _REFUSED,
    "size": "larger than its destination takes: send less, or raise its limit and OUTBOX_TOPIC_MAX_BYTES",
    "destination-not-allowed": (
        "OUTBOX_ALLOWED_TOPICS has to name what is no topic: add the destination, or correct the producer"
    ),
    "destination-name": "no destination has such a name: correct the producer",
    "detail-type": "EventBridge takes 128 characters for the message's type: shorten it",
    "extension-name": "no CloudEvent can carry the header: use a-z and 0-9, and a free name",
    "topic-not-allowed": "OUTBOX_ALLOWED_TOPICS does not hold its topic: add it, or correct the producer",
    "topic-name": "no topic has such a name: correct the producer or AWS_SNS_TOPIC_PREFIX",
}


def find_remedy(event: str, code: str, *, topic_arn: str | None = None) -> str:
    """Say what to do about a class of failures, named as in the log.

    >>> find_remedy("publish_failed", "KMSDisabled", topic_arn="arn:aws:sns:eu-west-1:123456789012:t")
    'enable the key of arn:aws:sns:eu-west-1:123456789012:t, or give the topic another one'
    """
    if is_credential_fault(code):
        return _CREDENTIALS
    if event == "publish_failed":
        elsewhere = _kind_of(topic_arn) is not SNS
        tables = [*([_PUBLISH_ELSEWHERE] if elsewhere else []), _PUBLISH, _ANYWHERE]
        busy = _DESTINATION_BUSY if elsewhere else _TOPIC_BUSY
    else:
        right = _RIGHTS.get(event, _UNKNOWN)
        own = {"AccessDenied": right, "NotAuthorized": right}
        if event.startswith("mark_"):
            own["Validation"] = _MARK_SHAPE
        tables = [own, _TABLE_CODES, _ANYWHERE]
        busy = _TABLE_BUSY
    advice = _by_start(tables, code) or (busy if is_throttle(code) else _UNKNOWN)
    kind = _kind_of(topic_arn)
    action = f"{kind.action} and events:DescribeEventBus" if kind is EVENTBRIDGE else kind.action
    return advice.format(topic=topic_arn or "the topic", action=action, what=kind.what)


def find_call_remedy(operation: str, code: str) -> str:
    """Say what to do about a call on the table that a person has made.

    >>> find_call_remedy("Query", "AccessDeniedException")
    'allow these credentials dynamodb:Query on the outbox table and its index'
    """
    right = f"allow these credentials dynamodb:{operation} on the outbox table and its index"
    tables = [{"AccessDenied": right, "NotAuthorized": right}, _TABLE_CODES, _ANYWHERE]
    if is_credential_fault(code):
        return _OWN_CREDENTIALS
    return _by_start(tables, code) or (_TABLE_BUSY if is_throttle(code) else _UNKNOWN)


def find_park_remedy(reason: str, *, topic_arn: str | None = None) -> str | None:
    """Say what to do about parked messages, where the reason does not say it by itself."""
    kind, _, rest = reason.partition(":")
    if kind == "held":
        return f"{find_remedy('publish_failed', rest, topic_arn=topic_arn)}; then redrive by this reason"
    return _PARKS.get(kind)


def _kind_of(topic_arn: str | None) -> DestinationKind:
    return SNS if topic_arn is None else route_of(topic_arn)[0]


def _by_start(tables: Iterable[Mapping[str, str]], code: str) -> str | None:
    return next(
        (advice for table in tables for start, advice in table.items() if code.startswith(start)), None
    )
