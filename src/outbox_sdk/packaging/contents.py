"""What goes into the package: this project's own files, and of the dependencies what the handlers need."""

import gzip
import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from outbox_sdk.core.function import HANDLERS
from outbox_sdk.packaging.errors import PackageError
from outbox_sdk.packaging.models import carried_operations, cut_endpoints, cut_model
from outbox_sdk.packaging.own_modules import find_reachable
from outbox_sdk.packaging.shared_objects import strip_shared_object

__all__ = ["LOCK_FILE", "own_files", "select_files"]

LOCK_FILE: Path = Path(__file__).with_name("requirements.txt")
"""The dependencies of the functions, with hashes, for both platforms."""

# Logger and Metrics, and what they import.
_POWERTOOLS = (
    "__init__.py",
    "exceptions/",
    "logging/",
    "metrics/",
    "package_logger.py",
    "shared/",
    "tracing/",
    "utilities/__init__.py",
    "utilities/jmespath_utils/",
    "warnings/",
)
# Parts of Powertools that need a package of somebody else's, which is not locked.
_POWERTOOLS_WITHOUT = ("metrics/provider/datadog/",)

_SUFFIXES = (".py", ".so")
_TEST_FILES = ("aiohttp/pytest_plugin.py", "aiohttp/test_utils.py")
_LICENCES = ("AUTHORS", "COPYING", "LICENCE", "LICENSE", "NOTICE", "licenses")
_CERTIFICATE = re.compile(b"-----BEGIN CERTIFICATE-----\n[^-]+-----END CERTIFICATE-----\n")
_BOTOCORE_FILES = ("_retry.json", "partitions.json", "sdk-default-configuration.json")


def own_files() -> dict[str, bytes]:
    """Read this project's part: what the two handlers import, and no more."""
    package = Path(__file__).parents[1]
    entries = [handler.rpartition(".")[0] for handler in HANDLERS.values()]
    paths = find_reachable(package, entries) | {package / "py.typed"}
    return {path.relative_to(package.parent).as_posix(): path.read_bytes() for path in sorted(paths)}


def select_files(site: Path) -> dict[str, bytes]:
    """Read of the installed dependencies what belongs into the package, by name."""
    files: dict[str, bytes] = {}
    for path in sorted(site.rglob("*")):
        name = PurePosixPath(path.relative_to(site).as_posix())
        if path.is_file() and _is_wanted(name):
            files[str(name)] = _shorten(name, path.read_bytes())
    return files | _botocore_data(site / "botocore" / "data")


def _is_wanted(name: PurePosixPath) -> bool:
    top, rest = name.parts[0], "/".join(name.parts[1:])
    if top.endswith(".dist-info"):
        return rest == "METADATA" or rest.startswith(_LICENCES)
    if top == "aws_lambda_powertools" and (
        not rest.startswith(_POWERTOOLS) or rest.startswith(_POWERTOOLS_WITHOUT)
    ):
        return False
    if top == "bin" or top.endswith("-stubs") or top.startswith("types_"):
        return False
    if str(name) in _TEST_FILES or {"test", "tests"} & set(name.parts):
        return False
    return name.suffix in _SUFFIXES or str(name) == "botocore/cacert.pem"


def _shorten(name: PurePosixPath, content: bytes) -> bytes:
    if name.suffix == ".so":
        return strip_shared_object(content)
    if name.suffix == ".pem":
        # What is said about each certificate is for people, and most of it is in the certificate.
        return b"".join(_CERTIFICATE.findall(content))
    if name.name == "METADATA":
        # Scanners find by its headers what is in a package; the description is most of its bytes.
        return content.replace(b"\r\n", b"\n").partition(b"\n\n")[0] + b"\n"
    return content


def _botocore_data(data: Path) -> dict[str, bytes]:
    found: dict[str, Any] = {name: _read(data / name) for name in _BOTOCORE_FILES}
    prefixes = set()
    for service, operations in carried_operations().items():
        # The newest version of the interface, as botocore picks it.
        folder = max(path.parent for path in (data / service).glob("*/service-2.json*"))
        place = f"{service}/{folder.name}"
        try:
            model = cut_model(_read(folder / "service-2.json"), operations)
        except KeyError as error:
            raise PackageError(f"botocore's model of {service} has no {error}") from error
        prefixes.add(model["metadata"]["endpointPrefix"])
        found[f"{place}/service-2.json"] = model
        found[f"{place}/endpoint-rule-set-1.json"] = _read(folder / "endpoint-rule-set-1.json")
    found["endpoints.json"] = cut_endpoints(_read(data / "endpoints.json"), prefixes)
    return {f"botocore/data/{name}": _encode(document) for name, document in found.items()}


def _read(path: Path) -> Any:
    """Read a document of botocore, which keeps most of them compressed."""
    packed = path.with_name(f"{path.name}.gz")
    return json.loads(gzip.decompress(packed.read_bytes()) if packed.exists() else path.read_bytes())


def _encode(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
