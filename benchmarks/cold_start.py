"""How long does a cold start take, from nothing to the first answer, and where does each millisecond go?

Run: ``nox -s bench -- cold_start``, or ``python -m benchmarks.cold_start``.

CPU time of a fresh process that imports the handler, loads Powertools' Metrics and relays one message, above
that of an empty Python. The relay runs from the built package, unpacked as Lambda does; the reference from a
folder with its dependencies, once as it is usually packaged, without byte-code, and once with. Endpoints are
found as they are without a setting for all services, by botocore.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from benchmarks.harness.answers import Answer, Bar, Plot, Series, Table, describe_machine, print_answer
from benchmarks.harness.endpoint import Endpoint, open_endpoint
from benchmarks.harness.events import make_event, refresh
from benchmarks.harness.runs import Spread
from benchmarks.warm_batch import ENVIRONMENT
from outbox_sdk.core.function import DEFAULT_RUNTIME
from outbox_sdk.packaging import find_package
from outbox_sdk.packaging.install import install_requirements
from outbox_sdk.packaging.interpreters import find_interpreter

ROOT = Path(__file__).parents[1]
CHILD = Path(__file__).with_name("harness") / "cold_main.py"
EMPTY, RELAY = "empty Python", "relay"
WITHOUT, WITH = "reference as packaged", "reference with byte-code"


def make_folders(into: Path, python: Path) -> dict[str, tuple[Path, str]]:
    """Lay out what is started: a folder and the module of the handler in it, by name."""
    with zipfile.ZipFile(find_package("x86_64")) as package:
        package.extractall(into / "relay")
    plain, compiled = into / "plain", into / "compiled"
    lock = ROOT / "requirements" / "bench.txt"
    install_requirements(lock, plain, architecture="x86_64", runtime=DEFAULT_RUNTIME)
    shutil.copy(ROOT / "benchmarks" / "reference" / "relay.py", plain / "reference_relay.py")
    shutil.copytree(plain, compiled)
    subprocess.run([python, "-m", "compileall", "-q", "-j0", compiled], check=False, capture_output=True)
    return {
        EMPTY: (into, "nothing"),
        RELAY: (into / "relay", "outbox_sdk.lambda_handler"),
        WITHOUT: (plain, "reference_relay"),
        WITH: (compiled, "reference_relay"),
    }


def start(python: Path, folder: Path, module: str, endpoint: Endpoint, options: tuple[str, ...] = ()) -> str:
    """Start one process; give what it wrote to standard error."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        event = make_event(1)
        refresh(event)
        json.dump(event, file)
        file.flush()
        services = {f"AWS_ENDPOINT_URL_{name}": endpoint.url for name in ("SNS", "DYNAMODB")}
        done = subprocess.run(
            [python, "-I", "-B", *options, CHILD, folder, module, file.name],
            env={**ENVIRONMENT, **services, "PATH": os.environ["PATH"], "HOME": "/nowhere"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stderr


def measure(
    rounds: int,
) -> tuple[dict[str, list[float]], dict[str, list[dict[str, float]]], dict[str, float]]:
    """Start all in turn; give CPU milliseconds by what, the relay's by step, and its imports by package."""
    python = find_interpreter(DEFAULT_RUNTIME.removeprefix("python"))
    if python is None:
        raise SystemExit(f"{DEFAULT_RUNTIME} is not installed, and the package is for that")
    took: dict[str, list[float]] = defaultdict(list)
    steps: dict[str, list[dict[str, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as temporary, open_endpoint() as endpoint:
        folders = make_folders(Path(temporary), python)
        for number in range(-1, rounds):
            for name, (folder, module) in folders.items():
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                written = start(python, folder, module, endpoint)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                if number >= 0:  # the first start fills the page cache
                    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
                    took[name].append(used * 1e3)
                    steps[name].append(json.loads(written)["steps"])
        imports = measure_imports(python, *folders[RELAY], endpoint)
    return took, steps, imports


def measure_imports(python: Path, folder: Path, module: str, endpoint: Endpoint) -> dict[str, float]:
    """Give the milliseconds that each package's own modules take to import."""
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(5):
        packages: dict[str, float] = defaultdict(float)
        for line in start(python, folder, module, endpoint, ("-X", "importtime")).splitlines():
            if not line.startswith("import time:") or "self [us]" in line:
                continue
            own, _, name = line.removeprefix("import time:").split("|")
            packages[_package_of(name.strip(), folder)] += int(own) / 1e3
        for name, milliseconds in packages.items():
            found[name].append(milliseconds)
    return {name: median(values) for name, values in found.items()}


def _package_of(module: str, folder: Path) -> str:
    top = module.partition(".")[0]
    packaged = any((folder / name).exists() for name in (top, f"{top}.py", f"{top}.pyc"))
    return top if packaged else "standard library"


def answer(rounds: int = 25) -> Answer:
    took, steps, imports = measure(rounds)
    empty = median(took[EMPTY])
    above = {name: Spread.of([value - empty for value in values]) for name, values in took.items()}
    relay = above[RELAY].median
    rows = [
        (
            name,
            f"{above[name].median:,.0f}",
            f"{above[name].low:,.0f}–{above[name].high:,.0f}",
            f"{relay / above[name].median:.2f}",
        )
        for name in (WITHOUT, WITH, RELAY)
    ]
    question, _, method = (__doc__ or "").partition("\n\n")
    return Answer(
        name="cold_start",
        question=question,
        method=method,
        bars=(
            Bar(
                what="of the reference as packaged",
                value=relay / above[WITHOUT].median,
                sense="≤",
                bar=0.30,
                goal=0.20,
            ),
            Bar(
                what="of the reference with byte-code",
                value=relay / above[WITH].median,
                sense="≤",
                bar=0.65,
                goal=0.45,
            ),
        ),
        tables=(
            Table(
                title=f"A cold start on {DEFAULT_RUNTIME}, CPU ms above an empty Python ({empty:,.0f} ms)",
                headers=("what", "ms", "10–90 %", "the relay's is so much of it"),
                rows=tuple(rows),
            ),
            _step_table(steps),
            _import_table(imports),
        ),
        plots=(
            Plot(
                name="cold_start",
                title="A cold start, CPU time above an empty Python",
                x_label="",
                y_label="ms",
                kind="bars",
                series=(
                    Series("", tuple(row[0] for row in rows), tuple(above[row[0]].median for row in rows)),
                ),
            ),
        ),
        machine=describe_machine(),
    )


def _step_table(steps: Mapping[str, list[dict[str, float]]]) -> Table:
    names = {
        "interpreter": "interpreter started",
        "metrics": "Powertools' Metrics (with what Logger shares)",
        "handler": "the handler's imports",
        "event": "the event read",
        "first batch": "first batch: configuration, credentials, certificates, connection, 2 calls, log",
    }
    rows = [
        (
            text,
            *(f"{median([step[name] for step in steps[what]]):,.0f}" for what in (WITHOUT, WITH, RELAY)),
        )
        for name, text in names.items()
    ]
    return Table(title="By step, CPU ms", headers=("step", WITHOUT, WITH, RELAY), rows=tuple(rows))


def _import_table(imports: Mapping[str, float]) -> Table:
    ordered = sorted(imports.items(), key=lambda item: -item[1])
    shown = [(name, f"{value:,.1f}") for name, value in ordered if value >= 1]
    rest = sum(value for _, value in ordered if value < 1)
    return Table(
        title="What the relay imports: wall milliseconds of each package's own modules, traced, hence longer",
        headers=("package", "ms"),
        rows=(*shown, ("all others", f"{rest:,.1f}")),
    )


if __name__ == "__main__":
    print_answer(answer(*map(int, sys.argv[1:])))
