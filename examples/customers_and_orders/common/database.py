"""What the services need of DynamoDB: a client of aiobotocore has it, and so has the one in memory."""

from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from typing import Unpack

    from types_aiobotocore_dynamodb.type_defs import TransactWriteItemsInputTypeDef

__all__ = ["Database", "Item", "read_item"]

# Any: attribute values nest without a bound.
Item = Mapping[str, Any]
"""An item as DynamoDB writes it: ``{"PK": {"S": "ORDER#7"}}``."""


class Database(Protocol):
    """A client of DynamoDB, as far as these services go."""

    # The names are DynamoDB's.
    def get_item(self, *, TableName: str, Key: Item, ConsistentRead: bool) -> Awaitable[Any]:  # noqa: N803
        """Read an item."""
        ...

    def transact_write_items(self, **kwargs: "Unpack[TransactWriteItemsInputTypeDef]") -> Awaitable[object]:
        """Commit all actions or none."""
        ...


async def read_item(database: Database, table_name: str, key: Item) -> Item | None:
    """Read an item as the last commit has left it, or ``None``."""
    answer = await database.get_item(TableName=table_name, Key=key, ConsistentRead=True)
    item: Item | None = answer.get("Item")
    return item
