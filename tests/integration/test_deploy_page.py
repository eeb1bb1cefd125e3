"""docs/how-to/deploy.md is done as it says: its commands in a shell, its program, its list of permissions."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outbox_sdk import Settings, create_dynamodb_streams_outbox, destroy_dynamodb_streams_outbox
from outbox_sdk.core.event_source import EventSource, mapping_settings
from outbox_sdk.core.permissions import trust_policy
from outbox_sdk.core.table import TableDesign
from outbox_sdk.embedded_stack import EmbeddedStack
from tests.support.aws import open_client
from tests.support.clients import open_deployment_clients, zipped
from tests.support.command import environment, run_shell
from tests.support.documents import ROOT

# What runs here is the same on every interpreter.
pytestmark = [pytest.mark.integration, pytest.mark.once]

PAGE = (ROOT / "docs" / "how-to" / "deploy.md").read_text()


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def commands(text: str) -> str:
    return "\n".join(re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


def test_on_a_local_stack(tmp_path: Path) -> None:
    """From nothing to a deployed relay, twice, and back."""
    done = run_shell(commands(section("On a local stack")), tmp_path)

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "called lambda.create_event_source_mapping outbox-relay: the mapping is missing" in lines
    assert "called scheduler.create_schedule outbox-sweeper: the schedule is missing" in lines
    assert any(line.startswith("relay_deployed ") for line in lines)
    assert "nothing_to_change" in lines
    for name in ("outbox-relay", "outbox-sweeper"):
        change = (
            f"would call lambda.update_function_configuration {name}: the function differs in Environment"
        )
        assert change in lines
    assert any(line.startswith("relay_destroyed ") for line in lines)


def test_in_your_tests() -> None:
    """The program ends with an assertion of its own."""
    (program,) = re.findall(r"^```python\n(.*?)^```", section("In your tests"), re.MULTILINE | re.DOTALL)

    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment(),
    )

    assert done.returncode == 0, done.stderr


def test_with_one_command(ministack: EmbeddedStack, tmp_path: Path) -> None:
    """What is written for AWS, with the variables that lead to a local stack: what it tells is the same."""
    script = commands(section("On AWS, with one command"))

    done = run_shell(script, tmp_path, **ministack.variables())

    assert done.returncode == 0, done.stderr
    told = re.findall(r"^would call (\S+) ", done.stdout, re.MULTILINE)
    assert told[:4] == [
        "dynamodb.create_table",
        "dynamodb.update_time_to_live",
        "dynamodb.update_continuous_backups",
        "iam.create_role",
    ]
    assert told[-1] == "scheduler.create_schedule"
    for name in re.findall(r"`(outbox-[a-z0-9-]+)`", section("On AWS, with one command").split("\n###")[0]):
        assert name == "outbox-sdk" or f'"{name}"' in done.stdout, name


def rows(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_of_settings_is_that_of_the_mapping() -> None:
    source = EventSource(on_failure="arn:aws:s3:::failures")
    settings: dict[str, Any] = mapping_settings(source, TableDesign.ordered, "batch")
    settings["StartingPosition"] = "TRIM_HORIZON"
    table = section("On AWS, with one command").split("| setting | value | |")[1].split("\n\n")[0]
    documented: dict[str, str] = {}
    for names, value, _ in rows(table):
        for name in re.findall(r"`(\w+)`", names):
            documented[name] = value

    assert set(documented) == set(settings)
    numbers = {name: str(value) for name, value in settings.items() if isinstance(value, int)}
    for name in ("ParallelizationFactor", "MaximumRetryAttempts", "MaximumRecordAgeInSeconds"):
        assert documented[name].replace(",", "") == numbers[name]
    assert documented["BatchSize"] == f"{numbers['BatchSize']}, {numbers['MaximumBatchingWindowInSeconds']}"


def program_of(title: str) -> dict[str, Any]:
    """Execute the Python of a section, and give what it defines."""
    (program,) = re.findall(r"^```python\n(.*?)^```", section(title), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(program, "deploy.md", "exec"), names)  # noqa: S102 - the project's own page
    return names


async def test_a_function_tells_what_keeps_it_from_starting(
    ministack: EmbeddedStack, unique: str, tmp_path: Path
) -> None:
    """Or that nothing does: the package fits the stack's interpreter without being told which it is."""
    invoke = program_of("On a local stack")["invoke_with_nothing"]
    where = {
        "endpoint_url": ministack.endpoint_url,
        "region_name": ministack.region,
        "aws_access_key_id": ministack.access_key_id,
        "aws_secret_access_key": ministack.secret_access_key,
    }
    settings = Settings(
        dynamodb_outbox_table_name=unique,
        aws_endpoint_url=ministack.endpoint_url,
        aws_sns_topic_prefix="dev-",
    )
    broken = tmp_path / "broken.zip"
    await asyncio.to_thread(broken.write_bytes, zipped("import nothing_of_this_name"))
    async with open_deployment_clients(ministack.endpoint_url) as clients:
        outbox = await create_dynamodb_streams_outbox(*clients, settings=settings, create_table=True)
        working = await invoke(outbox.function_name, **where)
        await create_dynamodb_streams_outbox(*clients, settings=settings, package=broken)
        answer = await invoke(outbox.function_name, **where)
        await destroy_dynamodb_streams_outbox(clients.functions, clients.iam, table_name=unique)

    assert json.loads(working) == {"batchItemFailures": []}
    assert b"nothing_of_this_name" in answer


# No calls of their own: creating with a role, or with tags, asks for them; without `lambda:ListTags` AWS
# leaves the tags out of `GetFunction`, and without `s3:ListBucket` it forbids to look for what is not there.
IMPLIED = {"iam:PassRole", "iam:TagRole", "lambda:ListTags", "lambda:TagResource", "s3:ListBucket"}


async def test_the_list_of_permissions_is_what_a_deployment_calls(
    moto: str, unique: str, tmp_path: Path
) -> None:
    """No more and no less, over all that a deployment may find to do."""
    called: set[str] = set()

    def note(model: Any, **_: Any) -> None:
        service, operation = model.service_model.service_name, model.name
        called.add("s3:GetObject" if operation == "HeadObject" else f"{service}:{operation}")

    package = tmp_path / "package.zip"
    async with open_deployment_clients(moto) as clients, open_client("scheduler", moto) as scheduler:
        await clients.s3.create_bucket(Bucket=unique)
        for client in (*clients, scheduler):
            client.meta.events.register("before-call", note)

        async def deploy(content: bytes, **options: Any) -> None:
            package.write_bytes(content)
            await create_dynamodb_streams_outbox(
                *clients,
                settings=Settings(dynamodb_outbox_table_name=unique, aws_sns_topic_prefix="dev-"),
                scheduler_client=scheduler,
                package=package,
                code_bucket=unique,
                **options,
            )

        await deploy(zipped("1"), create_table=True)
        await clients.iam.update_assume_role_policy(
            RoleName=f"{unique}-relay-us-east-1",
            PolicyDocument=json.dumps(trust_policy("ec2.amazonaws.com")),
        )
        await deploy(zipped("2"), memory_mb=1024, source=EventSource(batch_size=10), sweep_every_minutes=30)
        await destroy_dynamodb_streams_outbox(
            clients.functions, clients.iam, table_name=unique, scheduler_client=scheduler
        )

    (listed,) = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert set(listed.split()) == called | IMPLIED
