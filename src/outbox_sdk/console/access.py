"""Who may use the console: which names it answers to, from which pages it takes requests, and the token."""

import ipaddress
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from hmac import compare_digest

from outbox_sdk.core.errors import ConfigurationError

__all__ = ["COOKIE", "MIN_TOKEN_LENGTH", "Access", "build_access", "find_refusal", "host_name"]

COOKIE = "outbox_console"
MIN_TOKEN_LENGTH = 20

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::\d{1,5})?")
_TRUSTED_SITES = frozenset({"same-origin", "none"})


def _secret() -> str:
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The rules of one running console.

    ``hosts`` are the names that it answers to; ``any_address`` adds every literal address, which no foreign
    page can make its own as it can a name. ``session`` is what the cookie holds once the token was given, and
    ``csrf`` what each form carries: both are made anew for each process.
    """

    hosts: frozenset[str]
    any_address: bool = False
    token: str | None = field(default=None, repr=False)
    session: str = field(default_factory=_secret, repr=False)
    csrf: str = field(default_factory=_secret, repr=False)

    def has_entered(self, cookie: str | None) -> bool:
        """Tell whether a request comes from somebody who has given the token, where there is one."""
        return self.token is None or (cookie is not None and _same(cookie, self.session))

    def is_token(self, text: str) -> bool:
        """Compare with the token, in a time that tells nothing of it."""
        return self.token is not None and _same(text, self.token)

    def is_csrf(self, text: str) -> bool:
        """Compare with what the forms of this console carry."""
        return _same(text, self.csrf)


def build_access(host: str, token: str | None = None, allowed_hosts: Iterable[str] = ()) -> Access:
    """Make the rules for a console that listens on ``host``, an address or a name.

    Raises:
        ConfigurationError: others than this machine could reach it without a token, the token is short, or
            one of ``allowed_hosts`` is no name.

    >>> sorted(build_access("127.0.0.1").hosts)
    ['127.0.0.1', '::1', 'localhost']
    """
    if token is not None and len(token) < MIN_TOKEN_LENGTH:
        problem = (
            f"has {len(token)} characters; give at least {MIN_TOKEN_LENGTH}, as `openssl rand -hex 16` does"
        )
        raise ConfigurationError("OUTBOX_CONSOLE_TOKEN", problem)
    if token is None and not _is_loopback(host):
        problem = (
            f"others than this machine could reach {host}: set it, as to what `openssl rand -hex 16` prints"
        )
        raise ConfigurationError("OUTBOX_CONSOLE_TOKEN", problem)
    names = {host.lower().strip("[]"), *map(_allowed_name, allowed_hosts)}
    address = _address(host)
    wildcard = address is not None and address.is_unspecified
    return Access(hosts=_LOOPBACK_NAMES | names, any_address=wildcard, token=token)


def find_refusal(
    access: Access,
    *,
    method: str,
    hosts: list[str],
    origin: str | None,
    site: str | None,
    mode: str | None,
) -> str | None:
    """Say why a request is refused by its headers; ``None`` if it is not.

    A page of another site may have made the browser send it: by a name of its own that it has led here
    (``Host``), or by a form or a script (``Origin``, ``Sec-Fetch-Site``). A link from elsewhere may be
    followed.

    >>> find_refusal(build_access("127.0.0.1"), method="GET", hosts=["evil.example"], origin=None, site=None,
    ...              mode=None)
    'This console does not answer to that host name.'
    """
    name = host_name(hosts[0]) if len(hosts) == 1 else None
    if name is None or not (name in access.hosts or (access.any_address and _address(name) is not None)):
        return "This console does not answer to that host name."
    if origin is not None and origin.lower() not in {f"{scheme}://{hosts[0].lower()}" for scheme in _SCHEMES}:
        return "This request comes from another site."
    followed = method in {"GET", "HEAD"} and mode == "navigate"
    if site is not None and site not in _TRUSTED_SITES and not followed:
        return "This request comes from another site."
    return None


_SCHEMES = ("http", "https")  # a proxy in front may speak TLS


def host_name(header: str) -> str | None:
    """Read the name out of a ``Host`` header; ``None`` where it is none.

    >>> host_name("LOCALHOST:8787"), host_name("[::1]:8787"), host_name("a b")
    ('localhost', '::1', None)
    """
    found = _HOST.fullmatch(header)
    return None if found is None else (found["six"] or found["name"]).lower()


def _allowed_name(text: str) -> str:
    """Read a name as somebody gives it, with a port or without: the port does not count."""
    name = text.lower() if _address(text) is not None else host_name(text)
    if name is None:
        problem = f"{text!r} is no name that a browser could ask for; give it as console.example"
        raise ConfigurationError("allowed_hosts", problem)
    address = _address(name)
    return name if address is None else str(address)


def _same(left: str, right: str) -> bool:
    return compare_digest(left.encode(errors="surrogatepass"), right.encode())


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback
