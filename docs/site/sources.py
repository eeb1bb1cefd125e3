"""Where the names of the package are defined."""

import inspect
from importlib import import_module
from pathlib import Path

__all__ = ["find_source"]

_PACKAGE = Path(import_module("outbox_sdk").__file__ or "").parent


def find_source(target: str) -> Path | None:
    """Give the file that a dotted name of the package is defined in; ``None`` where there is no such name.

    >>> find_source("outbox_sdk.core.retry.RetryPolicy").name
    'retry.py'
    >>> find_source("outbox_sdk.core.retry").name
    'retry.py'
    >>> find_source("outbox_sdk.core.retry.Nothing") is None
    True
    """
    parts = target.split(".")
    for length in range(len(parts), 0, -1):
        try:
            module = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        value: object = module
        for name in parts[length:]:
            value = getattr(value, name, None)
        if value is None:
            return None
        owner = inspect.getmodule(value) if inspect.isclass(value) or inspect.isroutine(value) else module
        file = Path((owner or module).__file__ or "")
        return file if file.is_relative_to(_PACKAGE) else None
    return None
