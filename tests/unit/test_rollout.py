"""What AWS shows and local stacks do not, and the calls that follow from it."""

import json
from typing import Any

import msgspec
import pytest

from outbox_sdk.core.configuration import RelayConfiguration
from outbox_sdk.core.deployment import OWNER_TAG, Code, Deployment
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import AccountId, Region, TableName
from outbox_sdk.core.place import Place
from outbox_sdk.core.rollout import plan_function, plan_mapping, plan_removal, plan_schedule

PLACE = Place(region=Region("eu-west-1"), account_id=AccountId("123456789012"))
STREAM = PLACE.arn("dynamodb", "table/outbox/stream/2026-11-24T00:00:00.000")
RELAY = Deployment(
    configuration=RelayConfiguration(
        dynamodb_outbox_table_name=TableName("outbox"), aws_sns_topic_prefix="p-"
    ),
    function_name="outbox-relay",
    architecture="arm64",
)
SWEEPER = msgspec.structs.replace(RELAY, role="sweeper", function_name="outbox-sweeper")
CODE = Code(sha256="one", zip_file=b"zip")


def shown_mapping(**changes: Any) -> dict[str, Any]:
    (created,) = plan_mapping(None, RELAY, STREAM)
    return {**created.request, "UUID": "1-2-3", "State": "Enabled", **changes}


def test_a_filter_that_comes_back_written_otherwise_is_the_same() -> None:
    filters = shown_mapping()["FilterCriteria"]["Filters"]
    respelled = [{"Pattern": json.dumps(json.loads(each["Pattern"]), indent=1)} for each in filters]

    assert plan_mapping(shown_mapping(FilterCriteria={"Filters": respelled}), RELAY, STREAM) == ()


@pytest.mark.parametrize("state", ["Disabled", "Disabling"])
def test_what_is_being_switched_off_is_switched_on(state: str) -> None:
    (call,) = plan_mapping(shown_mapping(State=state), RELAY, STREAM)

    assert call.request == {"UUID": "1-2-3", "Enabled": True}


def test_a_paused_relay_is_switched_off_and_left_off() -> None:
    paused = msgspec.structs.replace(RELAY, paused=True)

    (created,) = plan_mapping(None, paused, STREAM)
    (call,) = plan_mapping(shown_mapping(), paused, STREAM)

    assert created.request["Enabled"] is False
    assert (call.request, call.reason) == (
        {"UUID": "1-2-3", "Enabled": False},
        "the mapping is switched on",
    )
    assert plan_mapping(shown_mapping(State="Disabled"), paused, STREAM) == ()


def test_a_mapping_that_is_going_is_not_deleted_again() -> None:
    mappings = [shown_mapping(State="Deleting"), shown_mapping(UUID="4-5-6")]

    assert [call.request for call in plan_removal(mappings=mappings)] == [{"UUID": "4-5-6"}]


def test_another_platform_takes_the_package_again_even_where_the_sum_is_the_same() -> None:
    (created,) = plan_function(None, RELAY, PLACE, CODE)
    shown = {
        "Configuration": {**created.request, "CodeSha256": "one"},
        "Tags": {OWNER_TAG: "outbox"},
    }
    assert plan_function(shown, RELAY, PLACE, CODE) == ()

    (call,) = plan_function(shown, msgspec.structs.replace(RELAY, architecture="x86_64"), PLACE, CODE)

    assert (call.method, call.request["Architectures"]) == ("update_function_code", ["x86_64"])


def test_a_schedule_is_put_right_and_that_of_something_else_is_left_alone() -> None:
    (created,) = plan_schedule(None, SWEEPER, PLACE, minutes=15)
    assert plan_schedule(created.request, SWEEPER, PLACE, minutes=15) == ()
    target = created.request["Target"]
    of_another_role = {**created.request, "Target": {**target, "RoleArn": PLACE.role_arn("other")}}
    of_another_function = {
        **created.request,
        "Target": {**target, "Arn": PLACE.arn("lambda", "function:other")},
    }

    (call,) = plan_schedule(of_another_role, SWEEPER, PLACE, minutes=15)

    assert (call.method, call.request) == ("update_schedule", created.request)
    with pytest.raises(ConfigurationError, match="exists and invokes"):
        plan_schedule(of_another_function, SWEEPER, PLACE, minutes=15)
