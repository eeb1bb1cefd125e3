"""Settings given as arguments are held to the rules of the variables, and never open what was closed."""

from typing import Any

import pytest

from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.lambda_handler import RelayHandler
from outbox_sdk.shell.settings import Settings


def settings(**arguments: Any) -> Settings:
    return Settings(dynamodb_outbox_table_name="outbox", **arguments)


@pytest.mark.parametrize("empty", [frozenset(), [], ()], ids=["set", "list", "tuple"])
def test_an_empty_allow_list_is_refused(empty: Any) -> None:
    """A list that came out empty by mistake must not allow every topic."""
    with pytest.raises(ConfigurationError, match="OUTBOX_ALLOWED_TOPICS"):
        settings(outbox_allowed_topics=empty)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("outbox_mark_strategy", None),
        ("outbox_allowed_topics", [1, "no such/topic"]),
        ("outbox_max_concurrency", 0),
        ("outbox_max_concurrency", 1.5),
        ("aws_endpoint_url", "nowhere"),
    ],
)
def test_a_wrong_argument_is_named_by_its_variable(field: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"^{field.upper()}: "):
        settings(**{field: value})


def test_numbers_that_are_whole_are_whole() -> None:
    given = settings(outbox_max_concurrency=32.0, outbox_recheck_after_seconds=1e-9)

    assert given.outbox_max_concurrency == 32
    assert given.outbox_recheck_after_seconds == 1e-9


def test_trouble_with_the_log_is_met_before_anything_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """Met after, it would fail each redelivery of a batch that is out already."""
    monkeypatch.setenv("POWERTOOLS_LOG_LEVEL", "verbose")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "a log that nothing has opened yet")
    handler = RelayHandler()
    try:
        with pytest.raises(ConfigurationError, match="POWERTOOLS_LOG_LEVEL"):
            handler({"Records": []}, None)
    finally:
        handler.close()
