"""`outbox deploy` and `outbox destroy`: the relay in Lambda, brought up and taken away."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from outbox_sdk.cli.options import (
    AllowedTopicsOption,
    EndpointOption,
    EnvelopeOption,
    JsonOption,
    PrefixOption,
    ProfileOption,
    RegionOption,
    StrategyOption,
    TableOption,
    settings_of,
)
from outbox_sdk.cli.output import errors_to_exit_codes, line_printer, stderr
from outbox_sdk.core.deployment import Call, describe_call
from outbox_sdk.core.errors import ConfigurationError, OutboxError
from outbox_sdk.core.event_source import EventSource
from outbox_sdk.core.function import ARCHITECTURES, DEFAULT_RUNTIME, Architecture
from outbox_sdk.core.report import LogLine
from outbox_sdk.provisioning import (
    StreamsOutbox,
    create_dynamodb_streams_outbox,
    destroy_dynamodb_streams_outbox,
)
from outbox_sdk.shell.aws.access import AwsAccess
from outbox_sdk.shell.aws.errors import is_aws_error
from outbox_sdk.shell.aws.session import fetch_identity, find_region, open_client, patient_config
from outbox_sdk.shell.settings import Settings

__all__ = ["deploy", "destroy"]

_FunctionOption = Annotated[
    str | None, typer.Option("--function-name", help="What the function is called; else <table>-relay.")
]
_SweeperOption = Annotated[
    str | None, typer.Option("--sweeper-name", help="What the sweeper is called; else <table>-sweeper.")
]
_DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Only read, and print the calls that would change something.")
]


def deploy(
    *,
    table: TableOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    topic_prefix: PrefixOption = None,
    allowed_topics: AllowedTopicsOption = None,
    allow_any_topic: Annotated[
        bool, typer.Option("--allow-any-topic", help="Neither prefix nor list: every topic of the account.")
    ] = False,
    mark_strategy: StrategyOption = None,
    envelope: EnvelopeOption = None,
    table_design: Annotated[
        str | None,
        typer.Option("--table-design", help="ordered or message_keyed; else OUTBOX_TABLE_DESIGN."),
    ] = None,
    ttl_days: Annotated[
        int | None,
        typer.Option(min=0, help="Keep dispatched items so long, 0 is for ever; else 7 if ordered."),
    ] = None,
    create_table: Annotated[
        bool, typer.Option("--create-table", help="Create the table if it is not there.")
    ] = False,
    sweeper: Annotated[
        bool, typer.Option("--sweeper", help="Deploy the sweeper as well, on a schedule.")
    ] = False,
    sweeper_name: _SweeperOption = None,
    sweep_every: Annotated[int, typer.Option(min=1, help="Minutes between two sweeps.")] = 60,
    paused: Annotated[
        bool, typer.Option("--paused", help="Leave the mapping switched off: nothing is relayed.")
    ] = False,
    function_name: _FunctionOption = None,
    architecture: Annotated[
        str | None, typer.Option(help="arm64 or x86_64; else arm64, and this machine's at an endpoint.")
    ] = None,
    runtime: Annotated[
        str | None,
        typer.Option(envvar="OUTBOX_RUNTIME", help=f"Lambda's name of the Python; else {DEFAULT_RUNTIME}."),
    ] = None,
    memory_mb: Annotated[int, typer.Option("--memory", help="Of the function, in MB.")] = 512,
    timeout_seconds: Annotated[int, typer.Option("--timeout", help="Of the function, in seconds.")] = 60,
    batch_size: Annotated[int, typer.Option(help="Records a batch, at most.")] = 100,
    batch_window: Annotated[int, typer.Option(help="Seconds that Lambda waits for a batch to fill.")] = 1,
    parallelization_factor: Annotated[
        int, typer.Option(help="Batches of a shard at a time; above 1 there is no order of an aggregate.")
    ] = 1,
    on_failure: Annotated[
        str | None, typer.Option(help="The ARN of an S3 bucket, queue or topic for what Lambda gives up.")
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option("--env", help="A further variable of the functions, NAME=VALUE; repeatable."),
    ] = None,
    kms_key: Annotated[
        list[str] | None, typer.Option(help="The ARN of a key of yours on table or topics; repeatable.")
    ] = None,
    confine_attributes: Annotated[
        bool, typer.Option("--confine-attributes", help="Let the role write bookkeeping attributes only.")
    ] = False,
    code_bucket: Annotated[
        str | None, typer.Option(help="A bucket to upload the package through; else it goes inline.")
    ] = None,
    package: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, readable=True, help="A package of your own making."),
    ] = None,
    dry_run: _DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Deploy the relay of a table to Lambda, or bring what is deployed up to date."""
    with errors_to_exit_codes(deploying=True):
        settings = settings_of(
            dynamodb_outbox_table_name=table,
            aws_endpoint_url=endpoint_url,
            aws_region=region,
            aws_sns_topic_prefix=topic_prefix,
            outbox_allowed_topics=allowed_topics,
            outbox_mark_strategy=mark_strategy,
            outbox_envelope=envelope,
            outbox_table_design=table_design,
            outbox_dispatched_ttl_days=ttl_days or None,
        )
        if ttl_days == 0:
            # None, said: with nothing said, items of an ordered table are kept for a week.
            settings = settings.model_copy(update={"outbox_dispatched_ttl_days": None})
        options: dict[str, Any] = {
            "create_table": create_table,
            "function_name": function_name,
            "architecture": _architecture(architecture),
            "runtime": runtime,
            "memory_mb": memory_mb,
            "timeout_seconds": timeout_seconds,
            "source": EventSource(
                batch_size=batch_size,
                batch_window_seconds=batch_window,
                parallelization_factor=parallelization_factor,
                on_failure=on_failure,
            ),
            "environment": _environment(env or []),
            "code_bucket": code_bucket,
            "package": package,
            "kms_keys": tuple(kms_key or ()),
            "confine_attributes": confine_attributes,
            "allow_any_topic": allow_any_topic,
            "sweeper_name": sweeper_name,
            "sweep_every_minutes": sweep_every,
            "paused": paused,
            "dry_run": dry_run,
            "on_call": _call_printer(dry_run=dry_run, as_json=as_json),
        }
        outbox = asyncio.run(_deploy(settings, profile=profile, sweeper=sweeper, options=options))
    show = line_printer(as_json=as_json)
    if not outbox.calls:
        show(LogLine("nothing_to_change", {}))
    if not dry_run:
        show(LogLine("relay_deployed", _names(outbox)))


def destroy(
    *,
    table: TableOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    function_name: _FunctionOption = None,
    sweeper_name: _SweeperOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: _DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take the relay of a table, and its sweeper, away. Table and topics stay."""
    with errors_to_exit_codes():
        settings = settings_of(
            dynamodb_outbox_table_name=table, aws_endpoint_url=endpoint_url, aws_region=region
        )
        name = settings.dynamodb_outbox_table_name
        if not (yes or dry_run):
            where = f" in {settings.aws_region}" if settings.aws_region else ""
            typer.confirm(f"Take the relay of the table {name}{where} away?", abort=True, err=True)
        options = {
            "function_name": function_name,
            "sweeper_name": sweeper_name,
            "dry_run": dry_run,
            "on_call": _call_printer(dry_run=dry_run, as_json=as_json),
        }
        calls = asyncio.run(_destroy(settings, profile=profile, options=options))
    show = line_printer(as_json=as_json)
    if not calls:
        show(LogLine("nothing_to_destroy", {"table": name}))
    elif not dry_run:
        show(LogLine("relay_destroyed", {"table": name}))


async def _deploy(
    settings: Settings, *, profile: str | None, sweeper: bool, options: dict[str, Any]
) -> StreamsOutbox:
    async with _open(settings, profile) as (access, open_service):
        if options["dry_run"] and settings.aws_account_id is None:
            # A table that is not there yet cannot tell whose it is going to be.
            _, account_id = await fetch_identity(access)
            settings = settings.model_copy(update={"aws_account_id": account_id})
        services = ("lambda", "iam", "dynamodb", "s3")
        clients: list[Any] = [await open_service(service) for service in services]
        if sweeper:
            options = {**options, "scheduler_client": await open_service("scheduler")}
        with stderr.status("Deploying …"):
            return await create_dynamodb_streams_outbox(*clients, settings=settings, **options)


async def _destroy(settings: Settings, *, profile: str | None, options: dict[str, Any]) -> tuple[Call, ...]:
    async with _open(settings, profile) as (_, open_service):
        return await destroy_dynamodb_streams_outbox(
            await open_service("lambda"),
            await open_service("iam"),
            table_name=settings.dynamodb_outbox_table_name,
            scheduler_client=await open_service("scheduler"),
            **options,
        )


@asynccontextmanager
async def _open(
    settings: Settings, profile: str | None
) -> AsyncIterator[tuple[AwsAccess, Callable[[str], Any]]]:
    """Say where AWS is, and give what opens a client there until the end of the block."""
    region = settings.aws_region or find_region(profile)
    if region is None:
        raise ConfigurationError("AWS_REGION", "is not set; give the Region to deploy to")
    access = AwsAccess(region=region, endpoint_url=settings.aws_endpoint_url, profile=profile)
    async with AsyncExitStack() as stack:

        async def open_service(service: str) -> Any:
            client = open_client(service, access, config=patient_config())
            return await stack.enter_async_context(client)

        try:
            yield access, open_service
        except Exception as error:
            # AWS's own sentence names the operation and what it needs; there is no payload on this path.
            if is_aws_error(error):
                raise OutboxError(f"{error}{_where(access)}") from error
            raise


def _where(access: AwsAccess) -> str:
    return "" if access.endpoint_url is None else f" (at {access.endpoint_url}: is it still running?)"


def _environment(texts: Collection[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    for text, (name, equals, _) in zip(texts, pairs, strict=True):
        if not (name and equals):
            raise ConfigurationError("--env", f"{text!r} is not NAME=VALUE")
    return {name: value for name, _, value in pairs}


def _architecture(text: str | None) -> Architecture | None:
    for architecture in ARCHITECTURES:
        if text == architecture:
            return architecture
    if text is None:
        return None
    raise ConfigurationError("--architecture", f"{text!r} is not one of {', '.join(ARCHITECTURES)}")


def _names(outbox: StreamsOutbox) -> dict[str, Any]:
    """Give everything but the calls."""
    names = msgspec.structs.asdict(outbox)
    return {name: value for name, value in names.items() if name != "calls"}


def _call_printer(*, dry_run: bool, as_json: bool) -> Callable[[Call], None]:
    """Give what prints a call as it is made, so that what was done is known also where the next one fails."""
    show = line_printer(as_json=as_json)

    def print_call(call: Call) -> None:
        described = describe_call(call)
        if as_json:
            show(LogLine("would_call" if dry_run else "called", described))
            return
        did = "would call" if dry_run else "called"
        sys.stdout.write(f"{did} {call.service}.{call.method} {call.subject}: {call.reason}\n")
        if dry_run:
            text = msgspec.json.format(msgspec.json.encode(described["request"]), indent=2).decode()
            sys.stdout.write(text + "\n")
        sys.stdout.flush()

    return print_call
