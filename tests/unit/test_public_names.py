"""The public interface is a list: `__all__` of every module, in order and equal to its definitions."""

import ast
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest

import examples
import outbox_sdk


def bound_names(body: Sequence[ast.stmt]) -> Iterator[str]:
    """Names defined by `def`, `class`, `type` or assignment; an import defines nothing."""
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Assign(targets=targets):
                for target in targets:
                    yield from stored_names(target)
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.If(body=inner, orelse=other):
                yield from bound_names([*inner, *other])
            case ast.Try(body=inner, handlers=handlers, orelse=other, finalbody=last):
                yield from bound_names([*inner, *other, *last])
                for handler in handlers:
                    yield from bound_names(handler.body)
            case _ if type(node).__name__ == "TypeAlias":  # the `type` statement, from Python 3.12 on
                yield from stored_names(node)
            case _:
                pass


def stored_names(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            yield part.id


def imported_names(tree: ast.Module) -> set[str]:
    # Of a package that loads its names when they are first used, the imports are below `if TYPE_CHECKING`.
    blocks = [tree.body, *(node.body for node in tree.body if isinstance(node, ast.If))]
    imports = (node for body in blocks for node in body if isinstance(node, ast.Import | ast.ImportFrom))
    return {alias.asname or alias.name for node in imports for alias in node.names}


def declared_names(tree: ast.Module) -> list[str] | None:
    """The literal value of `__all__`, or None where the module has none."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return list(ast.literal_eval(value))
            case ast.AnnAssign(target=ast.Name(id="__all__"), value=ast.expr() as value):
                return list(ast.literal_eval(value))
            case _:
                pass
    return None


def in_order(names: Iterable[str]) -> list[str]:
    """Each name once: constants, then classes, then functions, as ruff's RUF022 sorts them."""

    def key(name: str) -> tuple[int, str]:
        if name.isupper():
            return 0, name
        return (1 if name[0].isupper() else 2), name

    return sorted(set(names), key=key)


def problems_of(source: str, *, is_package: bool = False) -> list[str]:
    """What is wrong with the public names of a module, one sentence each.

    A package may also list names that it imports from its own modules.
    """
    tree = ast.parse(source)
    declared = declared_names(tree)
    if declared is None:
        return ["has no __all__"]
    defined = {name for name in bound_names(tree.body) if not name.startswith("_")}
    allowed = defined | (imported_names(tree) if is_package else set())
    problems = []
    if declared != in_order(declared):
        problems.append(f"__all__ is not in order, or repeats a name: {declared}")
    if missing := sorted(defined - set(declared)):
        problems.append(f"defined and not in __all__: {missing}")
    if unknown := sorted(set(declared) - allowed):
        problems.append(f"in __all__ and not defined: {unknown}")
    return problems


def modules_below(package: ModuleType) -> list[str]:
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    return sorted(module.name for module in found)


@pytest.mark.parametrize("name", [*modules_below(outbox_sdk), *modules_below(examples)])
def test_a_module_lists_exactly_what_it_defines(name: str) -> None:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text(encoding="utf-8")
    assert problems_of(source, is_package=spec.submodule_search_locations is not None) == []


def test_the_modules_were_found() -> None:
    assert {"outbox_sdk.core", "outbox_sdk.shell", "outbox_sdk.cli"} <= set(modules_below(outbox_sdk))
    assert "examples.customers_and_orders.orders.service" in modules_below(examples)


def test_the_package_lists_names_that_all_resolve() -> None:
    """They are loaded lazily, so a wrong one would otherwise show only to whoever asks for it."""
    package = importlib.import_module("outbox_sdk")
    assert list(package.__all__) == in_order(package.__all__)
    assert [name for name in package.__all__ if not hasattr(package, name)] == []


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    package = importlib.import_module("outbox_sdk")
    with pytest.raises(AttributeError, match="no_such_name"):
        package.no_such_name  # noqa: B018 - the look-up is the test


GOOD = '''
"""A module."""
import os
from typing import NewType, TYPE_CHECKING
__all__ = ["LIMIT", "Alias", "Thing", "a", "b", "make", "run"]
Alias = NewType("Alias", str)
LIMIT: int = 10
_HIDDEN = 1
a, b = 1, 2
class Thing: ...
def make(): inner = 1
async def run(): ...
def _helper(): ...
'''


def test_the_checker_accepts_a_module_in_order() -> None:
    assert problems_of(GOOD) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("__all__ =", "_names ="), "has no __all__"),
        (('"LIMIT", "Alias"', '"Alias", "LIMIT"'), "not in order"),
        (('"Alias", "Thing"', '"Thing", "Alias"'), "not in order"),
        (('"make", ', '"make", "make", '), "repeats a name"),
        (('"Thing", ', ""), "defined and not in __all__: ['Thing']"),
        (('"Alias", ', ""), "defined and not in __all__: ['Alias']"),
        (('"b", ', ""), "defined and not in __all__: ['b']"),
        (("async def run", "async def _run"), "in __all__ and not defined: ['run']"),
        (('"make", ', '"make", "os", '), "in __all__ and not defined: ['os']"),
    ],
)
def test_the_checker_names_what_is_wrong(change: tuple[str, str], problem: str) -> None:
    source = GOOD.replace(*change)
    assert source != GOOD
    assert any(problem in found for found in problems_of(source))


def test_a_package_may_list_what_it_imports() -> None:
    source = 'from outbox_sdk.core.plan import Plan\n__all__ = ["Plan"]\n'
    assert problems_of(source, is_package=True) == []
    assert problems_of(source) == ["in __all__ and not defined: ['Plan']"]
    lazy = 'if TYPE_CHECKING:\n    from outbox_sdk.core.plan import Plan\n__all__ = ["Plan"]\n'
    assert problems_of(lazy, is_package=True) == []
    assert problems_of(lazy.replace('"Plan"', '"Other"'), is_package=True) != []
