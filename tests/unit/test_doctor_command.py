"""`outbox doctor`: what it prints, for people and for scripts, and how it ends."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from outbox_sdk import Diagnosis, Unchecked
from outbox_sdk.cli import app
from tests.support.admin_commands import check_document
from tests.support.plans import Plan, make_plan

MAPPING = "aws_lambda_event_source_mapping.relay"
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    for name in ("DYNAMODB_OUTBOX_TABLE_NAME", "OUTBOX_ALLOWED_TOPICS", "AWS_ENDPOINT_URL", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)

    def run(plan: Plan | None, *words: str) -> Result:
        path = tmp_path / "plan.json"
        path.write_text("" if plan is None else plan.text())
        return CliRunner().invoke(app, ["doctor", "--plan", str(path), *words])

    return run


def ill() -> Plan:
    plan = make_plan()
    plan.values[MAPPING].update(starting_position="LATEST", bisect_batch_on_function_error=False)
    return plan


def test_a_healthy_plan_ends_well_and_says_what_was_not_checked(run: Run) -> None:
    done = run(make_plan())

    assert done.exit_code == 0
    assert "nothing found" in done.output
    assert "Not checked" in done.output
    assert "a plan has no clock" in done.output


def test_findings_are_told_with_what_mends_them_and_an_error_ends_with_one(run: Run) -> None:
    done = run(ill())

    assert done.exit_code == 1
    assert "1 error, 1 warning" in done.output
    for text in ("mapping.starting-position", 'starting_position = "TRIM_HORIZON"', 'function["relay"]'):
        assert text in done.output


def test_a_warning_alone_ends_well(run: Run) -> None:
    plan = make_plan()
    plan.values[MAPPING]["bisect_batch_on_function_error"] = False

    assert run(plan).exit_code == 0


def test_json_is_one_line_of_the_schema_for_each_relay(run: Run) -> None:
    done = run(ill(), "--json")

    (line,) = done.output.splitlines()
    document = json.loads(line)
    check_document("doctor", document)
    assert [each["id"] for each in document["findings"]] == ["mapping.starting-position", "mapping.bisect"]
    assert done.exit_code == 1


def test_the_package_that_is_to_run_is_compared(run: Run, tmp_path: Path) -> None:
    package = tmp_path / "package.zip"
    package.write_bytes(b"")

    done = run(make_plan(), "--package", str(package), "--json")

    assert [each["id"] for each in json.loads(done.output)["findings"]] == ["function.package"]


def test_a_plan_may_come_by_way_of_stdin() -> None:
    done = CliRunner().invoke(app, ["doctor", "--plan", "-", "--json"], input=ill().text())

    assert done.exit_code == 1
    assert len(json.loads(done.output)["findings"]) == 2


def test_to_be_kept_from_everything_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    denied = Unchecked(id="table.exists", resource="table outbox", reason="denied")
    blind = Diagnosis(stack="table outbox", source="live", findings=(), unchecked=(denied,), checked=0)

    async def look(*_: object, **__: object) -> Diagnosis:
        return blind

    monkeypatch.setattr(import_module("outbox_sdk.cli.doctor"), "diagnose_stack", look)
    done = CliRunner().invoke(app, ["doctor", "--table", "outbox", "--region", "eu-west-1"])

    assert done.exit_code == 1
    assert "0 checks made, 1 not" in done.output


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--plan", "nowhere.json"], "--plan: nowhere.json cannot be read"),
        (["--plan", "-", "--profile", "p"], "--profile: is for a stack that runs"),
        (["--plan", "-", "--allowed-topics", "t"], "--allowed-topics: is for a stack that runs"),
        (["--plan", "-"], "--plan: is no JSON"),
        ([], "DYNAMODB_OUTBOX_TABLE_NAME: is not set"),
        (["--table", "outbox", "--endpoint-url", "nowhere"], "AWS_ENDPOINT_URL: 'nowhere' is not"),
    ],
)
def test_wrong_input_is_refused_with_a_sentence(
    words: list[str], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DYNAMODB_OUTBOX_TABLE_NAME", raising=False)

    done = CliRunner().invoke(app, ["doctor", *words], input="")

    assert done.exit_code == 2
    assert problem in " ".join(done.output.split())
