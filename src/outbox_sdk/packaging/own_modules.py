"""Which modules of this project the functions may load: what their handlers import, however deep and late.

The standard library's ``modulefinder`` would follow imports that only a type checker makes as well, and by
those this project's front page leads everywhere.
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["find_reachable"]


def find_reachable(package: Path, entries: Iterable[str]) -> frozenset[Path]:
    """Give the files of all modules of ``package``, a folder, that ``entries`` import, themselves included.

    Imports inside functions count, imports under ``if TYPE_CHECKING:`` do not. Of other packages nothing is
    read, though they may lie beside this one.

    Raises:
        LookupError: an entry is no module of the package, or a module is imported by a relative name.
    """
    found: dict[str, Path] = {}
    waiting = list(entries)
    for entry in waiting:
        if _find_file(package, entry) is None:
            raise LookupError(f"there is no module {entry} in {package}")
    while waiting:
        name = waiting.pop()
        path = _find_file(package, name)
        if path is None or name in found:
            continue
        found[name] = path
        waiting.extend([*_imports(ast.parse(path.read_bytes())), name.rpartition(".")[0]])
    return frozenset(found.values())


def _find_file(package: Path, name: str) -> Path | None:
    top, *parts = name.split(".")
    if top != package.name:
        return None
    module = package.joinpath(*parts)
    return next(filter(Path.is_file, (module / "__init__.py", module.with_name(f"{module.name}.py"))), None)


def _imports(node: ast.AST) -> Iterator[str]:
    """Name all that may be a module; whether it is one shows when its file is looked for."""
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            children: Iterable[ast.AST] = node.orelse
        case ast.Import():
            yield from (alias.name for alias in node.names)
            return
        case ast.ImportFrom(module=str(module), level=0):
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
            return
        case ast.ImportFrom():
            # Nothing here is written so, and what is not followed would be missing from the package.
            raise LookupError(f"line {node.lineno} imports by a relative name: write it whole")
        case _:
            children = ast.iter_child_nodes(node)
    for child in children:
        yield from _imports(child)
