"""What the pages on transactions and inboxes show is executed, on the double of a client."""

import re
from typing import Any

from outbox_sdk.testing import InMemoryStack
from tests.support.documents import ROOT


def page_namespace(name: str, *, until: str | None = None) -> dict[str, Any]:
    """Execute a page's Python blocks one after the other, and give what they define."""
    text = (ROOT / "docs" / "how-to" / name).read_text(encoding="utf-8").partition(until or "\x00")[0]
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 2
    namespace: dict[str, Any] = {"__name__": name}
    for block in blocks:
        exec(compile(block, name, "exec"), namespace)  # noqa: S102 - the project's own page
    return namespace


async def test_the_page_on_transactions_runs() -> None:
    """Its examples for other clients are executed by tests/integration/test_other_clients.py."""
    names = page_namespace("transactions.md", until="## Your own transaction")
    await names["test_an_order_is_announced"]()


async def test_the_page_on_the_inbox_runs() -> None:
    names, client = page_namespace("inbox.md"), InMemoryStack().client()
    client.create_table("inbox", "PK", "SK")
    client.create_table("stock", "PK")
    for message_id in ("m-1", "m-2", "m-1"):
        await names["on_order_created"](client, message_id, "chair")
    assert client.items("stock") == [{"PK": {"S": "chair"}, "Tally": {"N": "-2"}}]
    assert names["look"](5, 4) == "apply it"
    assert names["look"](7, 4).startswith("5 to 6 are missing")
    assert names["look"](4, 4) == "newer ones have been applied"
