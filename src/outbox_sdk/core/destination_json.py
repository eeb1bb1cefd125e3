"""SQS, EventBridge and Kinesis on the wire: one call each, and its answer, as JSON."""

from collections.abc import Callable
from typing import Any

import msgspec

from outbox_sdk.core.classification import may_be_one_entrys_fault
from outbox_sdk.core.destinations import EVENTBRIDGE, KINESIS, SQS, DestinationKind, Service, route_of
from outbox_sdk.core.dynamodb_json import decode_answer, decode_error, encode_arguments
from outbox_sdk.core.entry import Entry
from outbox_sdk.core.identifiers import TopicArn
from outbox_sdk.core.publish import (
    EntryFailed,
    Published,
    PublishRequest,
    PublishResponse,
    RequestFailed,
    decode_publish_response,
)

__all__ = [
    "WIRES",
    "Wire",
    "decode_bus",
    "describe_bus_headers",
    "describe_bus_request",
    "put_events_request",
    "put_records_request",
    "send_message_batch_request",
]


class Wire(msgspec.Struct, frozen=True, kw_only=True):
    """How a service is asked and how it answers.

    ``arguments`` writes a request as AWS clients take it, given the service's endpoint; ``decode`` reads the
    results of an answer.
    """

    kind: DestinationKind
    operation: str
    target: str
    version: str
    arguments: Callable[[PublishRequest, str], dict[str, Any]]
    decode: Callable[[PublishRequest, bytes], PublishResponse]

    @property
    def headers(self) -> dict[str, str]:
        """The headers that name the call."""
        return {
            "Content-Type": f"application/x-amz-json-{self.version}",
            "X-Amz-Target": f"{self.target}.{self.operation}",
        }

    def encode(self, request: PublishRequest, *, endpoint_url: str) -> bytes:
        """Write the body of a request to the service at ``endpoint_url``.

        Raises:
            UnicodeEncodeError: a text holds half a surrogate pair.
        """
        return encode_arguments(self.arguments(request, endpoint_url))

    def decode_answer(self, request: PublishRequest, status: int, body: bytes) -> PublishResponse:
        """Read what came back for a request: a result for each entry, or one failure for all.

        An answer that the service would not give, as of something on the way, is a failure by its status, or
        ``UnreadableResponse`` where that is 200.
        """
        if status != 200:
            code, text = decode_error(status, body)
            return RequestFailed(_plain_code(code), status, text)
        try:
            return self.decode(request, body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return RequestFailed("UnreadableResponse")


# SQS

_QUERY_PREFIX = "AWS.SimpleQueueService."
_QUERY_CODES = {
    "KMS.AccessDeniedException": "KmsAccessDenied",
    "KMS.DisabledException": "KmsDisabled",
    "KMS.InvalidKeyUsageException": "KmsInvalidKeyUsage",
    "KMS.InvalidStateException": "KmsInvalidState",
    "KMS.NotFoundException": "KmsNotFound",
    "KMS.OptInRequired": "KmsOptInRequired",
    "KMS.ThrottlingException": "KmsThrottled",
    "NonExistentQueue": "QueueDoesNotExist",
}


def _plain_code(code: str) -> str:
    """Give a code the name that it has in JSON: SQS had others before, and still says them at places."""
    bare = code.removeprefix(_QUERY_PREFIX)
    return _QUERY_CODES.get(bare, bare)


def send_message_batch_request(request: PublishRequest, endpoint_url: str) -> dict[str, Any]:
    """Write the arguments of ``SendMessageBatch``. Entry ids are positions, unique in any request.

    The queue's URL is on the endpoint that is asked: SQS reads account and name in it.
    """
    _, name = route_of(request.topic)
    account = request.topic.split(":")[4]
    return {
        "QueueUrl": f"{endpoint_url}/{account}/{name}",
        "Entries": [_queue_entry(entry, str(position)) for position, entry in enumerate(request.entries)],
    }


def _queue_entry(entry: Entry, entry_id: str) -> dict[str, Any]:
    written: dict[str, Any] = {
        "Id": entry_id,
        "MessageBody": entry.envelope.body,
        "MessageAttributes": {
            attribute.name: {"DataType": attribute.kind, "StringValue": attribute.value}
            for attribute in entry.envelope.attributes
        },
    }
    if entry.group_id is not None and entry.deduplication_id is not None:
        written["MessageGroupId"] = entry.group_id
        written["MessageDeduplicationId"] = entry.deduplication_id
    return written


class _Sent(msgspec.Struct):
    Id: str
    MessageId: str = ""


class _Unsent(msgspec.Struct):
    Id: str
    Code: str = ""
    SenderFault: bool = False
    Message: str | None = None


class _SqsAnswer(msgspec.Struct):
    Successful: list[_Sent] | None = None
    Failed: list[_Unsent] | None = None


_sqs_answers = msgspec.json.Decoder(_SqsAnswer)


def _decode_sent(request: PublishRequest, body: bytes) -> PublishResponse:
    answer = _sqs_answers.decode(body)
    if answer.Successful is None and answer.Failed is None:
        return RequestFailed("UnreadableResponse")
    return decode_publish_response(
        request,
        {
            "Successful": [msgspec.structs.asdict(sent) for sent in answer.Successful or ()],
            "Failed": [
                {
                    **msgspec.structs.asdict(unsent),
                    "Code": _plain_code(unsent.Code),
                    "Message": unsent.Message or "",
                }
                for unsent in answer.Failed or ()
            ],
        },
    )


# EventBridge and Kinesis answer in the order of the request, with a result for each entry. Where there is any
# other number of them, nobody knows which is whose.


def put_events_request(request: PublishRequest, endpoint_url: str = "") -> dict[str, Any]:  # noqa: ARG001
    """Write the arguments of ``PutEvents``; the bus is named by its ARN. Times are whole epoch seconds."""
    return {
        "Entries": [
            {
                "Detail": entry.envelope.body,
                "EventBusName": request.topic,
                **{
                    field.name: int(field.value) if field.kind == "Number" else field.value
                    for field in entry.envelope.attributes
                },
            }
            for entry in request.entries
        ]
    }


def describe_bus_headers() -> dict[str, str]:
    """Name the call that looks for a bus."""
    wire = WIRES["events"]
    return {**wire.headers, "X-Amz-Target": f"{wire.target}.DescribeEventBus"}


def describe_bus_request(bus: TopicArn) -> bytes:
    """Ask for a bus by its name, in the account and the Region that are asked."""
    return encode_arguments({"Name": route_of(bus)[1]})


def decode_bus(bus: TopicArn, status: int, body: bytes) -> RequestFailed | None:
    """Read whether a bus is there: ``None``, or why nothing can be published to it.

    No answer here is the fault of a message, whatever its code: what would park one counts as configuration.
    """
    if status != 200:
        code, text = decode_error(status, body)
        blames = may_be_one_entrys_fault(code, status=status, text=text)
        return RequestFailed("InvalidAddress" if blames else code, status, text)
    answer = decode_answer(body)
    if answer is None or "Arn" not in answer:
        return RequestFailed("UnreadableResponse")
    return None if answer["Arn"] == bus else RequestFailed("ResourceNotFoundException", 400)


def put_records_request(request: PublishRequest, endpoint_url: str = "") -> dict[str, Any]:  # noqa: ARG001
    """Write the arguments of ``PutRecords``; the partition key is the entry's group."""
    _, name = route_of(request.topic)
    return {
        "StreamName": name,
        "Records": [
            {"Data": entry.envelope.body.encode(), "PartitionKey": entry.group_id or ""}
            for entry in request.entries
        ],
    }


class _Result(msgspec.Struct):
    EventId: str | None = None
    SequenceNumber: str | None = None
    ErrorCode: str | None = None
    ErrorMessage: str | None = None


class _EventsAnswer(msgspec.Struct):
    Entries: list[_Result]


class _RecordsAnswer(msgspec.Struct):
    Records: list[_Result]


_events_answers = msgspec.json.Decoder(_EventsAnswer)
_records_answers = msgspec.json.Decoder(_RecordsAnswer)


def _decode_events(request: PublishRequest, body: bytes) -> PublishResponse:
    return _decode_results(request, _events_answers.decode(body).Entries)


def _decode_records(request: PublishRequest, body: bytes) -> PublishResponse:
    return _decode_results(request, _records_answers.decode(body).Records)


def _decode_results(request: PublishRequest, results: list[_Result]) -> PublishResponse:
    if len(results) != len(request.entries):
        return RequestFailed("UnreadableResponse")
    return tuple(map(_decode_result, results))


def _decode_result(result: _Result) -> Published | EntryFailed:
    own_id = result.EventId or result.SequenceNumber
    if result.ErrorCode:
        return EntryFailed(result.ErrorCode, text=result.ErrorMessage or "")
    return EntryFailed("MissingFromResponse") if own_id is None else Published(own_id)


WIRES: dict[Service, Wire] = {
    "sqs": Wire(
        kind=SQS,
        operation="SendMessageBatch",
        target="AmazonSQS",
        version="1.0",
        arguments=send_message_batch_request,
        decode=_decode_sent,
    ),
    "events": Wire(
        kind=EVENTBRIDGE,
        operation="PutEvents",
        target="AWSEvents",
        version="1.1",
        arguments=put_events_request,
        decode=_decode_events,
    ),
    "kinesis": Wire(
        kind=KINESIS,
        operation="PutRecords",
        target="Kinesis_20131202",
        version="1.1",
        arguments=put_records_request,
        decode=_decode_records,
    ),
}
"""By AWS's name of the service. SNS speaks another protocol."""
