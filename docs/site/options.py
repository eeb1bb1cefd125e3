"""Writes the page of the command's options from the command itself.

``python -m docs.site.options docs/reference/options.md`` writes the file, and a test compares it.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from typer.main import get_command

from outbox_sdk.cli import app

__all__ = ["describe_option", "write_page"]

_HEAD = """\
# Every option of the command

Written from the command itself, whose `--help` says the same; what the commands do and print is said
[on their page](command.md). An option that is "else" a variable goes before [it](configuration.md).

"""
_EXTRAS = re.compile(r"\s*\[((?:default|env var|required|x|-?\d)[^\[\]]*)\]$")
_SHARED = ("--table", "--endpoint-url", "--region", "--profile")


def describe_option(names: str, text: str) -> tuple[str, str, str]:
    """Take a line of help apart: what to type, what it does, and what else is known of its value.

    >>> describe_option("--messages <int range>", "How many messages to write.  [default: 200; 1<=x<=100000]")
    ('`--messages <int>`', 'How many messages to write.', '`200`; 1 to 100000')
    >>> describe_option("--id <list[str]>", "Of this message id.")
    ('`--id <str>`', 'Of this message id.', 'may be given again')
    """
    known = []
    found = _EXTRAS.search(text)
    for part in found[1].split("; ") if found else ():
        name, _, value = part.partition(": ")
        known.append(_say(name, value))
    if "<list[" in names:
        known.append("may be given again")
    what = _EXTRAS.sub("", text).replace("<", r"\<")  # no element of HTML
    names = re.sub(r"<list\[(\w+)\]>", r"<\1>", names).replace(" range>", ">")
    return f"`{_cell(names)}`", _cell(what), _cell("; ".join(known))


def _say(name: str, value: str) -> str:
    match name:
        case "default":
            return f"`{value}`"
        case "env var":
            return f"else `{value}`"
        case _:
            both = re.fullmatch(r"(\S+)<=x<=(\S+)", name)
            least = re.fullmatch(r"x>=(\S+)", name)
            return f"{both[1]} to {both[2]}" if both else f"{least[1]} or more" if least else name


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def write_page() -> str:
    """Give the page's text."""
    commands: Mapping[str, Any] = get_command(app).commands  # type: ignore[attr-defined]  # a group
    records = {name: list(_records(command)) for name, command in commands.items()}
    shared = [record for record in records["status"] if record[0].split()[0] in _SHARED]
    parts = ["## Where the table is\n", "Taken by each command that says so.\n", _table(shared)]
    for name, own in records.items():
        parts += [f"## `outbox {name}`\n", f"{commands[name].help}\n"]
        rest = [record for record in own if record not in shared]
        if len(own) - len(rest) == len(shared):
            parts.append("It takes [where the table is](#where-the-table-is), too.\n")
        else:
            rest = own
        parts.append(_table(rest) if rest else "It has no options.\n")
    return _HEAD + "\n".join(parts)


def _records(command: Any) -> Iterator[tuple[str, str]]:
    # Any: the command's classes are typer's own, and have no names outside.
    context = command.make_context(command.name, [], resilient_parsing=True)
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None:
            yield record


def _table(records: list[tuple[str, str]]) -> str:
    rows = (" | ".join(describe_option(*record)) for record in records)
    return "\n".join(
        [
            "| option | what it does | default, bounds |",
            "|---|---|---|",
            *(f"| {row} |" for row in rows),
            "",
        ]
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(write_page(), encoding="utf-8")
