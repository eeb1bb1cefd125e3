"""Runs the commands that look after an outbox in this process, as a script would, and reads their output."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import jsonschema  # type: ignore[import-untyped] # has no types of its own
from typer.testing import CliRunner

from outbox_sdk.cli import app
from outbox_sdk.cli.documents import encode_schema
from tests.support.command import CREDENTIALS, run_outbox

__all__ = ["AdminCommands", "Done", "check_document", "read_lines"]


def check_document(command: str, document: Any) -> None:
    """Fail if a line of a command is not as its schema says."""
    jsonschema.validate(document, json.loads(encode_schema(command)))


def read_lines(command: str, output: str) -> list[Any]:
    """Read the lines that a command has printed as JSON, each as its schema says."""
    documents = [json.loads(line) for line in output.splitlines()]
    for document in documents:
        check_document(command, document)
    return documents


class Done(NamedTuple):
    """How a command ended. ``documents`` are the lines that it printed as JSON, each of its schema."""

    exit_code: int
    output: str
    errors: str
    documents: list[Any]


class AdminCommands(NamedTuple):
    """The commands on a table of a local server."""

    endpoint_url: str
    table: str
    variables: Mapping[str, str] = {}

    def run(self, command: str, *options: str, table: str | None = None) -> Done:
        """Run a command to its end."""
        where = ["--table", table or self.table, "--endpoint-url", self.endpoint_url, "--region", "us-east-1"]
        variables = {**CREDENTIALS, **self.variables, "AWS_PROFILE": None}
        done = CliRunner().invoke(app, [command, *options, *where], env=variables)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        documents = []
        if "--json" in options:
            documents = read_lines(command, done.stdout)
        return Done(done.exit_code, done.stdout, done.stderr, documents)

    def run_apart(self, command: str, *options: str) -> tuple[int, list[Any], str]:
        """Run one that listens for signals, in a process; give its exit code, its documents and its words."""
        where = ["--table", self.table, "--endpoint-url", self.endpoint_url, "--region", "us-east-1"]
        done = run_outbox(command, *options, *where, **CREDENTIALS, **self.variables)
        lines = read_lines(command, done.stdout) if "--json" in options else []
        return done.returncode, lines, done.stdout + done.stderr
