"""The bill of materials of a package, in CycloneDX: read off the zip itself, so it lists what is in there."""

import hashlib
import json
import re
import zipfile
from email.parser import HeaderParser
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from outbox_sdk.packaging.errors import PackageError
from outbox_sdk.packaging.manifest import Manifest, read_manifest

__all__ = ["DISTRIBUTION", "sbom_path", "write_sbom"]

DISTRIBUTION: str = "dynamodb-outbox-sdk"


def sbom_path(package: Path) -> Path:
    """Name the bill of materials of a zip; it lies beside it."""
    return package.with_suffix(".cdx.json")


def write_sbom(package: Path) -> Path:
    """Write the bill of materials beside a zip: the same bytes for the same zip.

    It names the zip by its SHA-256 and each distribution by version and purl. It has no time of its making,
    and its serial number follows from the zip.

    Raises:
        PackageError: cyclonedx-python-lib is not installed.
    """
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    document = json.loads(_render(package, digest))
    # The library insists on the time of its making.
    del document["metadata"]["timestamp"]
    target = sbom_path(package)
    target.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return target


def _render(package: Path, digest: str) -> str:
    try:
        from cyclonedx.model import HashAlgorithm, HashType
        from cyclonedx.model.bom import Bom
        from cyclonedx.model.component import Component, ComponentType
        from cyclonedx.output.json import JsonV1Dot6
    except ImportError as error:
        raise PackageError("cyclonedx-python-lib is needed for the bill of materials") from error
    own = version(DISTRIBUTION)
    subject = Component(
        name=package.name,
        type=ComponentType.APPLICATION,
        version=own,
        bom_ref=package.name,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        properties=_properties(read_manifest(package)),
    )
    bom = Bom(serial_number=uuid5(NAMESPACE_OID, digest))
    bom.metadata.component = subject
    components = [
        _library(DISTRIBUTION, own, "MIT"),
        *(_library(*found) for found in _distributions(package)),
    ]
    bom.components.update(components)
    bom.register_dependency(subject, components)
    return JsonV1Dot6(bom).output_as_string()


def _properties(manifest: Manifest) -> list[Any]:
    from cyclonedx.model import Property

    fields = {
        "architecture": manifest.architecture,
        "runtime": manifest.runtime,
        "compiled_by": manifest.compiled_by,
    }
    return [Property(name=f"outbox_sdk:{name}", value=value) for name, value in fields.items() if value]


def _library(name: str, release: str, licence: str) -> Any:
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.license import DisjunctiveLicense
    from packageurl import PackageURL

    purl = PackageURL("pypi", None, name, release)
    return Component(
        name=name,
        type=ComponentType.LIBRARY,
        version=release,
        purl=purl,
        bom_ref=purl.to_string(),
        # In the words of the distribution, which are not always an SPDX identifier.
        licenses=[DisjunctiveLicense(name=licence)] if licence else (),
    )


def _distributions(package: Path) -> list[tuple[str, str, str]]:
    """List the distributions in a zip: name, version, licence."""
    found = []
    with zipfile.ZipFile(package) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".dist-info/METADATA"):
                headers = HeaderParser().parsestr(archive.read(name).decode())
                licence = headers["License-Expression"] or headers["License"] or ""
                normal = re.sub(r"[-_.]+", "-", headers["Name"]).lower()
                found.append((normal, headers["Version"], licence.partition("\n")[0]))
    return found
