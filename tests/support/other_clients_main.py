"""Executes what docs/how-to/transactions.md shows for one client, where it is there; prints what came of it.

Arguments: the client, an endpoint, and what the tables of the example are called there: outbox and orders.
"""

import asyncio
import json
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

__all__: list[str] = []

ROOT = Path(__file__).parents[2]


def example(heading: str, outbox: str, orders: str) -> dict[str, Any]:
    """Execute the block under a heading of the page, and give what it defines."""
    page = (ROOT / "docs" / "how-to" / "transactions.md").read_text(encoding="utf-8")
    found = re.search(rf"^### {heading}\n+```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert found, heading
    code = found[1].replace('"outbox"', repr(outbox)).replace('"orders"', repr(orders))
    namespace: dict[str, Any] = {"__name__": heading}
    exec(compile(code, f"docs/how-to/transactions.md: {heading}", "exec"), namespace)  # noqa: S102 - our own page
    return namespace


def place_order(client: str, endpoint_url: str, names: dict[str, Any]) -> None:
    """Place an order as the example does."""
    match client:
        case "boto3":
            dynamodb = import_module("boto3").client("dynamodb", endpoint_url=endpoint_url)
            names["place_order"](dynamodb, "order-7")
        case "aioboto3":
            session = names["aioboto3"].Session()
            asyncio.run(names["place_order"](session, "order-7", endpoint_url=endpoint_url))
        case _:
            connection = names["Connection"](host=endpoint_url, region="us-east-1")
            names["place_order"](connection, "order-7")


def main(client: str, endpoint_url: str, outbox: str, orders: str) -> None:
    """Place an order twice, and print what each attempt raised."""
    names = example(client, outbox, orders)
    outcomes = []
    for _ in range(2):
        try:
            place_order(client, endpoint_url, names)
        except Exception as error:
            outcomes.append(f"{type(error).__name__}: {error}")
        else:
            outcomes.append("committed")
    json.dump(outcomes, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
