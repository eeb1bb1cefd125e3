"""The attributes of a message as consumers meet them, in whichever of AWS's four shapes, as plain text."""

from collections.abc import Mapping

__all__ = ["read_attributes"]

_TEXTS = ("StringValue", "stringValue", "Value")
_TYPES = ("DataType", "dataType", "Type")


def read_attributes(attributes: object) -> dict[str, str]:
    """Give the text of each attribute by its name; never raises, whatever it is given.

    Read are plain text, what SQS answers (``StringValue``), what Lambda hands over (``stringValue``), and
    what an SNS envelope holds (``Type``, ``Value``), mixed or not. A number is its digits. What has no text,
    a binary attribute above all, is left out, for the relay writes none.

    >>> read_attributes({"AggregateId": "order-7", "Hops": {"DataType": "Number", "StringValue": "2"}})
    {'AggregateId': 'order-7', 'Hops': '2'}
    >>> read_attributes({"Hops": {"stringValue": "1", "binaryValue": None, "dataType": "Number"}})
    {'Hops': '1'}
    >>> read_attributes({"Hops": {"Type": "Number", "Value": "1"}, "x": {"Type": "Binary", "Value": "eA=="}})
    {'Hops': '1'}
    """
    if not isinstance(attributes, Mapping):
        return {}
    texts = {name: _read_text(value) for name, value in attributes.items() if isinstance(name, str)}
    return {name: text for name, text in texts.items() if text is not None}


def _read_text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if not isinstance(value, Mapping):
        return None
    for key in _TYPES:
        kind = value.get(key)
        if isinstance(kind, str) and kind.partition(".")[0] == "Binary":  # custom types are `Binary.png`
            return None
    for key in _TEXTS:
        text = value.get(key)
        if isinstance(text, str):
            return text
    return None
