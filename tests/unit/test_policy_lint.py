"""The generated policies before cfn-lint, which knows IAM's grammar and the names of all actions."""

import json
from typing import Any

import pytest
from cfnlint.api import lint  # type: ignore[import-untyped] # ships no types
from cfnlint.config import ManualArgs  # type: ignore[import-untyped] # ships no types

from outbox_sdk.core.configuration import RelayConfiguration
from outbox_sdk.core.identifiers import AccountId, Region, TableName, TopicName
from outbox_sdk.core.mark import MARK_STRATEGIES
from outbox_sdk.core.operations import ROLES
from outbox_sdk.core.permissions import Grants, policy_document, trust_policy
from outbox_sdk.core.place import Place

pytestmark = pytest.mark.once  # of the source, which is the same everywhere

PLACE = Place(region=Region("eu-west-1"), account_id=AccountId("123456789012"))
GRANTS = (
    Grants(function_name="relay"),
    Grants(
        function_name="relay",
        on_failure="arn:aws:s3:::failures",
        kms_keys=("arn:aws:kms:eu-west-1:123456789012:key/0",),
        sweeps_publish=True,
        confine_attributes=True,
    ),
    Grants(function_name="relay", on_failure="arn:aws:sqs:eu-west-1:123456789012:failures"),
)


def template(*policies: dict[str, Any]) -> str:
    """Put each policy into a role of its own."""
    roles = {
        f"Role{number}": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": trust_policy(),
                "Policies": [{"PolicyName": "own", "PolicyDocument": policy}],
            },
        }
        for number, policy in enumerate(policies)
    }
    return json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": roles})


def found_in(text: str) -> list[tuple[str, str]]:
    return [(match.rule.id, match.message) for match in lint(text, config=ManualArgs(regions=["eu-west-1"]))]


@pytest.mark.once
def test_every_policy_is_well_formed_and_every_action_exists() -> None:
    policies = [
        policy_document(
            role,
            RelayConfiguration(
                dynamodb_outbox_table_name=TableName("outbox"),
                outbox_allowed_topics=frozenset({TopicName("orders"), TopicName("orders.fifo")}),
                outbox_mark_strategy=strategy,
            ),
            PLACE,
            grants,
        )
        for role in ROLES
        for strategy in MARK_STRATEGIES
        for grants in GRANTS
    ]

    assert found_in(template(*policies)) == []


def test_an_action_that_does_not_exist_is_found() -> None:
    statement = {"Effect": "Allow", "Action": "dynamodb:PartiQLRename", "Resource": PLACE.arn("sns", "t")}

    ((rule, message),) = found_in(template({"Version": "2012-10-17", "Statement": [statement]}))

    assert rule == "W3037"
    assert message.startswith("'partiqlrename' is not one of ")
