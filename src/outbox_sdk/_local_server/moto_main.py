"""Serves Moto on 127.0.0.1 with one lock around the application.

Run as ``python -m outbox_sdk._local_server.moto_main PORT``. Moto's own server handles requests in parallel
threads, and then concurrent transactions lose items and let a condition pass twice.
"""

import sys
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import run_simple

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["one_request_at_a_time", "serve"]

# It may wait for seconds, and under the lock nobody could send it what it waits for.
_LONG_POLL = "AmazonSQS.ReceiveMessage"


def one_request_at_a_time(application: "WSGIApplication") -> "WSGIApplication":
    """Return ``application`` behind a lock that is held until its answer is complete.

    Receiving from a queue goes past the lock.
    """
    lock = threading.Lock()

    def locked(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ.get("HTTP_X_AMZ_TARGET") == _LONG_POLL:
            return application(environ, start_response)
        with lock:
            return [b"".join(application(environ, start_response))]

    return locked


def serve(port: int) -> None:
    """Serve until killed. Keep-alive connections each hold a thread, so threads stay on despite the lock."""
    application = DomainDispatcherApplication(create_backend_app)
    run_simple(
        "127.0.0.1",
        port,
        one_request_at_a_time(application),
        threaded=True,
        request_handler=MotoRequestHandler,
    )


if __name__ == "__main__":
    serve(int(sys.argv[1]))
