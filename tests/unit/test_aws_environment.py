"""The short way to credentials and endpoints in Lambda: the same as botocore's, or not taken at all."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.session import AioSession

from outbox_sdk.shell.aws.access import AwsAccess
from outbox_sdk.shell.aws.environment import Surroundings, read_lambda_environment
from outbox_sdk.shell.aws.session import find_surroundings

SERVICES = ("sns", "dynamodb", "sqs", "events", "kinesis")
LAMBDA = {
    "AWS_LAMBDA_FUNCTION_NAME": "relay",
    "AWS_ACCESS_KEY_ID": "key-id",
    "AWS_SECRET_ACCESS_KEY": "key",
    "AWS_SESSION_TOKEN": "token",
}


@pytest.fixture
def surrounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Ask botocore in an environment that is no more than what is given."""

    async def ask(access: AwsAccess, environment: Mapping[str, str]) -> Surroundings:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in {**environment, "HOME": str(tmp_path)}.items():
            monkeypatch.setenv(name, value)
        return await find_surroundings(access, SERVICES)

    return ask


async def identify(surroundings: Surroundings | None) -> Any:
    assert surroundings is not None
    found = await surroundings.credentials()
    assert found is not None
    return found.access_key, found.secret_key, found.token, surroundings.endpoint_urls, surroundings.ca_bundle


SETTINGS: dict[str, dict[str, str]] = {
    "nothing else": {},
    "an endpoint for all": {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
    "an endpoint for one": {"AWS_ENDPOINT_URL_SNS": "http://127.0.0.1:2"},
    "both": {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:2"},
    "an endpoint for another": {"AWS_ENDPOINT_URL_EVENTBRIDGE": "http://127.0.0.1:3"},
    "a CA bundle": {"AWS_CA_BUNDLE": "/etc/ours.pem"},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
async def test_the_short_way_comes_to_what_botocore_comes_to(
    surrounded: Any, settings: dict[str, str]
) -> None:
    access, environment = AwsAccess(region="eu-west-1"), {**LAMBDA, **settings}

    short = await identify(read_lambda_environment(access, environment, SERVICES))

    assert short == await identify(await surrounded(access, environment))


async def test_every_region_has_the_endpoints_that_botocore_gives_it_or_is_left_to_botocore(
    surrounded: Any,
) -> None:
    session: Any = AioSession(session_vars={"profile": (None, None, None, None)})
    short, others = [], []
    for partition in session.get_available_partitions():
        for region in await session.get_available_regions("dynamodb", partition_name=partition):
            access = AwsAccess(region=region)
            found = read_lambda_environment(access, LAMBDA, SERVICES)
            if found is None:
                others.append((partition, region))
                continue
            short.append(region)
            assert partition == "aws"
            if len(short) % 4 == 0:  # a client takes a while to make, and they are all alike
                assert found.endpoint_urls == (await surrounded(access, LAMBDA)).endpoint_urls

    assert len(short) >= 30
    assert {partition for partition, _ in others if partition == "aws"} == set()
    assert {partition for partition, _ in others} >= {"aws-cn", "aws-us-gov"}


@pytest.mark.parametrize("name", LAMBDA)
def test_without_any_one_of_what_lambda_sets_botocore_is_asked(name: str) -> None:
    environment = {other: value for other, value in LAMBDA.items() if other != name}

    assert read_lambda_environment(AwsAccess(region="eu-west-1"), LAMBDA, SERVICES) is not None
    assert read_lambda_environment(AwsAccess(region="eu-west-1"), environment, SERVICES) is None


@pytest.mark.parametrize(
    "name",
    [
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_CREDENTIAL_EXPIRATION",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
        "AWS_USE_DUALSTACK_ENDPOINT",
        "AWS_USE_FIPS_ENDPOINT",
        "AWS_DATA_PATH",
        "BOTO_CONFIG",
    ],
)
def test_what_may_change_the_answer_leaves_it_to_botocore(name: str) -> None:
    assert read_lambda_environment(AwsAccess(region="eu-west-1"), {**LAMBDA, name: "true"}, SERVICES) is None


@pytest.mark.parametrize("name", ["config", "credentials"])
def test_files_of_aws_in_the_home_folder_leave_it_to_botocore(tmp_path: Path, name: str) -> None:
    environment = {**LAMBDA, "HOME": str(tmp_path)}
    assert read_lambda_environment(AwsAccess(region="eu-west-1"), environment, SERVICES) is not None

    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / name).touch()

    assert read_lambda_environment(AwsAccess(region="eu-west-1"), environment, SERVICES) is None


@pytest.mark.parametrize("change", [{"profile": "other"}, {"credentials": ("id", "secret")}])
def test_what_the_caller_gives_leaves_it_to_botocore(change: dict[str, Any]) -> None:
    access = dataclasses.replace(AwsAccess(region="eu-west-1"), **change)

    assert read_lambda_environment(access, LAMBDA, SERVICES) is None
