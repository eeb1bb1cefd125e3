"""Test your own service against a real relay: fixtures for pytest, faults to plant, laws for your events.

pytest finds the fixtures by itself where the SDK is installed. This package names what tests import:
:class:`OutboxStack` for annotations, and :class:`~outbox_sdk.pytest_plugin.laws.EventLaws`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outbox_sdk.pytest_plugin.faults import Faults
    from outbox_sdk.pytest_plugin.pump import DrainReport
    from outbox_sdk.pytest_plugin.stack import OutboxStack, Outstanding

__all__ = ["DrainReport", "Faults", "OutboxStack", "Outstanding"]

_MODULES = {
    "DrainReport": "outbox_sdk.pytest_plugin.pump",
    "Faults": "outbox_sdk.pytest_plugin.faults",
    "OutboxStack": "outbox_sdk.pytest_plugin.stack",
    "Outstanding": "outbox_sdk.pytest_plugin.stack",
}


def __getattr__(name: str) -> Any:
    # pytest imports this package in every project that has the SDK: nothing is loaded before it is used.
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(module), name)
