"""Every call that the doctor makes, as data: what it needs to be allowed, and the policy that allows it."""

from typing import Any

import msgspec

from outbox_sdk.core.place import Place
from outbox_sdk.core.table import TableDesign

__all__ = ["READS", "Read", "doctor_policy"]


class Read(msgspec.Struct, frozen=True):
    """A call by botocore's names of service and method, and the IAM action that it needs."""

    service: str
    method: str
    action: str


READS: tuple[Read, ...] = (
    Read("dynamodb", "describe_table", "dynamodb:DescribeTable"),
    Read("dynamodb", "describe_time_to_live", "dynamodb:DescribeTimeToLive"),
    Read("dynamodb", "describe_continuous_backups", "dynamodb:DescribeContinuousBackups"),
    Read("dynamodb", "query", "dynamodb:Query"),
    Read("dynamodb", "batch_get_item", "dynamodb:BatchGetItem"),
    Read("lambda", "get_function", "lambda:GetFunction"),
    Read("lambda", "list_event_source_mappings", "lambda:ListEventSourceMappings"),
    Read("iam", "list_role_policies", "iam:ListRolePolicies"),
    Read("iam", "get_role_policy", "iam:GetRolePolicy"),
    Read("iam", "list_attached_role_policies", "iam:ListAttachedRolePolicies"),
    Read("iam", "get_policy", "iam:GetPolicy"),
    Read("iam", "get_policy_version", "iam:GetPolicyVersion"),
    Read("sns", "get_topic_attributes", "sns:GetTopicAttributes"),
    Read("sns", "list_subscriptions_by_topic", "sns:ListSubscriptionsByTopic"),
    Read("kms", "describe_key", "kms:DescribeKey"),
    Read("kms", "get_key_policy", "kms:GetKeyPolicy"),
    Read("scheduler", "get_schedule", "scheduler:GetSchedule"),
)
"""What is called, once each. Nothing in here changes anything, and no payload is read."""


def doctor_policy(place: Place, table_name: str, design: TableDesign) -> dict[str, Any]:
    """Write the policy that lets the doctor look at everything; of what is refused it says so.

    >>> from outbox_sdk.core.identifiers import AccountId, Region
    >>> place = Place(region=Region("eu-west-1"), account_id=AccountId("123456789012"))
    >>> policy = doctor_policy(place, "outbox", TableDesign.ordered)
    >>> [statement["Sid"] for statement in policy["Statement"]]
    ['LookAtTable', 'LookAtItems', 'LookAtTheRest']
    """
    table = place.arn("dynamodb", f"table/{table_name}")
    items = ("query", "batch_get_item")
    described = [each.action for each in READS if each.service == "dynamodb" and each.method not in items]
    read = [each.action for each in READS if each.method in items]
    rest = sorted(each.action for each in READS if each.service != "dynamodb")
    statements = [
        {"Sid": "LookAtTable", "Effect": "Allow", "Action": described, "Resource": [table]},
        {
            "Sid": "LookAtItems",
            "Effect": "Allow",
            "Action": read,
            "Resource": [table, f"{table}/index/{design.outstanding_index}"],
        },
        {"Sid": "LookAtTheRest", "Effect": "Allow", "Action": rest, "Resource": ["*"]},
    ]
    return {"Version": "2012-10-17", "Statement": statements}
