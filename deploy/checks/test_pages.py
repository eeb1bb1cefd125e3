"""What pages show of Terraform is HCL, formatted as Terraform does, and refers to what a page declares."""

import re
import subprocess
from pathlib import Path

import pytest

from deploy.checks.test_module import read_module, references

DOCS = Path(__file__).parents[2] / "docs"
SHOWN = {
    path: re.findall(r"^```hcl\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for path in sorted(DOCS.rglob("*.md"))
}
PAGES = [path for path, blocks in SHOWN.items() if blocks]


def test_there_are_pages_that_show_some() -> None:
    assert [path.name for path in PAGES] == ["terraform.md"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_reference_leads_to_what_the_page_declares(path: Path) -> None:
    sources = {str(number): block for number, block in enumerate(SHOWN[path])}
    declared = read_module(sources)
    used = {reference for block in sources.values() for reference in references(block)}

    assert ("module", "outbox") in used
    assert not [reference for reference in used if reference[1] not in declared[reference[0]]]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_it_is_formatted_as_terraform_does(path: Path) -> None:
    for block in SHOWN[path]:
        formatted = subprocess.run(
            ["terraform", "fmt", "-"], input=block, capture_output=True, text=True, check=False
        )
        assert (formatted.returncode, formatted.stdout) == (0, block), formatted.stderr
