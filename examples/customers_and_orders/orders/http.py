"""The service over HTTP. Ids are the client's, so that a request which got no answer may be sent again."""

from typing import Annotated

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from examples.customers_and_orders.common.web import (
    Identifier,
    answer,
    build_error_handlers,
    read_body,
    read_identifier,
)
from examples.customers_and_orders.orders.decisions import OrderDiffers, UnknownOrder
from examples.customers_and_orders.orders.service import Orders

__all__ = ["NewOrder", "build_app"]


class NewOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request to take an order; the total is in cents."""

    customer_id: Identifier
    total: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000_000)]


def build_app(orders: Orders) -> Starlette:
    """Build the application: ``PUT`` and ``GET /orders/{order_id}``.

    A new order is pending, hence 202: what becomes of it is read later.
    """

    async def create(request: Request) -> Response:
        order_id = read_identifier(request, "order_id")
        body = await read_body(request, NewOrder)
        order, new = await orders.create(order_id, body.customer_id, body.total)
        return answer(order, 202 if new else 200)

    async def read(request: Request) -> Response:
        return answer(await orders.read(read_identifier(request, "order_id")))

    return Starlette(
        routes=[
            Route("/orders/{order_id}", create, methods=["PUT"]),
            Route("/orders/{order_id}", read, methods=["GET"]),
        ],
        exception_handlers=build_error_handlers({UnknownOrder: 404, OrderDiffers: 409}),
    )
