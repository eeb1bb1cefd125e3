"""Every option of `outbox deploy` and `outbox destroy` arrives where it belongs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from outbox_sdk.cli import app
from outbox_sdk.core.event_source import EventSource
from outbox_sdk.provisioning import StreamsOutbox

# The package's own name of this kind is the command.
module = import_module("outbox_sdk.cli.deploy")
KEY = "arn:aws:kms:eu-west-1:123456789012:key/k"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the SDK is called with, by name; nothing is deployed."""
    noted: list[dict[str, Any]] = []

    @asynccontextmanager
    async def open_client(service: str, *_: Any, **__: Any) -> AsyncIterator[str]:
        yield service

    async def create(*clients: Any, **arguments: Any) -> StreamsOutbox:
        noted.append({"clients": clients, **arguments})
        return StreamsOutbox(
            table_name="t", table_arn="t", stream_arn=None, role_arn="r", function_name="f",
            function_arn="f", mapping_id=None, sweeper_arn=None, mark_strategy="batch",
        )  # fmt: skip

    async def destroy(*clients: Any, **arguments: Any) -> tuple[()]:
        noted.append({"clients": clients, **arguments})
        return ()

    monkeypatch.setattr(module, "open_client", open_client)
    monkeypatch.setattr(module, "create_dynamodb_streams_outbox", create)
    monkeypatch.setattr(module, "destroy_dynamodb_streams_outbox", destroy)
    for name in ("AWS_ENDPOINT_URL", "OUTBOX_RUNTIME", "OUTBOX_DISPATCHED_TTL_DAYS"):
        monkeypatch.delenv(name, raising=False)
    return noted


SETTINGS: dict[str, tuple[str, str, Any]] = {
    "--table": ("outbox", "dynamodb_outbox_table_name", "outbox"),
    "--endpoint-url": ("http://127.0.0.1:9", "aws_endpoint_url", "http://127.0.0.1:9"),
    "--region": ("eu-west-1", "aws_region", "eu-west-1"),
    "--topic-prefix": ("dev-", "aws_sns_topic_prefix", "dev-"),
    "--allowed-topics": ("a,b", "outbox_allowed_topics", frozenset({"a", "b"})),
    "--mark-strategy": ("delete", "outbox_mark_strategy", "delete"),
    "--envelope": ("cloudevents", "outbox_envelope", "cloudevents"),
    "--ttl-days": ("30", "outbox_dispatched_ttl_days", 30),
}
OPTIONS: dict[str, tuple[str | None, str, Any]] = {
    "--allow-any-topic": (None, "allow_any_topic", True),
    "--create-table": (None, "create_table", True),
    "--sweeper-name": ("s", "sweeper_name", "s"),
    "--sweep-every": ("5", "sweep_every_minutes", 5),
    "--paused": (None, "paused", True),
    "--function-name": ("f", "function_name", "f"),
    "--architecture": ("x86_64", "architecture", "x86_64"),
    "--runtime": ("python3.12", "runtime", "python3.12"),
    "--memory": ("256", "memory_mb", 256),
    "--timeout": ("30", "timeout_seconds", 30),
    "--env": ("A=b=c", "environment", {"A": "b=c"}),
    "--kms-key": (KEY, "kms_keys", (KEY,)),
    "--confine-attributes": (None, "confine_attributes", True),
    "--code-bucket": ("packages", "code_bucket", "packages"),
    "--package": (__file__, "package", Path(__file__)),
    "--dry-run": (None, "dry_run", True),
}
SOURCE: dict[str, tuple[str, str, Any]] = {
    "--batch-size": ("10", "batch_size", 10),
    "--batch-window": ("5", "batch_window_seconds", 5),
    "--parallelization-factor": ("2", "parallelization_factor", 2),
    "--on-failure": ("arn:aws:s3:::b", "on_failure", "arn:aws:s3:::b"),
}
ELSEWHERE = {"--profile", "--sweeper", "--json", "--table-design", "--yes"}


def given(options: dict[str, Any]) -> list[str]:
    return [word for name, (text, *_) in options.items() for word in (name, text) if word is not None]


def test_every_option_is_tried() -> None:
    """Here or by name in another test."""
    for name in ("deploy", "destroy"):
        command = get_command(app).commands[name]  # type: ignore[attr-defined]  # a group
        options = {option for parameter in command.params for option in parameter.opts}
        assert options - {"--help"} <= {*SETTINGS, *OPTIONS, *SOURCE, *ELSEWHERE}


def test_each_arrives(calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCOUNT_ID", "123456789012")
    options = [*given(SETTINGS), *given(OPTIONS), *given(SOURCE), "--sweeper"]

    done = CliRunner().invoke(app, ["deploy", *options, "--table-design", "message_keyed"])

    assert done.exit_code == 0, done.output
    (call,) = calls
    assert call["clients"] == ("lambda", "iam", "dynamodb", "s3")
    assert call["scheduler_client"] == "scheduler"
    for _, field, value in SETTINGS.values():
        assert getattr(call["settings"], field) == value, field
    assert call["settings"].outbox_table_design.keyed_by == "message"
    for _, name, value in OPTIONS.values():
        assert call[name] == value, name
    assert call["source"] == EventSource(**{field: value for _, field, value in SOURCE.values()})


def test_what_is_not_said_is_left_to_the_sdk(calls: list[dict[str, Any]]) -> None:
    done = CliRunner().invoke(app, ["deploy", "--table", "outbox", "--region", "eu-west-1"])

    assert done.exit_code == 0, done.output
    (call,) = calls
    assert "scheduler_client" not in call
    assert call["settings"].model_fields_set <= {"dynamodb_outbox_table_name", "aws_region"}
    assert (call["runtime"], call["architecture"], call["function_name"]) == (None, None, None)
    assert call["source"] == EventSource()


def test_items_are_kept_for_ever_where_that_is_said(calls: list[dict[str, Any]]) -> None:
    """Unsaid, those of an ordered table are kept for a week."""
    CliRunner().invoke(app, ["deploy", "--table", "outbox", "--region", "eu-west-1", "--ttl-days", "0"])

    (call,) = calls
    assert call["settings"].outbox_dispatched_ttl_days is None
    assert "outbox_dispatched_ttl_days" in call["settings"].model_fields_set


def test_destroying_takes_the_names_as_well(calls: list[dict[str, Any]]) -> None:
    words = ["--table", "outbox", "--region", "eu-west-1", "--function-name", "f", "--sweeper-name", "s"]

    done = CliRunner().invoke(app, ["destroy", *words, "--dry-run"])

    assert done.exit_code == 0, done.output
    (call,) = calls
    assert call["clients"] == ("lambda", "iam")
    names = ("table_name", "function_name", "sweeper_name", "scheduler_client", "dry_run")
    assert [call[name] for name in names] == ["outbox", "f", "s", "scheduler", True]


@pytest.mark.parametrize("text", ["A", "=b", ""])
def test_a_variable_needs_a_name_and_a_value(text: str, calls: list[dict[str, Any]]) -> None:
    words = ["deploy", "--table", "outbox", "--region", "eu-west-1", "--env", text]

    done = CliRunner().invoke(app, words)

    assert done.exit_code == 2
    assert calls == []
