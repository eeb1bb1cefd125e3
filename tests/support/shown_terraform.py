"""Checks a block of Terraform that a page shows, against the module's own text; `deploy/checks` parses it."""

import re

from tests.support.documents import ROOT

__all__ = ["check_terraform"]

MODULE = ROOT / "deploy" / "terraform"


def check_terraform(text: str) -> None:
    """Raise AssertionError for an argument or an output of the module that there is not."""
    code = re.sub(r'"[^"\n]*"', '""', text)
    assert [code.count(each) for each in "{[("] == [code.count(each) for each in "}])"]
    variables = (MODULE / "variables.tf").read_text()
    known = set(re.findall(r'^variable "(\w+)"', variables, re.MULTILINE))
    for block in re.findall(r'^module "\w+" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL):
        given = set(re.findall(r"^  (\w+) +=", block, re.MULTILINE))
        assert {"source", "package_file"} <= given <= known | {"source"}, given - known
        (source,) = re.findall(r'^  source += "\./(.*)"', block, re.MULTILINE)
        assert (ROOT / source / "variables.tf").exists(), source
    outputs = set(re.findall(r'^output "(\w+)"', (MODULE / "outputs.tf").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmodule\.\w+\.(\w+)", text)) <= outputs
