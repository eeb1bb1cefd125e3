"""The Lambda functions as data: the runtime, the platforms and the entry points."""

from typing import Literal

__all__ = [
    "ARCHITECTURES",
    "DEFAULT_RUNTIME",
    "HANDLERS",
    "RUNTIMES",
    "Architecture",
    "package_name",
]

Architecture = Literal["arm64", "x86_64"]
ARCHITECTURES: tuple[Architecture, ...] = ("arm64", "x86_64")

DEFAULT_RUNTIME = "python3.13"
"""The runtime that packages are built for and functions run on, unless told otherwise; named here only."""

RUNTIMES = ("python3.11", "python3.12", "python3.13", "python3.14")
"""What a package can be built for."""

HANDLERS = {
    "relay": "outbox_sdk.lambda_handler.handler",
    "sweeper": "outbox_sdk.sweeper_handler.handler",
}
"""The entry point of each function; both are in the one package."""


def package_name(architecture: Architecture) -> str:
    """Name the zip of a platform.

    >>> package_name("arm64")
    'outbox_sdk_lambda_arm64.zip'
    """
    return f"outbox_sdk_lambda_{architecture}.zip"
