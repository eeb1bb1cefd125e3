"""What AWS makes of a message on its way to a consumer, written by hand after its documentation.

Each function takes what the relay published: a body, and attributes as name, type and value.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from outbox_sdk.core.envelope import Envelope

__all__ = [
    "DELIVERIES",
    "QUEUE_ARN",
    "TOPIC_ARN",
    "Attributes",
    "attributes_of",
    "lambda_sns",
    "lambda_sqs",
    "lambda_sqs_of_sns",
    "notification",
    "received",
    "received_of_sns",
]

TOPIC_ARN = "arn:aws:sns:eu-west-1:123456789012:order--created.fifo"
QUEUE_ARN = "arn:aws:sqs:eu-west-1:123456789012:orders.fifo"

Attributes = Iterable[tuple[str, str, str]]

_SYSTEM = {
    "ApproximateReceiveCount": "2",
    "SentTimestamp": "1763978400000",
    "SequenceNumber": "18849496460467696128",
    "MessageGroupId": "order-7",
    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
    "MessageDeduplicationId": "5a5f",
    "ApproximateFirstReceiveTimestamp": "1763978400010",
}


def attributes_of(envelope: Envelope) -> list[tuple[str, str, str]]:
    """Give the attributes of an envelope of ours as name, type and value."""
    return [(attribute.name, attribute.kind, attribute.value) for attribute in envelope.attributes]


def lambda_sqs(body: str, attributes: Attributes) -> dict[str, Any]:
    """A record as Lambda hands it over, of a queue whose subscription has raw message delivery."""
    return {
        "messageId": "c80e8021-a70a-42c7-a470-796e1186f753",
        "receiptHandle": "AQEBJQ+/u6NsnT5t8Q/VbVxgdUl4TMKZ5FqhksRdIQvLBhwNvADoBxYSOVeCBXdnS9P+",
        "body": body,
        "attributes": dict(_SYSTEM),
        "messageAttributes": {
            name: {
                "stringValue": value,
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": kind,
            }
            for name, kind, value in attributes
        },
        "md5OfBody": "098f6bcd4621d373cade4e832627b4f6",
        "eventSource": "aws:sqs",
        "eventSourceARN": QUEUE_ARN,
        "awsRegion": "eu-west-1",
    }


def received(body: str, attributes: Attributes) -> dict[str, Any]:
    """A message of ``receive_message``; without attributes, their map is not there at all."""
    message: dict[str, Any] = {
        "MessageId": "c80e8021-a70a-42c7-a470-796e1186f753",
        "ReceiptHandle": "AQEBJQ+/u6NsnT5t8Q/VbVxgdUl4TMKZ5FqhksRdIQvLBhwNvADoBxYSOVeCBXdnS9P+",
        "MD5OfBody": "098f6bcd4621d373cade4e832627b4f6",
        "Body": body,
        "Attributes": dict(_SYSTEM),
    }
    given = {name: {"StringValue": value, "DataType": kind} for name, kind, value in attributes}
    return {**message, "MessageAttributes": given} if given else message


def notification(body: str, attributes: Attributes) -> dict[str, Any]:
    """What SNS makes of a message for who has no raw message delivery."""
    document: dict[str, Any] = {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "SequenceNumber": "10000000000000003000",
        "TopicArn": TOPIC_ARN,
        "Message": body,
        "Timestamp": "2026-11-23T09:00:00.000Z",
        "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe",
    }
    given = {name: {"Type": kind, "Value": value} for name, kind, value in attributes}
    return {**document, "MessageAttributes": given} if given else document


def lambda_sns(body: str, attributes: Attributes) -> dict[str, Any]:
    """A record of a function that is itself the subscriber."""
    return {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": f"{TOPIC_ARN}:21be56ed-a058-49f5-8c98-aedd2564c486",
        "Sns": {"Subject": None, "MessageAttributes": {}, **notification(body, attributes)},
    }


def lambda_sqs_of_sns(body: str, attributes: Attributes) -> dict[str, Any]:
    """A record of a queue whose subscription has no raw message delivery."""
    return lambda_sqs(json.dumps(notification(body, attributes)), [])


def received_of_sns(body: str, attributes: Attributes) -> dict[str, Any]:
    """A message of ``receive_message`` behind a subscription without raw message delivery."""
    return received(json.dumps(notification(body, attributes)), [])


DELIVERIES: Mapping[str, Callable[[str, Attributes], dict[str, Any]]] = {
    "lambda, raw": lambda_sqs,
    "lambda, enveloped": lambda_sqs_of_sns,
    "api, raw": received,
    "api, enveloped": received_of_sns,
    "sns": lambda_sns,
}
"""Every way, by a name for people; those of SNS alone are for ``decode_sns_record``."""
