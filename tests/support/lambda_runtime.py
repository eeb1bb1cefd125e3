"""Runs the functions' zip under awslambdaric, with nothing else on its path."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from outbox_sdk._local_server import supervisor
from outbox_sdk.core.function import DEFAULT_RUNTIME, HANDLERS
from tests.support.events import FUNCTION_ARN
from tests.support.lambda_package import unpack_package
from tests.support.lambda_parts import RuntimeParts, runtime_parts
from tests.support.runtime_api import RuntimeApi, open_runtime_api

__all__ = [
    "Deployed",
    "Function",
    "function_command",
    "function_environment",
    "open_deployed",
    "open_function",
]

# A command that the kernel ends with whoever started it: the emulator gives a function a process group of its
# own, so that what ends the emulator does not reach it.
_DIES_WITH_PARENT = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"
)


@dataclass(frozen=True, slots=True)
class Deployed:
    """What runs a function, and the directory that its zip is unpacked in."""

    parts: RuntimeParts
    task_root: Path


@contextmanager
def open_deployed() -> Iterator[Deployed]:
    """Get the runtime's parts, and unpack the functions' zip for the length of the block.

    Raises ServerUnavailable.
    """
    with tempfile.TemporaryDirectory(prefix="outbox-sdk-") as directory:
        yield Deployed(runtime_parts(), unpack_package(Path(directory)))


@dataclass(frozen=True, slots=True)
class Function:
    """A function's process and the API that it asks for work. ``log`` is what it has printed."""

    api: RuntimeApi
    _supervisor: "subprocess.Popen[bytes]"
    _log: Path

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def kill(self, number: signal.Signals) -> None:
        """Send the function's process a signal, and wait until it has ended."""
        children = Path(f"/proc/{self._supervisor.pid}/task/{self._supervisor.pid}/children")
        (child,) = children.read_text(encoding="ascii").split()
        os.kill(int(child), number)
        # Not terminated by us: it ends when its child has.
        self._supervisor.wait(10)


def function_command(deployed: Deployed, handler: str) -> tuple[str, ...]:
    """Say how a function is started: without site, so that no package of the machine is found."""
    python = str(deployed.parts.python)
    runtime = (python, "-S", "-s", "-m", "awslambdaric", handler)
    return (python, "-I", "-S", "-c", _DIES_WITH_PARENT, *runtime)


def function_environment(
    deployed: Deployed, handler: str, variables: Mapping[str, str], *, home: Path
) -> dict[str, str]:
    """Give what Lambda sets for a function, with dummies for credentials, and what the function is given."""
    client = str(deployed.parts.client_directory)
    return {
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_SESSION_TOKEN": "local",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{DEFAULT_RUNTIME}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_FUNCTION_NAME": "relay",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/relay",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/23/[$LATEST]00000000000000000000000000000000",
        "LAMBDA_RUNTIME_DIR": client,
        "LAMBDA_TASK_ROOT": str(deployed.task_root),
        "LANG": "en_US.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join([str(deployed.task_root), client]),
        # Lambda's task root cannot be written either.
        "PYTHONDONTWRITEBYTECODE": "1",
        "TZ": ":UTC",
        "_HANDLER": handler,
        # There is no AWS profile in Lambda, and one of this machine must not be found.
        "HOME": str(home),
        **variables,
    }


@contextmanager
def open_function(
    deployed: Deployed,
    variables: Mapping[str, str],
    *,
    handler: str = HANDLERS["relay"],
    function_arn: str = FUNCTION_ARN,
) -> Iterator[Function]:
    """Start a function in a process of its own; it ends with the block, or with this process."""
    with open_runtime_api(function_arn) as api, tempfile.TemporaryDirectory(prefix="outbox-sdk-") as scratch:
        environment = function_environment(deployed, handler, variables, home=Path(scratch))
        log_file = Path(scratch, "function.log")
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", str(supervisor.__file__), str(os.getpid()), scratch),
                    *function_command(deployed, handler),
                ],
                cwd=deployed.task_root,
                env=environment | {"AWS_LAMBDA_RUNTIME_API": api.address},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield Function(api, process, log_file)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(10)
            Path(scratch).mkdir(exist_ok=True)  # the supervisor has removed it
