"""Checks a shell block that a page shows, command by command, without running it."""

import importlib.util
import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import pairwise

from botocore import xform_name
from botocore.session import Session
from click import Command
from typer.main import get_command

from outbox_sdk.cli import app
from outbox_sdk.core.configuration import VARIABLES
from outbox_sdk.core.table import parse_design
from outbox_sdk.core.when import parse_when
from outbox_sdk.core.workload import parse_rate
from tests.support.documents import ROOT

__all__ = ["COMMANDS", "check_shell"]

COMMANDS: dict[str, Command] = get_command(app).commands  # type: ignore[attr-defined]  # a group
AWS = Session()
KEYWORDS = {"while", "do", "done", "if", "then", "else", "fi", "until", "!"}
# Of no concern of the project: that the shell can read them is all that is checked.
PLAIN = {
    *("[", "cat", "cut", "echo", "git", "jq", "kill", "ls", "mkdir", "rm", "sha256sum"),
    *("sleep", "source", "twine", "unzip", "wait"),
}
# What the AWS command line has on top of the services' own operations.
OWN_COMMANDS = {
    ("cloudformation", "deploy"): {
        *("--stack-name", "--template-file", "--capabilities", "--parameter-overrides"),
    },
    ("logs", "tail"): {"--since", "--filter-pattern"},
    ("s3", "cp"): {"--recursive"},
    ("s3", "ls"): {"--recursive"},
    ("s3", "mb"): set[str](),
}
# Options of the AWS command line that every operation takes.
AWS_GLOBAL = {"--query", "--output", "--region", "--profile", "--endpoint-url"}
INSTALLED_BESIDE = {"boto3", "nox", "uv"}
KINDS = {"embedded", "moto", "memory"}
TERRAFORM = {"init", "plan", "show", "apply", "output", "fmt", "validate"}
# Variables that belong to nobody's configuration and are read all the same.
FURTHER_VARIABLES = {
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"),
    *("OUTBOX_CONSOLE_TOKEN", "OUTBOX_RUNTIME"),
}
ASSIGNMENT = re.compile(r"^([A-Za-z_][A-Za-z0-9_]*)=")


def check_shell(text: str, *, prompt: bool = False) -> None:
    """Raise AssertionError, or what the command itself raises, for a line that names what is not there."""
    if prompt:
        assert all(line.startswith(("$ ", " ")) for line in text.splitlines() if line), (
            "a line without prompt"
        )
        text = re.sub(r"^\$ ", "", text, flags=re.MULTILINE)
    read = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stderr
    for words in split_commands(text):
        check_command(words)


def split_commands(text: str) -> Iterator[list[str]]:
    """Give the simple commands of a block, without redirections, keywords and comments."""
    text = re.sub(r"\\\n\s*", " ", text)
    # What stands in quotes stays a word; what a substitution outside of them gives is a word of some kind.
    text = re.sub(r"\$\([^()]*\)", "SUBSTITUTED", text)
    for line in text.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;<>")
        lexer.whitespace_split = True
        lexer.commenters = "#"
        words: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= set("&|;"):
                command = without_redirections(words)
                while command and command[0] in KEYWORDS:
                    command = command[1:]
                if command:
                    yield command
                words = []
            else:
                words.append(word)


def without_redirections(words: list[str]) -> list[str]:
    kept: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif set(word) <= set("<>"):
            skip = True
        else:
            kept.append(word)
    return kept


def check_command(words: list[str]) -> None:
    while words and (assigned := ASSIGNMENT.match(words[0])):
        check_variable(assigned[1], words[0][assigned.end() :])
        words = words[1:]
    if not words:
        return
    command, *arguments = words
    if command in CHECKERS:
        CHECKERS[command](arguments)
    else:
        assert command in PLAIN, f"no check knows the command {command!r}"


def check_variable(name: str, value: str) -> None:
    """Those of other programs and of the page itself have other beginnings. Raises ValueError too."""
    known = {each: variable for variable in VARIABLES for each in variable.names}
    if name in known:
        known[name].parse(value)
    elif name.startswith(("OUTBOX_", "DYNAMODB_", "AWS_")):
        assert name in FURTHER_VARIABLES, name


def check_outbox(arguments: list[str]) -> None:
    """Have the command parse its arguments, which refuses what it does not know; nothing is run."""
    name, *words = arguments
    if name == "--install-completion":
        return
    given = COMMANDS[name].make_context(name, words).params
    for option in ("since", "until"):
        if given.get(option) is not None:
            parse_when(given[option], now=datetime.now(UTC), variable=f"--{option}")
    if isinstance(given.get("table_design"), str):
        parse_design(given["table_design"])
    for option in ("rate", "aggregate_rate"):
        if isinstance(given.get(option), str):
            parse_rate(given[option], variable=f"--{option}")


def check_nox(arguments: list[str]) -> None:
    noxfile = (ROOT / "noxfile.py").read_text()
    sessions = [session for flag, session in pairwise(arguments) if flag == "-s"]
    assert sessions or arguments == ["-l"], arguments
    for session in sessions:
        name = re.sub(r"-3\.\d+$", "", session).replace("-", "_")
        assert f"def {name}(session: nox.Session)" in noxfile, session


def check_aws(arguments: list[str]) -> None:
    """Look an operation and its options up in the models of AWS's own SDK."""
    service, operation, *words = arguments
    options = {word for word in words if word.startswith("--")} - AWS_GLOBAL
    if (service, operation) in OWN_COMMANDS:
        assert options <= OWN_COMMANDS[service, operation], options
        return
    model = AWS.get_service_model(service)
    names = [name for name in model.operation_names if xform_name(name, "-") == operation]
    assert names, f"{service} has no {operation}"
    shape = model.operation_model(names[0]).input_shape
    assert shape is not None
    taken = {f"--{xform_name(member, '-')}" for member in shape.members}
    assert options <= taken, options - taken
    assert {f"--{xform_name(member, '-')}" for member in shape.required_members} <= options


def check_python(arguments: list[str]) -> None:
    match arguments:
        case ["-m", "pip", *words]:
            check_pip(words)
        case ["-m", module, *_]:
            # What signs a release wants an identity, and is in no environment of ours.
            found = module == "pypi_attestations" or importlib.util.find_spec(module)
            assert found or (ROOT / module.replace(".", "/")).exists(), module
        case _:
            # A program that the page has shown before: its own test runs it.
            assert re.fullmatch(r"[a-z_]+\.py", " ".join(arguments)), arguments


def check_pip(arguments: list[str]) -> None:
    """Extras are those of the project, whatever else is named."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert arguments[0] == "install", arguments
    for requirement in arguments[1:]:
        name, _, extras = requirement.rstrip("]").partition("[")
        if name == project["name"]:
            assert set(filter(None, extras.split(","))) <= set(project["optional-dependencies"]), requirement
        else:
            assert name in INSTALLED_BESIDE, f"{name} is no distribution that a page may name"


def check_pytest(arguments: list[str]) -> None:
    """Of the project's own option, the kind of stack is one that there is."""
    if arguments:
        option, kind = arguments
        assert option == "--outbox-stack", option
        assert kind in KINDS, kind


def check_docker(arguments: list[str]) -> None:
    assert arguments[:2] == ["buildx", "build"], arguments
    (file,) = [after for option, after in pairwise(arguments) if option == "-f"]
    (target,) = [word.partition("=")[2] for word in arguments if word.startswith("--target=")]
    assert f" AS {target}\n" in (ROOT / file).read_text()


def check_terraform(arguments: list[str]) -> None:
    assert arguments[0] in TERRAFORM, arguments


def check_directory(arguments: list[str]) -> None:
    (directory,) = arguments
    assert (ROOT / directory).is_dir(), directory


def check_export(arguments: list[str]) -> None:
    for each in arguments:
        name, _, value = each.partition("=")
        check_variable(name, value)


CHECKERS: dict[str, Callable[[list[str]], None]] = {
    "aws": check_aws,
    "cd": check_directory,
    "docker": check_docker,
    "export": check_export,
    "nox": check_nox,
    "outbox": check_outbox,
    "pip": check_pip,
    "pytest": check_pytest,
    "python": check_python,
    "terraform": check_terraform,
}
