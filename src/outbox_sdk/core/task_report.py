"""What a redrive, a replay or a purge has done, counted; and what a person has to know of what it has not."""

from typing import Literal

import msgspec

__all__ = ["MAX_TROUBLES", "OTHERS", "Task", "TaskReport", "TaskTrouble", "count_by"]

Task = Literal["redrive", "replay", "purge"]

MAX_TROUBLES = 20
"""So many items are named that were refused or failed; all of them are counted."""

_MAX_NAMES = 100
OTHERS = "(others)"
"""What stands for all topics, types or reasons beyond the hundred that were met first."""


class TaskTrouble(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An item that was left as it is, by its key, and the reason or the code of the failure."""

    key: str
    reason: str


class TaskReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a redrive, a replay or a purge has done.

    ``began_at`` is fixed-width UTC; by that of a replay it can be taken up again. ``meant`` counts the
    messages that were meant and could be taken up, ``done`` those that were written (under ``dry_run``:
    none). ``changed`` counts those that were no longer as they had been read: somebody else has sent them
    again, settled or deleted them, or the task itself has, though the answer got lost. Nothing is left to do
    for them. ``behind`` counts those left because an earlier one of their aggregate failed. ``refused``
    counts, by reason, what was meant and can never be taken up, ``failed`` by code what could not be written.
    ``not_found`` names the ids that were asked for and are not there in the state that the task is about.
    ``by_topic``, ``by_type`` and ``by_reason`` count what was meant, a hundred names each at most.
    ``interrupted`` tells that it was stopped before its end: the same again does the rest.
    """

    task: Task
    table: str
    began_at: str
    dry_run: bool = False
    meant: int = 0
    done: int = 0
    changed: int = 0
    behind: int = 0
    refused: dict[str, int] = {}
    failed: dict[str, int] = {}
    not_found: tuple[str, ...] = ()
    troubles: tuple[TaskTrouble, ...] = ()
    by_topic: dict[str, int] = {}
    by_type: dict[str, int] = {}
    by_reason: dict[str, int] = {}
    interrupted: bool = False
    duration_seconds: float = 0.0

    @property
    def succeeded(self) -> bool:
        """Whether all that was asked for is done."""
        undone = (self.behind, self.refused, self.failed, self.not_found, self.interrupted)
        return not any(undone)


def count_by(counts: dict[str, int], name: str | None) -> None:
    """Count a name, up to a hundred different ones; ``None`` is counted as a dash.

    >>> counts = {"orders": 1}
    >>> count_by(counts, "orders"), count_by(counts, None), counts
    (None, None, {'orders': 2, '-': 1})
    """
    known = name or "-"
    if known not in counts and len(counts) >= _MAX_NAMES:
        known = OTHERS
    counts[known] = counts.get(known, 0) + 1
