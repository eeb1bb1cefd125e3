"""What Terraform makes of the SDK's data is what the SDK itself says, for values of a deployment.

Terraform evaluates the locals of the module by themselves; that needs no provider and no network.
"""

import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.generate import FUNCTION_ROLES, SCHEDULER, SHIPPED_DESIGNS, bucket_policy
from outbox_sdk.core.configuration import parse_environment
from outbox_sdk.core.identifiers import AccountId, Partition, Region, TableName, TopicName
from outbox_sdk.core.mark import MARK_STRATEGIES
from outbox_sdk.core.permissions import Grants, invoke_policy, policy_document, trust_policy
from outbox_sdk.core.place import Place

MODULE = Path(__file__).parents[1] / "terraform"
PLACE = Place(region=Region("eu-west-1"), account_id=AccountId("123456789012"))
CHINA = Place(partition=Partition("aws-cn"), region=Region("cn-north-1"), account_id=PLACE.account_id)
KEYS = [PLACE.arn("kms", f"key/{name}") for name in ("table", "bucket")]

UNBOUNDED: tuple[list[str] | None, list[str], str | None] = (None, [], None)
BOUNDED = (["orders.fifo", "orders"], KEYS, "orders-claims")
ROUTED = (["orders", "sqs:billing", "sqs:billing.fifo", "eventbridge:default", "kinesis:orders"], KEYS, None)
ROUTED_ELSEWHERE = (["sqs:billing", "kinesis:orders"], KEYS, "orders-claims")
"""Topics that are allowed, keys, and a bucket of claims."""

OUTPUTS = """
output "evaluated" {
  value = {
    bounded     = local.topics_bounded
    bucket      = local.bucket_policy
    environment = local.environment
    invoker     = [local.invoker_policy, local.invoker_trust]
    metrics     = local.metrics_namespace
    policies    = local.policies
    trust       = local.trust_policy
    twice       = local.settings_twice
    window      = local.batch_window
  }
}
"""


def evaluate(folder: Path, place: Place, **variables: object) -> dict[str, Any]:
    """Evaluate sdk.tf where ``place`` is, in a folder that holds nothing that needs a provider."""
    answer = apply(folder, place, **variables)
    assert answer.returncode == 0, answer.stderr
    state = json.loads((folder / "terraform.tfstate").read_text())
    evaluated: dict[str, Any] = state["outputs"]["evaluated"]["value"]
    return evaluated


def apply(folder: Path, place: Place, **variables: object) -> subprocess.CompletedProcess[str]:
    for name in ("sdk.tf", "variables.tf", "outbox.json"):
        shutil.copy(MODULE / name, folder)
    values = {
        "account": place.account_id,
        "dns_suffix": "amazonaws.com.cn" if place.partition == "aws-cn" else "amazonaws.com",
        "failures_bucket": "failures",
        "partition": place.partition,
        "region": place.region,
    }
    (folder / "place.tf.json").write_text(json.dumps({"locals": values}))
    (folder / "outputs.tf").write_text(OUTPUTS)
    (folder / "terraform.tfvars.json").write_text(json.dumps({"package_file": "a.zip", **variables}))
    return subprocess.run(
        ["terraform", f"-chdir={folder}", "apply", "-auto-approve", "-input=false", "-no-color"],
        capture_output=True, text=True, check=False, env={**os.environ, "CHECKPOINT_DISABLE": "1"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("place", "design", "strategy", "bounds"),
    [
        *itertools.product([PLACE], SHIPPED_DESIGNS, MARK_STRATEGIES, [UNBOUNDED, BOUNDED]),
        (CHINA, "ordered", "batch", BOUNDED),
        (PLACE, "ordered", "batch", ROUTED),
        (CHINA, "ordered", "delete", ROUTED),
        (PLACE, "message_keyed", "single", ROUTED_ELSEWHERE),
    ],
)
def test_policies_and_environment_are_the_sdks(
    tmp_path: Path,
    place: Place,
    design: str,
    strategy: str,
    bounds: tuple[list[str] | None, list[str], str | None],
) -> None:
    topics, keys, claim_bucket = bounds
    given: Mapping[str, object] = {
        "design": design, "mark_strategy": strategy, "topic_prefix": "p-", "allowed_topics": topics,
        "table_kms_key_arn": keys[0] if keys else None, "failures_kms_key_arn": keys[1] if keys else None,
        "settings": {"outbox_envelope": "cloudevents"}, "claim_bucket": claim_bucket, "claim_prefix": "a/b/",
        "claim_minimum_age_days": 30 if claim_bucket else None,
    }  # fmt: skip

    evaluated = evaluate(tmp_path, place, **given)

    configuration = parse_environment(evaluated["environment"])
    assert configuration.dynamodb_outbox_table_name == TableName("outbox")
    assert configuration.aws_sns_topic_prefix == "p-"
    assert configuration.outbox_mark_strategy == strategy
    assert configuration.outbox_table_design == SHIPPED_DESIGNS[design]
    assert configuration.outbox_allowed_topics == (frozenset(map(TopicName, topics)) if topics else None)
    assert configuration.outbox_dispatched_ttl_days == (7 if design == "ordered" else None)
    assert configuration.outbox_envelope == "cloudevents"
    assert configuration.outbox_claim_bucket == claim_bucket
    assert configuration.outbox_claim_prefix == "a/b/"
    assert configuration.outbox_claim_minimum_age_days == (30 if claim_bucket else 14)
    for role in FUNCTION_ROLES:
        grants = Grants(
            function_name=f"outbox-{role}",
            creates_log_group=False,
            on_failure=f"arn:{place.partition}:s3:::failures",
            kms_keys=tuple(keys),
        )
        wanted = policy_document(role, configuration, place, grants)
        assert json.loads(evaluated["policies"][role]) == wanted
    assert json.loads(evaluated["trust"]) == trust_policy()
    assert json.loads(evaluated["bucket"]) == bucket_policy(f"arn:{place.partition}:s3:::failures")
    invoker = [invoke_policy(place, "outbox-sweeper"), trust_policy(SCHEDULER, account_id=place.account_id)]
    assert [json.loads(text) for text in evaluated["invoker"]] == invoker
    assert evaluated["bounded"] is True


@pytest.mark.parametrize(
    ("given", "bounded"),
    [
        ({}, False),
        ({"allowed_topics": None}, False),
        ({"allowed_topics": ["orders"]}, True),
        ({"topic_prefix": "p-"}, True),
        ({"allow_any_topic": True}, True),
    ],
)
def test_a_relay_of_every_topic_is_asked_for_or_refused(
    tmp_path: Path, given: dict[str, object], bounded: bool
) -> None:
    assert evaluate(tmp_path, PLACE, **given)["bounded"] is bounded


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"allowed_topics": [], "topic_prefix": "p-"}, "An allow-list that is empty"),
        ({"environment": {"POWERTOOLS_LOG_LEVEL": "WARNING"}}, "The log's level is DEBUG or INFO"),
        ({"environment": {"LOG_LEVEL": "error"}}, "The log's level is DEBUG or INFO"),
        ({"environment": {"AWS_LAMBDA_LOG_LEVEL": "FATAL"}}, "The log's level is DEBUG or INFO"),
        ({"environment": {"POWERTOOLS_METRICS_DISABLED": "true"}}, "The functions' metrics stay on"),
        ({"environment": {"POWERTOOLS_DEV": "1"}}, "The functions' metrics stay on"),
    ],
)
def test_what_would_do_something_else_than_it_seems_is_refused(
    tmp_path: Path, given: dict[str, object], refusal: str
) -> None:
    answer = apply(tmp_path, PLACE, **given)

    assert answer.returncode == 1
    assert refusal in " ".join(answer.stderr.replace("\u2502", " ").split())


@pytest.mark.parametrize("level", ["DEBUG", "info", ""])
def test_a_level_that_writes_what_alarms_read_is_taken(tmp_path: Path, level: str) -> None:
    evaluated = evaluate(tmp_path, PLACE, environment={"POWERTOOLS_LOG_LEVEL": level})

    assert evaluated["environment"]["POWERTOOLS_LOG_LEVEL"] == level


@pytest.mark.parametrize(("given", "namespace"), [("Orders", "Orders"), ("", "Outbox")])
def test_alarms_follow_the_namespace_that_the_functions_are_given(
    tmp_path: Path, given: str, namespace: str
) -> None:
    environment = {"POWERTOOLS_METRICS_NAMESPACE": given, "POWERTOOLS_METRICS_DISABLED": "false"}

    assert evaluate(tmp_path, PLACE, environment=environment)["metrics"] == namespace


def test_zero_is_a_value_and_not_the_default(tmp_path: Path) -> None:
    evaluated = evaluate(tmp_path, PLACE, dispatched_ttl_days=0, batch_window=0)

    assert parse_environment(evaluated["environment"]).outbox_dispatched_ttl_days is None
    assert evaluated["window"] == 0


def test_a_setting_that_has_a_variable_of_its_own_is_named(tmp_path: Path) -> None:
    evaluated = evaluate(tmp_path, PLACE, settings={"outbox_mark_strategy": "single"})

    assert evaluated["twice"] == ["outbox_mark_strategy"]
    assert parse_environment(evaluated["environment"]).outbox_mark_strategy == "batch"
