"""A request as it goes out: signed as botocore would have signed it."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outbox_sdk.core.dynamodb_json import headers_of
from outbox_sdk.core.sns_query import FORM_HEADERS
from outbox_sdk.shell.aws.service import AwsService
from tests.support.recorded_calls import excuse

_NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


class _Credentials(NamedTuple):
    access_key: str = "AKIAIOSFODNN7EXAMPLE"
    secret_key: str = "not-a-secret"
    token: str | None = None


class _Answer:
    status_code = 200

    @property
    async def content(self) -> bytes:
        return b""


class _Pool:
    """Keeps what it is given to send."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def send(self, request: Any) -> _Answer:
        self.sent.append(request)
        return _Answer()


def send(
    name: str, url: str, credentials: _Credentials, body: bytes, headers: Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    async def of_now() -> _Credentials:
        return credentials

    pool = _Pool()
    service = AwsService(name, endpoint_url=url, region="eu-west-1", credentials=of_now, pool=pool)
    excuse(service)  # nothing of this is sent
    asyncio.run(service.post(body, headers))
    (request,) = pool.sent
    assert (request.method, request.body, request.stream_output) == ("POST", body, False)
    return request.url, dict(request.headers)


def sign_by_botocore(
    name: str, url: str, credentials: _Credentials, body: bytes, headers: Mapping[str, str]
) -> dict[str, str]:
    request = AWSRequest("POST", url, headers=dict(headers), data=body)
    signer: Any = auth.SigV4Auth
    signer(credentials, name, "eu-west-1").add_auth(request)
    return dict(request.headers.items())


@pytest.fixture
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "get_current_datetime", lambda: _NOW)


@pytest.mark.usefixtures("stopped_clock")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    service=st.sampled_from(["sns", "dynamodb"]),
    url=st.sampled_from(["https://sns.eu-west-1.amazonaws.com", "http://127.0.0.1:4566/", "https://a/b c"]),
    credentials=st.builds(_Credentials, token=st.sampled_from([None, "t" * 400])),
    text=st.text("aé ", max_size=9),
    headers=st.one_of(
        st.just(FORM_HEADERS),
        st.sampled_from(["GetItem", "BatchExecuteStatement"]).map(headers_of),
        # The signer writes values with single spaces, whatever was given.
        st.just({"X-Extra": "  two   spaces ", "b": "2", "A": "1"}),
    ),
)
def test_a_signature_is_botocores(
    service: str, url: str, credentials: _Credentials, text: str, headers: Mapping[str, str]
) -> None:
    body = (f'"{text}"' if "X-Amz-Target" in headers else f"Action=a&Text={text}").encode()
    sent_to, sent = send(service, url, credentials, body, headers)

    told = {name: sent[name] for name in ("Host", "X-Amz-Content-SHA256")}
    expected = sign_by_botocore(service, sent_to, credentials, body, {**headers, **told})
    assert sent.pop("User-Agent").startswith("dynamodb-outbox-sdk")
    assert sent == expected


def test_the_key_follows_the_day_and_the_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is kept from one request to the next, so each may be signed by the one before."""
    first, second = _Credentials(), _Credentials(secret_key="another")
    days = [_NOW, _NOW, _NOW + timedelta(days=1), _NOW + timedelta(days=1), _NOW]
    secrets = [first, second, second, first, first]
    turns = iter(secrets)

    async def of_this_turn() -> _Credentials:
        return next(turns)

    async def post_all(service: AwsService) -> None:
        for day in days:
            monkeypatch.setattr(auth, "get_current_datetime", lambda now=day: now)
            await service.post(b"Action=a", FORM_HEADERS)

    pool = _Pool()
    service = AwsService(
        "sns", endpoint_url="http://a", region="eu-west-1", credentials=of_this_turn, pool=pool
    )
    excuse(service)
    asyncio.run(post_all(service))

    for day, credentials, request in zip(days, secrets, pool.sent, strict=True):
        monkeypatch.setattr(auth, "get_current_datetime", lambda now=day: now)
        told = {name: request.headers[name] for name in ("Host", "X-Amz-Content-SHA256")}
        expected = sign_by_botocore("sns", "http://a/", credentials, b"Action=a", {**FORM_HEADERS, **told})
        assert request.headers["Authorization"] == expected["Authorization"]


@pytest.mark.usefixtures("stopped_clock")
def test_what_it_tells_the_signer_is_what_the_signer_would_have_found() -> None:
    _, sent = send("sns", "https://sns.eu-west-1.amazonaws.com", _Credentials(), b"Action=a", FORM_HEADERS)

    request = AWSRequest("POST", "https://sns.eu-west-1.amazonaws.com/", data=b"Action=a")
    signer: Any = auth.SigV4Auth(None, "sns", "eu-west-1")  # type: ignore[arg-type]  # it signs nothing
    request.context["timestamp"] = "20261123T090000Z"
    assert sent["X-Amz-Content-SHA256"] == signer.payload(request)
    assert sent["Host"] == signer.headers_to_sign(request)["host"]
    assert sent["X-Amz-Date"] == "20261123T090000Z"


@pytest.mark.usefixtures("stopped_clock")
def test_what_others_add_on_the_way_is_not_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "relay")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")

    _, sent = send("sns", "https://sns.eu-west-1.amazonaws.com", _Credentials(), b"Action=a", FORM_HEADERS)

    assert sent["X-Amzn-Trace-Id"] == "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"
    signed = sent["Authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert signed == ["content-type", "host", "x-amz-content-sha256", "x-amz-date"]
