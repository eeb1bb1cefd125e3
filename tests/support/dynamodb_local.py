"""Says how to start DynamoDB Local so that only this machine can reach it.

The server binds every interface and has no setting against that. It is run unmodified with a preloaded
library of a dozen lines that turns each IPv4 ``bind`` into one of 127.0.0.1.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from outbox_sdk._local_server.loopback import LaunchPlan, basic_environment
from outbox_sdk.packaging.cache import cache_directory, published
from tests.support.downloads import c_compiler, emulator_directory, java
from tests.support.unavailable import ServerUnavailable

__all__ = ["dynamodb_local_launch_plan"]

_BIND_LOOPBACK_SOURCE = """\
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

int bind(int fd, const struct sockaddr *address, socklen_t length) {
    int (*next)(int, const struct sockaddr *, socklen_t);
    *(void **)&next = dlsym(RTLD_NEXT, "bind");
    if (address && address->sa_family == AF_INET && length >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in loopback;
        memcpy(&loopback, address, sizeof loopback);
        loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return next(fd, (struct sockaddr *)&loopback, sizeof loopback);
    }
    return next(fd, address, length);
}
"""


def dynamodb_local_launch_plan() -> Callable[[int, Path], LaunchPlan]:
    """Fetch what is missing and return how to start the server on a given port.

    Raises ServerUnavailable when a part cannot be had.
    """
    if sys.platform != "linux":
        raise ServerUnavailable("DynamoDB Local binds every interface; it can be confined on Linux only")
    java_command, emulator, preload = java(), emulator_directory(), _bind_loopback_library()

    def plan(port: int, scratch_directory: Path) -> LaunchPlan:
        command = (
            java_command,
            # The preloaded library handles IPv4 only.
            "-Djava.net.preferIPv4Stack=true",
            f"-Djava.library.path={emulator / 'DynamoDBLocal_lib'}",
            f"-Djava.io.tmpdir={scratch_directory}",
            "-jar",
            str(emulator / "DynamoDBLocal.jar"),
            *("-port", str(port), "-inMemory", "-sharedDb", "-disableTelemetry"),
        )
        return LaunchPlan(command, basic_environment(scratch_directory) | {"LD_PRELOAD": str(preload)})

    return plan


def _bind_loopback_library() -> Path:
    digest = hashlib.sha256(_BIND_LOOPBACK_SOURCE.encode()).hexdigest()[:16]
    return published(cache_directory() / f"bind-loopback-{os.uname().machine}-{digest}", _compile) / "bind.so"


def _compile(directory: Path) -> None:
    source = directory / "bind.c"
    source.write_text(_BIND_LOOPBACK_SOURCE, encoding="utf-8")
    command = [
        *c_compiler(),
        "-shared",
        "-fPIC",
        "-O2",
        "-o",
        str(directory / "bind.so"),
        str(source),
        "-ldl",
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise ServerUnavailable(f"the library that confines DynamoDB Local does not compile: {result.stderr}")
