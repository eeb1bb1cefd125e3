"""The steps of a deployment, each in three: look, let the core decide, call."""

import asyncio
import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outbox_sdk.core.deployment import Call, Code, Deployment, check_owner
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import AccountId, Partition, Region
from outbox_sdk.core.place import Place
from outbox_sdk.core.roles import RoleDesign, function_role, plan_narrowing, plan_role, schedule_role
from outbox_sdk.core.rollout import plan_function, plan_mapping, plan_schedule
from outbox_sdk.provisioning.execution import Execution
from outbox_sdk.provisioning.found import (
    find_function,
    find_mapping,
    find_other_relay,
    find_role,
    find_role_policy,
    find_schedule,
    settle_function,
    wait_for_function,
    wait_for_mapping,
)
from outbox_sdk.provisioning.table import complete_table, find_table

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient
    from types_aiobotocore_iam import IAMClient
    from types_aiobotocore_lambda import LambdaClient
    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_scheduler import EventBridgeSchedulerClient

__all__ = ["Deployer"]


@dataclass(frozen=True, slots=True)
class Deployer:
    """The deployment of one function under way: what it is to be, the clients, and the calls made so far."""

    functions: "LambdaClient"
    iam: "IAMClient"
    dynamodb: "DynamoDBClient"
    s3: "S3Client"
    deployment: Deployment
    execution: Execution

    async def check_names(self, *roles: str) -> bool:
        """See that what has the names of function and roles is this table's; tell if the function is there.

        Raises:
            ConfigurationError: one of them is somebody else's.
        """
        name, table_name = self.deployment.function_name, self.deployment.table_name
        function = await find_function(self.functions, name)
        if function is not None:
            check_owner("function", name, function.get("Tags") or {}, table_name)
        for role in roles:
            found = await find_role(self.iam, role)
            if found is not None:
                tags = {tag["Key"]: tag["Value"] for tag in found.get("Tags") or ()}
                check_owner("role", role, tags, table_name)
        return function is not None

    async def refuse_second_relay(self, stream_arn: str) -> None:
        """See that no other function relays the table.

        Raises:
            ConfigurationError: one does, and everything would be sent twice.
        """
        name, table_name = self.deployment.function_name, self.deployment.table_name
        other = await find_other_relay(self.functions, name, stream_arn, table_name)
        if other is not None:
            raise ConfigurationError(
                "function_name",
                f"the table {table_name} is relayed by {other} already, and two would send everything twice; "
                "destroy that one first",
            )

    async def ensure_table(self, *, create: bool) -> tuple[Place, str | None]:
        """Have the table; give where it is, and its stream, which a dry run may not know."""
        table_name, design = self.deployment.table_name, self.deployment.configuration.outbox_table_design
        if create:
            await complete_table(self.dynamodb, table_name, design, self.execution)
            if self.execution.dry_run and any(call.method == "create_table" for call in self.execution.calls):
                return self._expected_place(), None
        table = await find_table(self.dynamodb, table_name, design)
        _, partition, _, region, account_id, _ = table["TableArn"].split(":", 5)
        place = Place(partition=Partition(partition), region=Region(region), account_id=AccountId(account_id))
        if self.functions.meta.region_name != region:
            raise ConfigurationError(
                "AWS_REGION",
                f"the table is in {region} and the function would be in {self.functions.meta.region_name}; "
                "Lambda reads streams of its own Region only",
            )
        return place, str(table["LatestStreamArn"])

    def _expected_place(self) -> Place:
        account_id = self.deployment.configuration.aws_account_id
        if account_id is None:
            raise ConfigurationError(
                "AWS_ACCOUNT_ID", "is not set; without the table, a dry run cannot tell the account otherwise"
            )
        meta = self.dynamodb.meta
        return Place(
            partition=Partition(meta.partition), region=Region(meta.region_name), account_id=account_id
        )

    async def ensure_function(self, place: Place, package: Path, *, bucket: str | None) -> None:
        """Have the function with its role; the policy is narrowed when the function has followed."""
        found_policy = await self._ensure_role(function_role(self.deployment, place))
        await self._ensure_function(place, package, bucket=bucket)
        await self.execution.run(*plan_narrowing(found_policy, function_role(self.deployment, place)))

    async def ensure_schedule(
        self, scheduler: "EventBridgeSchedulerClient", place: Place, *, minutes: int
    ) -> None:
        """Have the schedule that invokes the function, and its role."""
        wanted = schedule_role(self.deployment, place)
        found_policy = await self._ensure_role(wanted)
        await self.execution.run(*plan_narrowing(found_policy, wanted))
        found = await find_schedule(scheduler, self.deployment.function_name)
        await self.execution.run(*plan_schedule(found, self.deployment, place, minutes=minutes))

    async def _ensure_role(self, wanted: RoleDesign) -> dict[str, Any] | None:
        role = await find_role(self.iam, wanted.name)
        policy = None if role is None else await find_role_policy(self.iam, wanted.name)
        await self.execution.run(*plan_role(role, policy, wanted, self.deployment.table_name))
        return policy

    async def _ensure_function(self, place: Place, package: Path, *, bucket: str | None) -> None:
        """Have the function, with the package and the settings wanted, and wait until it runs with them."""
        name, waits = self.deployment.function_name, not self.execution.dry_run
        content = await asyncio.to_thread(package.read_bytes)
        code = _code(content, bucket)
        # A deployment that was interrupted may have left it at work on a change.
        find = settle_function if waits else find_function
        found = await find(self.functions, name)
        calls = plan_function(found, self.deployment, place, code)
        if code.bucket is not None and any(
            "Code" in call.request or "S3Key" in call.request for call in calls
        ):
            await self._upload(code, content)
        for call in calls:
            await self.execution.run(call)
            if waits:
                await wait_for_function(self.functions, name)

    async def _upload(self, code: Code, content: bytes) -> None:
        where: dict[str, Any] = {"Bucket": code.bucket, "Key": code.key}
        try:
            await self.s3.head_object(**where)
        except self.s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] not in ("404", "NoSuchKey", "NotFound"):
                raise
            request = {**where, "Body": content}
            await self.execution.run(Call("s3", "put_object", request, "the package is not in the bucket"))

    async def ensure_mapping(self, stream_arn: str | None) -> str | None:
        """Have the mapping, and wait until it reads; give its id, which a dry run may not know."""
        name, found = self.deployment.function_name, None
        if stream_arn is not None:
            found = await find_mapping(self.functions, name, stream_arn)
        await self.execution.run(*plan_mapping(found, self.deployment, stream_arn or "<of the new table>"))
        if self.execution.dry_run or stream_arn is None:
            return None if found is None else str(found["UUID"])
        state = "Disabled" if self.deployment.paused else "Enabled"
        return await wait_for_mapping(self.functions, name, stream_arn, state=state)


def _code(content: bytes, bucket: str | None) -> Code:
    digest = hashlib.sha256(content)
    sha256 = base64.b64encode(digest.digest()).decode()
    if bucket is None:
        return Code(sha256=sha256, zip_file=content)
    return Code(sha256=sha256, bucket=bucket, key=f"outbox-sdk/{digest.hexdigest()}.zip")
