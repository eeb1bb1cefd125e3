"""The Python reference: lists of public names in Markdown become the names' docstrings.

A page of the reference lists names in a fence, which reads well on a code host too::

    ```{names} outbox_sdk
    Outbox
    Catalog
    ```
"""

import ast
import inspect
import re
import sys
from importlib import import_module
from itertools import pairwise
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

__all__ = ["REFERENCE", "expand_names", "listed_names", "setup"]

REFERENCE = "docs/reference/api/"
_FENCE = re.compile(r"^```\{names\} (?P<module>[\w.]+)\n(?P<names>(?:\w+\n)+)```$", re.MULTILINE)


def listed_names(text: str) -> list[tuple[str, str]]:
    r"""Give the names that a page documents, each with the module that it is imported from.

    >>> listed_names("```{names} outbox_sdk\nOutbox\nInbox\n```\n")
    [('outbox_sdk', 'Outbox'), ('outbox_sdk', 'Inbox')]
    """
    return [(fence["module"], name) for fence in _FENCE.finditer(text) for name in fence["names"].split()]


def expand_names(text: str) -> str:
    r"""Write the directives of autodoc in place of the lists.

    >>> print(expand_names("```{names} outbox_sdk\nOutbox\nopen_relay\n```"))
    ```{eval-rst}
    .. py:currentmodule:: outbox_sdk
    .. autoclass:: outbox_sdk.Outbox
    .. autofunction:: outbox_sdk.open_relay
    ```
    """
    return _FENCE.sub(_expand, text)


def _expand(fence: re.Match[str]) -> str:
    module = fence["module"]
    loaded = import_module(module)
    lines = [f".. py:currentmodule:: {module}"]
    for name in fence["names"].split():
        value = getattr(loaded, name)
        if inspect.isclass(value):
            lines.append(f".. autoclass:: {module}.{name}")
        elif inspect.isroutine(value):
            lines.append(f".. autofunction:: {module}.{name}")
        else:
            lines += ["", f".. py:data:: {name}", "", *_describe(loaded, name), ""]
    return "\n".join(["```{eval-rst}", *lines, "```"])


def _describe(package: ModuleType, name: str) -> list[str]:
    """Give what stands below the definition of a value, which the value itself does not know."""
    for module in map(sys.modules.get, _imported_from(package, name)):
        body = ast.parse(inspect.getsource(module or package)).body
        for statement, after in pairwise(body):
            names = [each.id for each in ast.walk(statement) if isinstance(each, ast.Name)]
            if isinstance(statement, ast.Assign | ast.AnnAssign) and names[0] == name:
                match after:
                    case ast.Expr(value=ast.Constant(value=str(text))):
                        return [f"   {line}" for line in inspect.cleandoc(text).splitlines()]
                    case _:
                        pass
    raise ValueError(f"{package.__name__}.{name} has no text below its definition")


def _imported_from(package: ModuleType, name: str) -> list[str]:
    statements = ast.parse(inspect.getsource(package)).body
    froms = [each for each in statements if isinstance(each, ast.ImportFrom) and each.module]
    found = [each.module for each in froms if any(alias.name == name for alias in each.names)]
    return [module for module in found if module is not None] or [package.__name__]


def setup(app: "Sphinx") -> dict[str, bool]:
    """Is called by Sphinx."""

    def read(_: "Sphinx", name: str, source: list[str]) -> None:
        if name.startswith(REFERENCE):
            source[0] = expand_names(source[0])

    app.connect("source-read", read)
    return {"parallel_read_safe": True}
