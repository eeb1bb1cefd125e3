"""What cannot be deployed is refused before anything is made, with the limit and the value."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from outbox_sdk.core.configuration import RelayConfiguration, encode_environment
from outbox_sdk.core.deployment import MAX_ENVIRONMENT_BYTES, Call, Deployment, describe_call, role_name
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import TableName, TopicName
from outbox_sdk.packaging.manifest import MANIFEST_NAME, make_manifest
from outbox_sdk.provisioning.defaults import find_fitting_package
from tests.support.clients import zipped_files

CONFIGURATION = RelayConfiguration(dynamodb_outbox_table_name=TableName("outbox"))


def deployment(**changes: Any) -> Deployment:
    given: dict[str, Any] = {
        "configuration": CONFIGURATION,
        "function_name": "outbox-relay",
        "architecture": "arm64",
    }
    return Deployment(**{**given, **changes})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"function_name": "a" * 65}, "function_name: 'a+' is not the name of a function: up to 64"),
        ({"function_name": ""}, "function_name: '' is not the name"),
        ({"function_name": "ä"}, "function_name: 'ä' is not the name"),
        ({"memory_mb": 127}, "memory_mb: 127 is not between 128 and 10240"),
        ({"timeout_seconds": 901}, "timeout_seconds: 901 is not between 10 and 900"),
        ({"runtime": "python3.10"}, r"runtime: 'python3.10' is not one of python3\.11"),
        ({"environment": {"OUTBOX_MARK_STRATGY": "single"}}, "OUTBOX_MARK_STRATGY: is no variable"),
        ({"environment": {"OUTBOX_ENVELOPE": "raw"}}, "OUTBOX_ENVELOPE: is set by the settings"),
        ({"environment": {"A": "a" * 4096}}, "environment: has 4129 bytes .* Lambda takes 4096"),
        (
            {"kms_keys": ("arn:aws:kms:eu-west-1:123456789012:alias/mine",)},
            "kms_keys: '.*alias/mine' is not the ARN",
        ),
        ({"kms_keys": ("1234",)}, "kms_keys: '1234' is not the ARN of a key"),
    ],
)
def test_what_lambda_would_refuse_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{sentence}"):
        deployment(**changes)


def test_the_environment_may_fill_its_limit() -> None:
    room = MAX_ENVIRONMENT_BYTES - len("DYNAMODB_OUTBOX_TABLE_NAMEoutbox") - len("A")

    filled = deployment(environment={"A": "ä" * (room // 2)})

    assert filled.variables()["DYNAMODB_OUTBOX_TABLE_NAME"] == "outbox"
    with pytest.raises(ConfigurationError, match="environment: has"):
        deployment(environment={"A": "ä" * (room // 2 + 1)})


def test_a_description_is_as_long_as_lambda_takes() -> None:
    configuration = msgspec.structs.replace(CONFIGURATION, dynamodb_outbox_table_name=TableName("t" * 255))

    assert len(deployment(configuration=configuration).description) == 256


def test_a_role_is_named_after_function_and_region_within_the_limit() -> None:
    assert role_name("f" * 54, "us-east-1") == f"{'f' * 54}-us-east-1"
    with pytest.raises(ConfigurationError, match=r"function_name: 'f+' has more than 54 characters"):
        role_name("f" * 55, "us-east-1")


def test_an_empty_allow_list_is_never_written_as_none() -> None:
    """Read back, an empty variable would allow every topic."""
    configuration = msgspec.structs.replace(CONFIGURATION, outbox_allowed_topics=frozenset[TopicName]())

    with pytest.raises(ConfigurationError, match="OUTBOX_ALLOWED_TOPICS: is empty"):
        encode_environment(configuration)


def test_what_else_a_function_is_given_is_not_shown() -> None:
    variables = deployment(environment={"TOKEN": "secret"}).variables()
    call = Call("lambda", "create_function", {"Environment": {"Variables": variables}}, "why")

    shown = describe_call(call)["request"]["Environment"]["Variables"]

    assert shown == {"TOKEN": "<given>", "DYNAMODB_OUTBOX_TABLE_NAME": "outbox"}
    assert "secret" not in repr(call)


@pytest.mark.once
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"runtime": "python3.12"}, "is built for python3.13, not for python3.12"),
        ({"architecture": "x86_64"}, "is built for arm64, not for x86_64"),
        ({}, None),
    ],
)
def test_a_package_for_something_else_is_refused(
    changes: dict[str, Any], sentence: str | None, tmp_path: Path
) -> None:
    manifest = make_manifest("arm64", runtime="python3.13").encode()
    package = tmp_path / "package.zip"
    package.write_bytes(zipped_files({MANIFEST_NAME: manifest}))

    if sentence is None:
        assert find_fitting_package(package, deployment(runtime="python3.13")) == package
        return
    with pytest.raises(ConfigurationError, match=sentence):
        find_fitting_package(package, deployment(**{"runtime": "python3.13", **changes}))


def test_what_is_no_zip_is_refused_and_one_of_somebodys_own_making_is_taken(tmp_path: Path) -> None:
    own, text = tmp_path / "own.zip", tmp_path / "hostname"
    own.write_bytes(zipped_files({"handler.py": b""}))
    text.write_text("somewhere")

    assert find_fitting_package(own, deployment()) == own
    with pytest.raises(ConfigurationError, match=r"package: .*hostname is no zip"):
        find_fitting_package(text, deployment())
