"""What AWS asks IAM when a call arrives: actions, resources and condition keys, read from the call itself.

Written from AWS's service authorization reference and its documentation of PartiQL and fine-grained access,
and without a look at the package's own list of operations. A call that is not known here is an error.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.iam import AccessRequest

__all__ = ["Caller", "UnknownCallError", "requests_of"]

Parameters = Mapping[str, Any]


class UnknownCallError(Exception):
    """Nobody has written down what IAM is asked for this call."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Where calls are made, and which stream each shard iterator was made for.

    The iterators are needed because a real one begins with its stream's ARN and those of local stacks do
    not: the ARN is that of the call which gave the iterator.
    """

    region: str
    account_id: str
    partition: str = "aws"
    iterators: dict[str, str] = field(default_factory=dict)

    def arn(self, service: str, resource: str) -> str:
        """Name a resource; DynamoDB and SNS take ARNs in place of names."""
        if resource.startswith("arn:"):
            return resource
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"

    def table(self, name: str) -> str:
        """Name a table."""
        return name if name.startswith("arn:") else self.arn("dynamodb", f"table/{name}")


def requests_of(
    service: str, operation: str, parameters: Parameters, caller: Caller
) -> tuple[AccessRequest, ...]:
    """List what IAM is asked for one call; a call needs all of it.

    ``service`` is botocore's name of it. Nothing is asked for ``GetCallerIdentity``.

    Raises:
        UnknownCallError: the call, or a statement or an expression in it, is not known.
    """
    read = _CALLS.get((service, operation))
    if read is None:
        raise UnknownCallError(f"{service} {operation}")
    return tuple(read(operation, parameters, caller))


Reader = Callable[[str, Parameters, Caller], Iterable[AccessRequest]]


# SNS and STS


def _publish(_: str, parameters: Parameters, caller: Caller) -> Iterator[AccessRequest]:
    # There is no action of the batch's own.
    yield AccessRequest("sns:Publish", parameters["TopicArn"])


def _send_messages(_: str, parameters: Parameters, caller: Caller) -> Iterator[AccessRequest]:
    # As for topics, the right to send one is that to send several. SQS reads the queue out of its URL.
    account, name = parameters["QueueUrl"].split("/")[-2:]
    yield AccessRequest("sqs:SendMessage", f"arn:{caller.partition}:sqs:{caller.region}:{account}:{name}")


def _put_events(_: str, parameters: Parameters, caller: Caller) -> Iterator[AccessRequest]:
    for bus in {entry.get("EventBusName", "default") for entry in parameters["Entries"]}:
        named = bus if bus.startswith("arn:") else f"event-bus/{bus}"
        yield AccessRequest("events:PutEvents", caller.arn("events", named))


def _describe_bus(_: str, parameters: Parameters, caller: Caller) -> Iterator[AccessRequest]:
    yield AccessRequest("events:DescribeEventBus", caller.arn("events", f"event-bus/{parameters['Name']}"))


def _put_records(_: str, parameters: Parameters, caller: Caller) -> Iterator[AccessRequest]:
    stream = parameters.get("StreamARN") or f"stream/{parameters['StreamName']}"
    yield AccessRequest("kinesis:PutRecords", caller.arn("kinesis", stream))


def _create_topic(_: str, parameters: Parameters, caller: Caller) -> Iterator[AccessRequest]:
    yield AccessRequest("sns:CreateTopic", caller.arn("sns", parameters["Name"]))


def _nothing(_: str, parameters: Parameters, caller: Caller) -> Iterator[AccessRequest]:
    yield from ()


# DynamoDB


def _on_table(operation: str, parameters: Parameters, caller: Caller) -> Iterator[AccessRequest]:
    """Read a call on one table, or on an index of it, which is a resource of its own."""
    resource = caller.table(parameters["TableName"])
    if "IndexName" in parameters:
        resource += f"/index/{parameters['IndexName']}"
    yield AccessRequest(f"dynamodb:{operation}", resource, _attributes(parameters))


def _on_tables(operation: str, parameters: Parameters, caller: Caller) -> Iterator[AccessRequest]:
    """Read a batch: the batch's own action on each table, not that of its parts."""
    for table, asked in parameters["RequestItems"].items():
        parts = [part for write in asked for part in write.values()] if isinstance(asked, list) else [asked]
        named = [name for part in parts for name in _attributes(part)["dynamodb:Attributes"]]
        keys = {"dynamodb:Attributes": tuple(sorted(set(named)))}
        yield AccessRequest(f"dynamodb:{operation}", caller.table(table), keys)


def _transaction(_: str, parameters: Parameters, caller: Caller) -> Iterator[AccessRequest]:
    actions = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem"}
    for entry in parameters["TransactItems"]:
        for kind, part in entry.items():
            yield from _on_table(actions.get(kind, "ConditionCheckItem"), part, caller)


def _attributes(parameters: Parameters) -> dict[str, tuple[str, ...]]:
    """Give the names of the top-level attributes in a request, which is what ``dynamodb:Attributes`` holds.

    What a read gives back without naming it counts for AWS as well, and cannot be seen in the request.
    """
    names = {name for part in ("Key", "Item") for name in parameters.get(part, ())}
    names |= {name for key in parameters.get("Keys", ()) for name in key}
    placeholders = parameters.get("ExpressionAttributeNames", {})
    for part, text in parameters.items():
        if part.endswith("Expression"):
            names |= {placeholders.get(name, name) for name in _names_in(text)}
    return {"dynamodb:Attributes": tuple(sorted(names))}


_TOKEN = re.compile(r"(?P<path>\.?)(?P<name>[#:]?[A-Za-z_][A-Za-z0-9_]*)|[=<>(),+\-\s]|\[\d+\]")
_WORDS = {"set", "remove", "add", "delete", "and", "or", "not", "between", "in"}
_FUNCTIONS = {"attribute_exists", "attribute_not_exists", "if_not_exists", "begins_with", "size"}


def _names_in(expression: str) -> Iterator[str]:
    for token in _tokens(_TOKEN, expression):
        name = token["name"]
        is_word = name and (name.lower() in _WORDS or name in _FUNCTIONS)
        if name and not token["path"] and not name.startswith(":") and not is_word:
            yield name


def _tokens(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    position = 0
    while position < len(text):
        token = pattern.match(text, position)
        if token is None:
            raise UnknownCallError(f"what stands at {position} of an expression or a statement")
        yield token
        position = token.end()


_PARTIQL = re.compile(r'"(?P<name>(?:[^"]|"")+)"|(?P<word>[A-Za-z]+)|[=<>(),?\s]')
_VERBS = {"SELECT": "Select", "INSERT": "Insert", "UPDATE": "Update", "DELETE": "Delete"}
_PARTIQL_WORDS = {*_VERBS, "FROM", "INTO", "VALUE", "SET", "REMOVE", "WHERE", "AND", "OR", "NOT"}


def _statements(_: str, parameters: Parameters, caller: Caller) -> Iterator[AccessRequest]:
    """Read a batch of PartiQL: the action of each statement's verb, on its table or index."""
    for statement in parameters["Statements"]:
        tokens = list(_tokens(_PARTIQL, statement["Statement"]))
        words = [token["word"].upper() for token in tokens if token["word"]]
        names = [token["name"].replace('""', '"') for token in tokens if token["name"]]
        if not words or words[0] not in _VERBS or not set(words) <= _PARTIQL_WORDS or not names:
            raise UnknownCallError(f"a statement with {words}")
        if words[0] in ("SELECT", "INSERT"):
            # Their attributes stand before the table, or in a document.
            raise UnknownCallError(f"the attributes of {words[0]}")
        keys = {"dynamodb:Attributes": tuple(sorted(set(names[1:])))}
        yield AccessRequest(f"dynamodb:PartiQL{_VERBS[words[0]]}", caller.table(names[0]), keys)


# DynamoDB Streams, whose actions go by DynamoDB's prefix


def _on_stream(operation: str, parameters: Parameters, caller: Caller) -> Iterator[AccessRequest]:
    yield AccessRequest(f"dynamodb:{operation}", parameters["StreamArn"])


def _on_iterator(operation: str, parameters: Parameters, caller: Caller) -> Iterator[AccessRequest]:
    stream = caller.iterators.get(parameters["ShardIterator"])
    if stream is None:
        raise UnknownCallError(f"the stream of the iterator of {operation}")
    yield AccessRequest(f"dynamodb:{operation}", stream)


# S3, whose names have neither Region nor account in them


def _on_bucket(_: str, parameters: Parameters, caller: Caller) -> Iterator[AccessRequest]:
    keys = {"s3:ResourceAccount": (caller.account_id,), "s3:prefix": (parameters.get("Prefix", ""),)}
    yield AccessRequest("s3:ListBucket", f"arn:{caller.partition}:s3:::{parameters['Bucket']}", keys)


def _put_object(_: str, parameters: Parameters, caller: Caller) -> Iterator[AccessRequest]:
    yield _on_object("PutObject", parameters["Bucket"], parameters["Key"], caller)


def _delete_objects(_: str, parameters: Parameters, caller: Caller) -> Iterator[AccessRequest]:
    for each in parameters["Delete"]["Objects"]:
        action = "DeleteObjectVersion" if "VersionId" in each else "DeleteObject"
        yield _on_object(action, parameters["Bucket"], each["Key"], caller)


def _on_object(action: str, bucket: str, key: str, caller: Caller) -> AccessRequest:
    arn = f"arn:{caller.partition}:s3:::{bucket}/{key}"
    return AccessRequest(f"s3:{action}", arn, {"s3:ResourceAccount": (caller.account_id,)})


_ONE_TABLE = (
    "DeleteItem",
    "DeleteTable",
    "DescribeTable",
    "GetItem",
    "PutItem",
    "Query",
    "Scan",
    "UpdateItem",
)
_CALLS: dict[tuple[str, str], Reader] = {
    ("sns", "CreateTopic"): _create_topic,
    ("sns", "Publish"): _publish,
    ("sns", "PublishBatch"): _publish,
    ("sqs", "SendMessageBatch"): _send_messages,
    ("events", "DescribeEventBus"): _describe_bus,
    ("events", "PutEvents"): _put_events,
    ("kinesis", "PutRecords"): _put_records,
    ("sts", "GetCallerIdentity"): _nothing,
    **{("dynamodb", name): _on_table for name in _ONE_TABLE},
    ("dynamodb", "BatchGetItem"): _on_tables,
    ("dynamodb", "BatchWriteItem"): _on_tables,
    ("dynamodb", "TransactWriteItems"): _transaction,
    ("dynamodb", "BatchExecuteStatement"): _statements,
    ("dynamodbstreams", "DescribeStream"): _on_stream,
    ("dynamodbstreams", "GetShardIterator"): _on_stream,
    ("dynamodbstreams", "GetRecords"): _on_iterator,
    ("s3", "ListObjectsV2"): _on_bucket,
    ("s3", "PutObject"): _put_object,
    ("s3", "DeleteObjects"): _delete_objects,
}
