"""Requests to AWS: signed by botocore, and sent over one pool of aiobotocore's."""

import hmac
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from io import BytesIO
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from aiobotocore import __version__ as aiobotocore_version
from aiobotocore.httpsession import AIOHTTPSession
from botocore.auth import SigV4Auth
from botocore.exceptions import NoCredentialsError
from botocore.utils import get_environ_proxies

from outbox_sdk.shell.aws.access import (
    CONNECT_TIMEOUT_SECONDS,
    READ_TIMEOUT_SECONDS,
    USER_AGENT,
    AwsAccess,
)
from outbox_sdk.shell.aws.environment import GetCredentials, Surroundings, read_lambda_environment

__all__ = ["AwsService", "AwsServices", "open_services"]

_PLAIN_BYTES = 1_048_576
_USER_AGENT = {"User-Agent": f"{USER_AGENT} aiobotocore/{aiobotocore_version}"}


class AwsService:
    """One service at its endpoint. Requests are signed by botocore, and sent by aiobotocore.

    What a client adds to that is left out: it looks up each argument and each element of an answer in the
    service's model, which takes several times as long as sending. Serialising is the core's instead, for the
    few operations that a relay uses.
    """

    def __init__(
        self, name: str, *, endpoint_url: str, region: str, credentials: GetCredentials, pool: Any
    ) -> None:
        self.name: str = name
        self.region: str = region
        self.endpoint_url: str = endpoint_url.rstrip("/")
        self._url = self.endpoint_url + "/"
        self._host = urlsplit(self._url).netloc
        self._credentials = credentials
        self._pool = pool
        self._key = _SigningKey(name, region)

    async def post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Send one request, once; give the status and the body of the answer, whatever they say.

        Raises:
            BotoCoreError: there are no credentials, no connection, or no answer in time.
        """
        credentials: Any = await self._credentials()  # the signer reads three attributes of it
        if credentials is None:
            raise NoCredentialsError
        # What the signer would find out for itself, at a fifth of its cost: the host, and the body's digest.
        told = {"Host": self._host, "X-Amz-Content-SHA256": sha256(body).hexdigest()}
        request: Any = _Request(self._url, {**headers, **told}, body)
        _Signer(credentials, self.name, self.region, self._key).add_auth(request)
        request.headers.update(_USER_AGENT, **_trace_header())
        if len(body) > _PLAIN_BYTES:
            request.body = BytesIO(body)  # which aiohttp would rather have, and warns of anything else
        response = await self._pool.send(request)
        return response.status_code, await response.content


class _Request:
    """What the signer and the session read of a request, with its headers in a plain dict.

    Botocore's own classes keep headers as a mail does, which takes a sixth of all that signing takes. A dict
    minds capitals: names must be written here as the signer writes them.
    """

    __slots__ = ("body", "context", "headers", "url")

    method = "POST"
    params: Mapping[str, str] = {}
    stream_output = False

    def __init__(self, url: str, headers: dict[str, str], body: bytes) -> None:
        self.url = url
        self.headers = headers
        self.body = body
        self.context: dict[str, Any] = {}


class _Signer(SigV4Auth):
    """Botocore's signer, reading headers out of a dict: each once, and all of them signed.

    Its own way of listing them, for headers that may repeat, takes a third of a signature, and deriving the
    key anew a quarter.
    """

    def __init__(self, credentials: Any, service: str, region: str, key: "_SigningKey") -> None:
        super().__init__(credentials, service, region)
        self._key = key

    def signature(self, string_to_sign: str, request: Any) -> str:
        key = self._key.derive(str(self.credentials.secret_key), request.context["timestamp"][:8])
        return hmac.new(key, string_to_sign.encode(), sha256).hexdigest()

    def headers_to_sign(self, request: Any) -> Any:
        return dict(sorted([(name.lower(), value) for name, value in request.headers.items()]))

    def canonical_headers(self, headers_to_sign: Any) -> str:
        return "\n".join([f"{name}:{' '.join(value.split())}" for name, value in headers_to_sign.items()])

    def signed_headers(self, headers_to_sign: Any) -> str:
        return ";".join(headers_to_sign)


class _SigningKey:
    """The key that signs the requests to one service, kept while the day and the secret are the same.

    Derived as AWS documents it: IAM User Guide, "Create a signed AWS API request". Only the last one is kept.
    """

    def __init__(self, service: str, region: str) -> None:
        self._scope = (region, service, "aws4_request")
        self._last: tuple[str, str, bytes] = ("", "", b"")

    def derive(self, secret: str, day: str) -> bytes:
        known_secret, known_day, key = self._last
        if (known_secret, known_day) != (secret, day):
            key = f"AWS4{secret}".encode()
            for part in (day, *self._scope):
                key = hmac.digest(key, part.encode(), "sha256")
            self._last = (secret, day, key)
        return key


class AwsServices(NamedTuple):
    """The services a relay uses, open on the running event loop. ``others`` are by AWS's name of each."""

    sns: AwsService
    dynamodb: AwsService
    others: Mapping[str, AwsService] = {}


@asynccontextmanager
async def open_services(access: AwsAccess, others: Sequence[str] = ()) -> AsyncIterator[AwsServices]:
    """Open the relay's services on the running event loop, for as long as the context lasts.

    ``others`` are the services, by AWS's names, of the destinations that are no topics.
    """
    names = ("sns", "dynamodb", *others)
    surroundings = read_lambda_environment(access, os.environ, names) or await _ask_botocore(access, names)
    async with AsyncExitStack() as stack:
        pools: dict[frozenset[tuple[str, str]], Any] = {}
        services = []
        for name, endpoint_url in zip(names, surroundings.endpoint_urls, strict=True):
            proxies = get_environ_proxies(endpoint_url) if access.credentials is None else {}
            # One pool for all, and one SSL context: its certificates take longer to load than a batch.
            route = frozenset(proxies.items())
            if route not in pools:
                pool = _create_pool(access, proxies, surroundings.ca_bundle)
                pools[route] = await stack.enter_async_context(pool)
            services.append(
                AwsService(
                    name,
                    endpoint_url=endpoint_url,
                    region=access.region,
                    credentials=surroundings.credentials,
                    pool=pools[route],
                )
            )
        sns, dynamodb, *rest = services
        yield AwsServices(sns, dynamodb, dict(zip(others, rest, strict=True)))


async def _ask_botocore(access: AwsAccess, names: Sequence[str]) -> Surroundings:
    from outbox_sdk.shell.aws.session import find_surroundings

    return await find_surroundings(access, names)


def _create_pool(access: AwsAccess, proxies: dict[str, str], ca_bundle: str | None) -> Any:
    """Make what a client would have: its timeouts, its proxies, its certificates."""
    pool: Any = AIOHTTPSession  # whose types know neither a CA bundle nor two timeouts
    return pool(
        verify=ca_bundle or os.environ.get("REQUESTS_CA_BUNDLE") or True,
        proxies=proxies,
        timeout=(CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS),
        max_pool_connections=access.max_concurrency,
    )


def _trace_header() -> dict[str, str]:
    """Give what lets Lambda see that a function, by way of a topic, ends up calling itself."""
    trace = os.environ.get("_X_AMZN_TRACE_ID")
    if not trace or "AWS_LAMBDA_FUNCTION_NAME" not in os.environ:
        return {}
    return {"X-Amzn-Trace-Id": quote(trace, safe="-=;:+&[]{}\"',")}
