"""The public interface as one text: `python -m tools.public_api` writes docs/reference/public-api.txt.

griffe reads the sources without importing them, so the text is the same on every Python, and no extra has to
be installed for it. Public is what ``__all__`` of a module in `PUBLIC_MODULES` lists, of its classes what
does not begin with an underscore, and every class that those name: as a base, in a signature, or as a field.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import griffe

__all__ = [
    "PUBLIC_MODULES",
    "SNAPSHOT",
    "breaking_changes",
    "load_package",
    "main",
    "render_api",
]

ROOT = Path(__file__).parents[1]
SNAPSHOT = ROOT / "docs" / "reference" / "public-api.txt"
PACKAGE = "outbox_sdk"

PUBLIC_MODULES = (
    PACKAGE,
    "outbox_sdk.console",
    "outbox_sdk.core.asyncapi",
    "outbox_sdk.core.capacity",
    "outbox_sdk.core.checkpoint",
    "outbox_sdk.core.cost",
    "outbox_sdk.core.cost_report",
    "outbox_sdk.core.doctor.reads",
    "outbox_sdk.core.event_source",
    "outbox_sdk.core.identifiers",
    "outbox_sdk.core.json_schema",
    "outbox_sdk.core.operator_rights",
    "outbox_sdk.core.place",
    "outbox_sdk.core.prices",
    "outbox_sdk.core.quotas",
    "outbox_sdk.core.routing",
    "outbox_sdk.core.table",
    "outbox_sdk.core.workload",
    "outbox_sdk.embedded_stack",
    "outbox_sdk.lambda_handler",
    "outbox_sdk.packaging",
    "outbox_sdk.provisioning",
    "outbox_sdk.pytest_plugin",
    "outbox_sdk.pytest_plugin.laws",
    "outbox_sdk.pytest_plugin.strategies",
    "outbox_sdk.shell.task",
    "outbox_sdk.sweeper_handler",
    "outbox_sdk.testing",
    "outbox_sdk.testing.simulation",
    "outbox_sdk.testing.simulation.plans",
)
"""What users import from. The pages may use no other module; a test holds them to it."""

_HEAD = """\
# The public interface of outbox_sdk, written by `python -m tools.public_api`. Do not edit.
# Fields come in the order in which they are given, and of functions every overload.
"""
_REACHED = """\
# What the signatures and fields above lead to: whoever holds such a value relies on it.
"""
_WIDTH = 110


def load_package(source: Path = ROOT / "src") -> griffe.Module:
    """Read the sources of the package below a folder."""
    package = griffe.load(PACKAGE, search_paths=[source], allow_inspection=False, resolve_aliases=True)
    return _module_of(package)


def render_api(package: griffe.Module, modules: Sequence[str] = PUBLIC_MODULES) -> str:
    """Write every public name with what a caller may rely on, a module after the other.

    Raises:
        KeyError: a module is not there, or lists a name that it does not have.
    """
    shown: dict[str, str] = {}
    texts = [_module(name, _find(package, name), shown) for name in modules]
    reached = _reached(package, modules)
    rest = ["\n".join(_object(path, reached[path])) + "\n" for path in sorted(reached) if path not in shown]
    return "\n".join([_HEAD, *texts, _REACHED, *rest])


def breaking_changes(reference: str, modules: Sequence[str] = PUBLIC_MODULES) -> list[str]:
    """Say what has changed since a tag or commit so that code which worked then may not work now.

    Only what griffe can tell: names and parameters that are gone, renamed or moved, defaults and bases that
    differ. It does not see what a function does.
    """
    loaded = griffe.load_git(
        PACKAGE, ref=reference, repo=ROOT, search_paths=["src"], allow_inspection=False, resolve_aliases=True
    )
    before = _module_of(loaded)
    there = [name for name in modules if _exists(before, name)]
    promised = _reached(before, there)
    found: dict[str, None] = {}
    for breakage in griffe.find_breaking_changes(before, load_package()):
        path = breakage.obj.canonical_path
        if any(f"{path}.".startswith(f"{each}.") for each in promised):
            values = (breakage.old_value, breakage.new_value)
            told = (
                ""
                if any(isinstance(each, griffe.Object) for each in values)
                else ": {} -> {}".format(*values)
            )
            found[f"{path}: {breakage.kind.value}{told}"] = None
    return list(found)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the snapshot anew; with ``--against``, say instead what breaks since a tag or commit."""
    parser = argparse.ArgumentParser(prog="python -m tools.public_api", description=main.__doc__)
    parser.add_argument("--against", metavar="REF", help="exit with 1 where something breaks since then")
    options = parser.parse_args(arguments)
    if options.against is None:
        SNAPSHOT.write_text(render_api(load_package()), encoding="utf-8")
        return 0
    found = breaking_changes(options.against)
    sys.stdout.writelines(f"{line}\n" for line in found)
    return 1 if found else 0


def _find(package: griffe.Module, name: str) -> griffe.Module:
    return _module_of(package[name.split(".")[1:]] if name != package.name else package)


def _module_of(found: griffe.Object | griffe.Alias) -> griffe.Module:
    if not isinstance(found, griffe.Module):
        raise TypeError(f"{found.path} is no module")
    return found


def _exists(package: griffe.Module, name: str) -> bool:
    try:
        _find(package, name)
    except KeyError:
        return False
    return True


def _exports(module: griffe.Module) -> list[str]:
    if module.exports is None:
        raise KeyError(f"{module.path} has no __all__")
    return [str(name) for name in module.exports]


def _final(found: griffe.Object | griffe.Alias) -> griffe.Object:
    return found.final_target if isinstance(found, griffe.Alias) else found


def _reached(package: griffe.Module, modules: Sequence[str]) -> dict[str, griffe.Object]:
    """Give what the modules list, and what that leads to, by path."""
    listed = [_find(package, name) for name in modules]
    waiting = [
        _final(module[name]) for module in listed for name in _exports(module) if name in module.all_members
    ]
    found: dict[str, griffe.Object] = {}
    while waiting:
        each = waiting.pop()
        if each.path not in found:
            found[each.path] = each
            waiting.extend(_mentioned(each))
    return found


def _module(name: str, module: griffe.Module, shown: dict[str, str]) -> str:
    lines = [f"{name}:"]
    for member in sorted(_exports(module)):
        found = _final(module[member])
        first = shown.setdefault(found.path, f"{name}.{member}")
        written = _object(member, found) if first == f"{name}.{member}" else [f"{member} = {first}"]
        lines.extend(f"    {line}" for line in written)
    return "\n".join(lines) + "\n"


def _mentioned(found: griffe.Object) -> Iterator[griffe.Object]:
    """Give the classes and aliases of this package that stand in annotations and bases."""
    expressions: list[object] = []
    match found:
        case griffe.Class():
            expressions += found.bases
            for _, member in _members(found):
                yield from _mentioned(member)
        case griffe.Function():
            for each in found.overloads or [found]:
                expressions += [each.returns, *(parameter.annotation for parameter in each.parameters)]
        case griffe.Attribute():
            # An alias has no annotation: what it stands for is its value.
            expressions.append(found.annotation or (found.value if found.name[0].isupper() else None))
        case griffe.TypeAlias():
            expressions.append(found.value)
        case _:
            pass
    for expression in expressions:
        if isinstance(expression, griffe.Expr):
            for part in expression.iterate(flat=True):
                if isinstance(part, griffe.ExprName) and part.canonical_path.startswith(f"{PACKAGE}."):
                    target = _final(found.package[part.canonical_path.split(".")[1:]])
                    if target.is_class or not (target.is_module or target.name.startswith("_")):
                        yield target


def _object(name: str, found: griffe.Object) -> Iterator[str]:
    match found:
        case griffe.Class():
            yield from _class(name, found)
        case griffe.Function():
            yield from _function(name, found)
        case griffe.Attribute():
            yield _attribute(name, found)
        case griffe.TypeAlias():
            yield f"type {name} = {found.value}"
        case _:
            raise TypeError(f"{found.path} is public, and of a kind that is not written down: {found.kind}")


def _class(name: str, found: griffe.Class) -> Iterator[str]:
    yield from (f"@{decorator.value}" for decorator in found.decorators)
    given = [str(base) for base in found.bases]
    given += [f"{keyword}={value}" for keyword, value in sorted(found.keywords.items())]
    yield f"class {name}({', '.join(given)})" if given else f"class {name}"
    for member, value in _members(found):
        yield from (f"    {line}" for line in _object(member, value))


def _members(found: griffe.Class) -> list[tuple[str, griffe.Object]]:
    return [(name, _final(value)) for name, value in found.members.items() if _seen(name)]


def _seen(name: str) -> bool:
    return not name.startswith("_") or (name.startswith("__") and name != "__slots__")


def _function(name: str, found: griffe.Function) -> Iterator[str]:
    # griffe keeps the overloads with the function that carries them out, which nobody calls as it is written.
    overloads = found.overloads or []
    marks = "".join(f"@{decorator.value} " for decorator in found.decorators)
    for each in overloads or [found]:
        word = "async def" if "async" in each.labels else "def"
        line = f"{marks}{'@overload ' if overloads else ''}{word} {each.signature(name=name)}"
        yield from [line] if len(line) <= _WIDTH else _broken(line)


def _broken(line: str) -> Iterator[str]:
    """Put each parameter of a signature in a line of its own, so that a difference shows what has changed."""
    start, depth = 0, 0
    begin = line.index("(", line.index("def "))
    for index, character in enumerate(line[begin:], start=begin):
        depth += (character in "([") - (character in ")]")
        if (character == "(" and depth == 1) or (character == "," and depth == 1):
            yield f"{'    ' if start else ''}{line[start : index + 1].strip()}"
            start = index + 1
        elif depth == 0:
            yield f"    {line[start:index].strip()},"
            yield line[index:]
            return


def _attribute(name: str, found: griffe.Attribute) -> str:
    value = "" if found.value is None else str(found.value)
    if "property" in found.labels:
        return f"{name}: {found.annotation} (property)"
    if "class-attribute" not in found.labels and "instance-attribute" in found.labels:
        return f"{name}: {_type_of(found, value)}"
    if found.annotation is None:
        return f"{name} = {value if len(value) <= _WIDTH else value[:_WIDTH] + '...'}"
    # In a class the value is a default, which callers rely on. Of a constant only the type is promised.
    default = f" = {value}" if value and isinstance(found.parent, griffe.Class) else ""
    return f"{name}: {found.annotation}{default}"


def _type_of(found: griffe.Attribute, value: str) -> str:
    """Tell the type of what `__init__` sets: as it says, or that of the parameter which it is."""
    if found.annotation is not None or not isinstance(found.parent, griffe.Class):
        return str(found.annotation)
    made = found.parent.members.get("__init__")
    parameters = made.parameters if isinstance(made, griffe.Function) else griffe.Parameters()
    return str(parameters[value].annotation) if value in parameters else f"as {value}"


if __name__ == "__main__":
    sys.exit(main())
