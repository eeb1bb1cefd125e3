"""The example's services over HTTP: what is asked well is answered, and what is not is refused by a code."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from examples.customers_and_orders.common.web import MAX_BODY_BYTES
from examples.customers_and_orders.customers.http import build_app as build_customers_app
from examples.customers_and_orders.orders.http import build_app as build_orders_app
from examples.customers_and_orders.tests.in_memory import Saga, open_saga
from outbox_sdk import TransactionConflict
from tests.support.asgi import Answer, Browser


class Client:
    """Asks a service of the example, in this process."""

    def __init__(self, app: Any) -> None:
        self._browser = Browser(app)

    async def put(self, path: str, body: Mapping[str, object] | bytes) -> tuple[int, dict[str, Any]]:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        return read(await self._browser.ask("PUT", path, sent, {}))

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        return read(await self._browser.get(path))


def read(answer: Answer) -> tuple[int, dict[str, Any]]:
    assert answer.headers["content-type"] == "application/json"
    document: dict[str, Any] = json.loads(answer.text)
    return answer.status, document


@pytest.fixture
async def saga() -> Saga:
    return await open_saga()


@pytest.fixture
def customers(saga: Saga) -> Client:
    return Client(build_customers_app(saga.customers))


@pytest.fixture
def orders(saga: Saga) -> Client:
    return Client(build_orders_app(saga.orders))


async def test_a_customer_is_created_once_and_read(customers: Client) -> None:
    anna = {"customer_id": "anna", "credit_limit": 100, "available": 100}

    assert await customers.put("/customers/anna", {"credit_limit": 100}) == (201, anna)
    assert await customers.put("/customers/anna", {"credit_limit": 100}) == (200, anna)
    assert await customers.get("/customers/anna") == (200, anna)


async def test_an_order_is_taken_once_and_read_when_it_is_decided(
    saga: Saga, customers: Client, orders: Client
) -> None:
    order = {"order_id": "order-1", "customer_id": "anna", "total": 60}
    await customers.put("/customers/anna", {"credit_limit": 100})

    asked = {"customer_id": "anna", "total": 60}
    assert await orders.put("/orders/order-1", asked) == (202, {**order, "status": "pending"})
    await saga.run()

    assert await orders.put("/orders/order-1", asked) == (200, {**order, "status": "approved"})
    assert await orders.get("/orders/order-1") == (200, {**order, "status": "approved"})
    assert len(saga.orders_stack.published()) == 2


async def test_what_is_not_there_is_not_found(customers: Client, orders: Client) -> None:
    for client, path, code in (
        (customers, "/customers/zoe", "unknown-customer"),
        (orders, "/orders/order-9", "unknown-order"),
        (orders, "/order/order-9", "not-found"),
    ):
        status, problem = await client.get(path)
        assert (status, problem["code"]) == (404, code)


async def test_an_id_that_is_taken_by_another_is_a_conflict(customers: Client, orders: Client) -> None:
    await customers.put("/customers/anna", {"credit_limit": 100})
    await orders.put("/orders/order-1", {"customer_id": "anna", "total": 60})

    for client, path, body, code in (
        (customers, "/customers/anna", {"credit_limit": 99}, "customer-differs"),
        (orders, "/orders/order-1", {"customer_id": "anna", "total": 61}, "order-differs"),
        (orders, "/orders/order-1", {"customer_id": "zoe", "total": 60}, "order-differs"),
    ):
        status, problem = await client.put(path, body)
        assert (status, problem["code"]) == (409, code)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "It is no JSON."),
        (b"{", "It is no JSON."),
        (b'{"customer_id": "\xff", "total": 60}', "It is no JSON."),
        (b"[" * 10_000, "The body cannot be read."),
        (b"[]", "Expected `object`"),
        (b'{"customer_id": "anna"}', "`total`"),
        (b'{"customer_id": "anna", "total": "60"}', "$.total"),
        (b'{"customer_id": "anna", "total": 0}', "$.total"),
        (b'{"customer_id": "anna", "total": 1.5}', "$.total"),
        (b'{"customer_id": "anna", "total": 1000000000001}', "$.total"),
        (b'{"customer_id": "", "total": 60}', "$.customer_id"),
        (b'{"customer_id": "a#b", "total": 60}', "$.customer_id"),
        (b'{"customer_id": "anna\\n", "total": 60}', "$.customer_id"),
        (b'{"customer_id": "anna", "total": 60, "status": "approved"}', "unknown field"),
    ],
)
async def test_a_body_that_is_not_as_it_should_be_is_refused(
    saga: Saga, orders: Client, body: bytes, words: str
) -> None:
    status, problem = await orders.put("/orders/order-1", body)

    assert (status, problem["code"]) == (400, "bad-request")
    assert words in problem["sentence"]
    assert (await orders.get("/orders/order-1"))[0] == 404


@pytest.mark.parametrize("path", ["/orders/a%23b", "/orders/" + "a" * 65, "/orders/a b"])
async def test_an_id_in_a_path_is_refused_as_one_in_a_body(orders: Client, path: str) -> None:
    status, problem = await orders.put(path, {"customer_id": "anna", "total": 60})

    assert (status, problem["code"]) == (400, "bad-request")


async def test_a_body_without_an_end_is_not_kept(customers: Client) -> None:
    status, problem = await customers.put("/customers/anna", b" " * (MAX_BODY_BYTES + 1))

    assert (status, problem["code"]) == (413, "too-large")


async def test_a_way_of_asking_that_there_is_not(customers: Client) -> None:
    answer = await Browser(customers._browser.app).ask("POST", "/customers/anna", b"", {})

    assert (answer.status, json.loads(answer.text)["code"]) == (405, "method-not-allowed")
    assert answer.headers["allow"]


async def test_a_busy_database_is_no_fault_of_the_client(
    saga: Saga, customers: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def conflict(**_: Any) -> None:
        raise TransactionConflict("TransactionConflict", attempts=8)

    monkeypatch.setattr(saga.customers_stack.dynamodb, "transact_write_items", conflict)
    answer = await customers._browser.ask("PUT", "/customers/anna", b'{"credit_limit": 1}', {})

    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
