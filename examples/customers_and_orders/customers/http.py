"""The service over HTTP. Ids are the client's, so that a request which got no answer may be sent again."""

from typing import Annotated

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from examples.customers_and_orders.common.web import answer, build_error_handlers, read_body, read_identifier
from examples.customers_and_orders.customers.decisions import CustomerDiffers, UnknownCustomer
from examples.customers_and_orders.customers.service import Customers

__all__ = ["NewCustomer", "build_app"]


class NewCustomer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request to create a customer; the limit is in cents."""

    credit_limit: Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000_000)]


def build_app(customers: Customers) -> Starlette:
    """Build the application: ``PUT`` and ``GET /customers/{customer_id}``."""

    async def create(request: Request) -> Response:
        customer_id = read_identifier(request, "customer_id")
        body = await read_body(request, NewCustomer)
        customer, new = await customers.create(customer_id, body.credit_limit)
        return answer(customer, 201 if new else 200)

    async def read(request: Request) -> Response:
        return answer(await customers.read(read_identifier(request, "customer_id")))

    return Starlette(
        routes=[
            Route("/customers/{customer_id}", create, methods=["PUT"]),
            Route("/customers/{customer_id}", read, methods=["GET"]),
        ],
        exception_handlers=build_error_handlers({UnknownCustomer: 404, CustomerDiffers: 409}),
    )
