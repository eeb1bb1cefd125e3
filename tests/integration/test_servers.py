"""The local servers answer, are closed to other machines, and do not outlive whoever started them."""

import asyncio
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from outbox_sdk._local_server import loopback
from outbox_sdk.embedded_stack import EmbeddedStackError, open_embedded_stack
from tests.support.aws import open_client
from tests.support.listeners import listeners_of_children
from tests.support.servers import open_dynamodb_local, open_moto, server_or_skip

# The same on every interpreter, and slow: most of it waits for processes.
pytestmark = [pytest.mark.integration, pytest.mark.once]

_ROOT = Path(__file__).parents[2]
_KEY = {"PK": {"S": "order-1"}}


@contextmanager
def _open_ministack() -> Iterator[str]:
    with open_embedded_stack() as stack:
        yield stack.endpoint_url


OpenServer = Callable[[], AbstractContextManager[str]]
every_server = pytest.mark.parametrize("open_server", [_open_ministack, open_dynamodb_local, open_moto])
needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@every_server
async def test_server_stores_and_returns_an_item(open_server: OpenServer) -> None:
    with server_or_skip(open_server()) as endpoint_url:
        async with open_client("dynamodb", endpoint_url) as dynamodb:
            await _create_table(dynamodb)
            await dynamodb.put_item(TableName="orders", Item=_KEY | {"Total": {"N": "3"}})
            answer = await dynamodb.get_item(TableName="orders", Key=_KEY, ConsistentRead=True)

    assert answer["Item"] == _KEY | {"Total": {"N": "3"}}


@needs_proc
@every_server
def test_server_listens_on_one_loopback_port_only(open_server: OpenServer) -> None:
    before = listeners_of_children()
    with server_or_skip(open_server()) as endpoint_url:
        opened = listeners_of_children() - before

    assert opened == {("127.0.0.1", _port(endpoint_url))}


@every_server
def test_server_and_its_files_are_gone_after_the_block(
    open_server: OpenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with server_or_skip(open_server()) as endpoint_url:
        assert list(tmp_path.iterdir()) != []

    assert not _accepts(_port(endpoint_url))
    assert list(tmp_path.iterdir()) == []


@every_server
def test_server_stops_when_its_parent_is_killed(open_server: OpenServer, tmp_path: Path) -> None:
    with server_or_skip(open_server()):
        pass  # skips here where the server cannot be had, and fills the caches

    program = (
        "import time\n"
        "from tests.integration import test_servers as servers\n"
        f"with servers.{open_server.__name__}() as url:\n"
        "    print(url, flush=True)\n"
        "    time.sleep(600)\n"
    )
    with _parent(program, tmp_path) as parent:
        assert parent.stdout is not None
        port = _port(parent.stdout.readline())
        assert _accepts(port)
        parent.send_signal(signal.SIGKILL)
        parent.wait()

        _eventually(lambda: not _accepts(port))
    _eventually(lambda: list(tmp_path.iterdir()) == [])


async def test_embedded_stacks_run_side_by_side_and_share_nothing() -> None:
    with server_or_skip(open_embedded_stack()) as first, open_embedded_stack() as second:
        async with (
            open_client("sqs", first.endpoint_url) as first_sqs,
            open_client("sqs", second.endpoint_url) as second_sqs,
        ):
            await first_sqs.create_queue(QueueName="orders")
            in_first, in_second = await first_sqs.list_queues(), await second_sqs.list_queues()

    assert len(in_first["QueueUrls"]) == 1
    assert in_second.get("QueueUrls", []) == []


async def test_embedded_stack_reports_the_account_and_region_it_names() -> None:
    with server_or_skip(open_embedded_stack()) as stack:
        async with open_client("sts", stack.endpoint_url) as sts:
            identity = await sts.get_caller_identity()
        async with open_client("sns", stack.endpoint_url) as sns:
            topic = await sns.create_topic(Name="orders")

    assert identity["Account"] == stack.account_id
    assert topic["TopicArn"] == f"arn:aws:sns:{stack.region}:{stack.account_id}:orders"


async def test_embedded_stack_ignores_the_aws_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each of these would change how MiniStack behaves, or make it fail, if it were passed on.
    monkeypatch.setenv("AWS_PROFILE", "does-not-exist")
    monkeypatch.setenv("MINISTACK_ACCOUNT_ID", "111111111111")
    monkeypatch.setenv("SERVICES", "s3")
    monkeypatch.setenv("USE_SSL", "1")
    with server_or_skip(open_embedded_stack()) as stack:
        async with open_client("sns", stack.endpoint_url) as sns:
            topic = await sns.create_topic(Name="orders")

    assert stack.account_id in topic["TopicArn"]


async def test_moto_lets_a_condition_pass_once_however_many_ask_at_the_same_time() -> None:
    with server_or_skip(open_moto()) as endpoint_url:
        async with open_client("dynamodb", endpoint_url) as dynamodb:
            await _create_table(dynamodb)
            put = {"TableName": "orders", "Item": _KEY, "ConditionExpression": "attribute_not_exists(PK)"}
            answers = await asyncio.gather(
                *(dynamodb.transact_write_items(TransactItems=[{"Put": put}]) for _ in range(10)),
                return_exceptions=True,
            )

    assert sum(isinstance(answer, dict) for answer in answers) == 1


async def test_moto_serves_others_while_a_queue_is_polled() -> None:
    with server_or_skip(open_moto()) as endpoint_url:
        async with open_client("sqs", endpoint_url) as sqs:
            queue = (await sqs.create_queue(QueueName="orders"))["QueueUrl"]
            polled = asyncio.create_task(sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20))
            await asyncio.sleep(0.5)
            await asyncio.wait_for(sqs.send_message(QueueUrl=queue, MessageBody="placed"), timeout=10)
            answer = await asyncio.wait_for(polled, timeout=10)

    assert [message["Body"] for message in answer["Messages"]] == ["placed"]


def test_embedded_stack_without_ministack_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(EmbeddedStackError, match=re.escape('pip install "dynamodb-outbox-sdk[local]"')):
        open_embedded_stack().__enter__()


def test_server_that_ends_while_starting_is_reported_with_its_log() -> None:
    program = "import sys; sys.exit('no such colour: octarine')"

    with pytest.raises(loopback.ServerStartError, match="no such colour: octarine"):
        _open_program(program, timeout_seconds=30).__enter__()


def test_server_that_never_answers_is_reported_and_stopped(tmp_path: Path) -> None:
    program = "import os, time; print('pid', os.getpid(), flush=True); time.sleep(600)"

    with pytest.raises(loopback.ServerStartError, match="did not answer in time") as caught:
        _open_program(program, timeout_seconds=1.0).__enter__()

    pid = re.search(r"pid (\d+)", str(caught.value))
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid[1]), 0)


async def _create_table(dynamodb: Any) -> None:
    await dynamodb.create_table(
        TableName="orders",
        AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )


def _open_program(program: str, *, timeout_seconds: float) -> AbstractContextManager[int]:
    return loopback.open_loopback_server(
        lambda _, scratch: loopback.LaunchPlan(
            (sys.executable, "-c", program), loopback.basic_environment(scratch)
        ),
        name="The program",
        health_path="/",
        startup_timeout_seconds=timeout_seconds,
    )


@contextmanager
def _parent(program: str, temporary_directory: Path) -> Iterator["subprocess.Popen[str]"]:
    path = os.pathsep.join([str(_ROOT), str(_ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path, "TMPDIR": str(temporary_directory)}
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _eventually(condition: Callable[[], bool], *, within_seconds: float = 10.0) -> None:
    deadline = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def _port(endpoint_url: str) -> int:
    return int(endpoint_url.strip().rpartition(":")[2])


def _accepts(port: int) -> bool:
    with closing(socket.socket()) as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
