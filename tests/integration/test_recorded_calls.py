"""The judge of the package's AWS calls is seen to judge: here, in other processes, in a test that fails."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.core.lookup import LookupResult, Missing
from outbox_sdk.core.operations import Role
from outbox_sdk.embedded_stack import EmbeddedStack
from outbox_sdk.shell.aws.errors import AwsError
from outbox_sdk.shell.context import RelayContext
from outbox_sdk.shell.dynamodb import call
from outbox_sdk.shell.relay import relay_batch
from tests.faults.support import open_wire_context
from tests.support import recorded_calls
from tests.support.command import CREDENTIALS, run_outbox
from tests.support.events import insert_records, write_event
from tests.support.handler_process import invoke
from tests.support.recorded_calls import PolicyError
from tests.support.wire import dynamodb_error, open_wire, sns_error

# The same on every interpreter, and slow: most of it waits for processes.
pytestmark = [pytest.mark.integration, pytest.mark.once]

ROOT = Path(__file__).parents[2]


async def relay_one(**configuration: Any) -> None:
    with open_wire() as wire:
        async with open_wire_context(wire, **configuration) as context:
            report = await relay_batch(context, write_event(insert_records(1)))
    assert report.counts() == {"dispatched": 1}


def without(monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    """Leave an action out of each policy."""
    written = recorded_calls.policy_of

    def policy_of(role: Role, context: RelayContext, **rights: Any) -> Mapping[str, Any]:
        policy = deepcopy(written(role, context, **rights))
        for statement in policy["Statement"]:
            statement["Action"] = [name for name in statement["Action"] if name != action] or ["none:None"]
        return policy

    monkeypatch.setattr(recorded_calls, "policy_of", policy_of)


async def test_a_call_that_its_policy_allows_is_judged_and_nothing_is_found() -> None:
    before = recorded_calls.count_calls()

    await relay_one()

    after = recorded_calls.count_calls()
    for name in ("relay sns PublishBatch", "relay dynamodb BatchExecuteStatement"):
        assert after[name] == before.get(name, 0) + 1
    assert recorded_calls.take_findings() == []


@pytest.mark.parametrize(
    ("action", "strategy", "found"),
    [
        ("sns:Publish", "batch", "sns:Publish on arn:aws:sns:us-east-1:123456789012:order--created"),
        (
            "dynamodb:UpdateItem",
            "single",
            "dynamodb:UpdateItem on arn:aws:dynamodb:us-east-1:123456789012:table/outbox, attributes "
            "ApproximateDispatchCount, IsDispatched, LastDispatchedAt, NotDispatched, PK, RedriveCount, SK",
        ),
    ],
)
async def test_a_call_that_its_policy_denies_is_named_with_role_action_and_resource(
    monkeypatch: pytest.MonkeyPatch, action: str, strategy: str, found: str
) -> None:
    without(monkeypatch, action)

    await relay_one(outbox_mark_strategy=strategy)

    with pytest.raises(PolicyError, match=rf"^the policy of the relay denies {found}$"):
        recorded_calls.check_calls()
    recorded_calls.check_calls()  # said once


async def test_a_call_in_no_role_is_found() -> None:
    with open_wire() as wire:
        wire.script("CreateTopic", sns_error(403, "AuthorizationError", "no"))
        async with open_wire_context(wire) as context:
            publisher: Any = context.publisher
            await publisher._sns.post(b"Action=CreateTopic&Name=t", {})

    assert recorded_calls.take_findings() == ["sns CreateTopic was called by a relay in no role"]


@pytest.mark.parametrize(
    ("operation", "arguments", "found"),
    [
        (
            "Scan",
            {"TableName": "outbox"},
            "the policy of the relay denies dynamodb:Scan on "
            "arn:aws:dynamodb:us-east-1:123456789012:table/outbox",
        ),
        ("ListTables", {}, "a call of dynamodb could not be judged: UnknownCallError: dynamodb ListTables"),
    ],
)
async def test_a_call_that_a_relay_has_no_business_with_is_found(
    operation: str, arguments: dict[str, Any], found: str
) -> None:
    with open_wire() as wire:
        wire.script(operation, dynamodb_error(400, "AccessDeniedException"))
        async with open_wire_context(wire) as context:
            table: Any = context.table

            class Careless:
                park = table.park

                async def lookup(self, keys: Any) -> Mapping[ItemKey, LookupResult]:
                    with pytest.raises(AwsError, match="AccessDeniedException"):
                        await call(table._dynamodb, operation, arguments)
                    return dict.fromkeys(keys, Missing())

            event = write_event(insert_records(1, age_seconds=60))
            await relay_batch(replace(context, table=Careless()), event)

    assert recorded_calls.take_findings() == [found]


async def test_calls_in_the_processes_of_the_handler_and_of_the_command_are_judged(
    ministack: EmbeddedStack,
) -> None:
    before = recorded_calls.count_calls()
    region = {"AWS_REGION": ministack.region}

    run = await invoke(
        ministack,
        {"DYNAMODB_OUTBOX_TABLE_NAME": "outbox"},
        [write_event(insert_records(1))],
        remaining_seconds=2.0,
    )
    await asyncio.to_thread(
        run_outbox,
        *("sweep", "--table", "absent", "--endpoint-url", ministack.endpoint_url),
        **region,
        **CREDENTIALS,
    )

    after = recorded_calls.count_calls()
    assert len(run.responses[0]["batchItemFailures"]) == 1  # there is no such topic
    for name in ("relay sns PublishBatch", "sweeper dynamodb Query"):
        assert after[name] > before.get(name, 0)


PLANTED = """
import pytest

from tests.support import recorded_calls


@pytest.fixture
def careless():
    yield
    recorded_calls.merge_calls(["found in the fixture"], {})


def test_by_itself():
    recorded_calls.merge_calls(["found in the test"], {})


def test_with_a_fixture(careless):
    pass


def test_without_any():
    pass
"""


def test_what_is_found_fails_the_test(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    (tmp_path / "test_planted.py").write_text(PLANTED)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])},
    )

    assert "1 failed, 2 passed, 1 error" in done.stdout
    assert "PolicyError: found in the test" in done.stdout
    assert "PolicyError: found in the fixture" in done.stdout
