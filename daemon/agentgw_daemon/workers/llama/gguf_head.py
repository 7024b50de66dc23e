"""The bounded look at the head of one GGUF file: every length checked against the file's size, every product
against 2^63.

A file made well by others is never refused: an unknown tensor type skips only its size check. The format is described
in docs/gguf.md of the ggml repository; the block sizes are those of ggml-common.h.
"""

from __future__ import annotations

import dataclasses
import math
import mmap
import os
import stat
import struct
from typing import Final

# The largest known header (a vocabulary of 262,144 tokens with its merges) is 16 MB.
MAX_HEADER_BYTES: Final = 256 << 20
# Counts far above any known file: 1,800 tensors, 100 keys, 1.5 million vocabulary strings.
MAX_KEYS: Final = 1 << 16
MAX_TENSORS: Final = 1 << 16
MAX_ARRAY_STRINGS: Final = 1 << 23
MAX_NAME_BYTES: Final = 1 << 16
MAX_DIMENSIONS: Final = 4


_INT63: Final = 1 << 63
_U32: Final = struct.Struct("<I")
_U64: Final = struct.Struct("<Q")
_UINT16: Final = 2
INT32: Final = 5
STRING: Final = 8
ARRAY: Final = 9
_SCALARS: Final = {
    0: struct.Struct("<B"), 1: struct.Struct("<b"), 2: struct.Struct("<H"), 3: struct.Struct("<h"),
    4: _U32, 5: struct.Struct("<i"), 6: struct.Struct("<f"), 7: struct.Struct("<?"),
    10: _U64, 11: struct.Struct("<q"), 12: struct.Struct("<d"),
}  # fmt: skip
# ggml type -> (values a block, bytes a block)
_BLOCKS: Final = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82),
    23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36), 41: (128, 18), 42: (64, 18),
}  # fmt: skip

# llama.cpp reads these as such numbers and no others, and may abort at another type.
SPLIT_NO: Final = "split.no"
SPLIT_COUNT: Final = "split.count"
SPLIT_TENSORS: Final = "split.tensors.count"
_SPLIT_TYPES: Final = {SPLIT_NO: _UINT16, SPLIT_COUNT: _UINT16, SPLIT_TENSORS: INT32}

GgufValue = str | int | float | bool


class UnusableModelFile(ValueError):
    """The file cannot be used as a model; the text says why, for a person."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GgufFileHead:
    """Head of one file: of a whole model, or of a part of one."""

    size_bytes: int
    version: int
    metadata: dict[str, GgufValue]
    tensors: frozenset[str]

    def number(self, key: str) -> int | None:
        """The integer under this key, if there is one."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    @property
    def count(self) -> int:
        """Number of files that the model has by this one."""
        return self.number(SPLIT_COUNT) or 1


def examine(path: str | os.PathLike[str]) -> GgufFileHead:
    """The head of one file, checked. Raises UnusableModelFile; never blocks on a FIFO or touches a device."""
    try:
        # Looked at before it is opened: opening some devices does things. Then again, as it may have been swapped.
        _require_regular(os.stat(path))
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError) as error:
        raise UnusableModelFile(f"cannot be opened: {getattr(error, 'strerror', None) or error}") from error
    try:
        status = os.fstat(fd)
        _require_regular(status)
        if status.st_size < 24:
            raise UnusableModelFile(f"is too short to be a GGUF file ({status.st_size} bytes)")
        try:
            view = mmap.mmap(fd, min(status.st_size, MAX_HEADER_BYTES), access=mmap.ACCESS_READ)
        except OSError as error:
            raise UnusableModelFile(f"cannot be read: {error.strerror}") from error
        with view:
            return _HeaderReader(view, status.st_size).head()
    finally:
        os.close(fd)


def _require_regular(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise UnusableModelFile("is a directory")
    if not stat.S_ISREG(status.st_mode):
        raise UnusableModelFile("is not a regular file")


class _HeaderReader:
    """A cursor over the mapped start of the file; every advance is checked."""

    def __init__(self, view: mmap.mmap, size: int) -> None:
        self._view = view
        self._size = size
        self._at = 0
        self._strings_left = MAX_ARRAY_STRINGS

    def head(self) -> GgufFileHead:
        magic = self._view[:4]
        if magic != b"GGUF":
            raise UnusableModelFile("is not a GGUF file")
        self._at = 4
        version = self._scalar(_U32)
        if version not in (2, 3):
            swapped = int.from_bytes(int(version).to_bytes(4, "little"), "big")
            raise UnusableModelFile(
                "is a big-endian GGUF" if swapped in (2, 3) else f"has the unknown GGUF version {version}"
            )
        n_tensors, n_keys = int(self._scalar(_U64)), int(self._scalar(_U64))
        if n_keys > MAX_KEYS:
            raise UnusableModelFile(f"claims {n_keys} metadata keys")
        if n_tensors > MAX_TENSORS:
            raise UnusableModelFile(f"claims {n_tensors} tensors")
        metadata = self._metadata(n_keys)
        # The first of several files may hold metadata alone.
        if n_tensors == 0 and metadata.get(SPLIT_COUNT, 1) in (0, 1):
            raise UnusableModelFile("holds no tensors")
        tensors = self._tensors(n_tensors, _alignment(metadata))
        return GgufFileHead(size_bytes=self._size, version=int(version), metadata=metadata, tensors=tensors)

    def _metadata(self, n_keys: int) -> dict[str, GgufValue]:
        found: dict[str, GgufValue] = {}
        for _ in range(n_keys):
            key = self._string(MAX_NAME_BYTES)
            if not key:
                raise UnusableModelFile("has an empty metadata key")
            if key in found:
                raise UnusableModelFile(f"has the metadata key {key[:64]!r} twice")
            kind = int(self._scalar(_U32))
            if kind != _SPLIT_TYPES.get(key, kind):
                raise UnusableModelFile(f"has {key} as a value of the type {kind}, not {_SPLIT_TYPES[key]}")
            found[key] = self._value(kind)
        return found

    def _value(self, kind: int) -> GgufValue:
        if kind == STRING:
            return self._string(self._size)
        if kind == ARRAY:
            return self._array()
        if kind not in _SCALARS:
            raise UnusableModelFile(f"has a metadata value of the unknown type {kind}")
        return self._scalar(_SCALARS[kind])

    def _array(self) -> str:
        kind, length = int(self._scalar(_U32)), int(self._scalar(_U64))
        if kind == STRING:
            self._skip_strings(length)
        elif kind in _SCALARS:
            self._skip(length * _SCALARS[kind].size)
        else:
            raise UnusableModelFile(f"has a metadata array of the unknown type {kind}")
        return f"[{length} values]"

    def _skip_strings(self, length: int) -> None:
        if length > (self._size - self._at) // 8 or length > self._strings_left:
            raise UnusableModelFile(f"has a metadata array of {length} strings, more than fit")
        self._strings_left -= length
        # The vocabulary is most of a header: this loop is most of the time, so it is written flat.
        unpack, view, at, end = _U64.unpack_from, self._view, self._at, len(self._view) - 8
        for _ in range(length):
            if at > end:
                raise UnusableModelFile("ends within its header")
            at += 8 + unpack(view, at)[0]
        self._at = at
        self._skip(0)

    def _tensors(self, n_tensors: int, alignment: int) -> frozenset[str]:
        names: set[str] = set()
        placed: list[tuple[str, int, int]] = []
        for _ in range(n_tensors):
            name = self._string(MAX_NAME_BYTES)
            if name in names:
                raise UnusableModelFile(f"has the tensor {name[:64]!r} twice")
            names.add(name)
            size = self._tensor_size(name)
            offset = int(self._scalar(_U64))
            if offset % alignment:
                raise UnusableModelFile(f"has the tensor {name[:64]!r} at an offset that is not aligned")
            placed.append((name, offset, size))
        start = (self._at + alignment - 1) // alignment * alignment
        for name, offset, size in placed:
            if start + offset + size > self._size:
                raise UnusableModelFile(f"is cut short: the tensor {name[:64]!r} ends after the file does")
        return frozenset(names)

    def _tensor_size(self, name: str) -> int:
        n_dimensions = int(self._scalar(_U32))
        if n_dimensions > MAX_DIMENSIONS:
            raise UnusableModelFile(f"has the tensor {name[:64]!r} with {n_dimensions} dimensions")
        shape = [int(self._scalar(_U64)) for _ in range(n_dimensions)]
        if 0 in shape:
            raise UnusableModelFile(f"has the tensor {name[:64]!r} with a dimension of zero")
        count = math.prod(shape)
        if count >= _INT63:
            raise UnusableModelFile(f"has the tensor {name[:64]!r} with more values than can be counted")
        kind = int(self._scalar(_U32))
        if kind not in _BLOCKS:
            return 0
        block, block_bytes = _BLOCKS[kind]
        row = shape[0] if shape else 1
        if row % block:
            raise UnusableModelFile(f"has the tensor {name[:64]!r} with rows of {row}, not a multiple of {block}")
        return count // block * block_bytes

    def _scalar(self, form: struct.Struct) -> int | float | bool:
        at = self._at
        self._skip(form.size)
        value: int | float | bool = form.unpack_from(self._view, at)[0]
        return value

    def _string(self, limit: int) -> str:
        length = int(self._scalar(_U64))
        if length > limit:
            raise UnusableModelFile(f"has a string of {length} bytes, more than fit")
        at = self._at
        self._skip(length)
        return self._view[at : at + length].decode("utf-8", "replace")

    def _skip(self, length: int) -> None:
        if self._at + length > len(self._view):
            raise UnusableModelFile(
                "ends within its header" if self._at + length > self._size else "has a header of over 256 MiB"
            )
        self._at += length


def _alignment(metadata: dict[str, GgufValue]) -> int:
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
        raise UnusableModelFile(f"has an alignment of {str(alignment)[:32]}, not a power of two")
    return alignment
