"""Orders as items of the table ``orders``."""

from typing import Any

import msgspec

from examples.customers_and_orders.common.database import Item
from examples.customers_and_orders.orders.decisions import Order

__all__ = ["TABLE", "order_item", "order_key", "read_order"]

TABLE = "orders"


# Any: attribute values of the clients' own type, a closed union.
def order_key(order_id: str) -> dict[str, Any]:
    """Give the key of an order."""
    return {"PK": {"S": f"ORDER#{order_id}"}}


def order_item(order: Order) -> dict[str, Any]:
    """Write an order."""
    item = {
        **order_key(order.order_id),
        "OrderId": {"S": order.order_id},
        "CustomerId": {"S": order.customer_id},
        "Total": {"N": str(order.total)},
        "Status": {"S": order.status},
    }
    return item if order.reason is None else {**item, "Reason": {"S": order.reason}}


def read_order(item: Item) -> Order:
    """Read an order."""
    fields = {
        "order_id": item["OrderId"]["S"],
        "customer_id": item["CustomerId"]["S"],
        "total": int(item["Total"]["N"]),
        "status": item["Status"]["S"],
        "reason": item.get("Reason", {}).get("S"),
    }
    return msgspec.convert(fields, Order)
