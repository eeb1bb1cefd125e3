"""Publishing decided: which entries share a request, and what an answer means for each of them.

One mechanism for all destinations: their limits come with the entries, their codes are in one table.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from outbox_sdk.core.classification import (
    SIZE_CODES,
    ErrorClass,
    classify_entry_error,
    classify_request_error,
    may_be_one_entrys_fault,
)
from outbox_sdk.core.destinations import SNS
from outbox_sdk.core.entry import Entry, entry_request
from outbox_sdk.core.identifiers import TopicArn

__all__ = [
    "MAX_ENTRIES",
    "EntryFailed",
    "EntryResult",
    "Failed",
    "PublishRequest",
    "PublishResponse",
    "Published",
    "Refused",
    "RequestFailed",
    "Settlement",
    "decode_publish_response",
    "failure_codes",
    "pack_requests",
    "publish_batch_request",
    "settle_publish",
]

MAX_ENTRIES = SNS.max_entries
"""SNS takes this many entries in one ``PublishBatch``."""


class PublishRequest(msgspec.Struct, frozen=True):
    """One ``PublishBatch`` or its like: entries of one destination, within its limits, at most one of a lane.

    ``topic`` is the destination's ARN.
    """

    topic: TopicArn
    entries: tuple[Entry, ...]


class Published(msgspec.Struct, frozen=True):
    """The destination accepted the entry. ``sns_message_id`` is the service's own id, not the message's."""

    sns_message_id: str


class Refused(msgspec.Struct, frozen=True):
    """The destination refuses the entry for its own sake, now and always."""

    code: str


class Failed(msgspec.Struct, frozen=True):
    """The entry was not published, or nobody knows; it must come again."""

    code: str
    error_class: ErrorClass


EntryResult = Published | Refused | Failed
"""How an entry ended."""


class EntryFailed(msgspec.Struct, frozen=True):
    """An entry that the response says has failed, or says nothing of."""

    code: str
    sender_fault: bool = False
    text: str = ""


class RequestFailed(msgspec.Struct, frozen=True):
    """The request failed as a whole; ``status`` is 0 where there was no response.

    ``text`` is the service's sentence. It is read for classifying and never logged: it may quote the message.
    """

    code: str
    status: int = 0
    text: str = ""


PublishResponse = tuple[Published | EntryFailed, ...] | RequestFailed
"""What came back: a result for each entry in the order of the request, or one failure for all."""


class Settlement(msgspec.Struct, frozen=True):
    """What follows from a response.

    ``results`` are final. ``retryable`` may pass after a pause, and are as they stand where no attempt is
    left. ``isolated`` are entries cut into smaller requests, to be sent at once: that is no attempt, for
    it always ends.
    """

    results: tuple[tuple[Entry, EntryResult], ...] = ()
    retryable: tuple[tuple[Entry, Failed], ...] = ()
    isolated: tuple[PublishRequest, ...] = ()


def pack_requests(entries: Iterable[Entry]) -> tuple[PublishRequest, ...]:
    """Pack entries densely into requests: by destination, by count and by bytes, in the order given.

    A single entry always gets a request, whatever its size: what a topic takes is SNS's to say.
    """
    requests = []
    pending: dict[TopicArn, list[Entry]] = {}
    sizes: dict[TopicArn, int] = {}
    for entry in entries:
        topic, size = entry.topic, entry.size
        batch = pending.get(topic)
        if batch is None or len(batch) == entry.max_entries or sizes[topic] + size > entry.limit:
            if batch is not None:
                requests.append(PublishRequest(topic, tuple(batch)))
            batch = pending[topic] = []
            sizes[topic] = 0
        sizes[topic] += size
        batch.append(entry)
    requests.extend([PublishRequest(topic, tuple(batch)) for topic, batch in pending.items()])
    return tuple(requests)


def publish_batch_request(request: PublishRequest) -> dict[str, Any]:
    """Write the arguments of ``PublishBatch``. Entry ids are positions, unique in any request."""
    return {
        "TopicArn": request.topic,
        "PublishBatchRequestEntries": [
            entry_request(entry, str(position)) for position, entry in enumerate(request.entries)
        ],
    }


def decode_publish_response(request: PublishRequest, response: Any) -> PublishResponse:
    """Read both lists of a ``PublishBatch`` response. An entry in neither list has failed."""
    results: dict[str, Published | EntryFailed] = {}
    for success in response.get("Successful") or ():
        results[success.get("Id")] = Published(success.get("MessageId", ""))
    for failure in response.get("Failed") or ():
        results[failure.get("Id")] = EntryFailed(
            failure.get("Code", ""), bool(failure.get("SenderFault")), failure.get("Message", "")
        )
    missing = EntryFailed("MissingFromResponse")
    return tuple(results.get(str(position), missing) for position in range(len(request.entries)))


def failure_codes(response: PublishResponse) -> tuple[str, ...]:
    """List the codes of all that failed in a response."""
    if isinstance(response, RequestFailed):
        return (response.code,)
    return tuple(result.code for result in response if isinstance(result, EntryFailed))


def settle_publish(request: PublishRequest, response: PublishResponse) -> Settlement:
    """Decide what a response means for each entry of its request.

    Every entry ends in exactly one of the three fields of the settlement.
    """
    if isinstance(response, RequestFailed):
        return _settle_failure(request, response)
    results: list[tuple[Entry, EntryResult]] = []
    retryable: list[tuple[Entry, Failed]] = []
    for entry, result in zip(request.entries, response, strict=True):
        if isinstance(result, Published):
            results.append((entry, result))
            continue
        match classify_entry_error(result.code, sender_fault=result.sender_fault, text=result.text):
            case ErrorClass.RETRY:
                retryable.append((entry, Failed(result.code, ErrorClass.RETRY)))
            case ErrorClass.CONFIGURATION:
                results.append((entry, Failed(result.code, ErrorClass.CONFIGURATION)))
            case ErrorClass.MESSAGE:
                results.append((entry, Refused(result.code)))
    return Settlement(results=tuple(results), retryable=tuple(retryable))


def _settle_failure(request: PublishRequest, failure: RequestFailed) -> Settlement:
    entries = request.entries
    error_class = classify_request_error(failure.code, status=failure.status, text=failure.text)
    failed = Failed(failure.code, error_class)
    if error_class is ErrorClass.RETRY:
        return Settlement(retryable=tuple((entry, failed) for entry in entries))
    apart = may_be_one_entrys_fault(failure.code, status=failure.status, text=failure.text)
    if len(entries) == 1 or not apart:
        refused = error_class is ErrorClass.MESSAGE
        return Settlement(
            results=tuple((entry, Refused(failure.code) if refused else failed) for entry in entries)
        )
    # One bad entry fails the whole request on AWS: find it, and let its neighbours go.
    middle = len(entries) // 2
    halve = failure.code in SIZE_CODES or len(entries) > MAX_ENTRIES
    parts: Sequence[Sequence[Entry]] = (
        (entries[:middle], entries[middle:]) if halve else [(e,) for e in entries]
    )
    return Settlement(isolated=tuple(PublishRequest(request.topic, tuple(part)) for part in parts))
