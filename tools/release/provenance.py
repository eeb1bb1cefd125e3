"""What is said of the files of a release, for whoever signs it: digests, and where they come from."""

import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["STATEMENT", "SUMS", "build_statement", "write_statement", "write_sums"]

SUMS = "SHA256SUMS"
STATEMENT = "provenance.intoto.json"

_BUILDERS = ("hatchling", "uv", "cyclonedx-python-lib")


def build_statement(
    files: Mapping[str, str], *, commit: str, tag: str, locks: Mapping[str, str], builder: str
) -> dict[str, Any]:
    """Make the statement: in-toto's, version 1, with SLSA's provenance, version 1, about each file.

    It has no time and no address in it, so the same release has the same statement. ``builder`` says who
    vouches for it: a CI that signs puts its own identity there. Unsigned it proves nothing.

    >>> statement = build_statement({"a.whl": "12"}, commit="ab", tag="v1.0.0", locks={}, builder="urn:x")
    >>> statement["subject"]
    [{'name': 'a.whl', 'digest': {'sha256': '12'}}]
    """
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(files.items())],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:outbox_sdk:nox-release:1",
                "externalParameters": {"tag": tag, "command": "nox -s release"},
                "internalParameters": {
                    "python": platform.python_version(),
                    **{name: version(name) for name in _BUILDERS},
                },
                "resolvedDependencies": [
                    {"name": "source", "digest": {"gitCommit": commit}},
                    *({"name": name, "digest": {"sha256": digest}} for name, digest in sorted(locks.items())),
                ],
            },
            "runDetails": {"builder": {"id": builder}},
        },
    }


def write_statement(folder: Path, statement: Mapping[str, Any]) -> Path:
    """Write the statement beside the files."""
    path = folder / STATEMENT
    path.write_text(json.dumps(statement, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return path


def write_sums(folder: Path, files: Mapping[str, str]) -> Path:
    """Write the digests as `sha256sum --check` reads them."""
    path = folder / SUMS
    path.write_text(
        "".join(f"{digest}  {name}\n" for name, digest in sorted(files.items())), encoding="utf-8"
    )
    return path
