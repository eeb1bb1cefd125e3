"""What each error of DynamoDB and of a destination means for a message: one table, by error code.

Sources: the service models in botocore, and responses recorded from AWS. The codes for what happens on the
way (``Timeout``, ``ConnectionClosed``, …) are this package's own, given by its adapters.
"""

from collections.abc import Mapping
from enum import Enum

__all__ = [
    "SIZE_CODES",
    "ErrorClass",
    "classify_entry_error",
    "classify_request_error",
    "classify_table_error",
    "is_credential_fault",
    "is_throttle",
    "known_class",
    "may_be_one_entrys_fault",
]


class ErrorClass(Enum):
    """What to do about an error."""

    RETRY = "retry"
    """It may pass by itself; the outcome may even be unknown. Try again, then report."""

    CONFIGURATION = "configuration"
    """A person has to mend something outside the message: hold it, report it, alarm."""

    MESSAGE = "message"
    """The message itself is refused and always will be: park it."""


_THROTTLED = (
    "KMSThrottling",
    "KMSThrottlingException",
    "KmsThrottled",
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttled",
    "ThrottledException",
    "Throttling",
    "ThrottlingError",
    "ThrottlingException",
    "TooManyRequestsException",
)
_RETRY = (
    *_THROTTLED,
    # the service's own trouble
    "InternalError",
    "InternalException",
    "InternalFailure",
    "InternalFailureException",
    "InternalServerError",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    # somebody else holds the item
    "ReplicatedWriteConflictException",
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
    # on the way, by this package's adapters
    "ConnectionClosed",
    "ConnectionFailed",
    "MissingFromResponse",
    "Timeout",
    "UnreadableResponse",
)
_CONFIGURATION = (
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "Endpoint",
    "EndpointDisabled",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccountIdException",
    "InvalidAction",
    "InvalidAddress",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "InvalidSignatureException",
    "KMSAccessDenied",
    "KMSAccessDeniedException",
    "KMSDisabled",
    "KMSDisabledException",
    "KMSInvalidState",
    "KMSInvalidStateException",
    "KMSNotFound",
    "KMSNotFoundException",
    "KMSOptInRequired",
    "KmsAccessDenied",
    "KmsDisabled",
    "KmsInvalidKeyUsage",
    "KmsInvalidState",
    "KmsNotFound",
    "KmsOptInRequired",
    "MissingAction",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NoCredentials",
    "NotAuthorized",
    "NotAuthorizedForDetailTypeException",
    "NotAuthorizedForSourceException",
    "NotFound",
    "NotFoundException",
    "OptInRequired",
    "QueueDoesNotExist",
    "RedactionFailure",
    "RequestExpired",
    "ResourceNotFound",
    "ResourceNotFoundException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
    "UnsupportedOperation",
)
_MESSAGE = (
    "BatchRequestTooLong",
    "EncodingFault",
    "InvalidArgument",
    "InvalidArgumentException",
    "InvalidBatchEntryId",
    "InvalidMessageContents",
    "InvalidParameter",
    "InvalidParameterException",
    "InvalidParameterValue",
    "InvalidParameterValueException",
    "ItemCollectionSizeLimitExceeded",
    "ItemCollectionSizeLimitExceededException",
    "MalformedDetail",
    "ParameterValueInvalid",
    "ValidationError",
    "ValidationException",
)

_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NoCredentials",
        "UnrecognizedClientException",
    }
)

_CLASSES: Mapping[str, ErrorClass] = {
    **dict.fromkeys(_RETRY, ErrorClass.RETRY),
    **dict.fromkeys(_CONFIGURATION, ErrorClass.CONFIGURATION),
    **dict.fromkeys(_MESSAGE, ErrorClass.MESSAGE),
}

SIZE_CODES = frozenset({"BatchRequestTooLong", "BatchRequestTooLongException"})
"""The service found more bytes than this package counted: halve the request rather than single it out."""


def classify_entry_error(code: str, *, sender_fault: bool, text: str = "") -> ErrorClass:
    """Classify one element of ``Failed``. ``SenderFault`` decides only codes that nobody has listed.

    >>> classify_entry_error("KMSThrottling", sender_fault=True)
    <ErrorClass.RETRY: 'retry'>
    """
    return _lookup(code, text) or (ErrorClass.MESSAGE if sender_fault else ErrorClass.RETRY)


def classify_request_error(code: str, *, status: int, text: str = "") -> ErrorClass:
    """Classify a ``PublishBatch`` that failed as a whole; ``status`` is 0 where there was no response.

    A code that nobody has listed never parks at first sight: a refusal (400, 401, 403, 404, 413) counts as
    configuration, anything else as passing.
    """
    known = _lookup(code, text)
    if known is not None:
        return known
    return ErrorClass.CONFIGURATION if status in (400, 401, 403, 404, 413) else ErrorClass.RETRY


def may_be_one_entrys_fault(code: str, *, status: int, text: str = "") -> bool:
    """Tell whether one entry may have brought a failure down on all, so that they are tried apart."""
    known = _lookup(code, text)
    return known is ErrorClass.MESSAGE or (known is None and status in (400, 413))


def classify_table_error(code: str) -> ErrorClass:
    """Classify an error of a write or read on the table, of a request or of one statement in it."""
    return _lookup(code, "") or ErrorClass.RETRY


def known_class(code: str) -> ErrorClass | None:
    """Give the class of a code by itself; ``None`` for one that nobody has listed."""
    return _CLASSES.get(code)


def is_throttle(code: str) -> bool:
    """Tell whether a code asks for fewer requests at a time.

    >>> is_throttle("ThrottlingException"), is_throttle("InternalError")
    (True, False)
    """
    return code in _THROTTLED


def is_credential_fault(code: str) -> bool:
    """Tell whether other credentials may help, so that they are worth being looked for anew."""
    return code in _CREDENTIALS


def _lookup(code: str, text: str) -> ErrorClass | None:
    # SNS answers `InvalidParameter: TopicArn` for an ARN of another Region or account: wiring, and no
    # fault of the message that happened to be on its way.
    if code.startswith("InvalidParameter") and "TopicArn" in text:
        return ErrorClass.CONFIGURATION
    return _CLASSES.get(code)
