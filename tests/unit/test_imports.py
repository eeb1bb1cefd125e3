"""Importing is cheap and has no effect: nothing heavy is loaded, and no setting is read."""

import json
import subprocess
import sys
from typing import Any

import pytest

from outbox_sdk.core.configuration import VARIABLES

RECORDER = """
import json, os, sys
from collections.abc import MutableMapping

class Recorder(MutableMapping):
    '''The environment, remembering who read what.'''
    def __init__(self, values):
        self.values, self.read = values, []
    def _note(self, name):
        frame = sys._getframe(2)
        while frame.f_globals.get("__name__") in ("collections.abc", "_collections_abc", "os", "__main__"):
            if frame.f_back is None: break
            frame = frame.f_back
        self.read.append((name, frame.f_globals.get("__name__", "")))
    def __getitem__(self, name):
        self._note(name)
        return self.values[name]
    def __setitem__(self, name, value):
        self.values[name] = value
    def __delitem__(self, name):
        del self.values[name]
    def __iter__(self):
        self._note("*")
        return iter(self.values)
    def __len__(self):
        return len(self.values)
    def copy(self):
        self._note("*")
        return dict(self.values)

os.environ = Recorder(dict(os.environ))
"""


def run(code: str) -> dict[str, Any]:
    """Run code in a fresh interpreter; give what was loaded and what was read of the environment."""
    report = 'print(json.dumps({"modules": sorted(sys.modules), "read": os.environ.read}))'
    result = subprocess.run(
        [sys.executable, "-c", f"{RECORDER}\n{code}\n{report}"], capture_output=True, text=True, check=True
    )
    answer = json.loads(result.stdout)
    assert isinstance(answer, dict)
    return answer


def loaded(answer: dict[str, Any], *packages: str) -> set[str]:
    return {module.partition(".")[0] for module in answer["modules"]} & set(packages)


HEAVY = (
    "aiobotocore",
    "aiohttp",
    "aws_lambda_powertools",
    "boto3",
    "botocore",
    "opentelemetry",
    "pydantic",
    "pydantic_settings",
)


def test_importing_the_package_loads_nothing_heavy() -> None:
    answer = run("import outbox_sdk")
    assert loaded(answer, *HEAVY, "msgspec", "ministack", "rich", "typer") == set()
    assert answer["read"] == []


@pytest.mark.parametrize(
    "name", ["Outbox", "OutboxMessage", "TableDesign", "RelayConfiguration", "BatchReport"]
)
def test_what_a_producer_uses_loads_no_aws_sdk(name: str) -> None:
    assert loaded(run(f"from outbox_sdk import {name}"), *HEAVY) == set()


@pytest.mark.parametrize(
    "name", ["Delivery", "consumer", "current_delivery", "decode_sqs_record", "handling"]
)
def test_what_a_consumer_uses_loads_no_aws_sdk(name: str) -> None:
    """Nor Powertools' batch processing, which is there already where it is used."""
    assert loaded(run(f"from outbox_sdk import {name}"), *HEAVY) == set()


HANDLE = """
import asyncio
{imports}
from outbox_sdk import Catalog, Outbox, consumer, message
import msgspec

@message("order.created", topic="orders")
class OrderCreated(msgspec.Struct):
    order_id: str

outbox = Outbox("outbox", catalog=Catalog(OrderCreated))

@consumer(Catalog(OrderCreated))
async def handle(event, delivery):
    outbox.put(event, aggregate_id="order-7")

text = {{name: {{"stringValue": value}} for name, value in (
    ("MessageId", "m-1"), ("AggregateId", "order-7"), ("MessageType", "order.created")
)}}
handle({{"messageId": "1", "body": '{{"order_id":"7"}}', "messageAttributes": text}})
"""


@pytest.mark.parametrize("imports", ["", "import opentelemetry.trace"])
def test_handling_and_writing_load_opentelemetry_only_where_the_program_does(imports: str) -> None:
    answer = run(HANDLE.format(imports=imports))
    assert loaded(answer, "opentelemetry") == ({"opentelemetry"} if imports else set())
    assert ("outbox_sdk.shell.otel" in answer["modules"]) == bool(imports)


HANDLERS = pytest.mark.parametrize("handler", ["outbox_sdk.lambda_handler", "outbox_sdk.sweeper_handler"])


@HANDLERS
def test_a_handler_loads_no_pydantic_and_no_boto3(handler: str) -> None:
    """Both would be paid for at every cold start."""
    answer = run(f"import {handler}")
    heavy = ("boto3", "opentelemetry", "pydantic", "pydantic_settings", "ministack", "rich", "typer")
    assert loaded(answer, *heavy) == set()
    assert loaded(answer, "aiobotocore") == {"aiobotocore"}  # the check above sees what is loaded


def test_the_relays_handler_does_not_load_the_sweeper() -> None:
    """Its cold start is paid for with every new shard; a sweep's is paid for once a day."""
    code = "import sys, outbox_sdk.{}; print('outbox_sdk.shell.sweeper' in sys.modules)"
    for handler, loads in (
        ("lambda_handler", "False"),
        ("sweeper_handler", "False"),
        ("shell.sweeper", "True"),
    ):
        printed = subprocess.run(
            [sys.executable, "-c", code.format(handler)], capture_output=True, text=True, check=True
        )
        assert printed.stdout.strip() == loads


@HANDLERS
def test_importing_a_handler_reads_no_setting(handler: str) -> None:
    """Settings are read at the first invocation: an error names itself there, and a snapshot holds none.

    Libraries look for switches of their own (`POWERTOOLS_DEBUG`, `AWS_EXECUTION_ENV`), which is theirs.
    """
    answer = run(f"import {handler}")
    names = {name for name, _ in answer["read"]}
    assert names.isdisjoint(name for variable in VARIABLES for name in variable.names)
    assert not {
        name for name in names if name.startswith(("AWS_ACCESS", "AWS_SECRET", "AWS_SESSION", "AWS_PROFILE"))
    }
    assert {reader for _, reader in answer["read"] if reader.startswith("outbox_sdk")} == set()
    assert ("POWERTOOLS_DEBUG" in names) or names  # the recorder sees what is read


def test_the_recorder_sees_a_module_that_reads() -> None:
    """A guard that was never seen red guards nothing."""
    answer = run(
        "import outbox_sdk.core.configuration as c\n"
        'exec(\'import os; os.environ.get("AWS_REGION"); os.getenv("HOME")\', vars(c))'
    )
    assert ["AWS_REGION", "outbox_sdk.core.configuration"] in answer["read"]
    assert ["HOME", "outbox_sdk.core.configuration"] in answer["read"]
