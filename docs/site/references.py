"""What the reference names and does not document: a link to the source of ours, else text, or an error."""

import inspect
import posixpath
from importlib import import_module

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from docs.site.sources import find_source

__all__ = ["resolve", "setup"]

_OURS = "outbox_sdk"


def resolve(
    app: Sphinx, _: BuildEnvironment, node: addnodes.pending_xref, shown: nodes.TextElement
) -> nodes.Node | None:
    """Is called for each reference that has no target; ``None`` leaves it an error."""
    if node.get("refdomain") != "py":
        return None
    target: str = node["reftarget"]
    named = target if target.partition(".")[0] == _OURS else _beside(node, target)
    # Type variables are nothing to look up.
    private = target.rpartition(".")[2].startswith("_")
    source = find_source(named) if named and not private else None
    if source is not None:
        path = source.relative_to(app.srcdir).as_posix()
        app.wanted_files.add(path)
        uri = posixpath.relpath(f"files/{path}.html", posixpath.dirname(node["refdoc"]))
        return nodes.reference("", "", shown, refuri=uri, internal=True)
    if target.partition(".")[0] == _OURS:
        return shown if private else None
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
