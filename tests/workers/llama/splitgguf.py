"""Splits a GGUF into several files as its format describes it: the first has the metadata, each some of the tensors.

The keys are `split.no` and `split.count`, 16 bits without a sign, and `split.tensors.count`, 32 bits with one.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from tests.workers.llama.tinygguf import I32, U16, string

_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9
_ALIGNMENT = 32


@dataclass
class _Tensor:
    name: bytes
    shape: tuple[int, ...]
    kind: int
    data: bytes


class _Cursor:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 4

    def number(self, form: str) -> int:
        value: int = struct.unpack_from(form, self.data, self.at)[0]
        self.at += struct.calcsize(form)
        return value

    def text(self) -> bytes:
        length = self.number("<Q")
        self.at += length
        return self.data[self.at - length : self.at]

    def skip_value(self, kind: int) -> None:
        if kind == _STRING:
            self.text()
        elif kind == _ARRAY:
            of, length = self.number("<I"), self.number("<Q")
            for _ in range(length if of == _STRING else 0):
                self.text()
            self.at += 0 if of == _STRING else _SIZES[of] * length
        else:
            self.at += _SIZES[kind]


def split(model: bytes, count: int, *, metadata_alone: bool = False) -> list[bytes]:
    """The files that a whole model is split into; with `metadata_alone` the first has no tensor."""
    cursor = _Cursor(model)
    assert cursor.number("<I") == 3
    n_tensors, n_keys = cursor.number("<Q"), cursor.number("<Q")
    start = cursor.at
    for _ in range(n_keys):
        cursor.text()
        cursor.skip_value(cursor.number("<I"))
    metadata = model[start : cursor.at]
    tensors = _tensors(cursor, n_tensors)
    with_tensors = count - metadata_alone
    with_each = [tensors[at::with_tensors] for at in range(with_tensors)]
    groups = [tensors[:0]] * metadata_alone + with_each
    return [
        _file(metadata if number == 0 else b"", n_keys if number == 0 else 0, group, number, count, n_tensors)
        for number, group in enumerate(groups)
    ]


def write(parts: list[bytes], folder: Path, prefix: str) -> list[Path]:
    """The files under the names that llama.cpp gives them."""
    paths = [folder / f"{prefix}-{number:05d}-of-{len(parts):05d}.gguf" for number in range(1, len(parts) + 1)]
    for path, part in zip(paths, parts, strict=True):
        path.write_bytes(part)
    return paths


def _tensors(cursor: _Cursor, n_tensors: int) -> list[_Tensor]:
    placed = []
    for _ in range(n_tensors):
        name = cursor.text()
        shape = tuple(cursor.number("<Q") for _ in range(cursor.number("<I")))
        placed.append((name, shape, cursor.number("<I"), cursor.number("<Q")))
    start = cursor.at + -cursor.at % _ALIGNMENT
    ends = sorted({*(offset for *_, offset in placed), len(cursor.data) - start})
    return [
        _Tensor(name, shape, kind, cursor.data[start + offset : start + ends[ends.index(offset) + 1]])
        for name, shape, kind, offset in placed
    ]


def _file(metadata: bytes, n_keys: int, tensors: list[_Tensor], number: int, count: int, n_tensors: int) -> bytes:
    keys = [("split.no", U16, "<H", number), ("split.count", U16, "<H", count)]
    keys.append(("split.tensors.count", I32, "<i", n_tensors))
    head = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), n_keys + len(keys)), metadata]
    head += [string(key) + struct.pack("<I", kind) + struct.pack(form, value) for key, kind, form, value in keys]
    data = b""
    for tensor in tensors:
        data += bytes(-len(data) % _ALIGNMENT)
        head.append(string(tensor.name) + struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape))
        head.append(struct.pack("<IQ", tensor.kind, len(data)))
        data += tensor.data
    header = b"".join(head)
    return header + bytes(-len(header) % _ALIGNMENT) + data
