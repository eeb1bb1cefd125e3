"""Every call of the functions works from the zip alone, and its errors keep their codes."""

import json
import subprocess
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from outbox_sdk.core.claim import ClaimPlace
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.text import format_instant
from outbox_sdk.packaging.interpreters import find_interpreter
from outbox_sdk.packaging.models import carried_operations
from tests.support.events import insert_records, write_event
from tests.support.outbox_tables import Items, item_of, key_of
from tests.support.wire import (
    Answer,
    Call,
    Reply,
    Wire,
    dynamodb_error,
    items_answer,
    objects_answer,
    open_wire,
    s3_error,
    sns_error,
)

pytestmark = [pytest.mark.once, pytest.mark.integration]

MARKER = "03"

# What a request needs so that botocore sends it; the answer is an error.
PARAMETERS: dict[str, dict[str, Any]] = {
    "PublishBatch": {
        "TopicArn": "arn:aws:sns:us-east-1:123456789012:t",
        "PublishBatchRequestEntries": [{"Id": "0", "Message": "{}"}],
    },
    "BatchExecuteStatement": {"Statements": [{"Statement": "UPDATE x SET y = 1"}]},
    "BatchGetItem": {"RequestItems": {"outbox": {"Keys": [{"PK": {"S": "a"}}]}}},
    "BatchWriteItem": {"RequestItems": {"outbox": [{"DeleteRequest": {"Key": {"PK": {"S": "a"}}}}]}},
    "DescribeEventBus": {"Name": "orders"},
    "PutEvents": {"Entries": [{"Source": "s", "DetailType": "t", "Detail": "{}"}]},
    "PutRecords": {"StreamName": "s", "Records": [{"Data": "x", "PartitionKey": "k"}]},
    "SendMessageBatch": {"QueueUrl": "http://q/1/q", "Entries": [{"Id": "0", "MessageBody": "x"}]},
    "Query": {"TableName": "outbox"},
    "UpdateItem": {"TableName": "outbox", "Key": {"PK": {"S": "a"}}},
    "ListObjectsV2": {"Bucket": "claims"},
    "PutObject": {"Bucket": "claims", "Key": "k"},
    "DeleteObjects": {"Bucket": "claims", "Delete": {"Objects": [{"Key": "k"}]}},
}
ERRORS: dict[str, Callable[[int, str], Answer]] = {
    "s3": s3_error,
    "sns": lambda status, code: sns_error(status, code, "no"),
}
ROUTES = {
    "sqs:billing": {"SendMessageBatch"},
    "eventbridge:orders": {"DescribeEventBus", "PutEvents"},
    "kinesis:orders": {"PutRecords"},
}
REFUSALS = {
    "dynamodb": [
        (400, "ConditionalCheckFailedException", "ConditionalCheckFailedException"),
        (400, "ProvisionedThroughputExceededException", "ProvisionedThroughputExceededException"),
        (400, "ResourceNotFoundException", "ResourceNotFoundException"),
        (400, "ThrottlingException", "ThrottlingException"),
        (400, "ValidationException", "ClientError"),
    ],
    "s3": [
        (403, "AccessDenied", "ClientError"),
        (503, "SlowDown", "ClientError"),
    ],
    "events": [(500, "InternalException", "InternalException"), (400, "ThrottlingException", "ClientError")],
    "kinesis": [
        (400, "KMSThrottlingException", "KMSThrottlingException"),
        (400, "ProvisionedThroughputExceededException", "ProvisionedThroughputExceededException"),
        (400, "ResourceNotFoundException", "ResourceNotFoundException"),
    ],
    "sqs": [
        (400, "KmsThrottled", "KmsThrottled"),
        (400, "QueueDoesNotExist", "QueueDoesNotExist"),
        (403, "AccessDenied", "ClientError"),
    ],
    "sns": [
        (403, "AuthorizationError", "AuthorizationErrorException"),
        (404, "NotFound", "NotFoundException"),
        (400, "KMSThrottling", "KMSThrottlingException"),
        (503, "ServiceUnavailable", "ClientError"),
    ],
}


def backlog_item() -> Items:
    created = format_instant(datetime.now(UTC) - timedelta(hours=5))
    return item_of("order-9", "m-9", TableDesign.ordered, marker=MARKER, CreatedAt={"S": created})


def query_answer(item: Items) -> Answer:
    """Show the item in its bucket of the index."""

    def answer(call: Call) -> Reply:
        found = [item] if {"S": MARKER} in call.body["ExpressionAttributeValues"].values() else []
        return Reply(200, "application/x-amz-json-1.0", json.dumps({"Items": found, "Count": len(found)}))

    return answer


def get_answer(item: Items) -> Answer:
    """Find that item whole, and every other one outstanding."""
    whole = json.dumps({"Responses": {"outbox": [item]}, "UnprocessedKeys": {}})

    def answer(call: Call) -> Reply:
        if item["PK"] in [key["PK"] for key in call.body["RequestItems"]["outbox"]["Keys"]]:
            return Reply(200, "application/x-amz-json-1.0", whole)
        reply = items_answer(MARKER)
        assert callable(reply)
        return reply(call)

    return answer


def step(
    name: str,
    role: str,
    event: Any,
    *,
    strategy: str = "batch",
    recheck_after: int = 3600,
    **settings: str,
) -> dict[str, Any]:
    """One invocation; the wire tells it from the others by the key that its requests are signed with."""
    environment = {
        "AWS_ACCESS_KEY_ID": name,
        "OUTBOX_MARK_STRATEGY": strategy,
        "OUTBOX_RECHECK_AFTER_SECONDS": str(recheck_after),
        "OUTBOX_ALLOWED_TOPICS": "",  # the next step's environment is set over this one's
        "OUTBOX_CLAIM_BUCKET": "",
        **settings,
    }
    return {"role": role, "event": event, "environment": environment}


def run_from_zip(
    task: Path, runtime: str, wire: Wire, *, invocations: Sequence[Any] = (), calls: Sequence[Any] = ()
) -> dict[str, Any]:
    """Run the work in a process that sees the unpacked zip and the standard library, and no more."""
    interpreter = find_interpreter(runtime.removeprefix("python"))
    assert interpreter is not None
    environment = {
        "AWS_ENDPOINT_URL": wire.endpoint_url,
        "AWS_REGION": "us-east-1",
        "AWS_SECRET_ACCESS_KEY": "local",
        "DYNAMODB_OUTBOX_TABLE_NAME": "outbox",
    }
    job = {"endpoint_url": wire.endpoint_url, "invocations": list(invocations), "calls": list(calls)}
    main, result = Path(__file__).with_name("zip_main.py"), task.with_name("result.json")
    process = subprocess.run(
        [interpreter, "-I", "-S", "-B", main, task, result],
        env=environment, cwd=task.parent, input=json.dumps(job), capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    document: dict[str, Any] = json.loads(result.read_text())
    lines = [json.loads(line) for line in process.stdout.splitlines()]
    log, figures = ([line for line in lines if ("_aws" in line) is wanted] for wanted in (False, True))
    return {**document, "log": log, "figures": figures}


def test_every_operation_of_the_functions_is_called_from_the_zip(task: Path, runtime: str) -> None:
    """A new operation that no step here makes is a difference as well."""
    item = backlog_item()
    invocations = [
        step("marks-batch", "relay", write_event(insert_records(2))),
        step("marks-single", "relay", write_event(insert_records(2)), strategy="single"),
        step("marks-delete", "relay", write_event(insert_records(2)), strategy="delete"),
        step("rechecks", "relay", write_event(insert_records(2, age_seconds=60)), recheck_after=30),
        step("parks", "relay", write_event(insert_records(1, Topic={"S": "no topic/at all"}))),
        *(
            step(
                route,
                "relay",
                write_event(insert_records(1, Topic={"S": route})),
                OUTBOX_ALLOWED_TOPICS=route,
            )
            for route in ROUTES
        ),
        step("touches", "sweeper", {}),
        step("sweeps", "sweeper", {"publish": True}),
        step("sweeps-claims", "sweeper", {}, OUTBOX_CLAIM_BUCKET="claims"),
    ]
    with open_wire() as wire:
        wire.always("Query", query_answer(item))
        wire.always("BatchGetItem", get_answer(item))
        # A body whose item is there, and a note of one that is not.
        body = ClaimPlace("claims", "claims/", "outbox").encode_key(
            key_of(item, TableDesign.ordered), TableDesign.ordered, digest="0" * 64, nonce="0" * 16
        )
        wire.always("ListObjectsV2", objects_answer(body, "claims/outbox/gone/elsewhere"))
        done = run_from_zip(task, runtime, wire, invocations=invocations)
    seen = defaultdict(set)
    for call in wire.calls:
        seen[call.access_key].add(call.operation)

    assert dict(seen) == {
        "marks-batch": {"PublishBatch", "BatchExecuteStatement"},
        "marks-single": {"PublishBatch", "UpdateItem"},
        "marks-delete": {"PublishBatch", "BatchWriteItem"},
        "rechecks": {"BatchGetItem", "PublishBatch", "BatchExecuteStatement"},
        "parks": {"UpdateItem"},
        **{route: {*names, "BatchExecuteStatement"} for route, names in ROUTES.items()},
        "touches": {"Query", "BatchGetItem", "UpdateItem"},
        "sweeps": {"Query", "BatchGetItem", "PublishBatch", "BatchExecuteStatement"},
        "sweeps-claims": {
            *("Query", "BatchGetItem", "UpdateItem"),
            *("ListObjectsV2", "PutObject", "DeleteObjects"),
        },
    }
    assert set.union(*seen.values()) == {name for names in carried_operations().values() for name in names}
    assert done["invocations"][:8] == [{"batchItemFailures": []}] * 8
    assert done["invocations"][8]["touched"] == 1
    assert done["invocations"][9]["outcomes"] == {"dispatched": 1}
    assert done["invocations"][10]["claims"]["kept"] == {"needed": 1}
    assert done["invocations"][10]["claims"]["failures"] == {}
    assert [line["level"] for line in done["log"] if line["message"] == "batch_relayed"] == ["INFO"] * 8
    assert [line["message"] for line in done["log"] if line["level"] == "ERROR"] == []
    assert ["CommitToPublishLatency" in line for line in done["figures"][:8]].count(True) >= 1
    assert [line["BacklogOutstanding"] for line in done["figures"][8:]] == [[1]] * 3
    assert done["foreign"] == []
    assert done["without_byte_code"] == []
    assert "relayed" in done["metric"]


def test_errors_keep_their_codes(task: Path, runtime: str) -> None:
    """Each operation with what its service may refuse; the client raises the class that the model names."""
    refusals = [
        (service, operation, *refusal)
        for service, operations in carried_operations().items()
        for operation in operations
        for refusal in REFUSALS[service]
    ]
    calls = [
        {"service": service, "operation": operation, "parameters": PARAMETERS[operation]}
        for service, operation, *_ in refusals
    ]
    with open_wire() as wire:
        for service, operation, status, code, _ in refusals:
            wire.script(operation, ERRORS.get(service, dynamodb_error)(status, code))
        done = run_from_zip(task, runtime, wire, calls=calls)

    assert len(refusals) > 20
    assert done["faults"] == [[code, status, name] for *_, status, code, name in refusals]


def test_an_error_of_a_batch_reaches_the_log_by_its_code(task: Path, runtime: str) -> None:
    with open_wire() as wire:
        wire.always("PublishBatch", sns_error(403, "AuthorizationError", "not this topic"))
        event = write_event(insert_records(1))
        done = run_from_zip(task, runtime, wire, invocations=[step("refused", "relay", event)])

    assert done["invocations"][0]["batchItemFailures"]
    assert any("AuthorizationError" in json.dumps(line) for line in done["log"])
