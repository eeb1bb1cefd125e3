"""A handler in this process, as Lambda would find it, but for the endpoint."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from outbox_sdk.lambda_handler import RelayHandler
from tests.support.wire import Wire

__all__ = ["open_handler"]


@contextmanager
def open_handler(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, *, access_key: str = "local"
) -> Iterator[RelayHandler]:
    """Open a handler whose environment names the endpoint, table `outbox` and these credentials."""
    for name in ("AWS_PROFILE", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    monkeypatch.setenv("AWS_ENDPOINT_URL", wire.endpoint_url)
    monkeypatch.setenv("DYNAMODB_OUTBOX_TABLE_NAME", "outbox")
    with closing(RelayHandler()) as opened:
        yield opened
