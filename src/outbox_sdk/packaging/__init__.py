"""The Lambda package: one zip for each platform, with both handlers, made without Docker and reproducible.

Each name below is loaded when it is first used: the search for interpreters is also the noxfile's, which runs
where nothing of this project's dependencies is installed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outbox_sdk.packaging.build import build_package
    from outbox_sdk.packaging.errors import PackageError
    from outbox_sdk.packaging.find import find_carried_package, find_package
    from outbox_sdk.packaging.manifest import Manifest, read_manifest

__all__ = [
    "Manifest",
    "PackageError",
    "build_package",
    "find_carried_package",
    "find_package",
    "read_manifest",
]

_MODULES = {
    "Manifest": "outbox_sdk.packaging.manifest",
    "PackageError": "outbox_sdk.packaging.errors",
    "build_package": "outbox_sdk.packaging.build",
    "find_carried_package": "outbox_sdk.packaging.find",
    "find_package": "outbox_sdk.packaging.find",
    "read_manifest": "outbox_sdk.packaging.manifest",
}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
