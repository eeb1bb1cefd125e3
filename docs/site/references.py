"""What the reference names and does not document: a link to the source of ours, else text, or an error."""

import inspect
import posixpath
from importlib import import_module
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

__all__ = ["find_source", "resolve", "setup"]

_OURS = "outbox_sdk"
_PACKAGE = Path(import_module(_OURS).__file__ or "").parent


def find_source(target: str) -> Path | None:
    """Give the file that a dotted name of the package is defined in; ``None`` where there is no such name.

    >>> find_source("outbox_sdk.core.retry.RetryPolicy").name
    'retry.py'
    >>> find_source("outbox_sdk.core.retry").name
    'retry.py'
    >>> find_source("outbox_sdk.core.retry.Nothing") is None
    True
    """
    parts = target.split(".")
    for length in range(len(parts), 0, -1):
        try:
            module = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        value: object = module
        for name in parts[length:]:
            value = getattr(value, name, None)
        if value is None:
            return None
        owner = inspect.getmodule(value) if inspect.isclass(value) or inspect.isroutine(value) else module
        file = Path((owner or module).__file__ or "")
        return file if file.is_relative_to(_PACKAGE) else None
    return None


def resolve(
    app: Sphinx, _: BuildEnvironment, node: addnodes.pending_xref, shown: nodes.TextElement
) -> nodes.Node | None:
    """Is called for each reference that has no target; ``None`` leaves it an error."""
    if node.get("refdomain") != "py":
        return None
    target: str = node["reftarget"]
    named = target if target.partition(".")[0] == _OURS else _beside(node, target)
    source = find_source(named) if named else None
    if source is not None:
        path = source.relative_to(app.srcdir).as_posix()
        app.wanted_files.add(path)
        uri = posixpath.relpath(f"files/{path}.html", posixpath.dirname(node["refdoc"]))
        return nodes.reference("", "", shown, refuri=uri, internal=True)
    if target.partition(".")[0] == _OURS:
        # Type variables are nothing to look up.
        return shown if target.rpartition(".")[2].startswith("_") else None
    # A type that only a checker knows, or one of another package: the site links to no other host for those.
    return shown if "." in target or not isinstance(shown, nodes.literal) else None


def _beside(node: addnodes.pending_xref, target: str) -> str | None:
    """Give what a docstring calls by its name alone: something of the module that its class is defined in."""
    module, owner = node.get("py:module"), node.get("py:class")
    if not module or not owner or "." in target:
        return None
    value = getattr(import_module(module), owner.partition(".")[0], None)
    return f"{value.__module__}.{target}" if inspect.isclass(value) else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Is called by Sphinx."""
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True}
