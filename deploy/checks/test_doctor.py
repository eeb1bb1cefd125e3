"""The doctor finds nothing in what Terraform plans of the examples, and what is written wrong in the module.

No provider of AWS can be loaded without the network. So each resource becomes Terraform's own
``terraform_data`` with the same arguments for its input: Terraform evaluates the module's sources and writes
the plan, and what it wrote is then given the types and names back.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import hcl2  # type: ignore[import-not-found] # of the session `deploy` only
import pytest

from outbox_sdk.core.doctor import Diagnosis, diagnose
from outbox_sdk.core.doctor.plan import read_plan

MODULE = Path(__file__).parents[1] / "terraform"
EXAMPLES = ("complete", "existing_table")
NOW = datetime(2026, 11, 28, tzinfo=UTC)

READ = (
    "aws_dynamodb_table",
    "aws_iam_role",
    "aws_iam_role_policy",
    "aws_lambda_event_source_mapping",
    "aws_lambda_function",
    "aws_scheduler_schedule",
    "aws_sns_topic",
)
"""What the doctor looks at; the others are left out."""

NO_ARGUMENTS = ("count", "depends_on", "for_each", "lifecycle", "provider", "dynamic")
PLACE = {"account": "123456789012", "dns_suffix": "amazonaws.com", "partition": "aws", "region": "eu-west-1"}
STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/legacy-outbox/stream/1"
ENTRY = re.compile(r"(?<![\w.])(aws_\w+)\.(\w+)((?:\[[^\]]*\])?)(?:\.(\w+))?")
BLOCK = re.compile(
    r"^(?:resource|data|output|provider|terraform)\b[^{\n]*{\n.*?^}\n|^data [^\n]*{}\n",
    re.MULTILINE | re.DOTALL,
)


def plan_of(folder: Path, example: str, changes: Mapping[str, str]) -> str:
    """Let Terraform plan an example, with texts of the module replaced; give the plan as AWS's would be."""
    module, written = folder / "module", {}
    module.mkdir()
    for path in sorted(MODULE.glob("*.tf")):
        text = path.read_text()
        for old, new in changes.items():
            text = text.replace(old, new)
        if path.name in ("monitoring.tf", "outputs.tf", "place.tf", "versions.tf"):
            continue
        (module / path.name).write_text(renamed(BLOCK.sub("", text)))
        for type_, name, body in resources_of(text):
            written[type_, name] = body
    data = {f"{type_}__{name}": as_data(body) for (type_, name), body in written.items()}
    (module / "resources.tf.json").write_text(json.dumps({"resource": {"terraform_data": data}}))
    (module / "place.tf.json").write_text(json.dumps({"locals": PLACE}))
    (module / "outbox.json").write_text((MODULE / "outbox.json").read_text())
    (folder / "main.tf").write_text(root_of(example, folder))
    plan = json.loads(
        run_terraform(folder, {"TF_VAR_topics_kms_key_arn": "arn:aws:kms:eu-west-1:123456789012:key/1"})
    )
    return json.dumps(restored(plan, written))


def resources_of(text: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for block in hcl2.loads(text).get("resource", []):
        for type_, named in block.items():
            for name, body in named.items():
                if type_ in READ:
                    yield type_, name, {key: value for key, value in body.items() if key[:2] != "__"}


def root_of(example: str, folder: Path) -> str:
    """The example itself, but for its provider, and for what it reads of AWS."""
    text = BLOCK.sub("", (MODULE / "examples" / example / "main.tf").read_text())
    package = folder / "package.zip"
    package.write_bytes(b"")
    text = text.replace('"../.."', '"./module"')
    text = re.sub(r'"[^"]*\.zip"', json.dumps(str(package)), text)
    text = text.replace("data.aws_dynamodb_table.outbox.name", '"legacy-outbox"')
    text = text.replace("data.aws_dynamodb_table.outbox.stream_arn", json.dumps(STREAM))
    return text.replace("[aws_sns_topic.alarms.arn]", "[]")


@cache
def find_terraform() -> str:
    """Find a Terraform that has ``terraform_data``: the session's own, from PyPI, is older."""
    for directory in os.environ["PATH"].split(os.pathsep):
        found = Path(directory, "terraform")
        if not os.access(found, os.X_OK):
            continue
        shown = subprocess.run([found, "version", "-json"], capture_output=True, text=True, check=False)
        version = re.search(r'"terraform_version": "(\d+)\.(\d+)', shown.stdout)
        if version is not None and (int(version[1]), int(version[2])) >= (1, 4):
            return str(found)
    pytest.skip("no Terraform of 1.4 or later is on the search path, and terraform_data came with that")


def run_terraform(folder: Path, variables: Mapping[str, str]) -> str:
    environment, shown = {**os.environ, "CHECKPOINT_DISABLE": "1", **variables}, ""
    for words in (["init", "-no-color"], ["plan", "-out=plan", "-no-color"], ["show", "-json", "plan"]):
        done = subprocess.run(
            [find_terraform(), f"-chdir={folder}", *words],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
        shown = done.stdout
    return shown


def renamed(text: str) -> str:
    """Lead references to where the resources are now; what AWS alone would know is an id, and so unknown."""

    def lead(found: re.Match[str]) -> str:
        attribute = ".id" if found[4] else ""
        return f"terraform_data.{found[1]}__{found[2]}{found[3]}{attribute}"

    return ENTRY.sub(lead, text)


def as_data(body: Mapping[str, Any]) -> dict[str, Any]:
    repeated = {name: expression(body[name]) for name in ("count", "for_each") if name in body}
    return {**repeated, "input": arguments(body)}


def arguments(body: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a resource or a block; blocks are lists, as they are in a plan."""
    given = {
        name: value(each) for name, each in body.items() if name not in NO_ARGUMENTS and name[:2] != "__"
    }
    for dynamic in body.get("dynamic", ()):
        for name, block in dynamic.items():
            fields = ", ".join(
                f"{field} = {inner(expression(each))}"
                for field, each in block["content"][0].items()
                if field[:2] != "__"
            )
            source = inner(expression(block["for_each"]))
            fields = fields.replace(f"{name}.value", "item").replace(f"{name}.key", "key")
            given[name] = f"${{[for key, item in {source} : {{ {fields} }}]}}"
    return given


def value(read: Any) -> Any:
    """An argument is read as a list of one, and a block as one of mappings."""
    if isinstance(read, list) and read and isinstance(read[0], dict) and not is_map(read[0]):
        return [arguments(each) for each in read]
    return expression(read)


def is_map(read: Mapping[str, Any]) -> bool:
    return "__start_line__" not in read and not all(isinstance(each, list) for each in read.values())


def expression(read: Any) -> Any:
    found = read[0] if isinstance(read, list) and read else read
    if isinstance(found, str):
        # The reader writes Python's word for null.
        return renamed(re.sub(r"\bNone\b", "null", found))
    return found


def inner(text: Any) -> str:
    return text[2:-1] if isinstance(text, str) and text.startswith("${") else json.dumps(text)


def restored(plan: dict[str, Any], written: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[str, Any]:
    """Give resources their types and names back, and their arguments the place that they have in a plan."""
    text = re.sub(r"terraform_data\.(aws_[a-z_]+?)__(\w+)", r"\1.\2", json.dumps(plan))
    plan = json.loads(text)
    for module in modules_of(plan["planned_values"]["root_module"]):
        for each in module.get("resources", ()):
            each["type"], each["name"] = each["name"].split("__")
            each["values"] = each["values"]["input"]
    for change in plan["resource_changes"]:
        pending = change["change"]["after_unknown"].get("input")
        change["change"]["after_unknown"] = pending if isinstance(pending, dict) else {}
    resources = [
        {"mode": "managed", "type": type_, "name": name, "expressions": expressions_of(body)}
        for (type_, name), body in written.items()
    ]
    plan["configuration"]["root_module"]["module_calls"]["outbox"]["module"]["resources"] = resources
    return plan


def modules_of(module: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield module
    for child in module.get("child_modules", ()):
        yield from modules_of(child)


def expressions_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Name what each argument refers to, as Terraform does: the attribute, the instance, the resource."""
    given: dict[str, Any] = {}
    for name, each in body.items():
        found = list(ENTRY.finditer(json.dumps(each).replace('\\"', '"')))
        names = [f"{match[1]}.{match[2]}{'' if 'each.' in match[3] else match[3]}" for match in found]
        given[name] = {"references": names} if names else {}
    return given | {block: {} for dynamic in body.get("dynamic", ()) for block in dynamic}


def examine(folder: Path, example: str, changes: Mapping[str, str] | None = None) -> Diagnosis:
    (stack,) = read_plan(plan_of(folder, example, changes or {}), taken_at=NOW)
    return diagnose(stack)


UNKNOWN = {
    *("a plan has no clock", "a plan has no items", "a plan has no past", "a plan has no running function"),
    *("known after apply", "this library has no package at hand to compare with"),
}
NAMELESS = {
    "it is not in the plan",
    "OUTBOX_ALLOWED_TOPICS is not set, and no topic of the prefix is in the plan",
}
NAMELESS_IN = {"existing_table"}


@pytest.mark.parametrize("example", EXAMPLES)
def test_nothing_is_found_in_an_example(tmp_path: Path, example: str) -> None:
    diagnosis = examine(tmp_path, example)

    assert diagnosis.findings == ()
    assert {each.reason for each in diagnosis.unchecked} <= UNKNOWN | (
        NAMELESS if example in NAMELESS_IN else set()
    )
    not_made = {each.id for each in diagnosis.unchecked}
    assert {"mapping.filter", "role.rights", "function.timeout", "sweeper.schedule"} & not_made == set()


PLANTS = {
    "mapping.starting-position": (
        'starting_position                  = "TRIM_HORIZON"',
        'starting_position = "LATEST"',
    ),
    "mapping.partial-reports": ("local.mapping.FunctionResponseTypes", "[]"),
    "mapping.filter": ("for_each = local.mapping.FilterCriteria.Filters", "for_each = []"),
    "mapping.retries": ("local.mapping.MaximumRetryAttempts", "3"),
    "mapping.bisect": ("local.mapping.BisectBatchOnFunctionError", "false"),
    "mapping.metrics": ("local.mapping.MetricsConfig.Metrics", "[]"),
    "table.stream": ("local.design.stream_view_type", '"KEYS_ONLY"'),
    "table.time-to-live": ("local.design.ttl_attribute", '"CreatedAt"'),
    "table.index-projection": ("global_secondary_index.value.projection", '"ALL"'),
    "role.rights": ("local.policies[each.key]", 'local.policies["sweeper"]'),
    "sweeper.schedule": ('name                = "${var.name}-sweep"', 'name = "s"\n  state = "DISABLED"'),
}


def test_what_is_written_wrong_in_the_module_is_found(tmp_path: Path) -> None:
    diagnosis = examine(tmp_path, "complete", dict(PLANTS.values()))

    assert {each.id for each in diagnosis.findings} == set(PLANTS)
