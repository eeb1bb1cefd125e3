"""Which clients can be awaited, told before anything is asked of them."""

from outbox_sdk.core.errors import ConfigurationError

__all__ = ["check_async_client"]


def check_async_client(client: object, argument: str, method: str, *, instead: str) -> None:
    """Refuse what is no asynchronous client of an AWS SDK: its call would be made, and then not be awaited.

    ``argument`` is what the caller gave it as, ``method`` one that is going to be called, ``instead`` what
    to do with a client of boto3. A double of one's own passes if it has the method.

    Raises:
        ConfigurationError: it is a client of boto3 or botocore, is not entered yet, or has no such method.

    >>> check_async_client(None, "client", "transact_write_items", instead="")
    Traceback (most recent call last):
    outbox_sdk.core.errors.ConfigurationError: client: a NoneType has no transact_write_items; give a client
    of aiobotocore or aioboto3 for this service
    """
    bound = getattr(client, method, None)
    if not callable(bound):
        kind = type(client).__name__
        if hasattr(client, "__aenter__"):
            # What `create_client(…)` gives is a context; the client is what the context gives.
            problem = f"a {kind} is not entered; say `async with create_client(…) as {argument}` first"
        else:
            problem = f"a {kind} has no {method}; give a client of aiobotocore or aioboto3 for this service"
        raise ConfigurationError(argument, problem)
    # The method says nothing by itself: aiobotocore's, too, are plain functions. A double may pass its
    # calls on to a client by handing out the client's own method, so it is the method's owner that counts.
    families = {kind.__module__.partition(".")[0] for kind in type(getattr(bound, "__self__", client)).mro()}
    if "botocore" in families and "aiobotocore" not in families:
        raise ConfigurationError(argument, f"a boto3 client is synchronous; {instead}")
