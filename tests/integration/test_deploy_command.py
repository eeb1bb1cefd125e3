"""`outbox deploy` and `outbox destroy`, in a process of their own, at a local stack."""

import asyncio
import json
import sys
from subprocess import CompletedProcess
from typing import Any

import pytest

from outbox_sdk.embedded_stack import EmbeddedStack
from tests.support.aws import open_client
from tests.support.command import CREDENTIALS, run_outbox

# What runs here is the same on every interpreter.
pytestmark = [pytest.mark.integration, pytest.mark.once]

RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"


def run(stack: EmbeddedStack, *arguments: str) -> CompletedProcess[str]:
    at = ("--endpoint-url", stack.endpoint_url, "--region", stack.region)
    return run_outbox(*arguments, *at, **CREDENTIALS)


def lines_of(done: CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


async def find_function(stack: EmbeddedStack, name: str) -> dict[str, Any] | None:
    async with open_client("lambda", stack.endpoint_url) as functions:
        try:
            return dict(await functions.get_function(FunctionName=name))
        except functions.exceptions.ResourceNotFoundException:
            return None


async def test_from_nothing_to_a_relay_and_back(ministack: EmbeddedStack, unique: str) -> None:
    arguments = ("--table", unique, "--topic-prefix", "dev-", "--create-table", "--runtime", RUNTIME)

    planned = await asyncio.to_thread(run, ministack, "deploy", *arguments, "--dry-run", "--json")
    assert planned.returncode == 0, planned.stderr
    assert await find_function(ministack, f"{unique}-relay") is None
    made = await asyncio.to_thread(run, ministack, "deploy", *arguments, "--json")
    assert made.returncode == 0, made.stderr
    again = await asyncio.to_thread(run, ministack, "deploy", *arguments)
    taken = await asyncio.to_thread(run, ministack, "destroy", "--table", unique, "--yes", "--json")

    # The dry run told of every call, with all its arguments but the name of a stream that was not there.
    told, *_ = [line for line in lines_of(planned) if line["operation"] == "create_role"]
    assert told["event"] == "would_call"
    assert told["request"]["RoleName"] == f"{unique}-relay-us-east-1"
    calls, deployed = lines_of(made)[:-1], lines_of(made)[-1]
    assert [line["operation"] for line in lines_of(planned)] == [line["operation"] for line in calls]
    assert {line["event"] for line in calls} == {"called"}
    assert deployed["event"] == "relay_deployed"
    assert deployed["function_arn"].endswith(f":function:{unique}-relay")
    assert deployed["mark_strategy"] == "single"
    assert again.stdout.splitlines()[0] == "nothing_to_change"
    assert [line.get("operation") for line in lines_of(taken)] == [
        "delete_event_source_mapping",
        "delete_function",
        "delete_role_policy",
        "delete_role",
        None,
    ]
    assert await find_function(ministack, f"{unique}-relay") is None


async def test_a_dry_run_prints_the_arguments_for_people(ministack: EmbeddedStack, unique: str) -> None:
    arguments = ("--table", unique, "--topic-prefix", "dev-", "--create-table", "--dry-run")

    done = await asyncio.to_thread(run, ministack, "deploy", *arguments)

    assert done.returncode == 0, done.stderr
    assert f"would call iam.create_role {unique}-relay-us-east-1: the role is missing" in done.stdout
    assert '"ZipFile": "<' in done.stdout  # the size, not the bytes
    assert "relay_deployed" not in done.stdout


WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "any topic": ((), "OUTBOX_ALLOWED_TOPICS: is not set"),
    "no table": (("--topic-prefix", "dev-"), "DYNAMODB_OUTBOX_TABLE_NAME: there is no table"),
    "platform": (("--topic-prefix", "dev-", "--architecture", "sparc"), "--architecture: 'sparc' is not one"),
    "runtime": (("--topic-prefix", "dev-", "--runtime", "python2.7"), "runtime: 'python2.7' is not one of"),
    "memory": (("--topic-prefix", "dev-", "--memory", "64"), "memory_mb: 64 is not between 128 and 10240"),
    "destination": (
        ("--topic-prefix", "dev-", "--on-failure", "bucket"),
        "on_failure: 'bucket' is not the ARN",
    ),
    "name": (("--topic-prefix", "dev-", "--function-name", "a b"), "function_name: 'a b' is not the name"),
    "design": (
        ("--topic-prefix", "dev-", "--table-design", "mine"),
        "OUTBOX_TABLE_DESIGN: 'mine' is not one",
    ),
}


@pytest.mark.parametrize("what", WRONG)
async def test_wrong_input_is_one_sentence(ministack: EmbeddedStack, unique: str, what: str) -> None:
    arguments, sentence = WRONG[what]

    done = await asyncio.to_thread(run, ministack, "deploy", "--table", unique, *arguments)

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"outbox: {sentence}")
    assert len(done.stderr.splitlines()) == 1


async def test_a_refusal_of_aws_is_one_sentence(ministack: EmbeddedStack, unique: str) -> None:
    """Here the bucket for the package is missing."""
    arguments = ("--table", unique, "--topic-prefix", "dev-", "--create-table", "--code-bucket", unique)

    done = await asyncio.to_thread(run, ministack, "deploy", *arguments)

    assert done.returncode == 1
    assert done.stderr.startswith("outbox: An error occurred (NoSuchBucket) when calling the PutObject")
    assert "Traceback" not in done.stderr


def test_destroying_asks_first(ministack: EmbeddedStack, unique: str) -> None:
    done = run(ministack, "destroy", "--table", unique)

    assert done.returncode == 1
    assert f"Take the relay of the table {unique} in us-east-1 away?" in done.stderr
    assert not done.stdout.strip()
