"""What a deployment is where its arguments do not say: names, settings of local stacks, platform, package."""

import platform
import sys
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zipfile import BadZipFile

import msgspec

from outbox_sdk.core.configuration import RelayConfiguration
from outbox_sdk.core.deployment import SWEEPER_TIMEOUT_SECONDS, Deployment, FunctionRole
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.function import DEFAULT_RUNTIME, Architecture
from outbox_sdk.core.table import INDEXED_TTL_DAYS
from outbox_sdk.packaging import find_package, read_manifest

if TYPE_CHECKING:
    from outbox_sdk.shell.settings import Settings

__all__ = [
    "adapt_settings",
    "default_architecture",
    "default_name",
    "default_runtime",
    "find_fitting_package",
    "sweeper_of",
]

_LOCAL_DEFAULTS: dict[str, Any] = {
    # PartiQL updates make no stream record on MiniStack and fail on Moto.
    "outbox_mark_strategy": "single",
    # Moto invokes a function again from within its own writes: it has to look before it publishes.
    "outbox_recheck_after_seconds": 0.0,
}


def sweeper_of(relay: Deployment, name: str | None) -> Deployment:
    """Give the sweeper that belongs to a relay."""
    return msgspec.structs.replace(
        relay,
        role="sweeper",
        function_name=name or default_name(relay.table_name, "sweeper"),
        timeout_seconds=max(relay.timeout_seconds, SWEEPER_TIMEOUT_SECONDS),
    )


def adapt_settings(settings: "Settings") -> RelayConfiguration:
    """Give the configuration, with what a deployment does otherwise where the settings do not say."""
    configuration = settings.to_configuration()
    changes: dict[str, Any] = {}
    if configuration.outbox_table_design.sequence_index is not None:
        changes["outbox_dispatched_ttl_days"] = INDEXED_TTL_DAYS
    if configuration.aws_endpoint_url is not None:
        changes |= _LOCAL_DEFAULTS
    said = settings.model_fields_set
    return msgspec.structs.replace(
        configuration, **{field: value for field, value in changes.items() if field not in said}
    )


def default_runtime(configuration: RelayConfiguration) -> str:
    """Give the runtime that packages come with, or, at MiniStack on this machine, the one that runs here.

    MiniStack runs every function on its own interpreter, so compiled parts have to be this one's.
    """
    url = urlsplit(configuration.aws_endpoint_url or "")
    if url.scheme != "http" or url.hostname not in ("127.0.0.1", "localhost", "::1"):
        return DEFAULT_RUNTIME
    connection = HTTPConnection(url.hostname, url.port or 80, timeout=2.0)
    try:
        connection.request("GET", "/_ministack/health")
        answer = connection.getresponse()
        # Others answer for every path there is.
        is_ministack = answer.status == HTTPStatus.OK and "services" in msgspec.json.decode(answer.read())
    except (OSError, HTTPException, msgspec.DecodeError, TypeError):
        is_ministack = False
    finally:
        connection.close()
    return f"python{sys.version_info.major}.{sys.version_info.minor}" if is_ministack else DEFAULT_RUNTIME


def find_fitting_package(given: Path | None, deployment: Deployment) -> Path:
    """Find the package, or see that the one given is for the function's platform, as far as it says so."""
    if given is None:
        return find_package(deployment.architecture, runtime=deployment.runtime)
    try:
        manifest = read_manifest(given)
    except KeyError:
        return given  # somebody else's making
    except BadZipFile as error:
        raise ConfigurationError("package", f"{given} is no zip") from error
    for field in ("architecture", "runtime"):
        built_for, wanted = getattr(manifest, field), getattr(deployment, field)
        if built_for != wanted:
            raise ConfigurationError("package", f"{given} is built for {built_for}, not for {wanted}")
    return given


def default_name(table_name: str, role: FunctionRole) -> str:
    """Name a function after its table; a function's name has no dots."""
    return f"{table_name.replace('.', '-')}-{role}"


def default_architecture(configuration: RelayConfiguration) -> Architecture:
    """Give the platform: on AWS the cheaper one, at a local stack this machine's."""
    here: Architecture = "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"
    return "arm64" if configuration.aws_endpoint_url is None else here
