"""A user's events, and the fixtures that say so."""

import pytest

from outbox_sdk import Catalog
from tests.support.plugin_events import CATALOG, Event


@pytest.fixture(scope="session")
def outbox_catalog() -> Catalog[Event]:
    return CATALOG
