"""What is left out of byte-code: columns and docstrings of dependencies, and nothing that code runs by."""

import ast
import importlib.util
import json
import marshal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import pytest

from outbox_sdk.packaging.bytecode import with_byte_code
from outbox_sdk.packaging.compile_lean import compile_lean
from outbox_sdk.packaging.errors import PackageError

pytestmark = pytest.mark.once

SOURCE = b'''"""Of the module."""
from __future__ import annotations

class Documented:
    """Of the class."""

class Empty(Exception):
    """All that it has."""

def function(value: int) -> str:
    """Of the function."""
    "A second text, which is no docstring next."
    assert value > 0, "too small"
    return "kept " + str(value)

async def coroutine() -> None:
    """All that it has."""
'''
CACHED = f"__pycache__/library.{sys.implementation.cache_tag}.pyc"


def code_objects(content: bytes) -> Iterator[CodeType]:
    waiting = [marshal.loads(content[16:])]  # noqa: S302 - this test's own
    while waiting:
        code = waiting.pop()
        yield code
        waiting.extend(constant for constant in code.co_consts if isinstance(constant, CodeType))


def has_columns(content: bytes) -> bool:
    return any(column is not None for code in code_objects(content) for *_, column, _ in code.co_positions())


@pytest.fixture(scope="module")
def compiled() -> dict[str, bytes]:
    files = {"library.py": SOURCE, "outbox_sdk/library.py": SOURCE, "data.json": b"{}"}
    return with_byte_code(files, Path(sys.executable))


@pytest.fixture
def tried(compiled: dict[str, bytes], tmp_path: Path) -> dict[str, object]:
    """What another process says of the module that has no source."""
    (tmp_path / "library.pyc").write_bytes(compiled["library.pyc"])
    code = f"""
import sys, json, traceback
sys.path.insert(0, {str(tmp_path)!r})
import library
try:
    library.function(0)
except AssertionError as error:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    refused = [str(error), frame.filename, frame.lineno, frame.name]
documented = [library, library.Documented, library.Empty, library.function, library.coroutine]
print(json.dumps({{
    "docstrings": [each.__doc__ for each in documented],
    "refused": refused,
    "result": library.function(3),
    "annotations": library.function.__annotations__,
}}))
"""
    answer = subprocess.run([sys.executable, "-I", "-c", code], check=True, capture_output=True, text=True)
    result: dict[str, object] = json.loads(answer.stdout)
    return result


def test_own_modules_keep_their_sources_and_dependencies_do_not(compiled: dict[str, bytes]) -> None:
    assert set(compiled) == {"library.pyc", "outbox_sdk/library.py", f"outbox_sdk/{CACHED}", "data.json"}


def test_docstrings_of_dependencies_are_left_out(tried: dict[str, object]) -> None:
    assert tried["docstrings"] == [None] * 5


def test_what_code_runs_by_stays(tried: dict[str, object]) -> None:
    assert tried["result"] == "kept 3"
    assert tried["annotations"] == {"value": "int", "return": "str"}  # by the future that the module imports


def test_assertions_hold_and_a_traceback_names_file_line_and_function(tried: dict[str, object]) -> None:
    line = SOURCE[: SOURCE.index(b"assert")].count(b"\n") + 1

    assert tried["refused"] == ["too small", "/var/task/library.py", line, "function"]


def test_dependencies_have_no_columns_and_own_modules_keep_docstrings_and_columns(
    compiled: dict[str, bytes],
) -> None:
    own = compiled[f"outbox_sdk/{CACHED}"]

    assert not has_columns(compiled["library.pyc"])
    assert has_columns(own)
    assert any("Of the function." in code.co_consts for code in code_objects(own))


def test_only_docstrings_are_left_out() -> None:
    """Where there are none, the compiler's own byte-code comes out."""
    source = b"def function():\n    return ['text', 'another']\n\nNAMES = ('a', 'b')\n'not the first'\n"
    content = compile_lean(source, "module.py")

    (code, *_) = code_objects(content)
    assert code == compile(source, "module.py", "exec", dont_inherit=True)
    assert content[:16] == (importlib.util.MAGIC_NUMBER + b"\x01\0\0\0" + importlib.util.source_hash(source))


def test_a_module_may_be_a_docstring_and_no_more() -> None:
    (code,) = code_objects(compile_lean(b'"""All there is."""\n', "module.py"))

    assert code.co_consts == compile(ast.parse(""), "module.py", "exec").co_consts


@pytest.mark.parametrize("name", ["library.py", "outbox_sdk/library.py"])
def test_what_cannot_be_compiled_is_named(name: str) -> None:
    with pytest.raises(PackageError, match=r"(?s)could not compile .*library\.py"):
        with_byte_code({name: b"def"}, Path(sys.executable))
