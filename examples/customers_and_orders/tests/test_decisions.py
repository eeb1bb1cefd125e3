"""Decisions are pure, so they are tested with values alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.customers_and_orders.customers.decisions import (
    Answer,
    CreditRequest,
    Customer,
    Refuse,
    Repeat,
    Reserve,
    decide_credit,
)
from examples.customers_and_orders.orders.decisions import (
    Approve,
    ContradictoryAnswer,
    CreditAnswer,
    Granted,
    Keep,
    Order,
    Refused,
    Reject,
    Status,
    decide_order,
)

ANNA = Customer("anna", credit_limit=100, available=40)
PENDING = Order("order-1", "anna", 60, "pending")
AMOUNTS = st.integers(min_value=1, max_value=200)
REQUESTS = st.builds(
    CreditRequest, st.sampled_from([f"order-{n}" for n in range(8)]), st.just("anna"), AMOUNTS
)


def ask(amount: int, customer_id: str = "anna") -> CreditRequest:
    return CreditRequest("order-1", customer_id, amount)


def test_credit_is_reserved_to_the_last_cent_and_not_beyond() -> None:
    assert decide_credit(ask(40), ANNA, None) == Reserve(40)
    assert decide_credit(ask(41), ANNA, None) == Refuse("insufficient-credit")


def test_an_unknown_customer_has_no_credit() -> None:
    assert decide_credit(ask(1, "zoe"), None, None) == Refuse("unknown-customer")


@settings(deadline=None)
@given(request=REQUESTS, earlier=st.builds(Reserve, AMOUNTS) | st.builds(Refuse, st.just("unknown-customer")))
def test_what_an_order_was_told_stands(request: CreditRequest, earlier: Answer) -> None:
    """Whatever its customer has left by now, and whether there is one."""
    assert decide_credit(request, ANNA, earlier) == decide_credit(request, None, earlier) == Repeat(earlier)


@settings(deadline=None)
@given(limit=st.integers(min_value=0, max_value=500), requests=st.lists(REQUESTS, max_size=20))
def test_reservations_never_exceed_the_limit_and_are_made_once(
    limit: int, requests: list[CreditRequest]
) -> None:
    """Orders ask in any order and again; each is told one thing, and what is free is what is left."""
    customer, told, reserved = Customer("anna", limit, available=limit), dict[str, Answer](), 0
    for request in requests:
        decision = decide_credit(request, customer, told.get(request.order_id))
        if isinstance(decision, Repeat):
            assert decision.answer == told[request.order_id]
            continue
        assert request.order_id not in told
        told[request.order_id] = decision
        if isinstance(decision, Reserve):
            reserved += decision.amount
            customer = Customer("anna", limit, available=customer.available - decision.amount)

    assert reserved == sum(answer.amount for answer in told.values() if isinstance(answer, Reserve))
    assert 0 <= customer.available == limit - reserved


@pytest.mark.parametrize(
    ("answer", "decision"), [(Granted(), Approve()), (Refused("some-reason"), Reject("some-reason"))]
)
def test_a_pending_order_becomes_what_its_credit_says(
    answer: CreditAnswer, decision: Approve | Reject
) -> None:
    assert decide_order(PENDING, answer) == decision


@pytest.mark.parametrize(
    ("status", "same", "other"),
    [("approved", Granted(), Refused("late")), ("rejected", Refused("late"), Granted())],
)
def test_a_decided_order_stays_what_it_is(status: Status, same: CreditAnswer, other: CreditAnswer) -> None:
    order = Order("order-1", "anna", 60, status)

    assert decide_order(order, same) == Keep()
    with pytest.raises(ContradictoryAnswer, match=f"order-1 is {status}"):
        decide_order(order, other)
