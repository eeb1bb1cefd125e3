"""The laws hold of a catalog of events, and fail where one of its events breaks them."""

import math
from decimal import Decimal
from typing import Annotated, Any, NotRequired, TypedDict, cast

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import Phase, errors, given, settings
from hypothesis import strategies as st

from outbox_sdk import Catalog, message
from outbox_sdk.pytest_plugin import pump
from outbox_sdk.pytest_plugin.laws import EventLaws, faults
from outbox_sdk.pytest_plugin.strategies import events_of
from outbox_sdk.testing import InMemoryTopics
from tests.support.plugin_events import CATALOG, OrderCreated


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


@message("order.packed", topic="packed")
class OrderPacked(TypedDict):
    order_id: str
    weight: NotRequired[float]


@message("order.weighed", topic="weighed")
@attrs.frozen
class OrderWeighed:
    order_id: str
    weights: list[float] = attrs.field(factory=list)


@message("order.paid", topic="paid")
class OrderPaid(pydantic.BaseModel):
    order_id: str
    total: float = pydantic.Field(gt=0, default=1)


@pytest.mark.parametrize("kind", [OrderCreated, OrderPacked, OrderWeighed, OrderPaid])
def test_a_relay_that_loses_is_found(monkeypatch: pytest.MonkeyPatch, kind: type[Any]) -> None:
    """As a reader does that takes whatever comes back for success."""
    monkeypatch.setattr(pump, "count_settled", lambda records, response: len(records))
    orders = type("Orders", (EventLaws,), {"catalog": Catalog(kind)})

    with pytest.raises(AssertionError, match="the stream of outbox does not bring these messages"):
        unshrunk(EventLaws.test_nothing_is_lost_whatever_fails)(orders())


class _Refused(_Prices):
    def events(self, message_class: type[Any]) -> st.SearchStrategy[Any]:
        return st.just({"price": 1.0})


def test_laws_hold_of_no_event_that_is_never_written() -> None:
    with pytest.raises((errors.Unsatisfiable, errors.FailedHealthCheck)):
        _Refused().test_a_repetition_is_known_by_its_id()


class Line(msgspec.Struct):
    price: Decimal


class Everything(msgspec.Struct):
    lines: tuple[Line, ...]
    weights: dict[str, float | None]
    count: Annotated[int, msgspec.Meta(ge=1)]
    code: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
    place: tuple[float, float] = (0.0, 0.0)


@settings(max_examples=25)
@given(event=events_of(Everything))
def test_events_are_made_up_that_json_carries(event: Everything) -> None:
    assert msgspec.json.decode(msgspec.json.encode(event), type=Everything) == event


@settings(max_examples=10)
@given(weighed=events_of(OrderWeighed), paid=events_of(OrderPaid), packed=events_of(cast("Any", OrderPacked)))
def test_events_of_every_kind_are_made_up(
    weighed: OrderWeighed, paid: OrderPaid, packed: OrderPacked
) -> None:
    assert all(map(math.isfinite, [*weighed.weights, packed.get("weight", 0.0)]))
    assert paid.total > 0


def test_a_topic_that_mixes_up_what_it_takes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    accept = InMemoryTopics.accept

    def mixed_up(self: InMemoryTopics, topic: str, entry: Any) -> str:
        accepted = accept(self, topic, entry)
        self.published.insert(0, self.published.pop())
        return accepted

    monkeypatch.setattr(InMemoryTopics, "accept", mixed_up)
    with pytest.raises(AssertionError):
        unshrunk(EventLaws.test_the_order_of_an_aggregate_is_kept)(TestTheEventsOfAService())
