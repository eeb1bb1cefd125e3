"""What the Terraform module writes in HCL itself, looked at as text: no provider and no reader is needed."""

import re
from pathlib import Path

import pytest

from deploy.generate import DATA_FILE, FUNCTION_ROLES
from tests.support.sam import FUNCTION_SIZES

WANTED: dict[str, tuple[str, ...]] = {
    'resource "aws_dynamodb_table" "outbox"': (
        "count = var.existing_table_name == null ? 1 : 0",
        "name = local.table_name",
        "billing_mode = local.design.billing_mode",
        "hash_key = local.design.key.hash range_key = local.design.key.range",
        "stream_enabled = true",
        "stream_view_type = local.design.stream_view_type",
        "deletion_protection_enabled = var.deletion_protection",
        'dynamic "attribute" { for_each = local.design.attributes'
        " content { name = attribute.key type = attribute.value } }",
        'dynamic "global_secondary_index" { for_each = local.design.global_secondary_indexes'
        " content { name = global_secondary_index.value.name hash_key = global_secondary_index.value.hash"
        " range_key = global_secondary_index.value.range"
        " projection_type = global_secondary_index.value.projection } }",
        'dynamic "local_secondary_index" { for_each = local.design.local_secondary_indexes'
        " content { name = local_secondary_index.value.name range_key = local_secondary_index.value.range"
        " projection_type = local_secondary_index.value.projection } }",
        "ttl { attribute_name = local.design.ttl_attribute enabled = true }",
        "point_in_time_recovery { enabled = true }",
        "server_side_encryption { enabled = true kms_key_arn = var.table_kms_key_arn }",
    ),
    'resource "aws_iam_role" "function"': ("assume_role_policy = local.trust_policy",),
    'resource "aws_iam_role_policy" "function"': (
        "role = aws_iam_role.function[each.key].id",
        "policy = local.policies[each.key]",
        "precondition { condition = local.topics_bounded",
    ),
    'resource "aws_lambda_function" "function"': (
        "for_each = local.function_names",
        "function_name = each.value",
        "role = aws_iam_role.function[each.key].arn",
        "handler = local.sdk.function.handlers[each.key]",
        "runtime = local.runtime",
        "architectures = [var.architecture]",
        "source_code_hash = filebase64sha256(var.package_file)",
        "memory_size = local.memory_size[each.key]",
        "timeout = local.timeout[each.key]",
        "environment { variables = local.environment }",
        "precondition { condition = length(local.settings_twice) == 0",
    ),
    'resource "aws_lambda_event_source_mapping" "relay"': (
        "event_source_arn = local.stream_arn",
        'function_name = aws_lambda_function.function["relay"].arn',
        "enabled = var.mapping_enabled",
        'starting_position = "TRIM_HORIZON"',
        "batch_size = local.batch_size",
        "maximum_batching_window_in_seconds = local.batch_window",
        "parallelization_factor = local.parallelization_factor",
        "maximum_record_age_in_seconds = local.maximum_record_age",
        "maximum_retry_attempts = local.mapping.MaximumRetryAttempts",
        "bisect_batch_on_function_error = local.mapping.BisectBatchOnFunctionError",
        "function_response_types = local.mapping.FunctionResponseTypes",
        'filter_criteria { dynamic "filter" { for_each = local.mapping.FilterCriteria.Filters'
        " content { pattern = filter.value.Pattern } } }",
        "destination_config { on_failure {"
        ' destination_arn = "arn:${local.partition}:s3:::${local.failures_bucket}" } }',
        "metrics_config { metrics = local.mapping.MetricsConfig.Metrics }",
    ),
    'resource "aws_iam_role" "invoker"': ("assume_role_policy = local.invoker_trust",),
    'resource "aws_iam_role_policy" "invoker"': (
        "role = aws_iam_role.invoker.id",
        "policy = local.invoker_policy",
    ),
    'resource "aws_scheduler_schedule" "sweep"': (
        "schedule_expression = var.sweep_schedule",
        'target { arn = aws_lambda_function.function["sweeper"].arn role_arn = aws_iam_role.invoker.arn',
    ),
    'resource "aws_s3_bucket" "failures"': ("bucket = local.failures_bucket",),
    'resource "aws_s3_bucket_policy" "failures"': ("policy = local.bucket_policy",),
    'variable "allowed_topics"': (
        "validation { condition = var.allowed_topics == null ? true : length(var.allowed_topics) > 0",
    ),
    'variable "environment"': (
        'for name in ["POWERTOOLS_LOG_LEVEL", "LOG_LEVEL", "AWS_LAMBDA_LOG_LEVEL"] :'
        ' contains(["", "DEBUG", "INFO"], upper(lookup(var.environment, name, ""))) ])',
    ),
    "locals": (
        "memory_size = { relay = var.relay_memory_size, sweeper = var.sweeper_memory_size }",
        "timeout = { relay = var.relay_timeout, sweeper = var.sweeper_timeout }",
        "stream_arn = var.existing_table_name == null ?"
        " one(aws_dynamodb_table.outbox[*].stream_arn) : var.existing_table_stream_arn",
        "design = local.sdk.designs[var.design]",
        "mapping = local.design.mapping[var.mark_strategy]",
        "batch_size = coalesce(var.batch_size, local.mapping.BatchSize)",
        "batch_window = coalesce(var.batch_window, local.mapping.MaximumBatchingWindowInSeconds)",
        "maximum_record_age = coalesce(var.maximum_record_age, local.mapping.MaximumRecordAgeInSeconds)",
        "parallelization_factor = coalesce(var.parallelization_factor, local.mapping.ParallelizationFactor)",
        "aws_sns_topic_prefix = var.topic_prefix",
        "dynamodb_outbox_table_name = local.table_name",
        'outbox_allowed_topics = join(",", local.allowed_topics)',
        "outbox_mark_strategy = var.mark_strategy",
        "outbox_table_design = local.design.text",
        "{ for field, value in merge(var.settings, local.own_settings) :"
        ' local.sdk.variables[field] => value if value != "" }, var.environment,',
    ),
}
"""By block, what would lose messages, or rights, or the table, if it said something else; blanks are one."""

FORBIDDEN = (
    "ignore_changes",  # whatever is ignored would not be what is compared here
    "state =",  # of the schedule: it runs
)


def code_of(folder: Path) -> str:
    """All of the module, without comments."""
    texts = [path.read_text() for path in sorted(folder.glob("*.tf"))]
    return "\n".join(re.sub(r"^\s*#.*|\s#\s.*", "", text, flags=re.MULTILINE) for text in texts)


def missing(code: str) -> list[str]:
    """Name what is not in the block where it has to be, or is there with more behind it."""
    found = []
    for head, expressions in WANTED.items():
        blocks = re.findall(rf"^{re.escape(head)} {{\n(.*?)^}}", code, re.MULTILINE | re.DOTALL)
        body = " " + " ".join(" ".join(blocks).split())
        # What follows is the next argument, the next block or an end: no more of the same expression.
        found += [
            f"{head}: {each}"
            for each in expressions
            if not re.search(rf" {re.escape(each)}(?= \w+ [={{\"]| [}})]|$)", body)
        ]
    return found


CODE = code_of(DATA_FILE.parent)


def test_what_matters_is_written_as_it_has_to_be() -> None:
    assert missing(CODE) == []
    assert [each for each in FORBIDDEN if each in CODE] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("for_each = local.mapping.FilterCriteria.Filters", "for_each = []"),
        ("filter.value.Pattern", "jsonencode({})"),
        ("s3:::${local.failures_bucket}", "sqs:::failures"),
        ("variables = local.environment", "variables = {}"),
        ("local.design.stream_view_type", '"KEYS_ONLY"'),
        ("local.design.ttl_attribute", '"ttl"'),
        ("hash_key                    = local.design.key.hash", 'hash_key = "id"'),
        ("local.design.key.range", "null"),
        ('"TRIM_HORIZON"', '"LATEST"'),
        ("local.design.billing_mode", '"PROVISIONED"'),
        ("local.design.mapping[var.mark_strategy]", 'local.design.mapping["batch"]'),
        ("role_arn = aws_iam_role.invoker.arn", 'role_arn = aws_iam_role.function["sweeper"].arn'),
        ("role                           = aws_iam_role.function[each.key].arn",
         'role = aws_iam_role.function["relay"].arn'),
        ("local.mapping.MaximumRetryAttempts", "local.mapping.MaximumRetryAttempts + 5"),
        ("= var.deletion_protection", "= false"),
        ("sweeper = var.sweeper_timeout", "sweeper = var.relay_timeout"),
        ("= local.stream_arn", "= var.existing_table_stream_arn"),
    ],
)  # fmt: skip
def test_what_says_something_else_is_found(old: str, new: str) -> None:
    assert old in CODE

    assert missing(CODE.replace(old, new)) != []


def defaults(code: str) -> dict[str, str]:
    """Give the variables' defaults, as they are written."""
    blocks = re.findall(r'^variable "(\w+)" {\n(.*?)^}', code, re.MULTILINE | re.DOTALL)
    found = {name: re.search(r"^  default\s*=\s*(.+)$", body, re.MULTILINE) for name, body in blocks}
    return {name: default[1] for name, default in found.items() if default is not None}


@pytest.mark.parametrize("role", FUNCTION_ROLES)
def test_functions_have_the_memory_and_the_time_that_the_sdk_gives_them(role: str) -> None:
    given = defaults(CODE)

    assert (given[f"{role}_memory_size"], given[f"{role}_timeout"]) == tuple(map(str, FUNCTION_SIZES[role]))


def test_the_table_is_protected_unless_someone_says_otherwise() -> None:
    assert defaults(CODE)["deletion_protection"] == "true"
