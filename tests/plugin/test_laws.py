"""The laws hold of a catalog of events, and fail where one of its events breaks them."""

from typing import Any

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from outbox_sdk import Catalog, message
from outbox_sdk.pytest_plugin import pump
from outbox_sdk.pytest_plugin.laws import EventLaws, faults
from outbox_sdk.testing import InMemoryTopics
from tests.support.plugin_events import CATALOG


def unshrunk(law: Any) -> Any:
    """Give a law with data of its own that ends with the first counterexample: shrinking takes minutes."""
    hurried = settings(deadline=None, phases=[Phase.generate], derandomize=True, database=None)
    return hurried(given(data=st.data(), planted=faults())(law.hypothesis.inner_test))


class TestTheEventsOfAService(EventLaws):
    catalog = CATALOG


class TestTheSameInAnotherEnvelope(EventLaws):
    catalog = CATALOG
    envelope = "cloudevents"


@message("price.set", topic="prices")
class PriceSet(msgspec.Struct):
    price: float


class _Prices(EventLaws):
    catalog = Catalog(PriceSet)

    def events(self, message_class: type[Any]) -> st.SearchStrategy[Any]:
        return st.builds(message_class, price=st.just(float("nan")))


def test_an_event_that_does_not_arrive_as_it_was_written_is_found() -> None:
    """JSON has no NaN: it would be read as something else, or as nothing."""
    with pytest.raises(Exception, match=r"PriceSet|price"):
        _Prices().test_an_event_arrives_as_it_was_written()


def test_a_catalog_without_a_fifo_topic_has_no_order_to_keep() -> None:
    with pytest.raises(pytest.skip.Exception, match="FIFO"):
        _Prices().test_the_order_of_an_aggregate_is_kept()


def test_a_relay_that_loses_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a reader does that takes whatever comes back for success."""
    monkeypatch.setattr(pump, "count_settled", lambda records, response: len(records))

    with pytest.raises(AssertionError, match="the stream of outbox does not bring these messages"):
        unshrunk(EventLaws.test_nothing_is_lost_whatever_fails)(TestTheEventsOfAService())


def test_a_topic_that_mixes_up_what_it_takes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    accept = InMemoryTopics.accept

    def mixed_up(self: InMemoryTopics, topic: str, entry: Any) -> str:
        accepted = accept(self, topic, entry)
        self.published.insert(0, self.published.pop())
        return accepted

    monkeypatch.setattr(InMemoryTopics, "accept", mixed_up)
    with pytest.raises(AssertionError):
        unshrunk(EventLaws.test_the_order_of_an_aggregate_is_kept)(TestTheEventsOfAService())
