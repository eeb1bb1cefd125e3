"""What `--json` prints is held by schemas, and these by the types that are printed."""

import json
from pathlib import Path

import jsonschema  # type: ignore[import-untyped] # has no types of its own
import pytest

from outbox_sdk.cli.documents import DOCUMENTS, encode_schema

SCHEMAS = Path(__file__).parents[2] / "docs" / "reference" / "schemas"


@pytest.mark.parametrize("command", DOCUMENTS)
def test_the_schema_is_that_of_what_is_printed(command: str) -> None:
    """After a change: `python -m outbox_sdk.cli.documents docs/reference/schemas`."""
    assert (SCHEMAS / f"{command}.json").read_text(encoding="utf-8") == encode_schema(command)


def test_there_is_no_schema_of_what_is_not_printed() -> None:
    assert {path.stem for path in SCHEMAS.iterdir()} == set(DOCUMENTS)


@pytest.mark.parametrize("command", DOCUMENTS)
def test_a_schema_is_one(command: str) -> None:

    jsonschema.Draft202012Validator.check_schema(json.loads(encode_schema(command)))


def test_a_schema_refuses_what_is_not_in_it() -> None:
    """Else a field could come or go unseen."""
    schema = json.loads(encode_schema("status"))
    good = {"table": "t", "at": "2026-11-23T09:00:00.000000Z", "outstanding": {}, "parked": {}}
    jsonschema.validate(good, schema)
    for bad in ({**good, "more": 1}, {**good, "at": 7}, {"table": "t"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema)
