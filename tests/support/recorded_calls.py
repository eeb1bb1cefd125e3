"""Judges every AWS call that the package makes in a role by the policy that the package writes for the role.

What a person's command calls is judged by the policy that the package writes for who uses it. A call is
made in a role while :func:`relay_batch`, :meth:`Relay.follow`, :meth:`Relay.sweep` or
:meth:`Relay.sweep_claims` is at work. Its policy is written from the context that these work with,
attributes confined, which is the narrower form. Calls of the tests' own clients are nobody's, and so are
those of the demo's, which tries more than once.
"""

import functools
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl
from weakref import WeakSet

from aiobotocore.client import AioBaseClient

import outbox_sdk.shell.relay as relay_module
from outbox_sdk.core.configuration import RelayConfiguration
from outbox_sdk.core.mark import MarkStrategy
from outbox_sdk.core.operations import Role
from outbox_sdk.core.operator_rights import OPERATOR_RIGHTS, operator_policy
from outbox_sdk.core.permissions import Grants, policy_document
from outbox_sdk.core.place import Place
from outbox_sdk.core.routing import Routing
from outbox_sdk.shell.admin import Admin, AdminContext
from outbox_sdk.shell.aws.service import AwsService
from outbox_sdk.shell.context import RelayContext
from outbox_sdk.shell.relay import Relay
from tests.support.iam import AccessRequest, find_uses
from tests.support.iam_requests import Caller, requests_of

__all__ = [
    "PolicyError",
    "check_calls",
    "count_calls",
    "excuse",
    "install",
    "merge_calls",
    "policy_of",
    "take_findings",
]

_findings: list[str] = []
_calls: Counter[str] = Counter()
_iterators: dict[str, str] = {}
_excused: WeakSet[AwsService] = WeakSet()
_listeners: list[list[tuple[Role, AccessRequest]]] = []


class PolicyError(AssertionError):
    """A call was made that the policy of its role does not allow."""


@dataclass(frozen=True, slots=True)
class _Acting:
    role: Role
    context: RelayContext
    publishes: bool = False
    claims: tuple[str, str] | None = None


_acting: ContextVar[_Acting | None] = ContextVar("acting", default=None)
_operating: ContextVar[tuple[str, AdminContext] | None] = ContextVar("operating", default=None)


def policy_of(
    role: Role, context: RelayContext, *, publishes: bool = False, claims: tuple[str, str] | None = None
) -> Mapping[str, Any]:
    """Write the policy of a role from what a relay holds, as a deployment of that relay would.

    ``claims`` are the bucket and the prefix of claimed bodies, of a sweeper that sweeps them.
    """
    fields: dict[str, Any] = {}
    if claims is not None:
        fields = {"outbox_claim_bucket": claims[0], "outbox_claim_prefix": claims[1]}
    return _write_policy(
        role,
        context.wrapping.routing,
        publishes,
        dynamodb_outbox_table_name=context.table_name,
        outbox_mark_strategy=_strategy_of(context),
        outbox_skip_mark_messages_as_dispatched=context.marker is None,
        outbox_dispatched_ttl_days=context.ttl_days,
        outbox_table_design=context.design,
        **fields,
    )


@functools.lru_cache(maxsize=64)
def _write_policy(role: Role, routing: Routing, publishes: bool, **fields: Any) -> dict[str, Any]:
    configuration = RelayConfiguration(
        aws_sns_topic_prefix=routing.prefix, outbox_allowed_topics=routing.allowed, **fields
    )
    place = Place(partition=routing.partition, region=routing.region, account_id=routing.account_id)
    grants = Grants(
        function_name=role, sweeps_publish=publishes, confine_attributes=True, allow_any_topic=True
    )
    return policy_document(role, configuration, place, grants)


def _strategy_of(context: RelayContext) -> MarkStrategy:
    if context.marker is None:
        return "batch"
    if context.marker.deletes:
        return "delete"
    return "single" if context.marker.request_size == 1 else "batch"


@functools.cache
def install() -> None:
    """Judge the calls of this process from now on; before anything imports ``relay_batch`` by name."""
    patch.object(relay_module, "relay_batch", _in_role(relay_module.relay_batch, "relay")).start()
    patch.object(Relay, "follow", _in_role(Relay.follow, "follower")).start()
    patch.object(Relay, "sweep", _in_role(Relay.sweep, "sweeper")).start()
    patch.object(Relay, "read_backlog_size", _in_role(Relay.read_backlog_size, "sweeper")).start()
    patch.object(Relay, "sweep_claims", _in_role(Relay.sweep_claims, "sweeper", claims=True)).start()
    for command in set(OPERATOR_RIGHTS) & set(dir(Admin)):
        patch.object(Admin, command, _as_operator(getattr(Admin, command), command)).start()
    clients: Any = AioBaseClient  # whose types leave the method out that every call goes through
    patch.object(clients, "_make_api_call", _judged(clients._make_api_call)).start()
    patch.object(AwsService, "post", _judged_post(AwsService.post)).start()


def _in_role(function: Any, role: Role, *, claims: bool = False) -> Any:
    @functools.wraps(function)
    async def acting(first: Any, *args: Any, **kwargs: Any) -> Any:
        context = first.context if isinstance(first, Relay) else first
        place = _claims_of(first) if claims else None
        with _act(_Acting(role, context, bool(kwargs.get("publish")), place)):
            return await function(first, *args, **kwargs)

    return acting


def _as_operator(method: Any, command: str) -> Any:
    @functools.wraps(method)
    async def operating(admin: Admin, *args: Any, **kwargs: Any) -> Any:
        token = _operating.set((command, admin.context))
        try:
            return await method(admin, *args, **kwargs)
        finally:
            _operating.reset(token)

    return operating


def _claims_of(relay: Relay) -> tuple[str, str] | None:
    configuration = relay._configuration
    if configuration is None or configuration.outbox_claim_bucket is None:
        return None
    return configuration.outbox_claim_bucket, configuration.outbox_claim_prefix


@contextmanager
def _act(acting: _Acting) -> Iterator[None]:
    # What a follower relays, it relays as a follower.
    outer = _acting.get()
    token = _acting.set(outer if outer is not None and outer.role == "follower" else acting)
    try:
        yield
    finally:
        _acting.reset(token)


def _judged(make_api_call: Any) -> Any:
    @functools.wraps(make_api_call)
    async def judge(client: Any, operation_name: str, api_params: Mapping[str, Any]) -> Any:
        ours = client.meta.config.user_agent_extra == "dynamodb-outbox-sdk"
        if ours:
            try:
                _judge_client(client, operation_name, api_params)
            except Exception as error:  # in the caller's hands it would become an outcome, and be lost
                _findings.append(f"{operation_name} could not be judged: {type(error).__name__}: {error}")
        answer = await make_api_call(client, operation_name, api_params)
        if ours:
            _remember_iterator(api_params, answer)
        return answer

    return judge


def _judged_post(post: Any) -> Any:
    @functools.wraps(post)
    async def judge(service: AwsService, body: bytes, headers: Mapping[str, str]) -> Any:
        try:
            operation_name, parameters = _read_call(body, headers)
            if service not in _excused:
                _judge(service.name, service.region, operation_name, parameters)
        except Exception as error:  # as above
            _findings.append(f"a call of {service.name} could not be judged: {type(error).__name__}: {error}")
        return await post(service, body, headers)

    return judge


def _read_call(body: bytes, headers: Mapping[str, str]) -> tuple[str, Mapping[str, Any]]:
    target = headers.get("X-Amz-Target")
    if target is not None:
        return target.rpartition(".")[2], json.loads(body)
    fields = dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True))
    return fields["Action"], fields


def _judge_client(client: Any, operation_name: str, api_params: Mapping[str, Any]) -> None:
    service = client.meta.service_model.service_name
    if _acting.get() is None and _operating.get() is None:
        # A relay's clients leave retries to the relay. It asks who it is before it is one.
        relays = client.meta.config.retries["total_max_attempts"] == 1
        if relays and operation_name != "GetCallerIdentity":
            _findings.append(f"{service} {operation_name} was called by a relay's client in no role")
        return
    _judge(service, client.meta.region_name, operation_name, api_params)


def _judge_operator(service: str, operation_name: str, api_params: Mapping[str, Any]) -> None:
    operating = _operating.get()
    assert operating is not None
    command, context = operating
    caller = Caller("eu-west-1", "123456789012", iterators=_iterators)
    policy = operator_policy(
        caller.table(context.table_name), context.design.outstanding_index, commands=[command]
    )
    _calls[f"{command} {service} {operation_name}"] += 1
    for request in requests_of(service, operation_name, api_params, caller):
        # The stream's ARN is the server's, with an account and a Region of its own.
        resource = re.sub(r"^arn:[^:]*:dynamodb:[^:]*:[^:]*:", caller.arn("dynamodb", ""), request.resource)
        if not find_uses(policy, AccessRequest(request.action, resource, request.keys)):
            _findings.append(f"the policy of `outbox {command}` denies {_describe(request)}")


def _judge(service: str, region: str, operation_name: str, api_params: Mapping[str, Any]) -> None:
    acting = _acting.get()
    if acting is None and _operating.get() is not None:
        _judge_operator(service, operation_name, api_params)
        return
    if acting is None:
        _findings.append(f"{service} {operation_name} was called by a relay in no role")
        return
    routing = acting.context.wrapping.routing
    caller = Caller(region, routing.account_id, routing.partition, _iterators)
    policy = policy_of(acting.role, acting.context, publishes=acting.publishes, claims=acting.claims)
    _calls[f"{acting.role} {service} {operation_name}"] += 1
    requests = requests_of(service, operation_name, api_params, caller)
    for heard in _listeners:
        heard.extend((acting.role, request) for request in requests)
    _findings.extend(
        f"the policy of the {acting.role} denies {_describe(request)}"
        for request in requests
        if not find_uses(policy, request)
    )


def _describe(request: AccessRequest) -> str:
    named = request.keys.get("dynamodb:Attributes")
    return f"{request}, attributes {', '.join(named)}" if named else str(request)


def _remember_iterator(api_params: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    stream = api_params.get("StreamArn") or _iterators.get(api_params.get("ShardIterator", ""))
    iterator = answer.get("ShardIterator") or answer.get("NextShardIterator")
    if stream and iterator:
        _iterators[iterator] = stream


def count_calls() -> Mapping[str, int]:
    """Count the calls that were judged, by role, service and operation."""
    return dict(_calls)


@contextmanager
def listen() -> Iterator[list[tuple[Role, AccessRequest]]]:
    """Give a list that fills with what IAM is asked, and in which role, for the length of the block."""
    heard: list[tuple[Role, AccessRequest]] = []
    _listeners.append(heard)
    try:
        yield heard
    finally:
        _listeners.remove(heard)


def excuse(*services: AwsService) -> None:
    """Judge no call of these: a test makes them, and no relay."""
    _excused.update(services)


def take_findings() -> list[str]:
    """Give what was found since the last time, each once and in order."""
    findings = list(dict.fromkeys(_findings))
    _findings.clear()
    return findings


def merge_calls(findings: list[str], calls: Mapping[str, int]) -> None:
    """Add what another process has found and counted."""
    _findings.extend(findings)
    _calls.update(calls)


def check_calls() -> None:
    """Fail if anything was found since the last time.

    Raises:
        PolicyError: with a sentence for each call that is not allowed.
    """
    if findings := take_findings():
        raise PolicyError("; ".join(findings))
