"""Starts one HTTP server on a free port of 127.0.0.1, waits until it answers, and stops it."""

import http.client
import os
import shutil
import site
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "HOST",
    "LaunchPlan",
    "ServerStartError",
    "basic_environment",
    "open_loopback_server",
    "reserve_port",
]

HOST = "127.0.0.1"

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_LOG_NAME = "server.log"
_LOG_TAIL_LINES = 20
_POLL_SECONDS = 0.03
_STOP_TIMEOUT_SECONDS = 10.0
_ATTEMPTS = 5

# Only what a process needs in order to run. Everything else stays out: local servers read dozens of
# variables without a common prefix, and the user's AWS variables are none of their business.
_INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME")


class ServerStartError(Exception):
    """The server did not come up; the message carries the end of its log."""


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """How to start a server: the full command and its full environment (nothing is inherited)."""

    command: tuple[str, ...]
    environment: Mapping[str, str]


class _PortTakenError(Exception):
    """Another process listens on the port that was picked."""


def basic_environment(scratch_directory: Path) -> dict[str, str]:
    """Return what a server needs from the environment of this process.

    Search paths are kept, home and temporary files go to ``scratch_directory``; nothing else is passed on.
    """
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    if python_path := os.environ.get("PYTHONPATH"):
        # The server runs in another directory, so relative entries would point elsewhere.
        entries = [str(Path(entry).resolve()) for entry in python_path.split(os.pathsep) if entry]
        environment["PYTHONPATH"] = os.pathsep.join(entries)
    # HOME moves, and packages installed with --user must still be found.
    environment["PYTHONUSERBASE"] = site.getuserbase()
    for name in ("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP"):
        environment[name] = str(scratch_directory)
    return environment


@contextmanager
def open_loopback_server(
    plan: Callable[[int, Path], LaunchPlan],
    *,
    name: str,
    health_path: str,
    startup_timeout_seconds: float,
) -> Iterator[int]:
    """Run a server for the length of the ``with`` block and yield its port on 127.0.0.1.

    ``plan`` gets the port and an empty scratch directory, which is the working directory, holds the log and
    is removed at the end. The server counts as up when ``health_path`` answers with a status below 500. It
    has its own session, so Ctrl-C in the terminal reaches this process only, and it is killed when this
    process ends for whatever reason. That the server binds loopback only is up to ``plan``. Nothing restarts
    a server that ends early.

    Raises ServerStartError when the server ends while starting or does not answer in time.
    """
    deadline = time.monotonic() + startup_timeout_seconds
    for attempt in range(1, _ATTEMPTS + 1):
        with closing(reserve_port()) as reservation:
            port = int(reservation.getsockname()[1])
            if sys.platform != "linux":
                reservation.close()
            with _scratch_directory() as scratch, _run(plan(port, scratch), scratch, name=name) as process:
                try:
                    _wait_until_up(process, port, health_path, deadline, name=name, log=scratch / _LOG_NAME)
                except _PortTakenError as error:
                    if attempt == _ATTEMPTS:
                        raise ServerStartError(f"{name} found no free port in {attempt} attempts") from error
                    continue
                yield port
                return


def reserve_port() -> socket.socket:
    """Bind a free port without listening.

    Linux lets the server listen on the same port beside this socket (both allow address reuse), while nobody
    who asks for any free port is given it. Elsewhere the caller has to close it first and may lose a race.
    """
    reservation = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reservation.bind((HOST, 0))
    return reservation


@contextmanager
def _scratch_directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="outbox-sdk-"))
    try:
        yield directory
    finally:
        # The supervisor has normally removed it already.
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _run(plan: LaunchPlan, scratch: Path, *, name: str) -> Iterator["subprocess.Popen[bytes]"]:
    with (scratch / _LOG_NAME).open("wb") as log:
        try:
            process = subprocess.Popen(  # noqa: S603 - the command comes from this package, not from input
                [sys.executable, "-I", "-S", str(_SUPERVISOR), str(os.getpid()), str(scratch), *plan.command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=scratch,
                env=dict(plan.environment),
                start_new_session=True,
            )
        except OSError as error:
            raise ServerStartError(f"{name} could not be started: {error}") from error
    try:
        yield process
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(_STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_up(
    process: "subprocess.Popen[bytes]", port: int, health_path: str, deadline: float, *, name: str, log: Path
) -> None:
    while True:
        answers = _answers(port, health_path)
        if process.poll() is not None:
            if answers:
                raise _PortTakenError
            raise ServerStartError(f"{name} ended while starting. The end of its log:\n{_tail(log)}")
        if answers:
            return
        if time.monotonic() >= deadline:
            raise ServerStartError(f"{name} did not answer in time. The end of its log:\n{_tail(log)}")
        time.sleep(_POLL_SECONDS)


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=2.0)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-_LOG_TAIL_LINES:]) or "(the log is empty)"
