"""The release as a command: `python -m tools.release --out dist/release`. It uploads nothing."""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from outbox_sdk.packaging.sbom import DISTRIBUTION
from tools.release.agreement import find_disagreements, git, read_state
from tools.release.artifacts import (
    build,
    compare,
    digests,
    export,
    find_sbom_problems,
    find_wheel_problems,
    try_wheel,
    unpack,
)
from tools.release.provenance import build_statement, write_statement, write_sums

__all__ = ["main"]

ROOT = Path(__file__).parents[2]
_LOCKS = ("requirements/package.txt", "src/outbox_sdk/packaging/requirements.txt")


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, build twice, look at it, and write what is signed; say what is left to a person."""
    parser = argparse.ArgumentParser(prog="python -m tools.release", description=main.__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "release")
    parser.add_argument("--rehearse", action="store_true", help="go on where version, tag or log disagree")
    parser.add_argument("--builder", default="urn:outbox_sdk:by-hand", help="who builds, for the provenance")
    options = parser.parse_args(arguments)
    state = read_state(ROOT)
    problems = find_disagreements(state)
    _tell(problems)
    if problems and not options.rehearse:
        return 1
    with tempfile.TemporaryDirectory(prefix="outbox-release-") as scratch:
        folder, problems = _build(Path(scratch))
        _tell(problems)
        if problems:
            return 1
        files = digests(folder.iterdir())
        shutil.rmtree(options.out, ignore_errors=True)
        shutil.copytree(folder, options.out)
    statement = build_statement(
        files,
        commit=git(ROOT, "rev-parse", "HEAD"),
        tag=f"v{state.version}",
        locks={name: digests([ROOT / name])[Path(name).name] for name in _LOCKS},
        builder=options.builder,
    )
    write_sums(options.out, {**files, **digests([write_statement(options.out, statement)])})
    _tell([f"{digest}  {name}" for name, digest in files.items()])
    _tell(
        ["This was a rehearsal: upload nothing of it."]
        if options.rehearse
        else _left(options.out, state.version)
    )
    return 0


def _build(scratch: Path) -> tuple[Path, list[str]]:
    """Build what is committed, and again out of the sdist; give the files, and what is wrong."""
    commit_time = git(ROOT, "show", "--no-patch", "--format=%ct", "HEAD")
    tree, first = export(ROOT, scratch / "tree"), scratch / "first"
    files = build(tree, first, commit_time=commit_time)
    (wheel,) = first.glob("*.whl")
    (sdist,) = first.glob("*.tar.gz")
    again = build(unpack(sdist, scratch / "sdist"), scratch / "second", commit_time=commit_time)
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(sdist)], check=True)
    problems = compare(digests(files), digests(again))
    problems += find_wheel_problems(wheel, tree) + find_sbom_problems(first, wheel)
    said = try_wheel(wheel, tree / "requirements" / "demo.txt", scratch / "fresh")
    _tell([f"installed without a network, it says: {said}"])
    return first, problems


def _left(folder: Path, version: str) -> list[str]:
    name = DISTRIBUTION.replace("-", "_")
    files = f"{folder}/{name}-{version}-py3-none-any.whl {folder}/{name}-{version}.tar.gz"
    attested = " ".join(f"{each} {each}.publish.attestation" for each in files.split())
    return [
        "",
        "All is built, and nothing is uploaded. What is left, by a person or a CI with an identity:",
        f"  git push origin v{version}",
        f"  python -m pypi_attestations sign {files}",
        f"  twine upload --attestations {attested}",
    ]


def _tell(lines: Sequence[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
