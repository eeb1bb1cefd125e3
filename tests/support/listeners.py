"""Reads from /proc which addresses the child processes of this one listen on (Linux only)."""

import ipaddress
import os
import struct
from pathlib import Path

__all__ = ["listeners_of_children"]

_LISTEN = "0A"


def listeners_of_children() -> set[tuple[str, int]]:
    """Return address and port of every TCP listener held by a descendant of this process."""
    inodes = {inode for pid in _descendants(os.getpid()) for inode in _socket_inodes(pid)}
    return {
        _parse_address(fields[1])
        for table in ("tcp", "tcp6")
        for fields in map(str.split, Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:])
        if fields[3] == _LISTEN and fields[9] in inodes
    }


def _descendants(root: int) -> set[int]:
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The command name is in brackets and may hold spaces.
            parents[int(stat.parent.name)] = int(
                stat.read_text(errors="replace").rpartition(")")[2].split()[1]
            )
        except (FileNotFoundError, ProcessLookupError):
            continue
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {root}


def _socket_inodes(pid: int) -> set[str]:
    inodes = set()
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            target = str(descriptor.readlink())
            if target.startswith("socket:["):
                inodes.add(target.removeprefix("socket:[").removesuffix("]"))
    except (FileNotFoundError, ProcessLookupError):
        pass
    return inodes


def _parse_address(text: str) -> tuple[str, int]:
    host, _, port = text.partition(":")
    # The kernel prints each 32-bit word in the byte order of the machine.
    words = [int(host[start : start + 8], 16) for start in range(0, len(host), 8)]
    return str(ipaddress.ip_address(struct.pack(f"={len(words)}I", *words))), int(port, 16)
