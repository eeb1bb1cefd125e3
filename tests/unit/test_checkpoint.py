"""What Lambda does with each answer of a handler, as recorded from AWS."""

from typing import Any

import pytest

from outbox_sdk.core.checkpoint import count_settled

NUMBERS = ["99", "100", "101"]
RECORDS = [{"dynamodb": {"SequenceNumber": number}} for number in NUMBERS]


def failures(*identifiers: object) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in identifiers]}


@pytest.mark.parametrize(
    ("response", "settled"),
    [
        pytest.param(None, 3, id="None is complete success"),
        pytest.param([], 3, id="so is a list"),
        pytest.param("", 3, id="so is text"),
        pytest.param({}, 3, id="so is an empty object"),
        pytest.param({"batchItemFailures": []}, 3, id="so is an empty list of failures"),
        pytest.param({"batchItemFailures": None}, 3, id="so is null for a list"),
        pytest.param(
            {"batchItemFailure": [{"itemIdentifier": "99"}]}, 3, id="so is a misspelt key: silent loss"
        ),
        pytest.param(failures(""), 0, id="an empty id is complete failure"),
        pytest.param(failures(None), 0, id="so is null for an id"),
        pytest.param(failures("123"), 0, id="so is an unknown id"),
        pytest.param(failures(100), 0, id="so is a number"),
        pytest.param({"batchItemFailures": [{"id": "100"}]}, 0, id="so is a misspelt inner key"),
        pytest.param({"batchItemFailures": ["100"]}, 0, id="so is an id outside an object"),
        pytest.param(failures("100", "123"), 0, id="so is an unknown id beside a known one"),
        pytest.param(failures("99"), 0, id="the first record and all behind it come again"),
        pytest.param(failures("100"), 1, id="the checkpoint is the record named"),
        pytest.param(failures("101", "100", "101"), 1, id="of several, the lowest: as numbers, not as text"),
        pytest.param(failures("101"), 2, id="only the last one comes again"),
    ],
)
def test_what_lambda_brings_again(response: object, settled: int) -> None:
    assert count_settled(RECORDS, response) == settled


def test_an_empty_batch() -> None:
    assert count_settled([], None) == 0
    assert count_settled([], failures("99")) == 0


@pytest.mark.parametrize("value", [1, True])
def test_failures_that_are_no_list_fail_the_batch(value: object) -> None:
    assert count_settled(RECORDS, {"batchItemFailures": value}) == 0
