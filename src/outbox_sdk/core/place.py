"""Where a deployment is, and what AWS calls the things there."""

import msgspec

from outbox_sdk.core.identifiers import AccountId, Partition, Region

__all__ = ["Place"]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything is: table, topics and functions share one account and one Region."""

    partition: Partition = Partition("aws")
    region: Region
    account_id: AccountId

    def arn(self, service: str, resource: str) -> str:
        """Name a resource of this place.

        >>> Place(region=Region("eu-west-1"), account_id=AccountId("123456789012")).arn("sns", "orders")
        'arn:aws:sns:eu-west-1:123456789012:orders'
        """
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"

    def role_arn(self, name: str) -> str:
        """Name a role of the account."""
        return f"arn:{self.partition}:iam::{self.account_id}:role/{name}"

    def endpoint(self, service: str) -> str:
        """Name a service as the conditions of a policy do."""
        suffix = "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"
        return f"{service}.{self.region}.{suffix}"
