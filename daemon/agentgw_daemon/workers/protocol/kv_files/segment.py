"""The file format of a saved piece of keys and values: bytes to values and back. Does no I/O.

A segment is llama.cpp's state of `tokens` at the positions from `start` on, computed after the tokens of its parent.
Segments are known by a digest of the parent's digest and their own tokens, so a digest stands for every token from
position 0 up to `end`, and what is found under it cannot belong to another text.

    | fixed part | tokens, 4 bytes each | payload |

Numbers are in the machine's own byte order: such a file never leaves the machine, and a foreign one is no segment.
"""

from __future__ import annotations

import dataclasses
import hashlib
import struct
import zlib
from array import array
from collections.abc import Sequence
from typing import Final

MAGIC: Final = b"agw-kv\r\n"
VERSION: Final = 1
DIGEST_BYTES: Final = 16
# Of no tokens at all: the parent of what starts at position 0.
ROOT: Final = bytes(DIGEST_BYTES)
TOKEN_BYTES: Final = 4
# The longest context that the settings allow.
MAX_TOKENS: Final = 1 << 24

# magic, version, tokens, start, payload's length, payload's checksum, parent, digest
_FIELDS: Final = struct.Struct(f"=8sIIIQI{DIGEST_BYTES}s{DIGEST_BYTES}s")
_CHECKSUM: Final = struct.Struct("=I")  # of the fields and the tokens
FIXED_BYTES: Final = _FIELDS.size + _CHECKSUM.size


class DamagedSegment(Exception):
    """Bytes that are no segment."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SegmentHeader:
    """Parts of a segment but its payload. `tokens` are packed as `pack` does."""

    parent: bytes
    digest: bytes
    start: int
    tokens: bytes
    payload_bytes: int
    payload_crc: int

    @property
    def end(self) -> int:
        """The position after its last token."""
        return self.start + len(self.tokens) // TOKEN_BYTES

    @property
    def file_bytes(self) -> int:
        """Length of the whole file."""
        return FIXED_BYTES + len(self.tokens) + self.payload_bytes


def pack(tokens: Sequence[int]) -> bytes:
    """Tokens as the 32-bit numbers they are in llama.cpp. Raises OverflowError for what is no such number."""
    return array("i", tokens).tobytes()


def digest(parent: bytes, tokens: bytes) -> bytes:
    """The digest that stands for the packed tokens after those of the parent."""
    return hashlib.blake2b(parent + tokens, digest_size=DIGEST_BYTES).digest()


def describe(parent: bytes, start: int, tokens: bytes, payload_bytes: int) -> SegmentHeader:
    """The header of a new segment; its payload's checksum is `encode`'s, which has the time for it."""
    return SegmentHeader(
        parent=parent, digest=digest(parent, tokens), start=start, tokens=tokens, payload_bytes=payload_bytes,
        payload_crc=0,
    )  # fmt: skip


def encode(header: SegmentHeader, payload: bytes) -> bytes:
    """The file up to the payload, of which it has length and checksum."""
    fields = _FIELDS.pack(
        MAGIC, VERSION, len(header.tokens) // TOKEN_BYTES, header.start, len(payload), zlib.crc32(payload),
        header.parent, header.digest,
    )  # fmt: skip
    return fields + _CHECKSUM.pack(zlib.crc32(header.tokens, zlib.crc32(fields))) + header.tokens


def header_bytes(head: bytes, file_bytes: int) -> int:
    """The length of the header whose fixed part this is; its claims fit a file of `file_bytes`. Raises
    DamagedSegment.
    """
    if len(head) < FIXED_BYTES:
        raise DamagedSegment("shorter than a header")
    magic, version, n_tokens, start, payload_bytes, *_ = _FIELDS.unpack_from(head)
    if (magic, version) != (MAGIC, VERSION):
        raise DamagedSegment("of another kind or version")
    if not 0 < n_tokens <= MAX_TOKENS - start:
        raise DamagedSegment("it has no tokens or too many")
    length: int = FIXED_BYTES + TOKEN_BYTES * n_tokens
    if length + payload_bytes != file_bytes:
        raise DamagedSegment("not as long as it says")
    return length


def decode(head: bytes, file_bytes: int) -> SegmentHeader:
    """The header of a file of `file_bytes` that begins with `head`. Raises DamagedSegment."""
    length = header_bytes(head, file_bytes)
    if len(head) < length:
        raise DamagedSegment("it ends within its tokens")
    _, _, _, start, payload_bytes, payload_crc, parent, own = _FIELDS.unpack_from(head)
    tokens = head[FIXED_BYTES:length]
    (checksum,) = _CHECKSUM.unpack_from(head, _FIELDS.size)
    if checksum != zlib.crc32(tokens, zlib.crc32(head[: _FIELDS.size])):
        raise DamagedSegment("its checksum is wrong")
    if own != digest(parent, tokens) or (start == 0) != (parent == ROOT):
        raise DamagedSegment("it is not the text it says")
    return SegmentHeader(
        parent=parent, digest=own, start=start, tokens=tokens, payload_bytes=payload_bytes, payload_crc=payload_crc
    )  # fmt: skip


def is_intact(header: SegmentHeader, payload: bytes) -> bool:
    """Tells whether these are the bytes that were saved."""
    return len(payload) == header.payload_bytes and zlib.crc32(payload) == header.payload_crc
