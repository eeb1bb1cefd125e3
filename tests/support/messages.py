"""One message in each kind of class that can describe one, with a strategy for its values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, TypedDict

import attrs
import msgspec
import pydantic
from hypothesis import strategies as st

from outbox_sdk import Catalog, message

__all__ = [
    "CATALOG",
    "KINDS",
    "AttrsOrder",
    "DataclassOrder",
    "DictionaryOrder",
    "Line",
    "ModelLine",
    "ModelOrder",
    "Status",
    "StructOrder",
    "attributes_of",
    "events",
]


class Status(Enum):
    open = "open"
    paid = "paid"


class Line(msgspec.Struct):
    article: str
    quantity: int


@message("struct.order", topic="orders")
class StructOrder(msgspec.Struct):
    order_id: str
    total: Decimal
    weight: float
    at: datetime
    status: Status
    lines: list[Line]
    tags: dict[str, int]
    note: str | None = None


@message("dataclass.order", topic="orders")
@dataclass
class DataclassOrder:
    order_id: str
    total: Decimal
    weight: float
    at: datetime
    status: Status
    lines: list[Line]
    tags: dict[str, int]
    note: str | None = None


@message("attrs.order", topic="orders.fifo")
@attrs.define
class AttrsOrder:
    order_id: str
    total: Decimal
    weight: float
    at: datetime
    status: Status
    lines: list[Line]
    tags: dict[str, int]
    note: str | None = None


@message("dictionary.order", topic="orders.fifo")
class DictionaryOrder(TypedDict):
    order_id: str
    total: Decimal
    weight: float
    at: datetime
    status: Status
    lines: list[Line]
    tags: dict[str, int]
    note: str | None


class ModelLine(pydantic.BaseModel):
    article: str
    quantity: int


@message("model.order", topic="models")
class ModelOrder(pydantic.BaseModel):
    order_id: str = pydantic.Field(alias="orderId")
    total: Decimal
    weight: float
    at: datetime
    status: Status
    lines: list[ModelLine]
    tags: dict[str, int]
    note: str | None = None


CATALOG = Catalog(StructOrder, DataclassOrder, AttrsOrder, DictionaryOrder, ModelOrder)
# Any: what they have in common is what the tests are about, and no type has it.
KINDS: tuple[type[Any], ...] = tuple(CATALOG)


def events(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Values of one of the five classes, with all that JSON can say."""
    line = ModelLine if kind is ModelOrder else Line
    return st.builds(
        kind,
        **{"orderId" if kind is ModelOrder else "order_id": st.text()},
        total=st.decimals(allow_nan=False, allow_infinity=False),
        weight=st.floats(allow_nan=False, allow_infinity=False),
        at=st.datetimes(timezones=st.just(UTC)),
        status=st.sampled_from(Status),
        lines=st.lists(st.builds(line, article=st.text(), quantity=st.integers(-(2**63), 2**63)), max_size=3),
        tags=st.dictionaries(st.text(), st.integers(-(2**63), 2**63 - 1), max_size=3),
        note=st.none() | st.text(),
    )


def attributes_of(kind: type[Any], **changes: str) -> Mapping[str, str]:
    """The attributes by which a message of a class is known, as plain text."""
    known = CATALOG.type_of(kind)
    return {"MessageType": known.name, "SchemaVersion": str(known.version), **changes}
