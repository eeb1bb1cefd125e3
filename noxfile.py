"""Every task of the project, each in an environment of its own: `nox -l` lists them.

Versions and dependencies are read from pyproject.toml; requirements/*.txt pins them with hashes.
"""

import os
import re
import shutil
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT / "src"))

from outbox_sdk.packaging.interpreters import find_interpreter, running_version  # noqa: E402 - not installed

nox.needs_version = ">=2025.5.1"
nox.options.sessions = ["test", "lint"]
nox.options.reuse_venv = "yes"
# uv installs in seconds what takes pip a minute; without it, pip does.
nox.options.default_venv_backend = "uv|virtualenv"
# Only interpreters that run are listed below, so one that cannot be found is an error, never a skip.
nox.options.error_on_missing_interpreters = True

PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
FLOOR: str = PYPROJECT["project"]["requires-python"].removeprefix(">=")

# Lock file -> what it pins, in the words of `uv pip compile`. The first one holds nearly everything; the
# others take its versions, so that what is type-checked and measured is what is tested.
LOCKS = {
    "test": ["pyproject.toml", "--all-extras", "--group=test"],
    "lint": ["pyproject.toml", "--all-extras", "--group=lint"],
    "mutants": ["pyproject.toml", "--all-extras", "--group=mutants"],
    "demo": ["pyproject.toml", "--extra=cli", "--extra=local", "--group=build"],
    "example": ["pyproject.toml", "--extra=console", "--extra=local", "--group=build"],
    "bench": ["pyproject.toml", "--all-extras", "--group=bench"],
    "docs": ["pyproject.toml", "--all-extras", "--group=docs"],
    "package": ["pyproject.toml", "--group=package"],
    "release": ["pyproject.toml", "--group=release"],
    "lock": ["--group=lock"],
    "deploy": ["--group=deploy"],
    "extended-client": ["--group=extended-client"],
    "lambda-runtime": ["--group=lambda-runtime"],
    "lambda-emulator": ["--group=lambda-emulator", "--no-deps"],
    "consumers": ["--group=consumers"],
    "lambda": ["--group=lambda"],
    # ministack pins one botocore, and with it an aiobotocore above the floor: it has a lock file of its own.
    "minimum": [
        "--resolution=lowest-direct", "pyproject.toml", "--extra=cli", "--extra=console", "--extra=otel",
        "--extra=testing", "--extra=typing", "--group=test",
    ],
    "minimum-local": ["--resolution=lowest-direct", "pyproject.toml", "--extra=local", "--group=build"],
}  # fmt: skip
# checkov pins an old boto3, tomodachi an old aiobotocore: their environments have versions of their own, and
# are without the project. The lowest versions are not those that are tested elsewhere.
UNCONSTRAINED = ("deploy", "consumers", "minimum", "minimum-local")
# This one is shipped: whoever installs the SDK can build the functions' package from it.
SHIPPED_LOCKS = {"lambda": "src/outbox_sdk/packaging/requirements.txt"}

# With the lowest versions: everything that decides, what doubles and adapters have in common, and what is
# done to a DynamoDB. What looks at pages and sources finds the same whatever is installed.
MINIMUM_TESTS = [
    *("tests/unit", "tests/property", "tests/contract"),
    *(f"tests/integration/test_{name}.py" for name in ("inbox", "streams", "transaction")),
    *(f"--ignore=tests/unit/test_{name}.py" for name in ("every_block", "public_api", "site_pages")),
]

# In pieces, so that this file does not match.
REGISTRY_HOSTS = re.compile(
    "|".join(
        re.escape(".".join(labels))
        for labels in (
            ("pypi", "org"),
            ("python" + "hosted", "org"),
            ("npmjs", "org"),
            ("npmjs", "com"),
            ("yarnpkg", "com"),
            ("anaconda", "org"),
            ("crates", "io"),
            ("proxy", "golang", "org"),
            ("repo1", "maven", "org"),
            ("repo", "maven", "apache", "org"),
        )
    ),
    re.IGNORECASE,
)
INDEX_LINE = re.compile(r"^\s*(-i|-f|--index-url|--extra-index-url|--find-links)\b|://", re.MULTILINE)


def find_interpreters() -> list[str]:
    """Versions from the floor up that run here, made reachable on the search path for nox to find."""
    versions = nox.project.python_versions(PYPROJECT, max_version="3.19")
    found = []
    for version in versions:
        interpreter = find_interpreter(version)
        if interpreter is not None:
            if shutil.which(interpreter.name) != str(interpreter):  # something that does not run is in front
                os.environ["PATH"] = os.pathsep.join([str(interpreter.parent), os.environ["PATH"]])
            found.append(version)
        elif version == running_version():
            found.append(version)
    # With none at all, ask for the floor: nox then fails and names it, instead of running nothing.
    return found or [FLOOR]


INTERPRETERS = find_interpreters()


def lock_file(name: str) -> str:
    """Where a lock file is, from the root of the project."""
    return SHIPPED_LOCKS.get(name, f"requirements/{name}.txt")


def install(session: nox.Session, lock: str, *, project: bool = True) -> None:
    """Install exactly what the lock file names, then the project itself without resolving anything."""
    session.install("--quiet", "--require-hashes", "-r", lock_file(lock))
    if project:
        session.install("--quiet", "--no-deps", "--no-build-isolation", "-e", ".")


@nox.session
def demo(session: nox.Session) -> None:
    """Run the whole path on this machine, from a transaction to a message received: `outbox demo`."""
    install(session, "demo")
    session.run("outbox", "demo", *session.posargs)


@nox.session
def example(session: nox.Session) -> None:
    """Run the two services of examples/customers_and_orders; `-- --serve` leaves them to you until Ctrl-C."""
    install(session, "example")
    session.run("python", "-m", "examples.customers_and_orders", *session.posargs)


@nox.session(python=INTERPRETERS)
def test(session: nox.Session) -> None:
    """Run the tests and the docstring examples; arguments after `--` go to pytest."""
    install(session, "test")
    # A process more than cores: much of the time goes into waiting for servers, of which each has its own.
    processes = f"--numprocesses={(os.cpu_count() or 1) + 1}"
    # What is long and the same everywhere runs on the oldest interpreter only, and so does what talks to a
    # whole stack: the functions themselves run on their own interpreter there.
    chosen = [] if session.python == INTERPRETERS[0] else ["-m", "not once and not integration"]
    # Between the oldest and the newest, what the language could break: the code by itself.
    if session.python not in (INTERPRETERS[0], INTERPRETERS[-1]) and not session.posargs:
        chosen += ["tests/unit", "tests/plugin", "src"]
    session.run("pytest", processes, *chosen, *session.posargs)


@nox.session
def endurance(session: nox.Session) -> None:
    """Run at full size what every test run does with a tenth: ten thousand sent again, a long history."""
    install(session, "test")
    files = ["tests/integration/test_again.py", "tests/integration/test_looking.py"]
    session.run(
        "pytest", *files, "-k", "thousands or long_history", *session.posargs, env={"OUTBOX_FULL_SIZE": "1"}
    )


@nox.session(python=INTERPRETERS[0])
def minimum(session: nox.Session) -> None:
    """Run tests with the lowest versions that pyproject.toml allows, on the oldest Python; then the demo."""
    install(session, "minimum")
    folders = session.posargs or [*MINIMUM_TESTS, "--numprocesses=auto", "-m", "not once"]
    session.run("pytest", *folders)
    # The local stack pins one botocore, which is above the floor of the rest.
    install(session, "minimum-local")
    session.run("outbox", "demo")


@nox.session
def simulate(session: nox.Session) -> None:
    """Play many seeds of the simulator, and all mutants: `-- --seeds 15000`, `-- --seed 7` for one trace."""
    install(session, "test")
    session.run("python", "-m", "tests.simulation", *session.posargs)


@nox.session(python=INTERPRETERS[0])
def mutants(session: nox.Session) -> None:
    """Try the tests on mutants of the core: a sample, `-- lanes` those of a module, `-- --all` every one."""
    install(session, "mutants")
    session.run("python", "-m", "tools.mutants", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types, what types refuse, import contracts, and that no file names a registry."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    check_type_completeness(session)
    session.run("pytest", "--quiet", "tests/unit/test_typing.py")
    session.run("lint-imports")
    check_no_registry(session)


def check_type_completeness(session: nox.Session) -> None:
    """Fail when a type that a user's checker sees is missing or ambiguous."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = str(session.run("python", "-c", code, silent=True, log=False)).strip()
    # The checker asks the interpreter's own path, which an editable install is not on.
    path = os.pathsep.join([str(ROOT / "src"), packages])
    session.run("basedpyright", "--verifytypes", "outbox_sdk", "--ignoreexternal", env={"PYTHONPATH": path})


def check_no_registry(session: nox.Session) -> None:
    """Fail when a file names the host of a package registry, or a lock file says where to download."""
    list_files = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = session.run(*list_files, external=True, silent=True, log=False)
    locks = set(map(lock_file, LOCKS))
    problems = []
    for name in sorted(filter(None, str(listed).split("\0"))):
        path = ROOT / name
        if not path.is_file():
            continue
        text = path.read_bytes().decode("utf-8", errors="replace")
        is_lock = name in locks or (path.parent == ROOT / "requirements" and path.suffix == ".txt")
        for number, line in enumerate(text.splitlines(), start=1):
            if REGISTRY_HOSTS.search(line) or (is_lock and INDEX_LINE.search(line)):
                problems.append(f"{name}:{number}: {line.strip()[:100]}")
        if path.name == "uv.lock":
            problems.append(f"{name}: the lock files are {', '.join(sorted(locks))}")
    if problems:
        rule = "A package registry is configured on a machine, never named in the project:"
        session.error("\n".join([rule, *problems]))


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation's site in build/site, and check it: `-- --pictures DIR` keeps what was seen."""
    install(session, "docs")
    built = "build/site"
    shutil.rmtree(ROOT / built, ignore_errors=True)
    # Everything is read anew: what a page is given besides its own text is not kept between two builds.
    session.run("sphinx-build", "--quiet", "--fresh-env", "--fail-on-warning", "-c", "docs", ".", built)
    session.run("python", "-m", "docs.site.check", built)
    session.run("python", "-m", "docs.site.look", built, *session.posargs)


@nox.session
def deploy(session: nox.Session) -> None:
    """Check deploy/ by its validators, and what Terraform makes of the SDK's data."""
    install(session, "deploy", project=False)
    templates = [str(path) for path in sorted(ROOT.glob("deploy/sam/*.yaml"))]
    session.run("terraform", "fmt", "-check", "-diff", "-recursive", "deploy/terraform")
    session.run("cfn-lint", *templates)
    session.run("checkov", "--skip-download", "--quiet", "--compact", "--directory=deploy")
    session.run("pytest", "--config-file=deploy/pytest.ini", "deploy/checks", *session.posargs)


@nox.session(name="deploy-data")
def deploy_data(session: nox.Session) -> None:
    """Write what Terraform reads of the SDK, deploy/terraform/outbox.json; arguments after `--` go to it."""
    install(session, "package")
    session.run("python", "-m", "deploy.generate", *session.posargs)


@nox.session(python="3.13" if "3.13" in INTERPRETERS else INTERPRETERS[-1])  # what functions run on
def bench(session: nox.Session) -> None:
    """Run the benchmarks, or those named after `--`, and write docs/explanation/performance.md from them."""
    install(session, "bench")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def package(session: nox.Session) -> None:
    """Build the Lambda packages and the wheel that carries them; `-- --runtime python3.12` for others."""
    install(session, "package")
    # What is built for other runtimes or one platform alone is not what a wheel carries. The files have the
    # same names, so each runtime has a folder: a package for another one would not start.
    wheel = [] if session.posargs else ["--wheel", "."]
    asked = re.search(r"--runtime[= ](\S+)", " ".join(session.posargs))
    out = "dist" if asked is None else f"dist/{asked[1]}"
    session.run("python", "-m", "outbox_sdk.packaging", f"--out={out}", "--sbom", *wheel, *session.posargs)


@nox.session
def release(session: nox.Session) -> None:
    """Check and build a release in dist/release, and stop before the upload; `-- --rehearse` any time."""
    install(session, "release")
    session.run("python", "-m", "tools.release", *session.posargs)


@nox.session
def api(session: nox.Session) -> None:
    """Write docs/reference/public-api.txt anew; `-- --against v0.1.0` lists instead what breaks since."""
    install(session, "test", project=False)
    session.run("python", "-m", "tools.public_api", *session.posargs)


@nox.session
def graph(session: nox.Session) -> None:
    """Draw anew who imports whom: docs/architecture.svg, and the tables in docs/architecture.md."""
    install(session, "test")
    session.run("python", "-m", "tools.import_graph")


@nox.session
def lock(session: nox.Session) -> None:
    """Write the lock files anew from pyproject.toml; `-- --upgrade` also takes newer versions."""
    install(session, "lock", project=False)
    first = next(iter(LOCKS))
    for name, sources in LOCKS.items():
        session.run(
            "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header",
            "--no-emit-index-url", f"--python-version={FLOOR}", f"--output-file={lock_file(name)}",
            *([] if name in (first, *UNCONSTRAINED) else [f"--constraint={lock_file(first)}"]),
            *sources, *session.posargs,
            silent=True,
        )  # fmt: skip
