"""Requests as bytes and answers as values: botocore, which was written from AWS's models, is the oracle."""

import json
from functools import cache
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import pytest
from aiobotocore.session import AioSession
from botocore.model import OperationModel, ServiceModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import given
from hypothesis import strategies as st

from outbox_sdk.core.dynamodb_json import decode_answer, decode_error, encode_arguments, headers_of
from outbox_sdk.core.entry import Entry
from outbox_sdk.core.identifiers import AccountId, AggregateId, ItemKey, MessageId, Region, TopicName
from outbox_sdk.core.mark import Mark, delete_marks_request, mark_request, mark_statements_request, plan_mark
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.plan import Wrapping
from outbox_sdk.core.publish import (
    PublishRequest,
    RequestFailed,
    decode_publish_response,
    pack_requests,
    publish_batch_request,
)
from outbox_sdk.core.routing import Routing
from outbox_sdk.core.sns_query import FORM_HEADERS, decode_publish_answer, encode_publish_request
from outbox_sdk.core.table import TableDesign
from tests.property import strategies as our
from tests.property.test_plan import plan_of

_PLAIN = Wrapping(
    routing=Routing(region=Region("eu-west-1"), account_id=AccountId("1")), source="/outbox/outbox"
)
_NAMESPACE = "http://sns.amazonaws.com/doc/2010-03-31/"


@cache
def operation(service: str, name: str) -> OperationModel:
    loader = AioSession(session_vars={"profile": (None, None, None, None)}).get_component("data_loader")
    return ServiceModel(loader.load_service_model(service, "service-2"), service).operation_model(name)


def serialize(service: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    model = operation(service, name)
    serializer = create_serializer(model.service_model.metadata["protocol"], include_validation=False)
    written: dict[str, Any] = serializer.serialize_to_request(arguments, model)
    return written


def parse(service: str, name: str, status: int, body: bytes) -> dict[str, Any]:
    model = operation(service, name)
    parser = create_parser(model.service_model.metadata["protocol"])
    answer = {"status_code": status, "body": body, "headers": {}}
    parsed: dict[str, Any] = parser.parse(answer, model.output_shape)  # type: ignore[arg-type]  # may be none
    return parsed


# Publishing


@st.composite
def publish_requests(draw: st.DrawFn) -> PublishRequest:
    """Give requests of one to three entries: what is read of an answer depends on their number only."""
    return _request_of(*draw(st.lists(our.travelling_text(max_size=60), min_size=1, max_size=3)))


def _request_of(*bodies: str) -> PublishRequest:
    entries = []
    for number, body in enumerate(bodies):
        entry = _PLAIN.encode(
            OutboxMessage(
                key=ItemKey((("PK", "S", str(number)),)),
                marker={"S": "03"},
                message_id=MessageId(str(number)),
                aggregate_id=AggregateId("a"),
                topic=TopicName("orders"),
                body=body,
            )
        )
        assert isinstance(entry, Entry)
        entries.append(entry)
    (request,) = pack_requests(entries)
    return request


@given(st.data(), our.wrappings())
def test_a_form_says_what_botocore_would_have_said(data: st.DataObject, wrapping: Wrapping) -> None:
    plan = plan_of(data.draw(our.events(max_size=9)), wrapping)
    for request in pack_requests(record.entry for lane in plan.lanes for record in lane[:1]):
        body = encode_publish_request(request)

        expected = serialize("sns", "PublishBatch", publish_batch_request(request))
        assert dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True)) == {
            name: str(value) for name, value in expected["body"].items()
        }
        assert {"Content-Type": expected["headers"]["Content-Type"]} == FORM_HEADERS


@given(our.travelling_text(max_size=60))
def test_a_form_holds_nothing_that_a_reader_could_take_for_something_else(text: str) -> None:
    """Only what RFC 3986 allows in a query, and of that nothing that separates fields."""
    written = encode_publish_request(_request_of(text)).decode("ascii")

    value = written.partition("member.1.Message=")[2].partition("&")[0]
    plain = value.replace("%", "").replace("+", "")
    assert all(character.isalnum() or character in "-._~!$'()*,:@/?" for character in plain)
    assert ";" not in value


_ids = st.sampled_from(["0", "1", "2", "7", "", "x"])
_codes = st.sampled_from(["KMSThrottling", "InternalError", "InvalidParameter", ""])


@given(
    publish_requests(),
    st.lists(st.tuples(_ids, our.travelling_text(min_size=0)), max_size=4),
    st.lists(st.tuples(_ids, _codes, our.travelling_text(min_size=0), st.booleans()), max_size=4),
)
def test_both_lists_of_an_answer_are_read_as_botocore_reads_them(
    request: PublishRequest,
    successful: list[tuple[str, str]],
    failed: list[tuple[str, str, str, bool]],
) -> None:
    accepted = "".join(
        f"<member><MessageId>{escape(sns_id)}</MessageId><Id>{entry_id}</Id></member>"
        for entry_id, sns_id in successful
    )
    refused = "".join(
        f"<member><Code>{code}</Code><Message>{escape(text)}</Message><Id>{entry_id}</Id>"
        f"<SenderFault>{str(fault).lower()}</SenderFault></member>"
        for entry_id, code, text, fault in failed
    )
    document = (
        f'<PublishBatchResponse xmlns="{_NAMESPACE}"><PublishBatchResult><Failed>{refused}</Failed>'
        f"<Successful>{accepted}</Successful></PublishBatchResult>"
        "<ResponseMetadata><RequestId>x</RequestId></ResponseMetadata></PublishBatchResponse>"
    ).encode()

    expected = parse("sns", "PublishBatch", 200, document)

    assert decode_publish_answer(request, 200, document) == decode_publish_response(request, expected)


@given(
    publish_requests(), st.sampled_from([400, 403, 404, 500, 503]), _codes, our.travelling_text(min_size=0)
)
def test_a_refusal_is_read_as_botocore_reads_it(
    request: PublishRequest, status: int, code: str, text: str
) -> None:
    document = (
        f'<ErrorResponse xmlns="{_NAMESPACE}"><Error><Type>Sender</Type><Code>{code}</Code>'
        f"<Message>{escape(text)}</Message></Error><RequestId>x</RequestId></ErrorResponse>"
    ).encode()
    expected = parse("sns", "PublishBatch", status, document)["Error"]

    failure = decode_publish_answer(request, status, document)

    assert failure == RequestFailed(
        expected.get("Code") or str(status), status, expected.get("Message") or ""
    )


@given(publish_requests(), st.binary(max_size=60), st.sampled_from([200, 302, 400, 403, 502]))
def test_no_answer_is_too_strange_to_be_a_failure(request: PublishRequest, body: bytes, status: int) -> None:
    failure = decode_publish_answer(request, status, body)

    assert failure == (
        RequestFailed("UnreadableResponse") if status == 200 else RequestFailed(str(status), status)
    )


# Marking


_mark = our.designs().flatmap(lambda design: st.tuples(st.just(design), our.messages(design)))


def _plan(message: OutboxMessage) -> Mark:
    return plan_mark(message, now="2026-11-24T00:00:00.000000Z", now_seconds=1.0, ttl_days=3)


@given(_mark)
def test_arguments_are_written_as_botocore_writes_them(drawn: tuple[TableDesign, OutboxMessage]) -> None:
    design, message = drawn
    mark = _plan(message)
    for name, arguments in (
        ("BatchExecuteStatement", mark_statements_request([mark], design, "outbox")),
        ("UpdateItem", mark_request(mark, design, "outbox")),
        ("BatchWriteItem", delete_marks_request([mark], "outbox")),
    ):
        expected = serialize("dynamodb", name, arguments)

        assert json.loads(encode_arguments(arguments)) == json.loads(expected["body"])
        assert headers_of(name) == expected["headers"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"a"}',
        b'{"__type":"ThrottlingException","Message":"a"}',
        b'{"__type":"ThrottlingException:http://internal.amazon.com/x","message":"a"}',
        b'{"message":"a"}',
        b"{}",
    ],
)
def test_a_refusal_of_dynamodb_is_read_as_botocore_reads_it(body: bytes) -> None:
    expected = parse("dynamodb", "UpdateItem", 400, body)["Error"]

    assert decode_error(400, body) == (expected["Code"], expected["Message"])


@given(st.binary(max_size=60) | st.sampled_from([b"[]", b'"x"', b"null", b'{"__type":7}']))
def test_no_answer_of_dynamodb_is_too_strange_to_be_a_refusal(body: bytes) -> None:
    assert decode_error(503, body) == ("503", "")
    assert decode_answer(body) is None or isinstance(decode_answer(body), dict)
