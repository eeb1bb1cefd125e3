"""What AWS accepts, written down from its documentation and never from this package's code.

Each ``check_*`` fails with the rule that a request breaks. The request is also held against botocore's own
model of the service. The two ``apply_*`` carry a write out on one item, as DynamoDB would.
"""

import copy
import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import botocore.serialize
import botocore.session
from botocore.model import OperationModel, ServiceModel
from botocore.validate import ParamValidator

__all__ = [
    "ConditionError",
    "CountedPublish",
    "apply_statement",
    "apply_update",
    "check_batch_get",
    "check_batch_write",
    "check_create_table",
    "check_park_reason",
    "check_publish_batch",
    "check_query",
    "check_statements",
    "check_update",
    "find_untravelling",
    "read_tomodachi",
]

Item = dict[str, dict[str, Any]]


# botocore's models


@functools.cache
def _service(name: str) -> ServiceModel:
    return botocore.session.Session().get_service_model(name)


@functools.cache
def _operation(service: str, name: str) -> tuple[OperationModel, Any]:
    model = _service(service)
    serializer: Any = botocore.serialize.create_serializer(str(model.metadata["protocol"]))
    return model.operation_model(name), serializer


def _check_model(service: str, name: str, request: Mapping[str, Any]) -> bytes:
    """Hold a request against the service's model; give its body as it would go over the wire."""
    operation, serializer = _operation(service, name)
    report = ParamValidator().validate(request, operation.input_shape)  # type: ignore[arg-type]
    assert not report.has_errors(), report.generate_report()
    body = serializer.serialize_to_request(request, operation)["body"]
    if isinstance(body, bytes):
        return body
    return repr(body).encode()  # the query protocol leaves the form to its transport


# Characters


def find_untravelling(text: str) -> str | None:
    """The first character that SQS does not take: XML 1.0's `Char`, as its documentation quotes it."""
    for character in text:
        code = ord(character)
        allowed = (
            code in (0x9, 0xA, 0xD)
            or 0x20 <= code <= 0xD7FF
            or 0xE000 <= code <= 0xFFFD
            or 0x10000 <= code <= 0x10FFFF
        )
        if not allowed:
            return character
    return None


# SNS


class CountedPublish(NamedTuple):
    """What one `PublishBatch` weighs: message, attribute names, types and values in UTF-8."""

    entries: int
    size: int


def check_publish_batch(request: Mapping[str, Any], *, limit: int) -> CountedPublish:
    """A ``PublishBatch`` that SNS takes, and that SQS takes behind it."""
    _check_model("sns", "PublishBatch", request)
    assert set(request) == {"TopicArn", "PublishBatchRequestEntries"}
    arn = re.fullmatch(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:(.*)", request["TopicArn"])
    assert arn is not None
    fifo = arn[1].endswith(".fifo")
    assert re.fullmatch(r"[A-Za-z0-9_-]+", arn[1].removesuffix(".fifo"))
    assert len(arn[1]) <= 256
    entries = request["PublishBatchRequestEntries"]
    assert 1 <= len(entries) <= 10
    ids = [entry["Id"] for entry in entries]
    assert len(set(ids)) == len(ids)
    for identifier in ids:
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,80}", identifier)
    groups = [entry["MessageGroupId"] for entry in entries if "MessageGroupId" in entry]
    # Nothing says that SNS stops a group at its first failure, so a second entry could overtake it.
    assert len(set(groups)) == len(groups)
    size = sum(_check_entry(entry, fifo=fifo) for entry in entries)
    assert size <= limit or len(entries) == 1
    return CountedPublish(len(entries), size)


def _check_entry(entry: Mapping[str, Any], *, fifo: bool) -> int:
    allowed = {"Id", "Message", "MessageAttributes"}
    ids = {"MessageGroupId", "MessageDeduplicationId"}
    assert set(entry) == (allowed | ids if fifo else allowed)
    for name in ids & set(entry):
        assert re.fullmatch(r"[!-~]{1,128}", entry[name])
    assert entry["Message"]
    assert find_untravelling(entry["Message"]) is None
    size = len(entry["Message"].encode())
    attributes = entry["MessageAttributes"]
    assert len(attributes) <= 10
    for name, attribute in attributes.items():
        assert re.fullmatch(r"[A-Za-z0-9_.-]{1,256}", name)
        assert not name.startswith(".")
        assert not name.endswith(".")
        assert ".." not in name
        assert not name.lower().startswith(("aws.", "amazon."))
        assert set(attribute) == {"DataType", "StringValue"}
        assert attribute["DataType"] in ("String", "Number")
        assert attribute["StringValue"]
        assert find_untravelling(attribute["StringValue"]) is None
        size += sum(len(text.encode()) for text in (name, attribute["DataType"], attribute["StringValue"]))
    return size


# DynamoDB: what a request may look like


def check_statements(request: Mapping[str, Any]) -> None:
    """A ``BatchExecuteStatement`` that DynamoDB takes: few short statements on items that differ."""
    _check_model("dynamodb", "BatchExecuteStatement", request)
    statements = request["Statements"]
    assert 1 <= len(statements) <= 25
    for statement in statements:
        text = statement["Statement"]
        assert 1 <= len(text) <= 8192
        tokens = list(_tokens(text))
        assert tokens.count("?") == len(statement["Parameters"])
        assert tokens[0] == "UPDATE"
        assert tokens.count("WHERE") == 1
    keys = [repr(sorted(_statement_key(statement).items())) for statement in statements]
    assert len(set(keys)) == len(keys)


def check_update(request: Mapping[str, Any]) -> None:
    """An ``UpdateItem`` that DynamoDB takes: every placeholder defined, and every definition used."""
    _check_model("dynamodb", "UpdateItem", request)
    text = f"{request['UpdateExpression']} {request['ConditionExpression']}"
    assert len(text) <= 4096
    used_names = set(re.findall(r"#\w+", text))
    used_values = set(re.findall(r":\w+", text))
    assert used_names == set(request["ExpressionAttributeNames"])
    assert used_values == set(request["ExpressionAttributeValues"])
    names = list(request["ExpressionAttributeNames"].values())
    assert len(set(names)) == len(names)
    assert not set(names) & set(request["Key"])  # a key is never written


def check_batch_get(request: Mapping[str, Any]) -> None:
    """A ``BatchGetItem`` that DynamoDB takes: at most 100 keys, no two alike."""
    _check_model("dynamodb", "BatchGetItem", request)
    ((_, read),) = request["RequestItems"].items()
    keys = [repr(sorted(key.items())) for key in read["Keys"]]
    assert 1 <= len(keys) <= 100
    assert len(set(keys)) == len(keys)
    assert read["ConsistentRead"] is True
    if "ProjectionExpression" not in read:
        assert "ExpressionAttributeNames" not in read  # a name that is not used is refused
        return
    assert set(read["ProjectionExpression"].split(", ")) == set(read["ExpressionAttributeNames"])
    assert set(read["Keys"][0]) <= set(read["ExpressionAttributeNames"].values())


def check_query(request: Mapping[str, Any]) -> None:
    """A ``Query`` of an index that DynamoDB takes: its hash is given, and consistency is not asked for."""
    _check_model("dynamodb", "Query", request)
    text = request["KeyConditionExpression"]
    assert set(re.findall(r"#\w+", text)) == set(request["ExpressionAttributeNames"])
    assert set(re.findall(r":\w+", text)) == set(request["ExpressionAttributeValues"])
    assert re.fullmatch(r"#\w+ = :\w+", text)
    assert request["Limit"] >= 1
    assert not request.get("ConsistentRead")


def check_batch_write(request: Mapping[str, Any]) -> None:
    """A ``BatchWriteItem`` that DynamoDB takes: at most 25 deletes, no two of one item."""
    _check_model("dynamodb", "BatchWriteItem", request)
    ((_, writes),) = request["RequestItems"].items()
    assert 1 <= len(writes) <= 25
    keys = [repr(sorted(write["DeleteRequest"]["Key"].items())) for write in writes]
    assert len(set(keys)) == len(keys)


def check_create_table(request: Mapping[str, Any]) -> None:
    """A ``CreateTable`` that DynamoDB takes: exactly the attributes that are in some key are defined."""
    _check_model("dynamodb", "CreateTable", request)
    indexes = [*request.get("GlobalSecondaryIndexes", ()), *request.get("LocalSecondaryIndexes", ())]
    schemas = [request["KeySchema"], *(index["KeySchema"] for index in indexes)]
    used = {key["AttributeName"] for schema in schemas for key in schema}
    defined = [definition["AttributeName"] for definition in request["AttributeDefinitions"]]
    assert sorted(used) == sorted(defined)
    names = [index["IndexName"] for index in indexes]
    assert len(set(names)) == len(names)
    for schema in schemas:
        assert [key["KeyType"] for key in schema] == ["HASH", "RANGE"][: len(schema)]


# DynamoDB: what a write does to one item


class ConditionError(Exception):
    """The item is not what the write expected."""


_TOKEN = re.compile(r'"((?:[^"]|"")*)"|[A-Za-z_]+|[?=]|\S')


def _tokens(statement: str) -> Iterator[str]:
    """PartiQL's tokens; a quoted name comes as `"name`, so that it is no keyword."""
    for found in _TOKEN.finditer(statement):
        yield found[0] if found[1] is None else '"' + found[1].replace('""', '"')


def _parse_statement(statement: Mapping[str, Any]) -> tuple[str, Item, list[str], Item]:
    """An `UPDATE "t" SET "a"=? … REMOVE "b" WHERE "c"=? AND …`: table, sets, removes, conditions.

    A condition of the form `AND NOT "d" > ?` stands among the others as `NOT d >`.
    """
    tokens = _tokens(statement["Statement"])
    parameters = iter(statement["Parameters"])
    sets: Item = {}
    conditions: Item = {}
    removes: list[str] = []
    assert next(tokens) == "UPDATE"
    table = next(tokens).removeprefix('"')
    for token in tokens:
        name = next(tokens)
        if (token, name) == ("AND", "NOT"):
            name = next(tokens)
            assert (name[0], next(tokens), next(tokens)) == ('"', ">", "?")
            conditions[f"NOT {name[1:]} >"] = next(parameters)
            continue
        assert name.startswith('"')
        if token == "REMOVE":
            removes.append(name[1:])
            continue
        assert (next(tokens), next(tokens)) == ("=", "?")
        target = {"SET": sets, "WHERE": conditions, "AND": conditions}[token]
        assert name[1:] not in target
        target[name[1:]] = next(parameters)
    assert next(parameters, None) is None
    return table, sets, removes, conditions


def _statement_key(statement: Mapping[str, Any]) -> Item:
    conditions = _parse_statement(statement)[3]
    return {name: value for name, value in conditions.items() if not name.startswith("NOT ")}


def apply_statement(item: Item | None, statement: Mapping[str, Any]) -> Item:
    """Carry a PartiQL update out on the one item that its key names, or on none."""
    _, sets, removes, conditions = _parse_statement(statement)
    if item is None or not all(_holds(item, name, value) for name, value in conditions.items()):
        raise ConditionError
    written = copy.deepcopy(item)
    for name in removes:
        written.pop(name, None)
    return written | sets


def _holds(item: Item, condition: str, value: Mapping[str, str]) -> bool:
    ceiling = re.fullmatch(r"NOT (.*) >", condition)
    if ceiling is None:
        return item.get(condition) == value
    # What is missing or of another type is not greater than anything.
    number = item.get(ceiling[1], {}).get("N")
    return number is None or not int(number) > int(value["N"])


_ASSIGNMENT = re.compile(r"(#\w+) = (?:if_not_exists\((#\w+), (:\w+)\)|(:\w+))(?:, |$)")


def apply_update(item: Item | None, request: Mapping[str, Any]) -> Item:
    """Carry an ``UpdateItem`` out on the item that its key names, or on none."""
    names, values = request["ExpressionAttributeNames"], request["ExpressionAttributeValues"]
    condition = re.fullmatch(
        r"(?:(?P<marker>#\w+) = (?P<value>:\w+)"
        r"|attribute_exists\((?P<exists>#\w+)\) AND (?P=exists) <> (?P<other>:\w+))"
        r"(?: AND NOT (?P<redrives>#\w+) > (?P<most>:\w+))?"
        r"(?: AND \(attribute_not_exists\((?P<touched>#\w+)\) OR (?P=touched) < (?P<before>:\w+)\))?",
        request["ConditionExpression"],
    )
    assert condition is not None
    if item is None:
        raise ConditionError
    if condition["marker"] and item.get(names[condition["marker"]]) != values[condition["value"]]:
        raise ConditionError
    exists = condition["exists"]
    if exists and item.get(names[exists]) in (None, values[condition["other"]]):
        raise ConditionError
    redrives, touched = condition["redrives"], condition["touched"]
    if redrives and not _holds(item, f"NOT {names[redrives]} >", values[condition["most"]]):
        raise ConditionError
    if touched and names[touched] in item:
        stored, bound = item[names[touched]], values[condition["before"]]
        # Values of different types do not compare, whatever they are.
        if set(stored) != set(bound) or not stored["S"] < bound["S"]:
            raise ConditionError
    parts = re.fullmatch(r"SET (.+?)(?: REMOVE (#\w+))?", request["UpdateExpression"])
    assert parts is not None
    assert "".join(found[0] for found in _ASSIGNMENT.finditer(parts[1])) == parts[1]
    written = copy.deepcopy(item)
    for found in _ASSIGNMENT.finditer(parts[1]):
        target, source, otherwise, value = found.groups()
        if source is None:
            written[names[target]] = values[value]
        else:
            written[names[target]] = item.get(names[source], values[otherwise])
    if parts[2] is not None:
        del written[names[parts[2]]]
    return written


# What other parties make of what the relay writes


def read_tomodachi(text: str, parse: Any) -> Any:
    """The data of a message, read as tomodachi's ``JsonBase`` reads it; ``parse`` reads the JSON."""
    envelope = parse(text)
    metadata = envelope["metadata"]
    known = {"tomodachi-json-base--1.0.0", "json_base-wip"}
    assert {metadata["protocol_version"], *metadata["compatible_protocol_versions"]} & known
    assert isinstance(metadata["message_uuid"], str)
    assert isinstance(metadata["topic"], str)
    assert set(envelope["service"]) == {"name", "uuid"}
    # Encodings other than raw are compressed and base64; a consumer refuses what it does not know.
    assert metadata["data_encoding"] == "raw"
    return envelope["data"]


def check_park_reason(reason: str) -> None:
    """A reason is for people and logs: short plain text that names attributes and codes."""
    assert 1 <= len(reason) <= 512
    assert find_untravelling(reason) is None
