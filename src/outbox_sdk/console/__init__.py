"""A local web page to look after an outbox: what is in it, how it has stood, and sending messages again.

It is served by `outbox console`, or by :func:`serve_console` in a program. It takes the extra ``console``:
``pip install "dynamodb-outbox-sdk[console]"``.
"""

from outbox_sdk.console.access import Access, build_access
from outbox_sdk.console.application import build_app
from outbox_sdk.console.server import serve_console

__all__ = ["Access", "build_access", "build_app", "serve_console"]
