"""The `outbox` command as a person or a script runs it: in a process of its own."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from outbox_sdk import Outbox, create_outbox_table
from outbox_sdk.embedded_stack import EmbeddedStack
from tests.support.command import CREDENTIALS, environment, run_outbox
from tests.support.documents import readme_namespace
from tests.support.outbox_process import outbox_command

pytestmark = pytest.mark.integration

OpenClient = Callable[..., AbstractAsyncContextManager[Any]]


def test_the_demo_brings_every_message_once_and_in_order() -> None:
    done = run_outbox(
        "demo", "--messages", "101", "--json", AWS_PROFILE="nobody", HTTP_PROXY="http://127.0.0.1:9"
    )

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    counts = {name: report[name] for name in ("written", "published", "marked", "received")}
    assert counts == dict.fromkeys(counts, 101)
    assert (report["lost"], report["duplicates"], report["order_violations"]) == (0, 0, 0)
    assert report["seconds"] > 0


@pytest.mark.once
def test_the_demo_prints_a_table_for_people() -> None:
    done = run_outbox("demo", "--messages", "4")

    assert done.returncode == 0
    assert "Every message arrived once, in order." in done.stdout
    assert "written in transactions" in done.stdout


def awkward_documents() -> list[Any]:
    return [
        {"text": "größer 日本語 🎉", "n": 12345678901234567890123, "f": 1.10, "nested": [[], {}, None, True]},
        'a string, verbatim: {"a": 1}',
        "line\nbreaks\tand \u2028 separators",
        [1.0, 1e22, -0.0],
        None,
        {"large": "ü日🎉x" * 8_000},
        "z" * 200_000,
    ]


@pytest.mark.once
def test_documents_arrive_unchanged_in_the_form_they_had(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    lines = []
    for number, document in enumerate(awkward_documents() * 2):
        topic = ("plain", "ordered.fifo")[number % 2]
        aggregate = ("order-1", "kundin ä", "x" * 200)[number % 3]
        raw = json.dumps(document, ensure_ascii=number % 3 == 0)
        lines.append((aggregate, topic, raw))
    source.write_text(
        "".join(
            f'{{"aggregate_id": {json.dumps(a)}, "topic": "{t}", "message": {raw}}}\n' for a, t, raw in lines
        )
    )

    done = run_outbox("demo", "--input", str(source), "--received", str(target), "--json")

    assert done.returncode == 0, done.stderr + done.stdout
    received = [json.loads(line) for line in target.read_bytes().splitlines()]
    assert all(set(line) == {"message_id", "aggregate_id", "topic", "message"} for line in received)
    assert len({line["message_id"] for line in received}) == len(lines)

    def same(aggregate: str, topic: str, message: Any) -> tuple[str, str, str]:
        return aggregate, topic, json.dumps(message)

    assert sorted(same(line["aggregate_id"], line["topic"], line["message"]) for line in received) == sorted(
        same(aggregate, topic, json.loads(raw)) for aggregate, topic, raw in lines
    )
    out = target.read_text()
    for _, _, raw in lines:
        if not raw.startswith('"'):
            assert f'"message":{raw}}}\n' in out  # to the byte


@pytest.mark.once
def test_a_malformed_line_is_refused_by_its_number_and_nothing_is_written(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"aggregate_id": "a", "topic": "t", "message": 1}\n{"aggregate_id": "a"}\n')

    done = run_outbox("demo", "--input", str(source), "--received", str(target), "--json")

    assert done.returncode == 2
    assert "line 2" in done.stderr
    assert done.stdout == ""
    assert not target.exists()


@pytest.mark.once
@pytest.mark.parametrize(
    "arguments",
    [
        ("demo", "--messages", "0"),
        ("demo", "--input", "/nonexistent/file"),
        ("demo", "--received", "/nonexistent/dir/file"),
        ("relay",),
        ("relay", "--table", "outbox", "--envelope", "xml"),
        ("relay", "--table", "outbox", "--endpoint-url", "nowhere"),
        ("relay", "--table", "outbox", "--profile", "nobody"),
        ("nonsense",),
    ],
    ids=" ".join,
)
def test_wrong_input_is_refused_with_a_sentence(arguments: tuple[str, ...]) -> None:
    done = run_outbox(*arguments, AWS_REGION="us-east-1", **CREDENTIALS)

    assert done.returncode == 2, done.stderr
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


@pytest.mark.once
def test_relay_without_a_table_says_so(ministack: EmbeddedStack) -> None:
    done = run_outbox(
        "relay",
        *("--table", "absent", "--endpoint-url", ministack.endpoint_url, "--region", "us-east-1"),
        **CREDENTIALS,
    )

    assert done.returncode == 2
    assert "'absent'" in done.stderr


@pytest.mark.parametrize("stop_signal", [signal.SIGINT, signal.SIGTERM])
async def test_relay_relays_until_stopped_and_ends_cleanly(
    ministack: EmbeddedStack, aws_client: OpenClient, unique: str, stop_signal: signal.Signals
) -> None:
    async with (
        aws_client("dynamodb", ministack.endpoint_url) as dynamodb,
        aws_client("sns", ministack.endpoint_url) as sns,
    ):
        await create_outbox_table(dynamodb, unique)
        await sns.create_topic(Name=f"{unique}-topic")
        outbox = Outbox(unique)
        entries = [outbox.put("{}", aggregate_id=f"a{n}", topic="topic") for n in range(3)]
        await dynamodb.transact_write_items(TransactItems=entries)

        with (
            outbox_command() as command,
            subprocess.Popen(  # noqa: ASYNC220 - read in a thread below
                [*command, "relay", "--table", unique, "--json"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment(
                    AWS_ENDPOINT_URL=ministack.endpoint_url,
                    AWS_REGION=ministack.region,
                    AWS_SNS_TOPIC_PREFIX=f"{unique}-",
                    **CREDENTIALS,
                ),
            ) as relay,
        ):
            watchdog = threading.Timer(60, relay.kill)
            watchdog.start()
            try:
                await asyncio.to_thread(wait_until_dispatched, relay, 3)
                relay.send_signal(stop_signal)
                rest, errors = await asyncio.to_thread(relay.communicate)
            finally:
                watchdog.cancel()
        items = (await dynamodb.scan(TableName=unique))["Items"]

    assert relay.returncode == 0, errors
    assert rest.splitlines()[-1] == '{"event":"relay_stopped"}'
    assert errors == ""
    assert [item["IsDispatched"]["BOOL"] for item in items] == [True] * 3


def wait_until_dispatched(relay: subprocess.Popen[str], count: int) -> None:
    assert relay.stdout is not None
    dispatched = 0
    for line in relay.stdout:
        dispatched += json.loads(line).get("dispatched", 0)
        if dispatched >= count:
            return
    raise AssertionError("the relay ended before it had relayed")


async def test_the_readme_program_runs_against_a_stack(
    ministack: EmbeddedStack, aws_client: OpenClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its functions are called as a service would: create, place an order, relay until stopped, bill it."""
    for name, value in environment(
        AWS_ENDPOINT_URL=ministack.endpoint_url, AWS_REGION="eu-central-1", **CREDENTIALS
    ).items():
        monkeypatch.setenv(name, value)
    program = await asyncio.to_thread(readme_namespace)  # it runs a loop of its own
    (published,) = program["stack"].published
    region = {"region": "eu-central-1"}
    async with (
        aws_client("dynamodb", ministack.endpoint_url, **region) as dynamodb,
        aws_client("sns", ministack.endpoint_url, **region) as sns,
    ):
        await sns.create_topic(Name="order--created")
        for table_name in ("orders", "accounts"):
            await dynamodb.create_table(
                TableName=table_name,
                KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
        await program["create_tables"](dynamodb)
        program["dynamodb"] = dynamodb  # in place of the one in memory
        await program["place_order"]("order-7", 120)
        stop = asyncio.Event()
        relay = asyncio.create_task(program["relay_until"](stop))
        try:
            async with asyncio.timeout(30):
                while not (await dynamodb.scan(TableName="outbox"))["Items"][0]["IsDispatched"]["BOOL"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        finally:
            stop.set()
            await relay
        for _ in range(2):
            await program["bill"](published.to_sqs_record())
        (account,) = (await dynamodb.scan(TableName="accounts"))["Items"]
        assert account["Balance"] == {"N": "120"}


@pytest.mark.once
def test_a_shell_completes_commands_and_options() -> None:
    """As `outbox --install-completion` lets it, of the installed command: its name names the variable."""
    command = Path(sys.executable).with_name("outbox")
    for typed, offered in (("outbox st", ["stack", "status"]), ("outbox status --wa", ["--watch"])):
        asked = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
        done = subprocess.run(
            [command],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=environment(_OUTBOX_COMPLETE="complete_bash", **asked),
        )
        assert done.stdout.split() == offered, done.stderr
