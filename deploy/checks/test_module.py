"""The Terraform module by its text: every reference leads somewhere, and all of it is documented and used.

No provider can be loaded without the network, so arguments of resources are not checked here.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2  # type: ignore[import-not-found] # of the session `deploy` only
import pytest

MODULE = Path(__file__).parents[1] / "terraform"
EXAMPLES = sorted(path for path in (MODULE / "examples").iterdir() if path.is_dir())

DATA = json.loads((MODULE / "outbox.json").read_text())
READ_OTHERWISE = {
    "mark_strategies",  # for people, who see which policies there are
}

Blocks = dict[str, dict[str, Any]]


def read_module(sources: dict[str, str]) -> Blocks:
    """Give what a module declares, by kind (``var``, ``local``, ``data``, ``resource``, ``output``) and name.

    The reader gives each value of a block as a list of one.
    """
    declared: Blocks = {kind: {} for kind in ("var", "local", "data", "resource", "module", "output")}
    for text in sources.values():
        parsed = hcl2.loads(text)
        for blocks in parsed.get("locals", []):
            declared["local"] |= {name: value for name, value in blocks.items() if name[:2] != "__"}
        for word, kind in {"variable": "var", "output": "output", "module": "module"}.items():
            for block in parsed.get(word, []):
                declared[kind] |= block
        for kind in ("resource", "data"):
            for block in parsed.get(kind, []):
                for type_, named in block.items():
                    declared[kind] |= {f"{type_}.{name}": body for name, body in named.items()}
    return declared


def code_of(text: str) -> str:
    """HCL without comments, and of texts only what is evaluated."""
    lines = [re.sub(r"^\s*#.*|\s#\s.*", "", line) for line in text.splitlines()]
    return re.sub(
        r'"(?:[^"\\]|\\.)*"', lambda text: " ".join(re.findall(r"\$\{([^}]*)\}", text[0])), "\n".join(lines)
    )


def references(text: str) -> Iterator[tuple[str, str]]:
    """Give each reference as kind and name."""
    code = code_of(text)
    for kind, name in re.findall(r"(?<![\w.])(var|local|module)\.(\w+)", code):
        yield kind, name
    for type_, name in re.findall(r"(?<![\w.])data\.(aws_\w+)\.(\w+)", code):
        yield "data", f"{type_}.{name}"
    for type_, name in re.findall(r"(?<![\w.])(aws_\w+)\.(\w+)", code):
        yield "resource", f"{type_}.{name}"


def problems(sources: dict[str, str]) -> list[str]:
    """What leads nowhere, is undocumented, or is not used; one sentence each."""
    declared = read_module(sources)
    used = {reference for text in sources.values() for reference in references(text)}
    found = [f"{kind}.{name} is not declared" for kind, name in used if name not in declared[kind]]
    for kind in ("var", "local", "data"):
        found += [f"{kind}.{name} is not used" for name in declared[kind] if (kind, name) not in used]
    for name, body in declared["var"].items():
        found += [f"var.{name} has no {each}" for each in ("description", "type") if not body.get(each)]
    found += [f"output {name} has no description" for name, body in declared["output"].items()
              if not body.get("description")]  # fmt: skip
    return sorted(found)


def paths_read(text: str) -> Iterator[tuple[str, ...]]:
    """Give the paths into the SDK's data that the code follows, each as far as it is written out."""
    code = code_of(text)
    shorts = {
        "sdk": (),
        "design": ("designs", "ordered"),
        "mapping": ("designs", "ordered", "mapping", "batch"),
    }
    for name, path in re.findall(r"(?<![\w.])local\.(sdk|design|mapping)((?:\.[A-Za-z_]+)+)", code):
        yield (*shorts[name], *path.strip(".").split("."))
    # What is iterated over: `for_each = PATH`, and then NAME.value.FIELD of a dynamic block or a resource.
    for path, body in re.findall(
        r"for_each\s*=\s*local\.((?:sdk|design)\.\w+)\n(.*?)\n(?=}|  })", code, re.DOTALL
    ):
        name, field = path.split(".")
        for attribute in re.findall(r"\w+\.value\.(\w+)", body):
            yield (*shorts[name], field, "*", attribute)


def follows(data: Any, path: tuple[str, ...]) -> bool:
    for step in path:
        if step == "*":
            data = next(iter(data.values() if isinstance(data, dict) else data))
        elif isinstance(data, dict) and step in data:
            data = data[step]
        else:
            return False
    return True


def unused(data: dict[str, Any], read: set[tuple[str, ...]]) -> list[str]:
    """Name what nothing reads of a design, its mapping and indexes, of alarms and of metrics."""
    design = ("designs", "ordered")
    mapping = (*design, "mapping", "batch")
    rows = [("alarms", "*"), ("log_metrics", "*"), (*design, "global_secondary_indexes", "*")]
    fields = []
    for place in [(), design, mapping, *rows]:
        value: Any = data
        for step in place:
            value = (
                value[step]
                if step != "*"
                else next(iter(value.values() if isinstance(value, dict) else value))
            )
        fields += [(*place, name) for name in value]
    return [".".join(field) for field in fields if not any(path[: len(field)] == field for path in read)]


def sources_of(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.glob("*.tf"))}


def test_the_module_is_whole() -> None:
    declared = read_module(sources_of(MODULE))

    assert len(declared["var"]) > 30
    assert len(declared["resource"]) > 15
    assert problems(sources_of(MODULE)) == []


def test_what_is_read_of_the_sdks_data_is_in_there_and_nothing_is_left_out() -> None:
    read = {path for text in sources_of(MODULE).values() for path in paths_read(text)}

    assert [path for path in read if not follows(DATA, path)] == []
    assert sorted(unused(DATA, read)) == sorted(READ_OTHERWISE)


@pytest.mark.parametrize(
    ("old", "new", "lost"),
    [
        ("local.mapping.FunctionResponseTypes", "[]", "designs.ordered.mapping.batch.FunctionResponseTypes"),
        ("local.design.ttl_attribute", '"ExpiresAt"', "designs.ordered.ttl_attribute"),
        ("each.value.Threshold", "0", "alarms.*.Threshold"),
    ],
)
def test_what_is_no_longer_read_is_found(old: str, new: str, lost: str) -> None:
    texts = [text.replace(old, new) for text in sources_of(MODULE).values()]
    read = {path for text in texts for path in paths_read(text)}

    assert lost in unused(DATA, read)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_whole_and_give_the_module_what_it_takes(example: Path) -> None:
    variables = read_module(sources_of(MODULE))["var"]
    outputs = read_module(sources_of(MODULE))["output"]
    modules = read_module(sources_of(example))["module"]

    assert problems(sources_of(example)) == []
    for name, body in modules.items():
        given = {argument for argument in body if not argument.startswith("__")} - {"source"}
        required = {each for each, declared in variables.items() if "default" not in declared}
        assert given <= set(variables)
        assert required <= given
        text = "\n".join(sources_of(example).values())
        assert set(re.findall(rf"module\.{name}\.(\w+)", text)) <= set(outputs)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("var.table_name,", "var.tabel_name,", "var.tabel_name is not declared"),
        ("local.keys", "local.all_keys", "local.all_keys is not declared"),
        ("aws_iam_role.function[each.key].arn", "aws_iam_role.relay.arn",
         "resource.aws_iam_role.relay is not declared"),
        ("data.aws_region.current", "data.aws_region.here", "data.aws_region.here is not declared"),
        ("var.runtime", "null", "var.runtime is not used"),
        ('description = "What everything', 'nothing = "What everything', "var.name has no description"),
        ('description = "The table\'s stream."', "", "output stream_arn has no description"),
    ],
)  # fmt: skip
def test_a_fault_of_the_module_is_found(old: str, new: str, problem: str) -> None:
    sources = sources_of(MODULE)
    assert any(old in text for text in sources.values())

    assert problem in problems({name: text.replace(old, new) for name, text in sources.items()})


def rows(page: str, start: str) -> list[list[str]]:
    lines = page.splitlines()
    first = lines.index(start) + 2
    table = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return table


def test_the_page_lists_every_variable_and_output() -> None:
    """In the module's order and words; a default is written as in HCL."""
    page = (MODULE / "README.md").read_text()
    declared = read_module(sources_of(MODULE))
    text = (MODULE / "variables.tf").read_text()
    variables = [
        [f"`{name}`", body["type"][0].strip("${}"), default_of(text, name), body["description"][0]]
        for name, body in declared["var"].items()
    ]
    outputs = [[f"`{name}`", body["description"][0]] for name, body in declared["output"].items()]

    assert rows(page, "| variable | type | default | |") == variables
    assert rows(page, "| output | |") == outputs


def default_of(text: str, name: str) -> str:
    block = text.split(f'variable "{name}" {{', 1)[1].split("\n}", 1)[0]
    found = re.search(r"^  default +=\s(.*)$", block, re.MULTILINE)
    return "required" if found is None else f"`{found[1]}`"
