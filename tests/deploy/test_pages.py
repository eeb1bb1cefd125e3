"""Commands for an account, which no test can run, name what is there: parameters, files, outputs."""

import re
from pathlib import Path

import pytest

from tests.support.cloudformation import load_template
from tests.support.documents import ROOT

PAGES = [ROOT / "docs" / "how-to" / "deploy.md", ROOT / "deploy" / "sam" / "README.md"]


def joined(path: Path) -> str:
    """The page with commands of several lines in one."""
    return re.sub(r"\\\n\s*", "", path.read_text())


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.parent.name)
def test_stacks_are_given_parameters_that_their_templates_have(path: Path) -> None:
    lines = [line for line in joined(path).splitlines() if "aws cloudformation deploy" in line]

    assert lines
    for line in lines:
        template = load_template(ROOT / re.findall(r"--template-file (\S+)", line)[0])
        given = re.findall(r"(\w+)=", line.split("--parameter-overrides")[1])
        required = [name for name, each in template["Parameters"].items() if "Default" not in each]
        assert set(required) <= set(given) <= set(template["Parameters"])


def test_terraform_is_run_where_a_configuration_is() -> None:
    page = joined(PAGES[0])
    (directory,) = re.findall(r"cd (deploy/terraform/\S+)", page)
    (output,) = re.findall(r"terraform output (\w+)", page)

    text = "".join(path.read_text() for path in (ROOT / directory).glob("*.tf"))
    assert f'output "{output}"' in text
