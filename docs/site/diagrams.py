"""Draws the diagrams of the documentation from what the code says of itself.

Names, states, outcomes and what is reported come from the package; only their places and a few words are
written here. ``python -m docs.site.diagrams docs/diagrams`` writes the files, and a test compares them.
"""

import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import msgspec

from docs.site.svg import WIDTH, Picture
from outbox_sdk.core.destinations import EVENTBRIDGE, KINESIS, SNS, SQS
from outbox_sdk.core.function import HANDLERS
from outbox_sdk.core.message_view import MessageState
from outbox_sdk.core.outcome import Outcome, is_reported, outcome_name
from outbox_sdk.core.passing import decode_passage
from outbox_sdk.core.selection import Selection
from outbox_sdk.core.stream import WireRecord
from outbox_sdk.core.table import PARKED, TableDesign

__all__ = [
    "DIAGRAMS",
    "FOLLOWS",
    "MOVES",
    "draw_outcomes",
    "draw_path",
    "draw_states",
    "event_of",
    "write_all",
]

_DESIGN = TableDesign.ordered

FOLLOWS: Mapping[str, str] = {
    "dispatched": "done",
    "published_only": "done; marking is switched off",
    "mark_refused": "it is out; look at the item",
    "parked": "a person mends it and redrives",
    "settled": "there was nothing to do",
    "unmarked": "is published again, marked then",
    "unparked": "is parked then",
    "held": "is published then, in order",
}
"""What follows, by outcome, in a few words."""

MOVES: tuple[tuple[MessageState | None, MessageState | None], ...] = (
    (None, "outstanding"),
    ("outstanding", "dispatched"),
    ("outstanding", "parked"),
    ("parked", "outstanding"),
    ("dispatched", "outstanding"),
    ("outstanding", "outstanding"),
    ("dispatched", None),
)
"""From which state an item comes to which; ``None`` is not in the table. What it is called, the code says."""


def event_of(before: MessageState | None, after: MessageState | None, *, expired: bool = False) -> str:
    """Ask the code what a change from one state to another is called.

    >>> event_of(None, "outstanding"), event_of("parked", "outstanding"), event_of("dispatched", None)
    ('created', 'redriven', 'removed')
    """
    images = {"OldImage": _item(before), "NewImage": _item(after)}
    if before == after:
        images["NewImage"] = {**images["NewImage"], _DESIGN.touched_at: {"S": "2026-11-28T00:00:00Z"}}
    name = "INSERT" if before is None else "REMOVE" if after is None else "MODIFY"
    record: dict[str, Any] = {
        "eventName": name,
        "dynamodb": {"SequenceNumber": "1", "Keys": {}} | {key: item for key, item in images.items() if item},
    }
    if expired:
        record["userIdentity"] = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    passage = decode_passage(
        msgspec.convert(record, WireRecord), _DESIGN, Selection(), now=datetime(2026, 11, 28, tzinfo=UTC)
    )
    if passage is None:
        raise ValueError(f"the code has no name for {before} to {after}")
    return passage.event


def _item(state: MessageState | None) -> dict[str, Any]:
    if state is None:
        return {}
    keys = {name: {"S": value} for name, value in _DESIGN.item_key_values("order-7", "m-1").items()}
    if state == "dispatched":
        marker: dict[str, Any] = {_DESIGN.is_dispatched: {"BOOL": True}}
    else:
        marker = {_DESIGN.not_dispatched: {"S": PARKED if state == "parked" else "0"}}
    return {**keys, _DESIGN.message_id: {"S": "m-1"}, **marker}


def draw_path() -> str:
    """Draw the path of a message, from top to bottom, and at the right what happens to its item meanwhile."""
    picture = Picture(
        "The path of a message",
        "A service writes data and message in one transaction; the relay reads the table's stream, publishes "
        "to the topic and marks the item; a consumer acts once.",
    )
    left, width = 16, 282
    middle, right = left + width / 2, left + width
    others = ", ".join(f"{_article(kind.what)}" for kind in (SQS, EVENTBRIDGE, KINESIS))
    steps: list[tuple[list[tuple[str, str]], str]] = [
        ([("title", "Your service"), ("code", "Outbox.transaction")], "one transaction"),
        (
            [
                ("title", "DynamoDB: the outbox table"),
                ("code", _DESIGN.not_dispatched),
                ("note", "while it is outstanding"),
            ],
            "the table's stream",
        ),
        ([("title", "The relay, in Lambda"), ("code", HANDLERS["relay"])], "publish"),
        ([("title", f"SNS: the {SNS.what}"), ("note", f"or {others}")], "at least once"),
        ([("title", "A consumer"), ("note", "with an inbox it acts once")], ""),
    ]
    y, edges = 16.0, []
    for lines, label in steps:
        end = picture.box(left, y, width, lines)
        edges.append((y, end))
        if label:
            picture.arrow((middle, end), (middle, end + 34))
            picture.text(middle + 10, end + 22, label, style="note")
        y = end + 34
    (table_top, table_end), (relay_top, relay_end) = edges[1], edges[2]
    beside = right + 46
    picture.arrow(
        (right, (relay_top + relay_end) / 2),
        (beside, (relay_top + relay_end) / 2),
        (beside, table_end - 18),
        (right, table_end - 18),
    )
    picture.text(beside + 6, relay_top - 24, "mark", style="title")
    picture.text(beside + 6, relay_top - 8, "or park", style="note")
    sweeper = picture.box(right + 16, table_top - 60, 76, [("title", "Sweeper")])
    picture.arrow((beside, sweeper), (beside, table_top + 16), (right, table_top + 16))
    picture.text(beside + 6, sweeper + 24, "touch", style="note")
    return picture.write(edges[-1][1] + 16)


def _article(what: str) -> str:
    return f"{'an' if what[0] in 'aeiou' else 'a'} {what}"


def draw_states() -> str:
    """Draw the states of an item, and what each change between two of them is called."""
    picture = Picture(
        "The states of an item",
        ", ".join(f"{event_of(*move)}: {_say(move[0])} to {_say(move[1])}" for move in MOVES),
    )
    outstanding, parked, dispatched = get_args(MessageState)
    top, side, wide = 62, 150, 168
    picture.text(WIDTH / 2 + 10, 34, event_of(None, outstanding), style="title")
    picture.arrow((WIDTH / 2, 14), (WIDTH / 2, top))
    end = picture.box(
        WIDTH / 2 - 84, top, wide, [("title", outstanding), ("code", _DESIGN.not_dispatched)], kind="wait"
    )
    picture.arrow(
        (WIDTH / 2 + 84, top + 7),
        (WIDTH / 2 + 104, top + 7),
        (WIDTH / 2 + 104, top + 21),
        (WIDTH / 2 + 84, top + 21),
    )
    picture.text(WIDTH / 2 + 112, top + 19, event_of(outstanding, outstanding), style="title")
    low, bottom = end + 96, end
    centres = {parked: 16 + side / 2, dispatched: WIDTH - 16 - side / 2}
    lines = {
        parked: [("title", parked), ("code", _DESIGN.park_reason)],
        dispatched: [("title", dispatched), ("code", _DESIGN.is_dispatched)],
    }
    for state, kind, sign in ((parked, "stop", -1), (dispatched, "good", 1)):
        centre = centres[state]
        bottom = picture.box(centre - side / 2, low, side, lines[state], kind=kind)
        # Away from the middle, the way back; towards it, the way there. The words are beside their arrow.
        there, back, start = centre - 30 * sign, centre + 50 * sign, WIDTH / 2 + 40 * sign
        picture.arrow((start, end), (start, end + 26), (there, end + 26), (there, low))
        picture.arrow((back, low), (back, end - 9), (WIDTH / 2 + 84 * sign, end - 9))
        anchor = "end" if sign > 0 else "start"
        for x, name in ((there, event_of(outstanding, state)), (back, event_of(state, outstanding))):
            picture.text(x - 8 * sign, low - 20, name, style="title", anchor=anchor)
    gone = f"{event_of(dispatched, None, expired=True)} or {event_of(dispatched, None)}"
    picture.arrow((centres[dispatched], bottom), (centres[dispatched], bottom + 40))
    picture.text(centres[dispatched] - 10, bottom + 24, gone, style="title", anchor="end")
    return picture.write(bottom + 56)


def _say(state: str | None) -> str:
    return state or "not in the table"


def draw_outcomes() -> str:
    """Draw what can become of a record, by whether Lambda brings it again."""
    kinds = {outcome_name(outcome): is_reported(outcome) for outcome in map(_example, get_args(Outcome))}
    picture = Picture(
        "What can become of a record",
        "; ".join(f"{name}: {'reported, ' if kinds[name] else ''}{FOLLOWS[name]}" for name in kinds),
    )
    y = picture.box(100, 16, 200, [("title", "A record of the stream")]) + 12
    for reported, words, kind in (
        (False, "Not reported: Lambda goes on", "good"),
        (True, "Reported: Lambda brings it again", "wait"),
    ):
        picture.arrow((100, 31), (16, 31), (16, y + 15), (34, y + 15))
        y = picture.box(34, y, WIDTH - 50, [("title", words)]) + 8
        for name in (name for name, each in kinds.items() if each == reported):
            picture.box(34, y, 132, [("code", name)], kind="stop" if name == "parked" else kind)
            picture.text(176, y + 20, FOLLOWS[name], style="note")
            y += 36
        y += 12
    return picture.write(y - 4)


def _example(kind: Any) -> Outcome:  # a class of the union; what each has to be given, it says itself
    fields = msgspec.structs.fields(kind)
    outcome: Outcome = kind(**{field.name: "" for field in fields if field.required})
    return outcome


DIAGRAMS: Mapping[str, Callable[[], str]] = {
    "path.svg": draw_path,
    "states.svg": draw_states,
    "outcomes.svg": draw_outcomes,
}
"""What is drawn, by the name of its file."""


def write_all(directory: Path) -> None:
    """Write every diagram into a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, draw in DIAGRAMS.items():
        (directory / name).write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
