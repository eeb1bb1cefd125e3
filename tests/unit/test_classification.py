"""What each error of DynamoDB and of a destination means: every code that AWS documents for our calls."""

from typing import Any

import pytest

from outbox_sdk.core.classification import (
    SIZE_CODES,
    ErrorClass,
    classify_entry_error,
    classify_request_error,
    classify_table_error,
    known_class,
    may_be_one_entrys_fault,
)
from outbox_sdk.core.destination_json import WIRES
from outbox_sdk.core.destinations import Service
from tests.property.test_wire_formats import operation

RETRY, CONFIGURATION, MESSAGE = ErrorClass.RETRY, ErrorClass.CONFIGURATION, ErrorClass.MESSAGE

SNS = [
    ("Throttling", 400, RETRY),
    ("ThrottlingException", 400, RETRY),
    ("Throttled", 429, RETRY),
    ("KMSThrottling", 400, RETRY),
    ("InternalError", 500, RETRY),
    ("InternalFailure", 500, RETRY),
    ("ServiceUnavailable", 503, RETRY),
    ("RequestTimeout", 408, RETRY),
    ("Timeout", 0, RETRY),
    ("ConnectionClosed", 0, RETRY),
    ("ConnectionFailed", 0, RETRY),
    ("MissingFromResponse", 0, RETRY),
    ("ExpiredToken", 403, CONFIGURATION),
    ("InvalidClientTokenId", 403, CONFIGURATION),
    ("RequestExpired", 400, CONFIGURATION),
    ("SignatureDoesNotMatch", 403, CONFIGURATION),
    ("AuthorizationError", 403, CONFIGURATION),
    ("KMSAccessDenied", 400, CONFIGURATION),
    ("KMSDisabled", 400, CONFIGURATION),
    ("KMSInvalidState", 400, CONFIGURATION),
    ("KMSNotFound", 400, CONFIGURATION),
    ("KMSOptInRequired", 403, CONFIGURATION),
    ("NotFound", 404, CONFIGURATION),
    ("NoCredentials", 0, CONFIGURATION),
    ("InvalidParameter", 400, MESSAGE),
    ("ParameterValueInvalid", 400, MESSAGE),
    ("ValidationError", 400, MESSAGE),
    ("InvalidBatchEntryId", 400, MESSAGE),
    ("BatchRequestTooLong", 400, MESSAGE),
    ("EncodingFault", 0, MESSAGE),
]

DYNAMODB = [
    ("ThrottlingError", RETRY),
    ("ThrottlingException", RETRY),
    ("ProvisionedThroughputExceeded", RETRY),
    ("ProvisionedThroughputExceededException", RETRY),
    ("RequestLimitExceeded", RETRY),
    ("TransactionConflict", RETRY),
    ("TransactionConflictException", RETRY),
    ("ReplicatedWriteConflictException", RETRY),
    ("InternalServerError", RETRY),
    ("DuplicateItem", RETRY),
    ("NeverHeardOf", RETRY),
    ("AccessDenied", CONFIGURATION),
    ("AccessDeniedException", CONFIGURATION),
    ("ResourceNotFound", CONFIGURATION),
    ("ResourceNotFoundException", CONFIGURATION),
    ("UnrecognizedClientException", CONFIGURATION),
    ("ExpiredTokenException", CONFIGURATION),
    ("ValidationError", MESSAGE),
    ("ValidationException", MESSAGE),
    ("ItemCollectionSizeLimitExceeded", MESSAGE),
    ("ItemCollectionSizeLimitExceededException", MESSAGE),
]

# What each service's API reference says of its batch call, for the call and for its entries.
OTHERS = [
    ("RequestThrottled", RETRY),
    ("KmsThrottled", RETRY),
    ("KMSThrottlingException", RETRY),
    ("ProvisionedThroughputExceededException", RETRY),
    ("InternalFailure", RETRY),
    ("InternalFailureException", RETRY),
    ("InternalException", RETRY),
    ("ThrottlingException", RETRY),
    ("QueueDoesNotExist", CONFIGURATION),
    ("InvalidAddress", CONFIGURATION),
    ("UnsupportedOperation", CONFIGURATION),
    ("KmsAccessDenied", CONFIGURATION),
    ("KmsDisabled", CONFIGURATION),
    ("KmsInvalidKeyUsage", CONFIGURATION),
    ("KmsInvalidState", CONFIGURATION),
    ("KmsNotFound", CONFIGURATION),
    ("KmsOptInRequired", CONFIGURATION),
    ("KMSDisabledException", CONFIGURATION),
    ("KMSOptInRequired", CONFIGURATION),
    ("NotAuthorizedForSourceException", CONFIGURATION),
    ("NotAuthorizedForDetailTypeException", CONFIGURATION),
    ("InvalidAccountIdException", CONFIGURATION),
    ("RedactionFailure", CONFIGURATION),
    ("ResourceNotFoundException", CONFIGURATION),
    ("AccessDeniedException", CONFIGURATION),
    ("BatchRequestTooLong", MESSAGE),
    ("InvalidMessageContents", MESSAGE),
    ("InvalidArgument", MESSAGE),
    ("InvalidArgumentException", MESSAGE),
    ("MalformedDetail", MESSAGE),
]
# Of a request that only a mistake of ours could make.
OURS = {
    "BatchEntryIdsNotDistinct",
    "DryRunOperationException",
    "EmptyBatchRequest",
    "TooManyEntriesInBatchRequest",
}


@pytest.mark.parametrize(("code", "status", "expected"), SNS)
def test_a_known_code_of_sns_means_the_same_for_a_request_and_an_entry(
    code: str, status: int, expected: ErrorClass
) -> None:
    assert classify_request_error(code, status=status) is expected
    # SenderFault says nothing about a code that is known: KMSThrottling comes with it and passes.
    for sender_fault in (False, True):
        assert classify_entry_error(code, sender_fault=sender_fault) is expected


@pytest.mark.parametrize(("code", "expected"), OTHERS)
def test_a_code_of_another_destination(code: str, expected: ErrorClass) -> None:
    assert classify_request_error(code, status=400) is expected
    assert classify_entry_error(code, sender_fault=False) is expected


@pytest.mark.parametrize("service", WIRES)
def test_every_error_that_a_service_names_is_in_the_table(service: Service) -> None:
    shapes: Any = operation(service, WIRES[service].operation).error_shapes  # which have codes
    codes = {shape.error_code for shape in shapes} - OURS

    assert codes
    assert {code for code in codes if known_class(code) is None} == set()


@pytest.mark.parametrize(("code", "expected"), DYNAMODB)
def test_a_code_of_dynamodb(code: str, expected: ErrorClass) -> None:
    assert classify_table_error(code) is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, CONFIGURATION),
        (401, CONFIGURATION),
        (403, CONFIGURATION),
        (404, CONFIGURATION),
        (413, CONFIGURATION),
        (429, RETRY),
        (500, RETRY),
        (503, RETRY),
        (0, RETRY),
    ],
)
def test_an_unknown_code_of_a_request_goes_by_its_status(status: int, expected: ErrorClass) -> None:
    assert classify_request_error("NeverHeardOf", status=status) is expected


@pytest.mark.parametrize(
    ("status", "apart"), [(400, True), (413, True), (401, False), (403, False), (503, False)]
)
def test_a_refusal_that_may_be_one_entrys_fault_is_taken_apart(status: int, apart: bool) -> None:
    """A front says 413 of what is too large: sent again as it was, it would hold a shard."""
    assert may_be_one_entrys_fault("NeverHeardOf", status=status) is apart


def test_an_unknown_code_of_an_entry_goes_by_whose_fault_it_is() -> None:
    assert classify_entry_error("NeverHeardOf", sender_fault=True) is MESSAGE
    assert classify_entry_error("NeverHeardOf", sender_fault=False) is RETRY


@pytest.mark.parametrize("code", ["InvalidParameter", "InvalidParameterException", "InvalidParameterValue"])
def test_a_topic_of_another_region_is_wiring_and_not_the_messages_fault(code: str) -> None:
    """Parking for it would turn a misconfigured relay into a table full of parked messages."""
    text = "Invalid parameter: TopicArn Reason: A us-east-1 ARN must begin with arn:aws:sns:us-east-1"
    assert classify_request_error(code, status=400, text=text) is CONFIGURATION
    assert classify_entry_error(code, sender_fault=True, text=text) is CONFIGURATION
    assert classify_request_error(code, status=400, text="Invalid parameter: Message too long") is MESSAGE


def test_a_request_found_too_long_is_halved_and_not_singled_out() -> None:
    assert "BatchRequestTooLong" in SIZE_CODES
    assert "InvalidParameter" not in SIZE_CODES


def test_whatever_botocore_calls_throttling_is_tried_again() -> None:
    """Its list is longer than the service models: codes of gateways in front of the services."""
    from botocore.retries.standard import ThrottledRetryableChecker

    codes = ThrottledRetryableChecker._THROTTLED_ERROR_CODES  # type: ignore[attr-defined]  # no stub
    assert {classify_request_error(code, status=400) for code in codes} == {RETRY}
    assert {classify_entry_error(code, sender_fault=True) for code in codes} == {RETRY}
    assert {classify_table_error(code) for code in codes} == {RETRY}
