"""Reads a stack out of an account, call by call; what is refused or missing is told with the facts."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, NamedTuple

from outbox_sdk.core.doctor.facts import (
    FunctionFacts,
    KeyFacts,
    MappingFacts,
    RoleFacts,
    SweeperFacts,
    TableFacts,
    TopicFacts,
)
from outbox_sdk.core.doctor.live import (
    function_name_of,
    read_document,
    read_function,
    read_key,
    read_mapping,
    read_table,
    read_topic,
)
from outbox_sdk.core.doctor.reads import READS
from outbox_sdk.core.errors import OutboxError
from outbox_sdk.core.function import HANDLERS
from outbox_sdk.core.place import Place
from outbox_sdk.core.table import PARKED, TableDesign
from outbox_sdk.shell.aws.access import AwsAccess
from outbox_sdk.shell.aws.errors import is_call_error, translate_error
from outbox_sdk.shell.aws.session import open_client, patient_config

__all__ = ["Answer", "StackReader"]

_ACTIONS = {(each.service, each.method): each.action for each in READS}
_ABSENT = ("NoSuchEntity", "NotFound", "NotFoundException", "ResourceNotFoundException")
_SAMPLE = 25
"""So many parked items are asked why they are."""


class Answer(NamedTuple):
    """What a call gave: an answer, or none and why. ``absent`` is what AWS says is not there.

    ``received`` is when the answer was here, by this machine's clock.
    """

    value: Mapping[str, Any] | None
    reason: str = ""
    absent: bool = False
    received: datetime | None = None


class StackReader:
    """Reads the parts of a stack; good for one event loop, and for as long as ``clients`` is open."""

    def __init__(self, access: AwsAccess, clients: AsyncExitStack) -> None:
        self.is_local: bool = access.endpoint_url is not None
        self._access = access
        self._stack = clients
        self._clients: dict[str, Any] = {}
        self._functions: dict[str, FunctionFacts] = {}

    async def ask(self, service: str, method: str, **arguments: Any) -> Answer:
        """Make one call, of those that are listed.

        Raises:
            OutboxError: nobody answers, or there are no credentials that are good.
        """
        action = _ACTIONS[service, method]
        if service not in self._clients:
            client = open_client(service, self._access, config=patient_config())
            self._clients[service] = await self._stack.enter_async_context(client)
        try:
            value = await getattr(self._clients[service], method)(**arguments)
        except Exception as error:
            if not is_call_error(error):
                raise
            fault = translate_error(error)
            advice = _ADVICE.get(fault.code)
            if advice is not None:
                raise OutboxError(f"{action} failed with {fault.code}: {advice}") from error
            return Answer(None, f"{action} failed with {fault.code}", fault.code in _ABSENT)
        return Answer(value, received=datetime.now(UTC))

    async def pages(self, service: str, method: str, field: str, token: str, **arguments: Any) -> Answer:
        """Collect all pages of a list into one answer."""
        found: list[Any] = []
        more: dict[str, Any] = {}
        while True:
            answer = await self.ask(service, method, **arguments, **more)
            if answer.value is None:
                return answer
            found += answer.value.get(field) or ()
            following = answer.value.get(f"Next{token}") or answer.value.get(token)
            if not following or more.get(token) == following:
                return Answer({field: found})
            more = {token: following}

    async def read_table(self, name: str) -> tuple[TableFacts, Answer]:
        """Read a table, but for its items; give the answer as well, for the time that it was given."""
        described = await self.ask("dynamodb", "describe_table", TableName=name)
        if described.value is None:
            facts = TableFacts(
                name=f"table {name}",
                table_name=name,
                exists=False if described.absent else None,
                unknown={"*": described.reason},
            )
            return facts, described
        ttl = await self.ask("dynamodb", "describe_time_to_live", TableName=name)
        backups = await self.ask("dynamodb", "describe_continuous_backups", TableName=name)
        unknown = {
            "ttl_attribute": ttl.reason,
            "recovery": backups.reason,
            "constant_markers": "the design of its items is not known",
            "park_reasons": "the design of its items is not known",
        }
        table = read_table(described.value["Table"], ttl=ttl.value, backups=backups.value, unknown=unknown)
        return table, described

    async def read_items(self, table: str, design: TableDesign) -> dict[str, Any]:
        """Look into the index: does an item have the marker ``x``, and why are some parked?"""
        facts: dict[str, Any] = {}
        unknown: dict[str, str] = {}
        constant = await self._query(table, design, "x", limit=1)
        unknown["constant_markers"] = constant.reason
        facts["constant_markers"] = None if constant.value is None else bool(constant.value["Items"])
        parked = await self._query(table, design, PARKED, limit=_SAMPLE)
        reasons, why = None, parked.reason
        if parked.value is not None:
            reasons, why = await self._reasons(table, design, list(parked.value["Items"]))
        facts["park_reasons"] = reasons
        unknown["park_reasons"] = why
        return {**facts, "unknown": unknown}

    async def _query(self, table: str, design: TableDesign, marker: str, *, limit: int) -> Answer:
        return await self.ask(
            "dynamodb",
            "query",
            TableName=table,
            IndexName=design.outstanding_index,
            KeyConditionExpression="#marker = :marker",
            ExpressionAttributeNames={"#marker": design.not_dispatched},
            ExpressionAttributeValues={":marker": {"S": marker}},
            Limit=limit,
        )

    async def _reasons(
        self, table: str, design: TableDesign, items: list[Mapping[str, Any]]
    ) -> tuple[tuple[str, ...] | None, str]:
        if not items:
            return (), ""
        names = [name for name in (design.partition_key, design.sort_key) if name is not None]
        request = {
            "Keys": [{name: item[name] for name in names} for item in items],
            "ProjectionExpression": "#reason",
            "ExpressionAttributeNames": {"#reason": design.park_reason},
        }
        answer = await self.ask("dynamodb", "batch_get_item", RequestItems={table: request})
        if answer.value is None:
            return None, answer.reason
        found = answer.value["Responses"].get(table, [])
        return tuple(str(each.get(design.park_reason, {}).get("S", "")) for each in found), ""

    async def read_function(self, name: str) -> FunctionFacts:
        """Read a function, once."""
        if name not in self._functions:
            answer = await self.ask("lambda", "get_function", FunctionName=name)
            if answer.value is None:
                self._functions[name] = FunctionFacts(
                    name=f"function {name}",
                    function_name=name,
                    exists=False if answer.absent else None,
                    unknown={"*": answer.reason},
                )
            else:
                self._functions[name] = read_function(answer.value)
        return self._functions[name]

    async def list_mappings(
        self, table_name: str, stream_arn: str | None, function_name: str | None
    ) -> tuple[tuple[MappingFacts, ...] | None, str]:
        """List the mappings of a stream, and those of a function with any stream of the table."""
        found: dict[str, Mapping[str, Any]] = {}
        asked = [("EventSourceArn", stream_arn), ("FunctionName", function_name)]
        for argument, value in asked:
            if not value:
                continue
            answer = await self.pages(
                "lambda", "list_event_source_mappings", "EventSourceMappings", "Marker", **{argument: value}
            )
            if answer.value is None and not answer.absent:
                return None, answer.reason
            for each in (answer.value or {}).get("EventSourceMappings", ()):
                if f":table/{table_name}/" in each.get("EventSourceArn", ""):
                    found[each["UUID"]] = each
        alive = [each for each in found.values() if each.get("State") != "Deleting"]
        return tuple([await self._mapping(each) for each in alive]), ""

    async def _mapping(self, found: Mapping[str, Any]) -> MappingFacts:
        function = await self.read_function(function_name_of(str(found.get("FunctionArn", ""))))
        relays = None if function.handler is None else function.handler == HANDLERS["relay"]
        return read_mapping(found, relays=relays, is_local=self.is_local)

    async def read_role(self, arn: str) -> RoleFacts:
        """Read all policies of a role."""
        name = arn.rpartition("/")[2]
        policies: dict[str, Mapping[str, Any]] = {}
        reasons = [
            await self._inline_policies(name, policies),
            await self._attached_policies(name, policies),
        ]
        refused = next((reason for reason in reasons if reason), "")
        return RoleFacts(
            name=f"role {name}",
            role_name=name,
            arn=arn,
            policies=None if refused else policies,
            unknown={"policies": refused},
        )

    async def _inline_policies(self, role: str, into: dict[str, Mapping[str, Any]]) -> str:
        names = await self.pages("iam", "list_role_policies", "PolicyNames", "Marker", RoleName=role)
        for name in (names.value or {}).get("PolicyNames", ()):
            answer = await self.ask("iam", "get_role_policy", RoleName=role, PolicyName=name)
            if answer.value is None:
                return answer.reason
            into[str(name)] = read_document(answer.value["PolicyDocument"])
        return names.reason

    async def _attached_policies(self, role: str, into: dict[str, Mapping[str, Any]]) -> str:
        attached = await self.pages(
            "iam", "list_attached_role_policies", "AttachedPolicies", "Marker", RoleName=role
        )
        for each in (attached.value or {}).get("AttachedPolicies", ()):
            arn = each["PolicyArn"]
            policy = await self.ask("iam", "get_policy", PolicyArn=arn)
            if policy.value is None:
                return policy.reason
            version = await self.ask(
                "iam",
                "get_policy_version",
                PolicyArn=arn,
                VersionId=policy.value["Policy"]["DefaultVersionId"],
            )
            if version.value is None:
                return version.reason
            into[str(each["PolicyName"])] = read_document(version.value["PolicyVersion"]["Document"])
        return attached.reason

    async def read_topic(self, name: str, place: Place) -> TopicFacts:
        """Read a topic with its subscriptions."""
        arn = place.arn("sns", name)
        answer = await self.ask("sns", "get_topic_attributes", TopicArn=arn)
        if answer.value is None:
            return TopicFacts(
                name=f"topic {name}",
                topic_name=name,
                arn=arn,
                exists=False if answer.absent else None,
                unknown={"*": answer.reason},
            )
        listed = await self.pages(
            "sns", "list_subscriptions_by_topic", "Subscriptions", "NextToken", TopicArn=arn
        )
        return read_topic(
            name,
            answer.value["Attributes"],
            None if listed.value is None else listed.value["Subscriptions"],
        )

    async def read_key(self, used_by: str, key: str) -> KeyFacts | None:
        """Read a key by whatever names it; ``None`` if it is one of AWS's own."""
        answer = await self.ask("kms", "describe_key", KeyId=key)
        if answer.value is None:
            return KeyFacts(name=f"key {key}", arn=key, used_by=used_by, unknown={"*": answer.reason})
        metadata = answer.value["KeyMetadata"]
        if metadata.get("KeyManager") == "AWS":
            return None
        policy = await self.ask("kms", "get_key_policy", KeyId=metadata["KeyId"], PolicyName="default")
        document = None if policy.value is None else policy.value["Policy"]
        return read_key(used_by, metadata, document, {"policy": policy.reason})

    async def read_sweeper(self, name: str) -> SweeperFacts:
        """Read the sweeper, and whether its schedule is on."""
        function = await self.read_function(name)
        runs, why = None, f"nobody knows what invokes {name}"
        # `outbox deploy` calls the schedule as the function, Terraform and SAM after the stack.
        for schedule in dict.fromkeys((name, f"{name.removesuffix('-sweeper')}-sweep")):
            answer = await self.ask("scheduler", "get_schedule", Name=schedule)
            if answer.value is not None:
                runs = answer.value.get("State", "ENABLED") == "ENABLED"
                break
            why = answer.reason if not answer.absent else f"there is no schedule {schedule}"
        return SweeperFacts(
            name=f"function {name}",
            function_name=name,
            exists=function.exists,
            runs=runs,
            variables=function.variables,
            unknown={**function.unknown, "runs": why},
        )


_NEW_CREDENTIALS = "log in again, or name another profile"
_GOOD_CREDENTIALS = "the access key is none of this account and partition; name another profile"
_CLOCK = "the secret is wrong, or this machine's clock is minutes off"
_ADVICE = {
    "ConnectionFailed": "is the endpoint right, and does it still run?",
    "Timeout": "is the endpoint right, and does it still run?",
    "NoCredentials": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile",
    "ExpiredToken": _NEW_CREDENTIALS,
    "ExpiredTokenException": _NEW_CREDENTIALS,
    "InvalidClientTokenId": _GOOD_CREDENTIALS,
    "UnrecognizedClientException": _GOOD_CREDENTIALS,
    "InvalidSignatureException": _CLOCK,
    "RequestExpired": _CLOCK,
    "SignatureDoesNotMatch": _CLOCK,
}
"""What keeps every call from being made; one that is refused by itself is told with the facts."""
