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
    "UndecodableDeliveryError",
]

DeliveryFault = Literal["record", "envelope", "missing", "number"]
"""Why a delivery cannot be read; :class:`UndecodableDeliveryError` says what each means."""


class OutboxError(Exception):
    """The root of every error this package raises on purpose."""


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
                text = f"the attribute {name} is missing; a message of the outbox has it, if it was asked for"
            case "number":
                text = f"the attribute {name} is no whole number"
            case _:
                assert_never(reason)
        super().__init__(f"{reason}: {text}")
        self.reason: DeliveryFault = reason
        self.name = name
