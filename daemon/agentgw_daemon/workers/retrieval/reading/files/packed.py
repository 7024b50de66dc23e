"""One document packed by gzip, bzip2 or xz, as manuals and change logs are: unpacked within bounds. Does no I/O."""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Callable
from typing import Final, Protocol

from agentgw_daemon.workers.retrieval.reading.values import Unreadable

# As of text that is not packed.
_MAX_BYTES: Final = 64 << 20
# Repeating text is packed to a hundredth; a thousandth is what a bomb is packed to.
_MAX_RATIO: Final = 500
_RATIO_FROM_BYTES: Final = 4 << 20
_XZ_MEMORY_BYTES: Final = 128 << 20
_BLOCK_BYTES: Final = 16 << 10
_PADDING: Final = re.compile(rb"\0*")
_SUFFIXES: Final = (".gz", ".z", ".bz2", ".xz", ".lzma", ".svgz")


class _Unpacker(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


_KINDS: Final[tuple[tuple[bytes, str, Callable[[], _Unpacker]], ...]] = (
    (b"\x1f\x8b", "gzip", lambda: zlib.decompressobj(wbits=31)),
    (b"BZh", "bzip2", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\0", "xz", lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)),
    (b"\x5d\0\0", "lzma", lambda: lzma.LZMADecompressor(format=lzma.FORMAT_ALONE, memlimit=_XZ_MEMORY_BYTES)),
)


def unpacked(data: bytes, name: str) -> tuple[bytes, str] | None:
    """The document inside and its name; None for what is not packed so. Raises Unreadable.

    A name ending tells, together with the first bytes: an archive of several files is none.
    """
    for mark, kind, make in _KINDS:
        if data.startswith(mark) and name.lower().endswith(_SUFFIXES):
            inside = _all(data, kind, make)
            if inside[257:262] == b"ustar":
                raise Unreadable(f"is a tar archive packed by {kind}; unpack it first")
            return inside, name[: name.rfind(".")]
    return None


def _all(data: bytes, kind: str, make: Callable[[], _Unpacker]) -> bytes:
    """All members, one after the other."""
    made = bytearray()
    at = 0
    most = min(_MAX_BYTES, max(_RATIO_FROM_BYTES, len(data) * _MAX_RATIO))
    try:
        while at < len(data):
            unpacker = make()
            # Not all at once: what is behind a member's end is copied.
            while not unpacker.eof:
                if at >= len(data):
                    raise Unreadable(f"is a damaged or cut off {kind} archive")
                made += unpacker.decompress(data[at : at + _BLOCK_BYTES], most + 1 - len(made))
                at += _BLOCK_BYTES
                if len(made) > most:
                    raise Unreadable("is packed out of all proportion, or unpacks to too much")
            padding = _PADDING.match(data, min(at, len(data)) - len(unpacker.unused_data))
            at = padding.end() if padding is not None else len(data)
    except (zlib.error, OSError, lzma.LZMAError, EOFError, ValueError) as error:
        # Padding behind the last member is no member.
        if not made:
            raise Unreadable(f"is a damaged {kind} archive") from error
    return bytes(made)
