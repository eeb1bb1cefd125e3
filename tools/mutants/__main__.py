"""Runs the tests on mutants of the core: all of them, those of some modules, or a sample of all."""

import argparse
import json
import os
import random
import sys
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tools.mutants.generate import WORK, find_refused, text_of_core, write_mutants
from tools.mutants.loop import MutantLoop

__all__ = ["main", "read_reasons"]

# What looks at the form of the source sees the mutants in it; what starts processes is not about the core.
_IGNORED = (
    *("test_architecture", "test_aws_environment", "test_aws_service", "test_documents", "test_every_block"),
    *("test_imports", "test_policy_lint", "test_public_api", "test_public_names", "test_site_pages"),
    *("test_typing", "test_architecture_page"),
)
_TESTS = ("tests/unit", "tests/property", "src/outbox_sdk/core")


def main(arguments: Sequence[str]) -> int:
    """Mutate, try, and report; 1 where fewer are killed than is asked."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", help="as lanes or doctor.plan; all of them by default")
    parser.add_argument("--all", action="store_true", help="every mutant; without, a sample of all modules")
    parser.add_argument("--sample", type=int, default=1_000, metavar="N", help="how many, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--at-least", type=float, default=95.0, metavar="PERCENT")
    parser.add_argument("--only", metavar="FILE", help="mutants by name, one a line")
    asked = parser.parse_args(arguments)

    by_module = write_mutants()
    prefixes = [f"outbox_sdk.core.{name}" for name in asked.modules]
    names = [
        name
        for module, own in by_module.items()
        for name in own
        if not prefixes or any(module == prefix or module.startswith(f"{prefix}.") for prefix in prefixes)
    ]
    if asked.only:
        wanted = set(Path(asked.only).read_text().split())
        names = [name for name in names if name in wanted]
    whole = asked.all or asked.only or asked.modules
    if not whole and asked.sample < len(names):
        names = sorted(random.Random(asked.seed).sample(names, asked.sample))
    refused = find_refused(names)
    results = WORK / "results.jsonl"
    results.unlink(missing_ok=True)
    code = _run([name for name in names if name not in refused], results, processes=asked.processes)
    if code not in (0, 5):
        return code
    verdicts = {name: verdict for name, verdict, _ in map(json.loads, results.read_text().splitlines())}
    return _report(names, refused, verdicts, at_least=asked.at_least)


def _run(mutants: Sequence[str], results: Path, *, processes: int) -> int:
    os.chdir(WORK)
    os.environ["HYPOTHESIS_PROFILE"] = "mutants"
    sys.path[:0] = [str(WORK / "src"), str(WORK)]
    ignored = [f"--ignore=tests/unit/{name}.py" for name in _IGNORED]
    # By the text of the core: which test reaches which function changes with it.
    kept = WORK / f"reached-{text_of_core()}.json"
    plugins = [MutantLoop(mutants, results, kept=kept, processes=processes)]
    options = ["-q", "--rootdir=.", "-p", "no:cacheprovider", "-p", "no:xdist"]
    marks = ["-m", "not once and not integration"]
    return int(pytest.main([*options, *marks, *ignored, *_TESTS], plugins=plugins))


def _report(names: Sequence[str], refused: set[str], verdicts: dict[str, str], *, at_least: float) -> int:
    survivors = sorted(name for name, verdict in verdicts.items() if verdict in ("survived", "unreached"))
    reasons = read_reasons()
    for name in survivors:
        reason = next(
            (text for prefix, text in reasons.items() if name.startswith(prefix)), "no reason known"
        )
        print(f"{verdicts[name]} {name}: {reason}")
    counts = Counter(verdicts.values())
    killed = counts["killed"] + counts["timeout"]
    tried = len(verdicts)
    print(f"{len(names)} mutants: {len(refused)} refused by the type checker, {tried} run against the tests")
    print(f"{killed} killed ({counts['timeout']} by time), {len(survivors)} not")
    print(f"{_share(killed, tried)} % of those run")
    share = _share(killed + len(refused), len(names))
    print(f"{share} % of all")
    return 0 if share >= at_least else 1


def read_reasons() -> dict[str, str]:
    """Give why mutants of a function, or of a module, may survive: by the beginning of their names."""
    text = Path(__file__).with_name("survivors.toml").read_text()
    return {f"outbox_sdk.core.{prefix}": reason for prefix, reason in tomllib.loads(text).items()}


def _share(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 100.0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
