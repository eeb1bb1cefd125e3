"""The builder as a command: ``python -m outbox_sdk.packaging --out dist``."""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from outbox_sdk.core.function import ARCHITECTURES, DEFAULT_RUNTIME, RUNTIMES, Architecture
from outbox_sdk.packaging.build import build_package
from outbox_sdk.packaging.errors import PackageError
from outbox_sdk.packaging.sbom import write_sbom
from outbox_sdk.packaging.wheel import build_wheel

__all__ = ["main"]

# As Docker names platforms.
_ALIASES = {"aarch64": "arm64", "amd64": "x86_64"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Build what the command line asks for; give the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    architectures: Sequence[Architecture] = options.architecture or ARCHITECTURES
    if options.wheel is not None and (options.runtime != DEFAULT_RUNTIME or options.architecture):
        parser.error("the wheel carries the packages of both platforms, for the default runtime")
    packages = []
    try:
        for architecture in architectures:
            package = build_package(architecture, options.out, runtime=options.runtime)
            packages.append(package)
            _report(package)
            if options.sbom:
                _report(write_sbom(package))
        if options.wheel is not None:
            _report(build_wheel(options.wheel, options.out, packages))
    except PackageError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m outbox_sdk.packaging", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the folder to write to")
    parser.add_argument(
        "--architecture",
        action="append",
        type=lambda name: _ALIASES.get(name, name),
        choices=ARCHITECTURES,
        help="one platform instead of both; may be repeated",
    )
    parser.add_argument("--runtime", choices=RUNTIMES, default=DEFAULT_RUNTIME, help="Lambda's runtime")
    parser.add_argument("--sbom", action="store_true", help="write a CycloneDX document beside each zip")
    wheel = "build this checkout's wheel with the zips inside as well"
    parser.add_argument("--wheel", type=Path, metavar="CHECKOUT", help=wheel)
    return parser


def _report(path: Path) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    sys.stdout.write(f"{digest}  {path}  {path.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    sys.exit(main())
