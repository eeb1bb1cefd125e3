"""The errors a caller can meet, named by whose fault it is.

What befalls a single record is never an error but an outcome: see :mod:`outbox_sdk.core.outcome`.
"""

__all__ = ["ConfigurationError", "InvalidEventError", "InvalidMessageError", "OutboxError"]


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
