"""Compiles a folder without docstrings; a script, which the interpreter of the functions runs by itself.

``python -X no_debug_ranges compile_lean.py FOLDER PREFIX`` puts each module's byte-code beside its source.
Only the standard library in here, and nothing newer than Python 3.11.

Not ``-OO``, which leaves out assertions as well, and libraries rely on those.
"""

import ast
import importlib.util
import marshal
import sys
from pathlib import Path

__all__ = ["compile_lean", "main"]

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_BY_HASH_NEVER_COMPARED = (0b01).to_bytes(4, "little")


def compile_lean(source: bytes, name: str) -> bytes:
    """Compile a module; give the content of its byte-code's file."""
    tree = ast.parse(source, name)
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED):
            _leave_out_docstring(node)
    code = compile(tree, name, "exec", dont_inherit=True)
    return (
        importlib.util.MAGIC_NUMBER
        + _BY_HASH_NEVER_COMPARED
        + importlib.util.source_hash(source)
        + marshal.dumps(code)
    )


def _leave_out_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    # What comes second would be the docstring next, if it is a text by itself as well.
    while node.body and _is_text(first := node.body[0]):
        rest = node.body[1:]
        # A module may be empty. A `pass` elsewhere would come before what has to come first in it.
        if not rest and not isinstance(node, ast.Module):
            rest = [ast.copy_location(ast.Pass(), first)]
        node.body = rest


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def main(folder: str, prefix: str) -> None:
    """Compile all modules below a folder, each under the name that it will have in a traceback."""
    root = Path(folder)
    for path in sorted(root.rglob("*.py")):
        place = f"{prefix}/{path.relative_to(root).as_posix()}"
        path.with_suffix(".pyc").write_bytes(compile_lean(path.read_bytes(), place))


if __name__ == "__main__":
    main(*sys.argv[1:])
