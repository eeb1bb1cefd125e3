"""What `outbox relay` and `outbox sweep` are told arrives, and what an error names is there to be given."""

import re
from importlib import import_module
from importlib.metadata import version
from typing import Any, NoReturn

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from outbox_sdk.cli import app
from outbox_sdk.core.configuration import RelayConfiguration
from outbox_sdk.core.errors import ConfigurationError


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DYNAMODB_OUTBOX_TABLE_NAME", "OUTBOX_ALLOWED_TOPICS", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)


def test_the_command_tells_its_version() -> None:
    done = CliRunner().invoke(app, ["--version"])

    assert done.output == f"dynamodb-outbox-sdk {version('dynamodb-outbox-sdk')}\n"
    assert done.exit_code == 0


@pytest.mark.parametrize("name", ["relay", "sweep"])
def test_the_list_of_topics_arrives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, no destination but topics can be reached from the command line."""
    opened: list[RelayConfiguration] = []

    def open_relay(configuration: RelayConfiguration, **_: Any) -> NoReturn:
        opened.append(configuration)
        raise ConfigurationError("AWS_REGION", "is not set")

    monkeypatch.setattr(import_module(f"outbox_sdk.cli.{name}"), "open_relay", open_relay)
    for words in ((), ("--allowed-topics", "orders,sqs:billing")):
        done = CliRunner().invoke(app, [name, "--table", "outbox", *words])
        assert done.exit_code == 2, done.output

    assert [each.outbox_allowed_topics for each in opened] == [None, frozenset({"orders", "sqs:billing"})]


@pytest.mark.parametrize(
    ("name", "variable", "expected"),
    [
        ("relay", "DYNAMODB_OUTBOX_TABLE_NAME", {"--table", "--region"}),
        ("sweep", "DYNAMODB_OUTBOX_TABLE_NAME", {"--table", "--region"}),
        ("destroy", "DYNAMODB_OUTBOX_TABLE_NAME", {"--table", "--region"}),
        ("deploy", "DYNAMODB_OUTBOX_TABLE_NAME", {"--table", "--region", "--create-table"}),
        ("relay", "OUTBOX_ALLOWED_TOPICS", {"--topic-prefix", "--allowed-topics"}),
        ("sweep", "OUTBOX_ALLOWED_TOPICS", {"--topic-prefix", "--allowed-topics"}),
        ("deploy", "OUTBOX_ALLOWED_TOPICS", {"--topic-prefix", "--allowed-topics", "--allow-any-topic"}),
        ("sweep", "OUTBOX_CLAIM_BUCKET", {"--claim-bucket"}),
        ("destroy", "function_name", {"--function-name"}),
        ("deploy", "memory_mb", {"--memory"}),
        ("relay", "OUTBOX_ENVELOPE", set()),
    ],
)
def test_an_error_names_the_options_that_the_command_has(
    name: str, variable: str, expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> NoReturn:
        raise ConfigurationError(variable, "is wrong")

    module = import_module(f"outbox_sdk.cli.{'deploy' if name == 'destroy' else name}")
    monkeypatch.setattr(module, "settings_of", refuse)
    done = CliRunner().invoke(app, [name])

    assert (done.exit_code, f"outbox: {variable}: is wrong" in done.output) == (2, True)
    assert set(re.findall(r"--[a-z-]+", done.output)) == expected
    command = get_command(app).commands[name]  # type: ignore[attr-defined]  # a group
    assert expected <= {option for parameter in command.params for option in parameter.opts}
