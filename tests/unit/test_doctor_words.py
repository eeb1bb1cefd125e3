"""What the doctor says, word by word, and that it names the fact that is missing."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from outbox_sdk.core.doctor import Stack, diagnose
from tests.golden.doctor import CASES, FINDINGS, tell
from tests.support.doctor_stacks import healthy, replace, with_function, with_key, with_mapping, with_table

NEVER_ASKED = {
    "function.role_arn": "it names the role, of which there are facts of their own",
    "function.name": "", "function.unknown": "", "function.function_name": "",
    "mapping.mapping_id": "it is for the commands only, which have a place to fill in",
    "mapping.function_name": "whose name is not known is taken to be the relay's",
    "mapping.relays": "it is asked of other functions",
    "role.arn": "the account's own ARN may suffice",
    "topic.arn": "it is for the commands only, which have a place to fill in",
}  # fmt: skip


READ = dict(zip(CASES, FINDINGS.read_text().removesuffix("\n").split("\n\n"), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_every_finding_reads_as_it_was_read(case: str) -> None:
    """A difference is looked at, and written by `python -m tests.golden.doctor`."""
    assert tell(case) == READ[case]


def only(kind: str) -> Any:
    stack: Any = healthy()
    several = {"mapping": "mappings", "topic": "topics", "key": "keys"}
    return getattr(stack, several[kind])[0] if kind in several else getattr(stack, kind)


def without(kind: str, field: str) -> Stack:
    stack, changed = healthy(), {field: None}
    if kind == "stack":
        return replace(stack, **changed)
    several = {"mapping": "mappings", "topic": "topics", "key": "keys"}
    if kind not in several:
        return replace(stack, **{kind: replace(only(kind), **changed)})
    name = several[kind]
    first, *rest = getattr(stack, name)
    return replace(stack, **{name: (replace(first, **changed), *rest)})


def facts() -> Iterator[tuple[str, str]]:
    for kind in ("table", "function", "mapping", "role", "topic", "key", "sweeper"):
        struct = only(kind)
        for field in msgspec.structs.fields(type(struct)):
            if not field.required and field.name != "unknown" and f"{kind}.{field.name}" not in NEVER_ASKED:
                yield kind, field.name
    for name in ("table", "function", "mappings", "role", "topics", "keys", "sweeper", "place",
                 "expected_code", "clock_skew_seconds"):  # fmt: skip
        yield "stack", name


@pytest.mark.parametrize(("kind", "field"), list(facts()))
def test_a_fact_that_is_missing_is_named_and_is_all_that_is_missing(kind: str, field: str) -> None:
    name = healthy().name if kind == "stack" else only(kind).name

    diagnosis = diagnose(without(kind, field))

    assert diagnosis.findings == ()
    assert {(each.resource, each.reason) for each in diagnosis.unchecked} == {(name, f"{field} was not read")}


@pytest.mark.parametrize(
    ("stack", "unchecked"),
    [
        (lambda: replace(with_mapping(on_failure=""), sweeper=None),
         [("mapping.on-failure", "table orders", "sweeper was not read")]),
        (lambda: replace(with_mapping(on_failure=""), sweeper=replace(only("sweeper"), exists=None)),
         [("mapping.on-failure", only("sweeper").name, "exists was not read")]),
    ],
)  # fmt: skip
def test_of_what_is_given_up_the_sweeper_is_asked_for(
    stack: Callable[[], Stack], unchecked: list[tuple[str, str, str]]
) -> None:
    told = [(each.id, each.resource, each.reason) for each in diagnose(stack()).unchecked]

    assert [each for each in told if each[0] == unchecked[0][0]] == unchecked


def test_why_is_told_by_the_name_of_the_fact_or_for_all_of_them() -> None:
    for stack in (
        replace(with_table(recovery=None, unknown={"recovery": "denied"})),
        replace(with_table(recovery=None, unknown={"*": "denied", "key": "other"})),
        replace(with_table(recovery=None, unknown={"*": "other", "recovery": "denied"})),
    ):
        assert [each.reason for each in diagnose(stack).unchecked] == ["denied"]


def test_what_is_not_known_of_two_is_said_once_of_each() -> None:
    stack = replace(with_function(handler=None, runtime=None), keys=with_key(state=None).keys)

    diagnosis = diagnose(stack)

    assert [each.id for each in diagnosis.unchecked] == ["function.handler", "function.runtime", "key.use"]
    assert diagnosis.checked == diagnose(healthy()).checked - 3
