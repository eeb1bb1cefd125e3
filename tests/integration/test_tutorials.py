"""Tutorials are followed as they are written: their programs in files, their commands in a shell."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.support.command import run_shell
from tests.support.documents import ROOT, Block, read_blocks

# What runs here is the same on every interpreter.
pytestmark = [pytest.mark.integration, pytest.mark.once]

TUTORIALS = ROOT / "docs" / "tutorials"


def script_of(blocks: Iterable[Block]) -> str:
    """The commands in their order, but for the installation, which these tests have behind them."""
    commands = [block.text for block in blocks if block.language == "bash"]
    return "\n".join(each for each in commands if not each.startswith("pip "))


def test_a_first_message(tmp_path: Path) -> None:
    page = read_blocks(TUTORIALS / "first-message.md")
    (program,) = [block for block in page if block.language == "python" and ">>>" not in block.text]
    tmp_path.joinpath("first_message.py").write_text(program.text)
    again = "python first_message.py 2>&1 | tail -n 1 || true\n"
    script = script_of(page).replace("kill %1", f"{again}kill %1")

    done = run_shell(script, tmp_path)

    assert done.returncode == 0, done.stderr
    printed, looked = [block.text for block in page if block.language == "text"]
    assert done.stdout.startswith(printed)
    for line in looked.splitlines():
        assert re.search(rf"^{re.escape(line)}$", done.stdout, re.MULTILINE), line
    assert "MessageAlreadyPublished" in done.stdout.splitlines()[-1]


def test_from_the_wheel_to_a_running_relay(tmp_path: Path) -> None:
    """All but what is written for an account, which the command's parser reads with every other block."""
    page = [each for each in read_blocks(TUTORIALS / "deploy.md") if each.heading != "With an account"]
    (program,) = [block for block in page if block.language == "python"]
    tmp_path.joinpath("place_order.py").write_text(program.text)

    done = run_shell(script_of(page), tmp_path)

    assert done.returncode == 0, done.stderr
    made, changed = [block.text.splitlines() for block in page if block.language == "text"]
    lines = done.stdout.splitlines()
    assert lines[: len(made)] == made
    assert not lines[len(made)].startswith("called ")
    assert "received: m-1" in lines
    assert "state       dispatched" in lines
    assert [line for line in lines if line in changed] == changed
    assert any(line.startswith("table outbox: nothing found") for line in lines)
