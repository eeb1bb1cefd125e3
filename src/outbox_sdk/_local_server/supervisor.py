"""The small program that stands between a local server and the process that wanted it.

It is run by path as ``python -I -S supervisor.py PARENT_PID SCRATCH_DIRECTORY COMMAND...`` and therefore
imports the standard library only. It ends the server, whatever the server is (Python, Java), as soon as the
parent closes its end of the pipe on standard input, which the kernel does for every way of dying, SIGKILL
included.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading

__all__ = ["supervise"]

_POLL_SECONDS = 0.2
_HAS_PROCESS_GROUPS = hasattr(os, "killpg")


def supervise(parent_pid: int, scratch_directory: str, command: list[str]) -> int:
    """Run ``command`` until it ends by itself or the parent process is gone; return an exit status.

    When the parent is gone the server and everything it started are killed at once (nothing it holds is worth
    saving) and ``scratch_directory`` is removed. When the server ends by itself the directory is left for the
    parent, which reads the log in it.
    """
    # A group of its own lets one signal reach the server's own children too, and spare this process.
    server = subprocess.Popen(  # noqa: S603 - the command comes from the program that ran this one
        command,
        stdin=subprocess.DEVNULL,
        process_group=0 if _HAS_PROCESS_GROUPS else None,
    )
    parent_is_gone = threading.Event()
    threading.Thread(target=_wait_for_end_of_input, args=(parent_is_gone,), daemon=True).start()
    while server.poll() is None and not parent_is_gone.wait(_POLL_SECONDS):
        # A process forked off the parent may hold the pipe open after the parent's death.
        if os.getppid() != parent_pid:
            break
    ended_by_itself = server.returncode is not None
    _kill_all(server)
    if ended_by_itself:
        sys.stderr.write(f"the server ended with status {server.returncode}\n")
        return 1
    shutil.rmtree(scratch_directory, ignore_errors=True)
    return 0


def _wait_for_end_of_input(ended: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    ended.set()


def _kill_all(server: subprocess.Popen[bytes]) -> None:
    if _HAS_PROCESS_GROUPS:
        # macOS answers PermissionError for a group of which only zombies are left.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(server.pid, signal.SIGKILL)
    else:
        server.kill()
    server.wait()


if __name__ == "__main__":
    sys.exit(supervise(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
