"""The stacks of a Terraform plan as facts: each relay, told by its entry point, and what it works with."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from outbox_sdk.core.configuration import RelayConfiguration, parse_environment
from outbox_sdk.core.destinations import SNS, parse_route
from outbox_sdk.core.doctor.facts import (
    FunctionFacts,
    KeyFacts,
    MappingFacts,
    RoleFacts,
    Stack,
    SweeperFacts,
    TableFacts,
    TopicFacts,
)
from outbox_sdk.core.doctor.plan_document import AFTER_APPLY, PlanDocument, Resource, read_document
from outbox_sdk.core.doctor.plan_values import (
    read_function,
    read_mapping,
    read_policies,
    read_table,
    read_topic,
)
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.function import HANDLERS
from outbox_sdk.core.identifiers import AccountId, Partition, Region
from outbox_sdk.core.place import Place

__all__ = ["read_plan"]

_ELSEWHERE = "it is not in the plan"
_PLACE = re.compile(r"arn:(aws[a-z-]*):dynamodb:([a-z0-9-]+):(\d{12}):table/")


def read_plan(
    content: bytes | str,
    *,
    taken_at: datetime,
    table_name: str | None = None,
    function_name: str | None = None,
    expected_code: tuple[str, ...] | None = None,
) -> tuple[Stack, ...]:
    """Read the stacks out of what `terraform show -json PLAN` has written: one for each relay.

    ``table_name`` and ``function_name`` leave the others out.

    Raises:
        ConfigurationError: it is no plan, or there is no relay in it, or none of these names.
    """
    document = read_document(content)
    functions = document.of_type("aws_lambda_function")
    relays = [each for each in functions if each.values.get("handler") == HANDLERS["relay"]]
    if function_name is not None:
        relays = [each for each in functions if each.values.get("function_name") == function_name]
    try:
        found = [_stack(document, relay, taken_at, expected_code) for relay in relays]
        # A plan is input: what it has for a value may be of any type.
        stacks = [msgspec.convert(msgspec.to_builtins(each), Stack) for each in found]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigurationError("--plan", "has a value that the AWS provider does not write") from error
    if table_name is not None:
        stacks = [each for each in stacks if each.table is not None and each.table.table_name == table_name]
    if not stacks:
        named = f" {function_name}" if function_name else ""
        of = f" of the table {table_name}" if table_name else ""
        raise ConfigurationError(
            "--plan", f"has no relay{named}{of}: no aws_lambda_function with the handler {HANDLERS['relay']}"
        )
    return tuple(stacks)


def _stack(
    document: PlanDocument, relay: Resource, taken_at: datetime, expected_code: tuple[str, ...] | None
) -> Stack:
    function = read_function(relay)
    configuration = _configuration(function)
    table = _table(document, configuration)
    role = _role(document, relay)
    topics = _topics(document, configuration)
    unknown = {
        "clock_skew_seconds": "a plan has no clock",
        "expected_code": "this library has no package at hand to compare with",
        "place": "account and Region are not in the plan",
        "role": _ELSEWHERE,
        "table": "its name is not known",
        "topics": "OUTBOX_ALLOWED_TOPICS is not set, and no topic of the prefix is in the plan",
    }
    return Stack(
        name=relay.address,
        unknown=unknown,
        source="plan",
        taken_at=taken_at,
        table=table,
        function=function,
        mappings=_mappings(document, relay),
        role=role,
        topics=topics,
        keys=_keys(document, table, topics),
        sweeper=_sweeper(document, relay),
        place=_place(document, role),
        expected_code=expected_code,
    )


def _configuration(function: FunctionFacts) -> RelayConfiguration | None:
    try:
        return None if function.variables is None else parse_environment(function.variables)
    except ConfigurationError:
        return None


def _table(document: PlanDocument, configuration: RelayConfiguration | None) -> TableFacts | None:
    if configuration is None:
        return None
    name = str(configuration.dynamodb_outbox_table_name)
    for each in document.of_type("aws_dynamodb_table"):
        if each.values.get("name") == name:
            return read_table(each)
    return TableFacts(name=f"table {name}", table_name=name, unknown={"*": _ELSEWHERE})


def _mappings(document: PlanDocument, relay: Resource) -> tuple[MappingFacts, ...]:
    """Give the mappings of the relay, and those that read what one of them reads."""
    resources = document.of_type("aws_lambda_event_source_mapping")
    own = [each for each in resources if _invokes(document, each, relay)]
    sources = {each.values.get("event_source_arn") for each in own} - {None}
    sharing = [
        each for each in resources if each not in own and each.values.get("event_source_arn") in sources
    ]
    name = relay.values.get("function_name")
    read = [read_mapping(each, name, relays=True) for each in own]
    for each in sharing:
        function = next(
            (one for one in document.of_type("aws_lambda_function") if _invokes(document, each, one)), None
        )
        is_relay = None if function is None else function.values.get("handler") == HANDLERS["relay"]
        other = each.address if function is None else function.values.get("function_name")
        read.append(read_mapping(each, other, relays=is_relay))
    return tuple(read)


def _invokes(document: PlanDocument, mapping: Resource, function: Resource) -> bool:
    named = mapping.values.get("function_name")
    if isinstance(named, str):
        return named.split(":function:")[-1].split(":")[0] == function.values.get("function_name")
    return document.refers(mapping, "function_name", function)


def _role(document: PlanDocument, relay: Resource) -> RoleFacts | None:
    named = relay.values.get("role")
    for each in document.of_type("aws_iam_role"):
        is_it = document.refers(relay, "role", each)
        if is_it or (isinstance(named, str) and named.endswith(f"/{each.values.get('name')}")):
            return read_policies(document, each)
    return None


def _topics(
    document: PlanDocument, configuration: RelayConfiguration | None
) -> tuple[TopicFacts, ...] | None:
    if configuration is None:
        return None
    prefix, allowed = configuration.aws_sns_topic_prefix, configuration.outbox_allowed_topics
    made = {each.values.get("name"): each for each in document.of_type("aws_sns_topic")}
    if allowed is None:
        names = sorted(name for name in made if prefix and isinstance(name, str) and name.startswith(prefix))
        if not names:
            return None
    else:
        routes = [parsed for route in sorted(allowed) if (parsed := parse_route(route))]
        names = [f"{prefix}{name}" for kind, name in routes if kind is SNS]
    return tuple(
        read_topic(document, made[name])
        if name in made
        else TopicFacts(name=f"topic {name}", topic_name=name, unknown={"*": _ELSEWHERE})
        for name in names
    )


def _keys(
    document: PlanDocument, table: TableFacts | None, topics: tuple[TopicFacts, ...] | None
) -> tuple[KeyFacts, ...]:
    """Give the customers' keys of table and topics, as far as they are known."""
    used: dict[str, str] = {}
    for used_by, key in [
        *([(table.name, table.encryption_key)] if table is not None else []),
        *((topic.name, topic.encryption_key) for topic in topics or ()),
    ]:
        if key and not key.startswith("alias/aws/"):
            used.setdefault(key, used_by)
    made = {each.values.get("arn"): each for each in document.of_type("aws_kms_key")}
    return tuple(_key(arn, used_by, made.get(arn)) for arn, used_by in used.items())


def _key(arn: str, used_by: str, resource: Resource | None) -> KeyFacts:
    if resource is None:
        return KeyFacts(name=f"key {arn}", arn=arn, used_by=used_by, unknown={"*": _ELSEWHERE})
    policy, enabled = resource.values.get("policy"), resource.values.get("is_enabled")
    return KeyFacts(
        name=resource.address,
        arn=arn,
        used_by=used_by,
        state=None if enabled is None else "Enabled" if enabled else "Disabled",
        policy=json.loads(policy) if isinstance(policy, str) and policy else None,
        unknown={"*": AFTER_APPLY},
    )


def _sweeper(document: PlanDocument, relay: Resource) -> SweeperFacts:
    """Find the sweeper: the function of that entry point for the same table."""
    own = read_function(relay).variables or {}
    table = own.get("DYNAMODB_OUTBOX_TABLE_NAME")
    for each in document.of_type("aws_lambda_function"):
        if each.values.get("handler") != HANDLERS["sweeper"]:
            continue
        function = read_function(each)
        variables: Mapping[str, Any] = function.variables or {}
        if variables.get("DYNAMODB_OUTBOX_TABLE_NAME") == table or each.module == relay.module:
            return SweeperFacts(
                name=each.address,
                function_name=function.function_name,
                exists=True,
                runs=_is_scheduled(document, each),
                variables=function.variables,
                unknown={"runs": "its schedule is not in the plan", "*": AFTER_APPLY},
            )
    return SweeperFacts(name=f"{relay.address}'s sweeper", function_name="in the plan", exists=False)


def _is_scheduled(document: PlanDocument, sweeper: Resource) -> bool | None:
    schedules = [each for each in document.of_type("aws_scheduler_schedule") if each.module == sweeper.module]
    for each in schedules:
        target = each.block("target") or {}
        arn = target.get("arn")
        if not isinstance(arn, str) or arn.endswith(f":{sweeper.values.get('function_name')}"):
            return bool(each.values.get("state", "ENABLED") == "ENABLED")
    rules = document.of_type("aws_cloudwatch_event_rule")
    return None if rules else False


def _place(document: PlanDocument, role: RoleFacts | None) -> Place | None:
    """Read account and Region out of an ARN that is known: policies name the table."""
    texts = [json.dumps(dict(role.policies))] if role is not None and role.policies else []
    texts += [
        str(each.values.get(name, ""))
        for each in document.resources
        for name in ("arn", "stream_arn", "event_source_arn", "policy")
    ]
    found = _PLACE.search("\n".join(texts))
    if found is None:
        return None
    return Place(partition=Partition(found[1]), region=Region(found[2]), account_id=AccountId(found[3]))
