"""The relay in Lambda behind a table's stream: deployed, brought up to date, and taken away again."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from outbox_sdk.core.deployment import Call, Deployment
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.event_source import EventSource
from outbox_sdk.core.function import Architecture
from outbox_sdk.core.identifiers import AccountId, Partition, Region
from outbox_sdk.core.mark import MarkStrategy
from outbox_sdk.core.place import Place
from outbox_sdk.core.roles import function_role, schedule_role
from outbox_sdk.provisioning.defaults import (
    adapt_settings,
    default_architecture,
    default_name,
    default_runtime,
    find_fitting_package,
    sweeper_of,
)
from outbox_sdk.provisioning.deployer import Deployer
from outbox_sdk.provisioning.execution import Execution
from outbox_sdk.provisioning.found import find_function
from outbox_sdk.provisioning.removal import remove_relay, remove_sweeper
from outbox_sdk.provisioning.table import check_client

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient
    from types_aiobotocore_iam import IAMClient
    from types_aiobotocore_lambda import LambdaClient
    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_scheduler import EventBridgeSchedulerClient

    from outbox_sdk.shell.settings import Settings

__all__ = ["StreamsOutbox", "create_dynamodb_streams_outbox", "destroy_dynamodb_streams_outbox"]

_SOME_ACCOUNT = AccountId("000000000000")


class StreamsOutbox(msgspec.Struct, frozen=True, kw_only=True):
    """What was deployed, by the names AWS gives it, and the calls that it took: none where all was there.

    After a dry run ``calls`` are those to be made; ``stream_arn`` and ``mapping_id`` are ``None`` where only
    a call would tell.
    """

    table_name: str
    table_arn: str
    stream_arn: str | None
    role_arn: str
    function_name: str
    function_arn: str
    mapping_id: str | None
    sweeper_arn: str | None
    mark_strategy: MarkStrategy
    calls: tuple[Call, ...] = ()


async def create_dynamodb_streams_outbox(
    lambda_client: "LambdaClient",
    iam_client: "IAMClient",
    dynamodb_client: "DynamoDBClient",
    s3_client: "S3Client",
    *,
    settings: "Settings",
    scheduler_client: "EventBridgeSchedulerClient | None" = None,
    create_table: bool = False,
    function_name: str | None = None,
    architecture: Architecture | None = None,
    runtime: str | None = None,
    memory_mb: int = 512,
    timeout_seconds: int = 60,
    sweeper_name: str | None = None,
    sweep_every_minutes: int = 60,
    source: EventSource = EventSource(),  # noqa: B008 - a frozen value
    environment: Mapping[str, str] | None = None,
    code_bucket: str | None = None,
    package: Path | None = None,
    kms_keys: tuple[str, ...] = (),
    confine_attributes: bool = False,
    allow_any_topic: bool = False,
    paused: bool = False,
    dry_run: bool = False,
    on_call: Callable[[Call], None] | None = None,
) -> StreamsOutbox:
    """Deploy the relay of a table: role, function and event source mapping; wait until all of it is active.

    Called again it changes what differs and leaves the rest, and it completes what was interrupted. The
    table is there already, or is created first with ``create_table``. The function is called
    ``<table>-relay`` unless named. What exists under its name and was not deployed for this table is left
    alone and refused before anything is made, and so is a second relay of the table. ``paused`` leaves the
    mapping switched off.

    The package goes inline, or through the S3 bucket ``code_bucket``; ``package`` is a zip of your own
    making, else it is the one that comes with this library. ``architecture`` is ``arm64`` unless told
    otherwise, and ``runtime`` the one that packages come with. At an ``aws_endpoint_url`` the platform is
    this machine's, at a MiniStack on it the runtime is this interpreter's, and two settings have other
    defaults because local stacks need them: marks are ``single`` and the recheck is 0.

    Items of an ``ordered`` table are deleted 7 days after their dispatch unless
    ``outbox_dispatched_ttl_days`` is given: DynamoDB keeps at most 10 GB an aggregate.

    With ``scheduler_client`` the sweeper is deployed as well: ``<table>-sweeper`` unless named, with a role
    of its own, and a schedule that invokes it. Without a sweeper nobody takes up what the stream has
    forgotten. One that is there is brought up to date in any case.

    ``environment`` are further variables of the functions, as ``POWERTOOLS_LOG_LEVEL``; what was set by
    hand goes at the next call. ``kms_keys`` are the ARNs of your own keys of table, topics and destination.
    ``confine_attributes`` lets the role write bookkeeping attributes only; try it on your account first.
    ``dry_run`` only reads, and gives the calls that it would make; ``on_call`` is told of each call when it
    is made.

    Not promised: that it undoes what it made when it fails half-way; call it again. It deploys no alarms
    and no topics; the Terraform module and the SAM template do.

    Raises:
        ConfigurationError: a setting or an argument is wrong, a client is one of boto3 or not entered yet,
            the table is missing or does not fit, a name is taken, or the relay could reach any topic of the
            account and ``allow_any_topic`` was not said.
        PackageError: the package is neither there nor can be built.
        botocore.exceptions.ClientError: AWS refuses a call.
    """
    _check_clients(lambda_client, iam_client, dynamodb_client, s3_client, scheduler_client)
    configuration = adapt_settings(settings)
    table_name = str(configuration.dynamodb_outbox_table_name)
    if runtime is None:
        runtime = await asyncio.to_thread(default_runtime, configuration)
    deployment = Deployment(
        configuration=configuration,
        function_name=function_name or default_name(table_name, "relay"),
        architecture=architecture or default_architecture(configuration),
        runtime=runtime,
        memory_mb=memory_mb,
        timeout_seconds=timeout_seconds,
        source=source,
        environment=environment or {},
        kms_keys=kms_keys,
        confine_attributes=confine_attributes,
        allow_any_topic=allow_any_topic,
        paused=paused,
    )
    # What is wrong is said before anything is made. How long names may be depends on the Region's; all
    # accounts are equally long.
    meta = lambda_client.meta
    somewhere = Place(
        partition=Partition(meta.partition), region=Region(meta.region_name), account_id=_SOME_ACCOUNT
    )
    role = function_role(deployment, somewhere).name
    package = await asyncio.to_thread(find_fitting_package, package, deployment)
    clients = {"lambda": lambda_client, "iam": iam_client, "dynamodb": dynamodb_client, "s3": s3_client}
    execution = Execution({**clients, "scheduler": scheduler_client}, dry_run=dry_run, on_call=on_call)
    relay = Deployer(lambda_client, iam_client, dynamodb_client, s3_client, deployment, execution)
    await relay.check_names(role)
    wanted = scheduler_client is not None
    sweeper = await _choose_sweeper(relay, sweeper_name, somewhere, wanted=wanted)
    place, stream_arn = await relay.ensure_table(create=create_table)
    if stream_arn is not None:
        await relay.refuse_second_relay(stream_arn)
    await relay.ensure_function(place, package, bucket=code_bucket)
    mapping_id = await relay.ensure_mapping(stream_arn)
    sweeper_arn = None
    if sweeper is not None:
        await sweeper.ensure_function(place, package, bucket=code_bucket)
        sweeper_arn = place.arn("lambda", f"function:{sweeper.deployment.function_name}")
        if scheduler_client is not None:
            await sweeper.ensure_schedule(scheduler_client, place, minutes=sweep_every_minutes)
    return StreamsOutbox(
        table_name=table_name,
        table_arn=place.arn("dynamodb", f"table/{table_name}"),
        stream_arn=stream_arn,
        role_arn=place.role_arn(role),
        function_name=deployment.function_name,
        function_arn=place.arn("lambda", f"function:{deployment.function_name}"),
        mapping_id=mapping_id,
        sweeper_arn=sweeper_arn,
        mark_strategy=configuration.outbox_mark_strategy,
        calls=tuple(execution.calls),
    )


def _check_clients(
    lambda_client: object,
    iam_client: object,
    dynamodb_client: object,
    s3_client: object,
    scheduler_client: object | None,
) -> None:
    check_client(lambda_client, "lambda_client", "get_function")
    check_client(iam_client, "iam_client", "get_role")
    check_client(dynamodb_client, "dynamodb_client", "describe_table")
    check_client(s3_client, "s3_client", "put_object")
    if scheduler_client is not None:
        check_client(scheduler_client, "scheduler_client", "get_schedule")


async def destroy_dynamodb_streams_outbox(
    lambda_client: "LambdaClient",
    iam_client: "IAMClient",
    *,
    table_name: str,
    scheduler_client: "EventBridgeSchedulerClient | None" = None,
    function_name: str | None = None,
    sweeper_name: str | None = None,
    dry_run: bool = False,
    on_call: Callable[[Call], None] | None = None,
) -> tuple[Call, ...]:
    """Take the relay of a table away: mapping, function and role; give the calls that it took.

    With ``scheduler_client`` the sweeper goes as well. The table, its items, the topics, the log, packages
    in a bucket and what went to the destination stay. Called again it completes what was interrupted.

    Raises:
        ConfigurationError: what carries the name was not deployed for this table.
        botocore.exceptions.ClientError: AWS refuses a call.
    """
    clients = {"lambda": lambda_client, "iam": iam_client, "scheduler": scheduler_client}
    execution = Execution(clients, dry_run=dry_run, on_call=on_call)
    name = function_name or default_name(table_name, "relay")
    await remove_relay(lambda_client, iam_client, table_name=table_name, name=name, execution=execution)
    # The sweeper is the table's: it stays as long as a relay does.
    usual = default_name(table_name, "relay")
    stays = name != usual and await find_function(lambda_client, usual) is not None
    if scheduler_client is not None and not stays:
        name = sweeper_name or default_name(table_name, "sweeper")
        await remove_sweeper(
            lambda_client,
            iam_client,
            scheduler_client,
            table_name=table_name,
            name=name,
            execution=execution,
        )
    return tuple(execution.calls)


async def _choose_sweeper(
    relay: Deployer, name: str | None, place: Place, *, wanted: bool
) -> Deployer | None:
    """Give the table's sweeper, if one is wanted or there: what is there is brought up to date as well.

    Raises:
        ConfigurationError: one is wanted, and its name is impossible or somebody else's.
    """
    try:
        deployment = sweeper_of(relay.deployment, name)
        roles = function_role(deployment, place).name, schedule_role(deployment, place).name
        sweeper = replace(relay, deployment=deployment)
        exists = await sweeper.check_names(*roles)
    except ConfigurationError:
        if wanted:
            raise
        return None
    return sweeper if wanted or exists else None
