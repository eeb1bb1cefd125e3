"""The errors a caller can meet, named by whose fault it is.

What befalls a single record is never an error but an outcome: see :mod:`outbox_sdk.core.outcome`.
"""

from typing import Literal, assert_never

__all__ = [
    "ConfigurationError",
    "DeliveryFault",
    "InvalidEventError",
    "InvalidMessageError",
    "OutboxError",
    "TableCallError",
    "UndecodableDeliveryError",
    "UndecodableMessageError",
    "UndecodableReason",
]

DeliveryFault = Literal["record", "envelope", "missing", "number"]
"""Why a delivery cannot be read; :class:`UndecodableDeliveryError` says what each means."""

UndecodableReason = Literal[
    "unknown_type", "unknown_version", "newer_version", "no_upcaster", "upcaster_failed", "invalid_body"
]
"""Why a message cannot be decoded; matched to the end wherever it is used."""


class OutboxError(Exception):
    """The root of every error this package raises on purpose.

    Each can be copied and pickled, as it is on its way out of a pool of processes.
    """

    def __reduce__(self) -> tuple[object, ...]:
        """Say how to make the like of it: what a child's ``__init__`` takes is not what ``args`` has."""
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(kind: type[OutboxError], args: tuple[object, ...], fields: dict[str, object]) -> OutboxError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(fields)
    return error


class ConfigurationError(OutboxError):
    """The deployment is at fault: a variable, a name or a wiring is wrong.

    ``variable`` is the environment variable or argument to change.

    >>> str(ConfigurationError("OUTBOX_ENVELOPE", "'xml' is not one of raw, cloudevents, tomodachi"))
    "OUTBOX_ENVELOPE: 'xml' is not one of raw, cloudevents, tomodachi"
    """

    def __init__(self, variable: str, problem: str) -> None:
        super().__init__(f"{variable}: {problem}")
        self.variable = variable
        self.problem = problem


class InvalidEventError(OutboxError):
    """What arrived is not an event of a DynamoDB stream, or its records cannot be named.

    Raised before anything is published, so that Lambda brings the whole batch again. The sweeper raises it
    for an event that asks for what there is not.
    """


class InvalidMessageError(OutboxError):
    """The producer's message breaks a limit or a rule; nothing was written.

    ``field`` names the argument at fault. The text never quotes the message itself.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class TableCallError(OutboxError):
    """A call on the outbox table failed, for good or as often as it was tried.

    ``code`` is AWS's, or this package's for what happens on the way; ``advice`` says what to do. AWS's own
    text is left out: it may quote an item.

    >>> str(TableCallError("Query", "ResourceNotFoundException", "correct the Region"))
    'Query failed with ResourceNotFoundException: correct the Region'
    """

    def __init__(self, operation: str, code: str, advice: str) -> None:
        super().__init__(f"{operation} failed with {code}: {advice}")
        self.operation = operation
        self.code = code
        self.advice = advice


class UndecodableDeliveryError(OutboxError):
    """What a consumer received is no message of an outbox, or has lost what makes it one. A retry is no help.

    ``reason`` is one of a closed set. ``name`` is the attribute that is ``missing`` or no ``number``, or the
    ``envelope`` that was expected. No value of the message is quoted.

    >>> UndecodableDeliveryError("missing", "AggregateId").reason
    'missing'
    """

    def __init__(self, reason: DeliveryFault, name: str | None = None) -> None:
        match reason:
            case "record":
                text = "is neither a message of SQS nor a notification of SNS"
            case "envelope":
                text = f"the body is not in the envelope {name!r}; give the one that the relay writes"
            case "missing":
                text = (
                    f"the attribute {name} is missing; every message of an outbox has it, and "
                    "receive_message gives it if it is asked to: MessageAttributeNames=['All']"
                )
            case "number":
                text = f"the attribute {name} is no whole number"
            case _:
                assert_never(reason)
        super().__init__(f"{reason}: {text}")
        self.reason: DeliveryFault = reason
        self.name = name


class UndecodableMessageError(OutboxError):
    """What a consumer received is no message of its catalog. Retrying would not help.

    ``reason`` is one of a closed set. ``message_type`` is the name that the message gives itself, where it
    gives one that can be a name. ``path`` leads to the fault in the body, ``$.lines[0].price``, where that is
    the reason. No value of the body is quoted, nor is the error of the library that found it kept.

    >>> str(UndecodableMessageError("unknown_type", "order.created is not in the catalog"))
    'unknown_type: order.created is not in the catalog'
    """

    def __init__(
        self,
        reason: UndecodableReason,
        problem: str,
        *,
        message_type: str | None = None,
        path: str | None = None,
    ) -> None:
        super().__init__(f"{reason}: {problem}")
        self.reason: UndecodableReason = reason
        self.problem = problem
        self.message_type = message_type
        self.path = path
