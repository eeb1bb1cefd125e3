"""Shared objects as the loader reads them: for which platform one is, and what of it is ever mapped."""

import struct

from outbox_sdk.core.function import Architecture

__all__ = ["elf_architecture", "strip_shared_object"]

_MACHINES: dict[int, Architecture] = {62: "x86_64", 183: "arm64"}

# Where things are in the header of a 64-bit little-endian ELF file.
_IDENTITY = b"\x7fELF\x02\x01"
_HEADER_SIZE = 64
_MACHINE_AT = 18
_SEGMENTS_AT = 32
_SECTIONS_AT = 40
_SEGMENT_SIZE_AT = 54
_SECTION_SIZE_AT = 58


def elf_architecture(content: bytes) -> Architecture | None:
    """Tell for which platform a shared object is; ``None`` for another one, and for what is none.

    >>> elf_architecture(b"#!/bin/sh") is None
    True
    """
    if len(content) < _HEADER_SIZE or not content.startswith(_IDENTITY):
        return None
    (machine,) = struct.unpack_from("<H", content, _MACHINE_AT)
    return _MACHINES.get(machine)


def strip_shared_object(content: bytes) -> bytes:
    """Cut off what follows the last segment: debugging information, symbols of the linker, section headers.

    The loader reads segments only, and these stay byte for byte where they are. Done here and not by a tool,
    because tools differ in what they write and most know one platform.
    """
    (segments,) = struct.unpack_from("<Q", content, _SEGMENTS_AT)
    size, count = struct.unpack_from("<HH", content, _SEGMENT_SIZE_AT)
    end = segments + size * count
    for position in range(count):
        offset, _, _, in_file = struct.unpack_from("<QQQQ", content, segments + position * size + 8)
        end = max(end, offset + in_file)
    stripped = bytearray(content[:end])
    struct.pack_into("<Q", stripped, _SECTIONS_AT, 0)
    struct.pack_into("<HHH", stripped, _SECTION_SIZE_AT, 0, 0, 0)
    return bytes(stripped)
