"""What a Lambda function loads until its first answer: every module of it is paid for at each cold start."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.support.events import insert_records, write_event
from tests.support.wire import Wire, open_wire

pytestmark = pytest.mark.integration

INVOKE = """
import json, sys
from types import SimpleNamespace
from outbox_sdk.lambda_handler import handler

arn = "arn:aws:lambda:us-east-1:123456789012:function:relay"
context = SimpleNamespace(
    invoked_function_arn=arn, aws_request_id="1", get_remaining_time_in_millis=lambda: 30_000
)
answer = handler(json.load(sys.stdin), context)
print(json.dumps({"answer": answer, "modules": sorted(sys.modules)}), file=sys.stderr)
sys.stderr.flush()
import os; os._exit(0)
"""

THIRD_PARTY = {
    "aiobotocore",
    "aiohappyeyeballs",
    "aiohttp",
    "aiosignal",
    "attr",
    "aws_lambda_powertools",
    "botocore",
    "certifi",  # where it is installed; not in the package
    "cython_runtime",
    "dateutil",
    "frozenlist",
    "idna",
    "jmespath",
    "msgspec",
    "multidict",
    "outbox_sdk",
    "propcache",
    "six",
    "typing_extensions",
    "urllib3",
    "wrapt",
    "yarl",
}

# Each takes milliseconds, and nothing of it is wanted for publishing and marking.
NOT_LOADED = (
    "aiobotocore.client",
    "aiobotocore.session",
    "aws_lambda_powertools.utilities.batch",
    "aws_lambda_powertools.utilities.parser",
    "botocore.client",
    "botocore.loaders",
    "botocore.session",
    "opentelemetry",
    "outbox_sdk.core.capacity",
    "outbox_sdk.core.catalog",
    "outbox_sdk.core.claim",
    "outbox_sdk.core.claim_sweep",
    "outbox_sdk.core.destination_json",
    "outbox_sdk.core.delivery",
    "outbox_sdk.core.origin",
    "outbox_sdk.core.permissions",
    "outbox_sdk.core.pointer",
    "outbox_sdk.core.shards",
    "outbox_sdk.core.trace",
    "outbox_sdk.provisioning",
    "outbox_sdk.shell.aws.session",
    "outbox_sdk.shell.backlog",
    "outbox_sdk.shell.claim_sweeper",
    "outbox_sdk.shell.claims",
    "outbox_sdk.shell.consumer",
    "outbox_sdk.shell.failed_delivery",
    "outbox_sdk.shell.handling",
    "outbox_sdk.shell.otel",
    "outbox_sdk.shell.destinations",
    "outbox_sdk.shell.settings",
    "outbox_sdk.shell.streams",
    "outbox_sdk.shell.sweeper",
    "outbox_sdk.testing",
)


def invoke_cold(wire: Wire, *, topic: str | None = None, **environment: str) -> dict[str, Any]:
    """Let a fresh process answer one event in an environment that has what Lambda sets, and no more."""
    lambda_environment = {
        "AWS_LAMBDA_FUNCTION_NAME": "relay",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_SESSION_TOKEN": "local",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_SNS": wire.endpoint_url,
        "AWS_ENDPOINT_URL_DYNAMODB": wire.endpoint_url,
        "DYNAMODB_OUTBOX_TABLE_NAME": "outbox",
        # On a busy machine a process may take seconds to start, and records of that age are looked up.
        "OUTBOX_RECHECK_AFTER_SECONDS": "3600",
    }
    named: dict[str, Any] = {} if topic is None else {"Topic": {"S": topic}}
    done = subprocess.run(
        [sys.executable, "-c", INVOKE],
        input=json.dumps(write_event(insert_records(3, **named))),
        env={**lambda_environment, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    answer: dict[str, Any] = json.loads(done.stderr)
    assert answer["answer"] == {"batchItemFailures": []}
    publish = {"PublishBatch": 1} if topic is None else {"DescribeEventBus": 1, "PutEvents": 1}
    assert wire.counts() == {**publish, "BatchExecuteStatement": 1}
    return answer


def test_a_cold_start_loads_what_publishing_and_marking_take_and_no_more() -> None:
    with open_wire() as wire:
        modules = set(invoke_cold(wire)["modules"])

    standard = sys.stdlib_module_names | {"__main__", "sitecustomize"}
    tops = {module.partition(".")[0] for module in modules}
    found = {top for top in tops - standard if not top.startswith("_")}
    assert found - THIRD_PARTY == set(), found
    assert modules & set(NOT_LOADED) == set()
    # The whole number moves with the libraries; a hundred more would be a tenth of a cold start.
    assert len(modules) <= 800, len(modules)


def test_another_surrounding_loads_botocores_session() -> None:
    """The list above is one of modules that exist, and that are loaded where they have to be."""
    with open_wire() as wire:
        modules = set(invoke_cold(wire, AWS_USE_FIPS_ENDPOINT="false")["modules"])

    assert {"aiobotocore.session", "botocore.client", "outbox_sdk.shell.aws.session"} <= modules


def test_a_route_loads_what_its_destination_takes_and_still_no_session() -> None:
    with open_wire() as wire:
        answer = invoke_cold(
            wire,
            topic="eventbridge:orders",
            OUTBOX_ALLOWED_TOPICS="eventbridge:orders",
            AWS_ENDPOINT_URL_EVENTBRIDGE=wire.endpoint_url,
        )

    own = {"outbox_sdk.core.destination_json", "outbox_sdk.shell.destinations"}
    assert set(answer["modules"]) & set(NOT_LOADED) == own


@pytest.mark.parametrize("module", NOT_LOADED)
def test_what_is_not_loaded_is_there_to_be_loaded(module: str) -> None:
    done = subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, check=False)

    assert done.returncode == 0, done.stderr.decode()[-500:]
