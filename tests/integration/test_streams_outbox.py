"""Deploying the relay on local parts: complete, repeatable, interrupted at every step, and taken away."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest

from outbox_sdk import ConfigurationError, Settings, TableDesign, create_dynamodb_streams_outbox
from outbox_sdk.core.deployment import describe_call
from outbox_sdk.core.event_source import EventSource
from outbox_sdk.core.function import DEFAULT_RUNTIME
from outbox_sdk.core.permissions import trust_policy
from outbox_sdk.provisioning import (
    StreamsOutbox,
    create_outbox_table,
    destroy_dynamodb_streams_outbox,
)
from tests.support.aws import open_client
from tests.support.clients import (
    DeploymentClients,
    KilledError,
    Killer,
    open_deployment_clients,
    zipped,
)
from tests.support.fixtures import endpoint_of

# Local servers behave alike under every interpreter, and each deployment takes a second or two.
pytestmark = [pytest.mark.integration, pytest.mark.once]

ALL_WRITES = [
    "create_table",
    "update_time_to_live",
    "update_continuous_backups",
    "create_role",
    "put_role_policy",
    "create_function",
    "create_event_source_mapping",
]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package that is none: what is deployed here never runs."""
    return write_package(tmp_path / "package.zip", "1")


def write_package(path: Path, content: str) -> Path:
    path.write_bytes(zipped(content))
    return path


@pytest.fixture(params=["moto", "ministack"])
async def clients(request: pytest.FixtureRequest) -> AsyncIterator[DeploymentClients]:
    async with open_deployment_clients(endpoint_of(request, request.param)) as opened:
        yield opened


on_moto = pytest.mark.parametrize("clients", ["moto"], indirect=True)


def settings(clients: DeploymentClients, table_name: str, **arguments: Any) -> Settings:
    given: dict[str, Any] = {
        "dynamodb_outbox_table_name": table_name,
        "aws_endpoint_url": clients.functions.meta.endpoint_url,
        "aws_sns_topic_prefix": "dev-",
    }
    return Settings(**{**given, **arguments})


async def deploy(
    clients: DeploymentClients, table_name: str, package: Path, **arguments: Any
) -> StreamsOutbox:
    given = {"settings": settings(clients, table_name), "create_table": True, "package": package}
    return await create_dynamodb_streams_outbox(*clients, **{**given, **arguments})


def writes(outbox: StreamsOutbox) -> list[str]:
    return [call.method for call in outbox.calls]


async def mappings(clients: DeploymentClients, function_name: str) -> list[dict[str, Any]]:
    answer = await clients.functions.list_event_source_mappings(FunctionName=function_name)
    return list(answer["EventSourceMappings"])


async def state(clients: DeploymentClients, outbox: StreamsOutbox) -> dict[str, Any]:
    """All that a deployment decides, read back."""
    function = (await clients.functions.get_function(FunctionName=outbox.function_name))["Configuration"]
    role_name = outbox.role_arn.rpartition("/")[2]
    role = (await clients.iam.get_role(RoleName=role_name))["Role"]
    policy = await clients.iam.get_role_policy(RoleName=role_name, PolicyName="outbox")
    (mapping,) = await mappings(clients, outbox.function_name)
    ttl = await clients.dynamodb.describe_time_to_live(TableName=outbox.table_name)
    backups = await clients.dynamodb.describe_continuous_backups(TableName=outbox.table_name)
    names = ("Handler", "Runtime", "MemorySize", "Timeout", "CodeSha256", "Architectures", "Environment")
    settled = ("BatchSize", "FilterCriteria", "FunctionResponseTypes", "State", "StartingPosition")
    document = {
        "function": {name: function[name] for name in names},
        "role": role["AssumeRolePolicyDocument"],
        "policy": policy["PolicyDocument"],
        "mapping": {name: mapping.get(name) for name in settled},
        "ttl": ttl["TimeToLiveDescription"]["TimeToLiveStatus"],
        "recovery": backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"],
    }
    text = json.dumps(document, default=str).replace(outbox.table_name, "TABLE")
    return dict(json.loads(text, object_hook=without_dates))


def without_dates(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if not name.endswith("DateTime")}


async def test_all_of_it_is_there_and_active(clients: DeploymentClients, unique: str, package: Path) -> None:
    outbox = await deploy(clients, unique, package)

    assert writes(outbox) == ALL_WRITES
    function = await clients.functions.get_function(FunctionName=outbox.function_name)
    configuration = function["Configuration"]
    assert configuration["FunctionArn"] == outbox.function_arn
    assert configuration["Role"] == outbox.role_arn
    assert configuration["State"] == "Active"
    assert configuration["Handler"] == "outbox_sdk.lambda_handler.handler"
    assert configuration["Environment"]["Variables"] == {
        "DYNAMODB_OUTBOX_TABLE_NAME": unique,
        "AWS_ENDPOINT_URL": clients.functions.meta.endpoint_url,
        "AWS_SNS_TOPIC_PREFIX": "dev-",
        # What local stacks need.
        "OUTBOX_MARK_STRATEGY": "single",
        "OUTBOX_RECHECK_AFTER_SECONDS": "0",
        "OUTBOX_DISPATCHED_TTL_DAYS": "7",
    }
    (mapping,) = await mappings(clients, outbox.function_name)
    assert mapping["UUID"] == outbox.mapping_id
    assert mapping["EventSourceArn"] == outbox.stream_arn
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    table = (await clients.dynamodb.describe_table(TableName=unique))["Table"]
    assert (table["TableArn"], table["LatestStreamArn"]) == (outbox.table_arn, outbox.stream_arn)


@pytest.mark.parametrize(
    ("clients", "runtime"),
    [("moto", DEFAULT_RUNTIME), ("ministack", f"python{sys.version_info.major}.{sys.version_info.minor}")],
    indirect=["clients"],
)
async def test_the_runtime_is_what_the_stack_runs(
    clients: DeploymentClients, unique: str, package: Path, runtime: str
) -> None:
    outbox = await deploy(clients, unique, package)

    function = await clients.functions.get_function_configuration(FunctionName=outbox.function_name)
    assert function["Runtime"] == runtime


async def test_a_second_time_changes_nothing(clients: DeploymentClients, unique: str, package: Path) -> None:
    first = await deploy(clients, unique, package)
    before = await state(clients, first)

    second = await deploy(clients, unique, package)

    assert writes(second) == []
    assert second.mapping_id == first.mapping_id
    assert await state(clients, second) == before


CHANGES: dict[str, tuple[dict[str, Any], str, set[str]]] = {
    "memory": ({"memory_mb": 1024}, "update_function_configuration", {"FunctionName", "MemorySize"}),
    "timeout": ({"timeout_seconds": 90}, "update_function_configuration", {"FunctionName", "Timeout"}),
    "runtime": ({"runtime": "python3.12"}, "update_function_configuration", {"FunctionName", "Runtime"}),
    "key": ({"kms_keys": ("arn:aws:kms:us-east-1:1:key/k",)}, "put_role_policy", set()),
    "pause": ({"paused": True}, "update_event_source_mapping", {"UUID", "Enabled"}),
    "batch": (
        {"source": EventSource(batch_size=10)},
        "update_event_source_mapping",
        {"UUID", "Enabled", "BatchSize"},
    ),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_one_change_updates_that_and_no_more(
    clients: DeploymentClients, unique: str, package: Path, name: str
) -> None:
    change, method, fields = CHANGES[name]
    await deploy(clients, unique, package)

    changed = await deploy(clients, unique, package, **change)

    assert writes(changed) == [method]
    if fields:
        assert set(changed.calls[0].request) == fields
    assert writes(await deploy(clients, unique, package, **change)) == []


@on_moto
async def test_a_setting_of_the_relay_changes_the_environment_and_no_more(
    clients: DeploymentClients, unique: str, package: Path
) -> None:
    await deploy(clients, unique, package)
    changed = settings(clients, unique, outbox_envelope="cloudevents")

    outbox = await deploy(clients, unique, package, settings=changed)

    assert writes(outbox) == ["update_function_configuration"]
    assert set(outbox.calls[0].request) == {"FunctionName", "Environment"}


@on_moto
async def test_further_variables_are_kept_and_ours_cannot_be_set_by_them(
    clients: DeploymentClients, unique: str, package: Path
) -> None:
    variables = {"POWERTOOLS_LOG_LEVEL": "WARNING"}
    outbox = await deploy(clients, unique, package, environment=variables)
    (creation,) = [call for call in outbox.calls if call.method == "create_function"]
    assert "WARNING" not in repr(creation)  # it might be a secret
    function = await clients.functions.get_function_configuration(FunctionName=outbox.function_name)

    assert function["Environment"]["Variables"]["POWERTOOLS_LOG_LEVEL"] == "WARNING"
    assert writes(await deploy(clients, unique, package, environment=variables)) == []
    with pytest.raises(ConfigurationError, match="OUTBOX_ENVELOPE: is set by the settings"):
        await deploy(clients, unique, package, environment={"OUTBOX_ENVELOPE": "raw"})


@on_moto
async def test_a_mapping_that_was_switched_off_is_switched_on(
    clients: DeploymentClients, unique: str, package: Path
) -> None:
    outbox = await deploy(clients, unique, package)
    await clients.functions.update_event_source_mapping(UUID=outbox.mapping_id, Enabled=False)

    again = await deploy(clients, unique, package)

    assert [call.reason for call in again.calls] == ["the mapping is switched off"]
    assert writes(await deploy(clients, unique, package)) == []


@on_moto
async def test_a_table_of_another_region_is_refused(
    clients: DeploymentClients, unique: str, package: Path
) -> None:
    url = clients.functions.meta.endpoint_url
    async with open_client("dynamodb", url, region="eu-west-1") as elsewhere:
        with pytest.raises(ConfigurationError, match="AWS_REGION: the table is in eu-west-1"):
            await deploy(clients._replace(dynamodb=elsewhere), unique, package)


@on_moto
async def test_what_runs_may_do_what_it_did_until_the_new_one_runs(
    clients: DeploymentClients, unique: str, package: Path
) -> None:
    """With another strategy the policy is widened, the function changed, and the policy narrowed."""
    await deploy(clients, unique, package)
    other = settings(clients, unique, outbox_mark_strategy="delete")

    changed = await deploy(clients, unique, package, settings=other)

    methods = writes(changed)
    assert methods == [
        "put_role_policy",
        "update_function_configuration",
        "put_role_policy",
        "update_event_source_mapping",
    ]
    wide, narrow = (json.loads(changed.calls[at].request["PolicyDocument"]) for at in (0, 2))
    assert {"dynamodb:UpdateItem", "dynamodb:BatchWriteItem"} <= actions_of(wide)
    fresh = await deploy(
        clients,
        f"{unique}-2",
        package,
        settings=settings(clients, f"{unique}-2", outbox_mark_strategy="delete"),
    )
    (created,) = [call for call in fresh.calls if call.method == "put_role_policy"]
    assert narrow == json.loads(created.request["PolicyDocument"].replace(f"{unique}-2", unique))
    assert writes(await deploy(clients, unique, package, settings=other)) == []


def actions_of(policy: dict[str, Any]) -> set[str]:
    return {action for statement in policy["Statement"] for action in statement["Action"]}


@on_moto
async def test_a_second_relay_of_a_table_is_refused(
    clients: DeploymentClients, unique: str, package: Path
) -> None:
    """It would send everything twice."""
    await deploy(clients, unique, package)
    killer = Killer(0, "before")

    with pytest.raises(ConfigurationError, match=f"is relayed by {unique}-relay already"):
        await deploy(killer.around(clients), unique, package, function_name=f"{unique}-second")

    assert killer.writes == []


@on_moto
async def test_a_sweeper_that_is_there_is_brought_up_to_date_without_being_asked_for(
    clients: DeploymentClients, unique: str, package: Path, tmp_path: Path
) -> None:
    """It runs the package and the settings of the relay."""
    async with open_client("scheduler", clients.functions.meta.endpoint_url) as scheduler:
        await deploy(clients, unique, package, scheduler_client=scheduler)

    updated = await deploy(clients, unique, write_package(tmp_path / "other.zip", "2"))

    assert [(call.method, call.subject) for call in updated.calls] == [
        ("update_function_code", f"{unique}-relay"),
        ("update_function_code", f"{unique}-sweeper"),
    ]
    assert updated.sweeper_arn is not None


@on_moto
async def test_the_sweeper_of_another_relay_stays(
    clients: DeploymentClients, unique: str, package: Path
) -> None:
    async with open_client("scheduler", clients.functions.meta.endpoint_url) as scheduler:
        await deploy(clients, unique, package, scheduler_client=scheduler)

        taken = await destroy_dynamodb_streams_outbox(
            clients.functions,
            clients.iam,
            table_name=unique,
            scheduler_client=scheduler,
            function_name=f"{unique}-nothing",
        )

    assert taken == ()


@on_moto
async def test_somebody_elses_function_of_the_sweepers_name_is_in_nobodys_way(
    clients: DeploymentClients, unique: str, package: Path
) -> None:
    """Unless a sweeper is wanted: then it is refused, before anything is made."""
    role = await clients.iam.create_role(
        RoleName=f"{unique}-theirs", AssumeRolePolicyDocument=json.dumps(trust_policy())
    )
    await clients.functions.create_function(
        FunctionName=f"{unique}-sweeper",
        Role=role["Role"]["Arn"],
        Runtime="python3.13",
        Handler="theirs.handler",
        Code={"ZipFile": b"theirs"},
    )
    async with open_client("scheduler", clients.functions.meta.endpoint_url) as scheduler:
        killer = Killer(0, "before")
        with pytest.raises(ConfigurationError, match="is not an outbox's"):
            await deploy(killer.around(clients), unique, package, scheduler_client=scheduler)

    assert killer.writes == []
    assert writes(await deploy(clients, unique, package)) == ALL_WRITES


@on_moto
async def test_another_package_is_uploaded_and_no_more(
    clients: DeploymentClients, unique: str, package: Path, tmp_path: Path
) -> None:
    await deploy(clients, unique, package)

    outbox = await deploy(clients, unique, write_package(tmp_path / "other.zip", "2"))

    assert writes(outbox) == ["update_function_code"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("position", range(len(ALL_WRITES)), ids=ALL_WRITES)
@on_moto
async def test_interrupted_at_any_step_it_is_completed(
    clients: DeploymentClients,
    unique: str,
    package: Path,
    position: int,
    when: Literal["before", "after"],
) -> None:
    killer = Killer(position, when)
    with pytest.raises(KilledError):
        await deploy(killer.around(clients), unique, package)
    assert killer.writes == ALL_WRITES[: position + 1]

    completed = await deploy(clients, unique, package)

    done = position + (when == "after")
    assert writes(completed) == ALL_WRITES[done:]
    whole = await deploy(clients, f"{unique}-whole", package)
    assert await state(clients, completed) == await state(clients, whole)


SWEEPER_WRITES = [
    "create_role",
    "put_role_policy",
    "create_function",
    "create_role",
    "put_role_policy",
    "create_schedule",
]


async def test_with_a_scheduler_the_sweeper_is_deployed_as_well(
    clients: DeploymentClients, unique: str, package: Path
) -> None:
    """With a role of its own, and a schedule that may invoke it and nothing else."""
    async with open_client("scheduler", clients.functions.meta.endpoint_url) as scheduler:
        outbox = await deploy(clients, unique, package, scheduler_client=scheduler)
        again = await deploy(clients, unique, package, scheduler_client=scheduler)
        sooner = await deploy(clients, unique, package, scheduler_client=scheduler, sweep_every_minutes=1)
        schedule = await scheduler.get_schedule(Name=f"{unique}-sweeper")
        function = await clients.functions.get_function(FunctionName=f"{unique}-sweeper")
        role_name = schedule["Target"]["RoleArn"].rpartition("/")[2]
        policy = await clients.iam.get_role_policy(RoleName=role_name, PolicyName="outbox")
        of_sweeper = await clients.iam.get_role_policy(
            RoleName=f"{unique}-sweeper-us-east-1", PolicyName="outbox"
        )
        taken = await destroy_dynamodb_streams_outbox(
            clients.functions, clients.iam, table_name=unique, scheduler_client=scheduler
        )
        gone = await destroy_dynamodb_streams_outbox(
            clients.functions, clients.iam, table_name=unique, scheduler_client=scheduler
        )

    assert writes(outbox) == [*ALL_WRITES, *SWEEPER_WRITES]
    assert writes(again) == []
    assert writes(sooner) == ["update_schedule"]
    assert schedule["ScheduleExpression"] == "rate(1 minute)"
    assert schedule["Target"]["Arn"] == outbox.sweeper_arn == function["Configuration"]["FunctionArn"]
    assert function["Configuration"]["Handler"] == "outbox_sdk.sweeper_handler.handler"
    assert function["Configuration"]["Role"].endswith(f"/{unique}-sweeper-us-east-1")
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["lambda:InvokeFunction"]
    assert statement["Resource"] == [outbox.sweeper_arn]
    actions = {action for each in of_sweeper["PolicyDocument"]["Statement"] for action in each["Action"]}
    assert "dynamodb:Query" in actions
    assert "sns:Publish" not in actions
    assert [call.method for call in taken].count("delete_role") == 3
    assert [call.method for call in taken].count("delete_schedule") == 1
    assert gone == ()


@pytest.mark.parametrize("position", range(len(SWEEPER_WRITES)))
@on_moto
async def test_interrupted_at_any_step_of_the_sweeper_it_is_completed(
    clients: DeploymentClients, unique: str, package: Path, position: int
) -> None:
    await deploy(clients, unique, package)
    async with open_client("scheduler", clients.functions.meta.endpoint_url) as scheduler:
        killer = Killer(position, "after")
        mortal = killer.around(clients)
        with pytest.raises(KilledError):
            await deploy(mortal, unique, package, scheduler_client=killer.of(scheduler))

        completed = await deploy(clients, unique, package, scheduler_client=scheduler)

    assert [*killer.writes, *writes(completed)] == SWEEPER_WRITES


@on_moto
async def test_a_dry_run_changes_nothing_and_tells_what_would_follow(
    clients: DeploymentClients, unique: str, package: Path
) -> None:
    configured = settings(clients, unique, aws_account_id="123456789012")
    killer = Killer(0, "before")  # a write would be the end

    planned = await deploy(killer.around(clients), unique, package, settings=configured, dry_run=True)

    assert killer.writes == []
    made = await deploy(clients, unique, package)
    assert writes(planned) == writes(made) == ALL_WRITES
    told = [json.loads(json.dumps(describe_call(call))) for call in planned.calls]
    done = [json.loads(json.dumps(describe_call(call))) for call in made.calls]
    # Only AWS knows what the stream of a new table is called.
    told[-1]["request"]["EventSourceArn"] = done[-1]["request"]["EventSourceArn"]
    assert told == done


@on_moto
async def test_for_aws_there_are_none_of_a_local_stacks_defaults_and_what_is_said_counts(
    clients: DeploymentClients, unique: str, package: Path
) -> None:
    async def variables(**said: Any) -> dict[str, Any]:
        configured = settings(clients, unique, aws_account_id="123456789012", **said)
        planned = await deploy(clients, unique, package, settings=configured, dry_run=True)
        (function,) = [call.request for call in planned.calls if call.method == "create_function"]
        if configured.aws_endpoint_url is None:
            assert function["Architectures"] == ["arm64"]
        made: dict[str, Any] = function["Environment"]["Variables"]
        return made

    assert await variables(aws_endpoint_url=None) == {
        "DYNAMODB_OUTBOX_TABLE_NAME": unique,
        "AWS_SNS_TOPIC_PREFIX": "dev-",
        "OUTBOX_DISPATCHED_TTL_DAYS": "7",
    }
    said = await variables(outbox_mark_strategy="batch", outbox_dispatched_ttl_days=None)
    assert "OUTBOX_MARK_STRATEGY" not in said
    assert "OUTBOX_DISPATCHED_TTL_DAYS" not in said


@on_moto
async def test_a_dry_run_without_table_or_account_says_what_is_missing(
    clients: DeploymentClients, unique: str, package: Path
) -> None:
    with pytest.raises(ConfigurationError, match="AWS_ACCOUNT_ID"):
        await deploy(clients, unique, package, dry_run=True)


@on_moto
async def test_a_missing_table_is_named(clients: DeploymentClients, unique: str, package: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"DYNAMODB_OUTBOX_TABLE_NAME: there is no table '{unique}'"):
        await deploy(clients, unique, package, create_table=False)


@on_moto
async def test_an_existing_table_is_taken_as_it_is(
    clients: DeploymentClients, unique: str, package: Path
) -> None:
    await create_outbox_table(clients.dynamodb, unique, design=TableDesign.message_keyed)
    configured = settings(clients, unique, outbox_table_design=TableDesign.message_keyed)

    outbox = await deploy(clients, unique, package, settings=configured, create_table=False)

    assert writes(outbox) == ALL_WRITES[3:]
    function = await clients.functions.get_function_configuration(FunctionName=outbox.function_name)
    variables = function["Environment"]["Variables"]
    assert variables["OUTBOX_TABLE_DESIGN"] == "message_keyed"
    assert "OUTBOX_DISPATCHED_TTL_DAYS" not in variables


@on_moto
async def test_every_topic_of_the_account_is_refused_unless_said(
    clients: DeploymentClients, unique: str, package: Path
) -> None:
    """Before anything is made."""
    unbounded = settings(clients, unique, aws_sns_topic_prefix="")
    killer = Killer(0, "before")

    with pytest.raises(ConfigurationError, match="OUTBOX_ALLOWED_TOPICS: is not set"):
        await deploy(killer.around(clients), unique, package, settings=unbounded)

    assert killer.writes == []
    outbox = await deploy(clients, unique, package, settings=unbounded, allow_any_topic=True)
    assert writes(outbox) == ALL_WRITES


@on_moto
async def test_a_table_whose_sweeper_could_have_no_name(
    clients: DeploymentClients, unique: str, package: Path
) -> None:
    """Refused before anything is made; and destroying the relay does not end in the middle for it."""
    table_name = f"{unique}-".ljust(40, "x")
    killer = Killer(0, "before")
    async with open_client("scheduler", clients.functions.meta.endpoint_url) as scheduler:
        with pytest.raises(ConfigurationError, match=r"function_name: .*-sweeper-schedule' has more than"):
            await deploy(killer.around(clients), table_name, package, scheduler_client=scheduler)
        assert killer.writes == []
        await deploy(clients, table_name, package)

        taken = await destroy_dynamodb_streams_outbox(
            clients.functions, clients.iam, table_name=table_name, scheduler_client=scheduler
        )

    assert [call.method for call in taken][-1] == "delete_role"


@pytest.mark.parametrize("what", ["role", "function"])
@on_moto
async def test_what_belongs_to_somebody_else_is_left_alone(
    clients: DeploymentClients, unique: str, package: Path, what: str
) -> None:
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    name = f"{unique}-relay-us-east-1" if what == "role" else f"{unique}-other"
    role = await clients.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    if what == "function":
        await clients.functions.create_function(
            FunctionName=f"{unique}-relay",
            Role=role["Role"]["Arn"],
            Runtime="python3.13",
            Handler="theirs.handler",
            Code={"ZipFile": b"theirs"},
        )

    killer = Killer(0, "before")
    with pytest.raises(ConfigurationError, match=f"function_name: a {what} .* is not an outbox's"):
        await deploy(killer.around(clients), unique, package)
    assert killer.writes == []
    with pytest.raises(ConfigurationError, match=f"a {what} "):
        await destroy_dynamodb_streams_outbox(clients.functions, clients.iam, table_name=unique)

    theirs = (await clients.iam.get_role(RoleName=name))["Role"]
    assert theirs["AssumeRolePolicyDocument"]["Statement"] == []


@on_moto
async def test_a_function_of_another_table_is_left_alone(
    clients: DeploymentClients, unique: str, package: Path
) -> None:
    await deploy(clients, unique, package, function_name=unique)

    with pytest.raises(ConfigurationError, match=f"belongs to the table {unique}; give"):
        await deploy(clients, f"{unique}-2", package, function_name=unique)


async def test_through_a_bucket_it_is_uploaded_once(
    clients: DeploymentClients, unique: str, package: Path
) -> None:
    await clients.s3.create_bucket(Bucket=unique)

    first = await deploy(clients, unique, package, code_bucket=unique)
    second = await deploy(clients, unique, package, code_bucket=unique)

    assert writes(first) == [*ALL_WRITES[:5], "put_object", *ALL_WRITES[5:]]
    assert writes(second) == []


@on_moto
async def test_who_may_take_the_role_on_is_put_right(
    clients: DeploymentClients, unique: str, package: Path
) -> None:
    outbox = await deploy(clients, unique, package)
    open_to_all = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}],
    }
    name = outbox.role_arn.rpartition("/")[2]
    await clients.iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(open_to_all))

    again = await deploy(clients, unique, package)

    assert writes(again) == ["update_assume_role_policy"]
    assert writes(await deploy(clients, unique, package)) == []


async def test_it_is_taken_away_but_for_the_table(
    clients: DeploymentClients, unique: str, package: Path
) -> None:
    outbox = await deploy(clients, unique, package)

    planned = await destroy_dynamodb_streams_outbox(
        clients.functions, clients.iam, table_name=unique, dry_run=True
    )
    assert len(await mappings(clients, outbox.function_name)) == 1
    made = await destroy_dynamodb_streams_outbox(clients.functions, clients.iam, table_name=unique)

    assert planned == made
    assert [call.method for call in made] == [
        "delete_event_source_mapping",
        "delete_function",
        "delete_role_policy",
        "delete_role",
    ]
    with pytest.raises(clients.functions.exceptions.ResourceNotFoundException):
        await clients.functions.get_function(FunctionName=outbox.function_name)
    with pytest.raises(clients.iam.exceptions.NoSuchEntityException):
        await clients.iam.get_role(RoleName=outbox.role_arn.rpartition("/")[2])
    assert (await clients.dynamodb.describe_table(TableName=unique))["Table"]["TableStatus"] == "ACTIVE"
    # Nothing is left, which is nothing to complain of; and it can be deployed anew.
    assert await destroy_dynamodb_streams_outbox(clients.functions, clients.iam, table_name=unique) == ()
    assert writes(await deploy(clients, unique, package)) == ALL_WRITES[3:]


@on_moto
@pytest.mark.parametrize("position", range(4))
async def test_taking_it_away_is_completed_when_interrupted(
    clients: DeploymentClients, unique: str, package: Path, position: int
) -> None:
    await deploy(clients, unique, package)
    mortal = Killer(position, "after").around(clients)
    with pytest.raises(KilledError):
        await destroy_dynamodb_streams_outbox(mortal.functions, mortal.iam, table_name=unique)

    rest = await destroy_dynamodb_streams_outbox(clients.functions, clients.iam, table_name=unique)

    assert len(rest) == 3 - position
