"""`outbox schema`: where it looks, what it writes, and how it says what is wrong."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from outbox_sdk.cli import app
from outbox_sdk.core.asyncapi import build_asyncapi
from outbox_sdk.core.json_schema import build_json_schema
from outbox_sdk.demo.messages import CATALOG

TARGET = "outbox_sdk.demo.messages:CATALOG"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["schema", *arguments])


def test_the_documents_are_printed_or_written(tmp_path: Path) -> None:
    printed = run(TARGET)
    assert json.loads(printed.stdout) == build_json_schema(CATALOG, title=TARGET)

    path = tmp_path / "asyncapi.json"
    written = run(
        TARGET, "--format", "asyncapi", "--output", str(path), "--title", "Orders", "--document-version", "3"
    )
    assert (written.exit_code, written.stdout) == (0, "")
    assert json.loads(path.read_text()) == build_asyncapi(CATALOG, title="Orders", version="3")
    assert path.read_text().endswith("}\n")


def test_a_module_of_the_working_directory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop_of_this_test.py").write_text(
        "from outbox_sdk.demo import messages\n\n\nclass Catalogs:\n    all = messages.CATALOG\n"
    )
    monkeypatch.chdir(tmp_path)
    result = run("shop_of_this_test:Catalogs.all")
    assert json.loads(result.stdout)["title"] == "shop_of_this_test:Catalogs.all"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["outbox_sdk.demo.messages"], "'outbox_sdk.demo.messages' is not a module and a name"),
        (
            ["no_such_module:catalog"],
            "no_such_module is not imported: No module named 'no_such_module'; "
            "run this in the project's directory, or install it",
        ),
        (["outbox_sdk.demo.messages:nothing"], "nothing of outbox_sdk.demo.messages is no Catalog"),
        (["outbox_sdk.demo.messages:FIFO_TOPIC"], "FIFO_TOPIC of outbox_sdk.demo.messages is no Catalog"),
        ([TARGET, "--output", "/no/such/folder/x.json"], "--output: /no/such/folder/x.json: No such file"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_exit_code_2(arguments: list[str], problem: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert problem in " ".join(result.stderr.split())
