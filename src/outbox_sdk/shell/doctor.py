"""The doctor's effects: a stack read out of an account, or a plan out of a text, and what is found in it."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from outbox_sdk.core.configuration import RelayConfiguration, parse_environment
from outbox_sdk.core.destinations import SNS, parse_route
from outbox_sdk.core.doctor.engine import diagnose
from outbox_sdk.core.doctor.facts import FunctionFacts, KeyFacts, MappingFacts, Stack, TableFacts, TopicFacts
from outbox_sdk.core.doctor.finding import Diagnosis
from outbox_sdk.core.doctor.plan import read_plan
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import AccountId, Partition, Region
from outbox_sdk.core.place import Place
from outbox_sdk.shell.aws.access import AwsAccess
from outbox_sdk.shell.aws.session import find_region
from outbox_sdk.shell.stack_reader import Answer, StackReader

__all__ = ["diagnose_plan", "diagnose_stack", "read_stack"]


def diagnose_plan(
    content: bytes | str,
    *,
    table_name: str | None = None,
    function_name: str | None = None,
    expected_code: tuple[str, ...] | None = None,
    now: datetime | None = None,
) -> tuple[Diagnosis, ...]:
    """Look for what loses or disorders messages in a plan of Terraform's, offline: one diagnosis a relay.

    ``content`` is what `terraform show -json PLAN_FILE` prints. ``expected_code`` are SHA-256 digests, in
    base64, of the packages that a relay may run. Not promised: that what is known after apply only is
    looked at; each diagnosis lists what was not.

    Raises:
        ConfigurationError: it is no plan, or there is no such relay in it.
    """
    stacks = read_plan(
        content,
        taken_at=now or datetime.now(UTC),
        table_name=table_name,
        function_name=function_name,
        expected_code=expected_code,
    )
    return tuple(map(diagnose, stacks))


async def diagnose_stack(
    table_name: str,
    *,
    function_name: str | None = None,
    sweeper_name: str | None = None,
    topics: tuple[str, ...] = (),
    region: Region | str | None = None,
    endpoint_url: str | None = None,
    profile: str | None = None,
    credentials: tuple[str, str] | None = None,
    expected_code: tuple[str, ...] | None = None,
    now: datetime | None = None,
) -> Diagnosis:
    """Look for what loses or disorders messages in a stack that runs. Nothing is changed, no payload is read.

    Without ``function_name`` it is the relay that reads the table's stream, else ``<table>-relay``; the
    sweeper is called as its relay, with ``-sweeper`` for ``-relay``, unless named. ``topics`` are further
    topics to look at, by the names that producers write. The other arguments are those of ``open_admin``
    and :func:`diagnose_plan`. It takes some thirty calls, one after the other.

    Not promised: that no finding means no fault. What may not be read is listed in ``unchecked``.

    Raises:
        ConfigurationError: no Region is known, or there is no such profile.
        OutboxError: nobody answers, or there are no credentials.
    """
    place = region or find_region(profile)
    if place is None:
        raise ConfigurationError("AWS_REGION", "is not set; give the Region of the table")
    access = AwsAccess(region=place, endpoint_url=endpoint_url, profile=profile, credentials=credentials)
    async with AsyncExitStack() as clients:
        stack = await read_stack(
            StackReader(access, clients),
            table_name,
            function_name=function_name,
            sweeper_name=sweeper_name,
            topics=topics,
            expected_code=expected_code,
            now=now,
        )
    return diagnose(stack)


async def read_stack(
    reader: StackReader,
    table_name: str,
    *,
    function_name: str | None = None,
    sweeper_name: str | None = None,
    topics: tuple[str, ...] = (),
    expected_code: tuple[str, ...] | None = None,
    now: datetime | None = None,
) -> Stack:
    """Collect the facts of a stack; see :func:`diagnose_stack`."""
    table, answer = await reader.read_table(table_name)
    moment = now or datetime.now(UTC)
    unknown = {"expected_code": "this library carries no package to compare with"}
    mappings, why = await reader.list_mappings(table_name, table.stream_arn, function_name)
    usual = f"{table_name.replace('.', '-')}-relay"
    name = function_name or _relay_of(mappings, usual) or usual
    if function_name is None:
        # A mapping that reads a stream of the past is found by the function only.
        mappings, why = await reader.list_mappings(table_name, table.stream_arn, name)
    unknown["mappings"] = why
    function = await reader.read_function(name)
    configuration = _configuration(function)
    if configuration is not None and table.exists:
        seen = await reader.read_items(table_name, configuration.outbox_table_design)
        table = msgspec.structs.replace(table, **{**seen, "unknown": {**table.unknown, **seen["unknown"]}})
    place = _place(answer)
    unknown["place"] = "the table, whose ARN tells it, is not there to be read"
    role_arn = function.role_arn
    unknown["role"] = f"the function {name} is not there to name it"
    read_topics = await _read_topics(reader, configuration, place, topics)
    unknown["topics"] = "OUTBOX_ALLOWED_TOPICS is not set; name topics with --allowed-topics"
    table, keys, read_topics = await _read_keys(reader, table, read_topics)
    skew, unknown["clock_skew_seconds"] = _skew(answer, now)
    sweeper = sweeper_name or f"{name.removesuffix('-relay')}-sweeper"
    return Stack(
        name=table.name,
        unknown=unknown,
        source="live",
        taken_at=moment,
        table=table,
        function=function,
        mappings=mappings,
        role=None if role_arn is None else await reader.read_role(role_arn),
        topics=read_topics,
        keys=keys,
        sweeper=await reader.read_sweeper(sweeper),
        place=place,
        expected_code=expected_code,
        is_local=reader.is_local,
        clock_skew_seconds=skew,
    )


def _relay_of(mappings: tuple[MappingFacts, ...] | None, usual: str) -> str | None:
    """Choose the relay among those who read the stream: of the usual name, else one that is on."""
    relays = [each for each in mappings or () if each.relays or each.function_name == usual]
    relays.sort(key=lambda each: (each.function_name != usual, not each.enabled))
    return relays[0].function_name if relays else None


def _configuration(function: FunctionFacts) -> RelayConfiguration | None:
    try:
        return None if function.variables is None else parse_environment(function.variables)
    except ConfigurationError:
        return None


def _place(answer: Answer) -> Place | None:
    if answer.value is None:
        return None
    _, partition, _, region, account, _ = answer.value["Table"]["TableArn"].split(":", 5)
    return Place(partition=Partition(partition), region=Region(region), account_id=AccountId(account))


def _skew(answer: Answer, now: datetime | None) -> tuple[float | None, str]:
    """Compare this machine's clock with the time that DynamoDB wrote on its answer, to a second."""
    headers: Mapping[str, str] = (answer.value or {}).get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        there = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError):
        return None, "the answer has no date"
    here = now or answer.received or there
    return (here - there).total_seconds(), ""


async def _read_topics(
    reader: StackReader, configuration: RelayConfiguration | None, place: Place | None, named: tuple[str, ...]
) -> tuple[TopicFacts, ...] | None:
    allowed = None if configuration is None else configuration.outbox_allowed_topics
    if place is None or configuration is None or (allowed is None and not named):
        return None
    routes = [parsed for route in sorted({*(allowed or ()), *named}) if (parsed := parse_route(route))]
    names = [f"{configuration.aws_sns_topic_prefix}{name}" for kind, name in routes if kind is SNS]
    return tuple([await reader.read_topic(name, place) for name in names])


async def _read_keys(
    reader: StackReader, table: TableFacts, topics: tuple[TopicFacts, ...] | None
) -> tuple[TableFacts, tuple[KeyFacts, ...], tuple[TopicFacts, ...] | None]:
    """Look at the keys that table and topics name; those of AWS's own are nobody's to look after."""
    keys: dict[str, KeyFacts] = {}

    async def look(subject: Any) -> Any:
        named = subject.encryption_key
        if not named:
            return subject
        key = None if named.startswith("alias/aws/") else await reader.read_key(subject.name, named)
        if key is not None:
            keys.setdefault(key.arn, key)
        return msgspec.structs.replace(subject, encryption_key="" if key is None else key.arn)

    table = await look(table)
    looked = None if topics is None else tuple([await look(each) for each in topics])
    return table, tuple(keys.values()), looked
