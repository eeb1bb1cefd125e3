"""The SAM template, translated to plain CloudFormation as AWS does it, has no fault that cfn-lint knows."""

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from samtranslator.translator.transform import (  # type: ignore[import-not-found] # of this session only
    transform,
)

from tests.support.cloudformation import load_template

TEMPLATE = load_template(Path(__file__).parents[1] / "sam" / "template.yaml")


class NoManagedPolicies:
    """Translation asks for AWS's own policies by name; the template attaches none."""

    def load(self) -> dict[str, str]:
        return {}


def translate(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    parameters = {"PackageBucket": "packages", "PackageKey": "outbox.zip"}
    translated: dict[str, Any] = transform(copy.deepcopy(TEMPLATE), parameters, NoManagedPolicies())
    return translated


def test_the_translation_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "template.json"
    path.write_text(json.dumps(translate(monkeypatch)))

    answer = subprocess.run(["cfn-lint", str(path)], capture_output=True, text=True, check=False)

    assert answer.returncode == 0, answer.stdout


def test_the_translation_has_the_functions_and_adds_no_role(monkeypatch: pytest.MonkeyPatch) -> None:
    resources = translate(monkeypatch)["Resources"]
    functions = {name: each["Properties"] for name, each in resources.items()
                 if each["Type"] == "AWS::Lambda::Function"}  # fmt: skip

    assert set(functions) == {"RelayFunction", "SweeperFunction"}
    assert set(resources) == set(TEMPLATE["Resources"])
    shared = TEMPLATE["Globals"]["Function"]["Environment"]
    assert all(each["Environment"] == shared for each in functions.values())
