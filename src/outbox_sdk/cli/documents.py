"""What commands print with ``--json``, by command: each line is one value of the type.

``python -m outbox_sdk.cli.documents DIRECTORY`` writes the JSON Schema of each.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from outbox_sdk.core.message_view import MessageLife, MessageView
from outbox_sdk.core.passing import Passage
from outbox_sdk.core.status import OutboxStatus

__all__ = ["DOCUMENTS", "encode_schema", "write_schemas"]

DOCUMENTS: Mapping[str, type] = {
    "parked": MessageView,
    "pending": MessageView,
    "show": MessageLife,
    "status": OutboxStatus,
    "tail": Passage,
}


def encode_schema(command: str) -> str:
    """Write the JSON Schema of a command's lines."""
    schema: dict[str, Any] = msgspec.json.schema(DOCUMENTS[command])
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A line of `outbox {command} --json`",
        **schema,
    }
    return msgspec.json.format(msgspec.json.encode(schema, order="sorted").decode(), indent=2) + "\n"


def write_schemas(directory: Path) -> None:
    """Write all of them, a file each."""
    directory.mkdir(parents=True, exist_ok=True)
    for command in DOCUMENTS:
        (directory / f"{command}.json").write_text(encode_schema(command), encoding="utf-8")


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1]))
