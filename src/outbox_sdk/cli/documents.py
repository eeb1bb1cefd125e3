"""What commands print with ``--json``, by command: each line is one value of the type.

``python -m outbox_sdk.cli.documents DIRECTORY`` writes the JSON Schema of each.
"""

import sys
from collections.abc import Mapping
from inspect import cleandoc
from pathlib import Path
from typing import Any, Literal

import msgspec

from outbox_sdk.core.cost_report import CostReport
from outbox_sdk.core.doctor.finding import Diagnosis
from outbox_sdk.core.message_view import MessageLife, MessageView
from outbox_sdk.core.passing import Passage
from outbox_sdk.core.status import OutboxStatus
from outbox_sdk.core.task_report import TaskReport

__all__ = ["DOCUMENTS", "SweepLine", "encode_schema", "write_schemas"]


class SweepLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of a sweep: trouble by class, and at the end ``backlog_swept`` or ``claims_swept``.

    What each has is said by :class:`~outbox_sdk.SweepReport`, its troubles, and
    :class:`~outbox_sdk.ClaimSweepReport`.
    """

    event: Literal[
        "backlog_swept",
        "buckets_unread",
        "claims_swept",
        "fetch_failed",
        "mark_failed",
        "mark_refused",
        "message_parked",
        "park_failed",
        "publish_failed",
        "touch_failed",
    ]
    code: str | msgspec.UnsetType = msgspec.UNSET
    reason: str | msgspec.UnsetType = msgspec.UNSET
    count: int | msgspec.UnsetType = msgspec.UNSET
    key: str | msgspec.UnsetType = msgspec.UNSET
    topic_arn: str | msgspec.UnsetType = msgspec.UNSET
    advice: str | msgspec.UnsetType = msgspec.UNSET
    buckets: list[str] | msgspec.UnsetType = msgspec.UNSET
    found: int | msgspec.UnsetType = msgspec.UNSET
    touched: int | msgspec.UnsetType = msgspec.UNSET
    outcomes: dict[str, int] | msgspec.UnsetType = msgspec.UNSET
    skipped: dict[str, int] | msgspec.UnsetType = msgspec.UNSET
    failures: dict[str, int] | msgspec.UnsetType = msgspec.UNSET
    unread: int | msgspec.UnsetType = msgspec.UNSET
    oldest_age_seconds: float | msgspec.UnsetType | None = msgspec.UNSET
    deleted: int | msgspec.UnsetType = msgspec.UNSET
    kept: dict[str, int] | msgspec.UnsetType = msgspec.UNSET
    complete: bool | msgspec.UnsetType = msgspec.UNSET
    due: bool | msgspec.UnsetType = msgspec.UNSET


DOCUMENTS: Mapping[str, type] = {
    "cost": CostReport,
    "doctor": Diagnosis,
    "parked": MessageView,
    "pending": MessageView,
    "purge": TaskReport,
    "redrive": TaskReport,
    "replay": TaskReport,
    "show": MessageLife,
    "status": OutboxStatus,
    "sweep": SweepLine,
    "tail": Passage,
}


def encode_schema(command: str) -> str:
    """Write the JSON Schema of a command's lines."""
    schema: dict[str, Any] = _alike(msgspec.json.schema(DOCUMENTS[command]))
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A line of `outbox {command} --json`",
        **schema,
    }
    return msgspec.json.format(msgspec.json.encode(schema, order="sorted").decode(), indent=2) + "\n"


def _alike(part: Any) -> Any:
    """Take out what depends on the versions of Python and msgspec: docstrings' indentation, null's place."""
    if isinstance(part, dict):
        return {
            name: cleandoc(each) if name == "description" and isinstance(each, str) else _alike(each)
            for name, each in part.items()
        }
    if isinstance(part, list):
        return sorted(map(_alike, part), key=lambda each: bool(each == {"type": "null"}))
    return part


def write_schemas(directory: Path) -> None:
    """Write all of them, a file each."""
    directory.mkdir(parents=True, exist_ok=True)
    for command in DOCUMENTS:
        (directory / f"{command}.json").write_text(encode_schema(command), encoding="utf-8")


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1]))
