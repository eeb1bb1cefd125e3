"""The templates are what CloudFormation takes, as cfn-lint knows it; `nox -s deploy` looks further."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.documents import ROOT

# The same on every interpreter.
pytestmark = pytest.mark.once

TEMPLATES = sorted((ROOT / "deploy" / "sam").glob("*.yaml"))


def lint(*paths: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("cfn-lint")), *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_templates_are_clean() -> None:
    done = lint(*TEMPLATES)

    assert len(TEMPLATES) == 2
    assert (done.returncode, done.stdout) == (0, "")


def test_a_fault_is_seen(tmp_path: Path) -> None:
    planted = tmp_path / "template.yaml"
    planted.write_text(
        "Resources: {Key: {Type: AWS::DynamoDB::Table, Properties: {BillingMode: PAY_PER_WISH}}}"
    )

    done = lint(planted)

    assert done.returncode != 0
    assert "PAY_PER_WISH" in done.stdout
