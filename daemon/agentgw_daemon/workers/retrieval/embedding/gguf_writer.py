"""Writes a GGUF file, version 3: metadata, then tensors as 32-bit, 16-bit or 8-bit numbers. Runs in a worker.

The format: docs/gguf.md of the ggml repository; the blocks of Q8_0 are those of ggml-common.h.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final, Literal

import numpy as np

from agentgw_daemon.workers.llama.gguf_head import ARRAY, INT32, STRING
from agentgw_daemon.workers.retrieval.embedding.safetensors import WeightTensor

TensorKind = Literal["f32", "f16", "q8_0"]
MetadataValue = int | float | bool | str | Sequence[str] | Sequence[int]

_VERSION: Final = 3
_ALIGNMENT: Final = 32
_UINT32: Final = 4
_FLOAT32: Final = 6
_BOOL: Final = 7
# ggml's numbers of the types, and of a file that holds mostly one of them.
_TYPES: Final[dict[TensorKind, int]] = {"f32": 0, "f16": 1, "q8_0": 8}
MOSTLY_Q8_0: Final = 7
_BLOCK: Final = 32


def write(
    path: Path,
    metadata: Mapping[str, MetadataValue],
    tensors: Sequence[tuple[str, TensorKind, WeightTensor]],
) -> None:
    """Write the file; what cannot be cut into blocks of q8_0 as f16. Numbers in `metadata` are 32 bits wide."""
    fitting = [(name, _fitting(kind, array), array) for name, kind, array in tensors]
    packed = [(name, kind, array.shape, _pack(kind, array)) for name, kind, array in fitting]
    with path.open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", _VERSION, len(packed), len(metadata)))
        for key, value in metadata.items():
            file.write(_string(key) + _value(value))
        offset = 0
        for name, kind, shape, data in packed:
            file.write(_string(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape)))
            file.write(struct.pack("<IQ", _TYPES[kind], offset))
            offset += _aligned(len(data))
        _pad(file, file.tell())
        for *_, data in packed:
            file.write(data)
            _pad(file, len(data))


def size(kind: TensorKind, shape: tuple[int, ...]) -> int:
    """Bytes that a tensor takes in the file, padding included."""
    count = math.prod(shape)
    kind = "f16" if kind == "q8_0" and shape[-1] % _BLOCK else kind
    return _aligned(count * {"f32": 4, "f16": 2}[kind] if kind != "q8_0" else count // _BLOCK * (_BLOCK + 2))


def _fitting(kind: TensorKind, array: WeightTensor) -> TensorKind:
    return "f16" if kind == "q8_0" and array.shape[-1] % _BLOCK else kind


def _pack(kind: TensorKind, array: WeightTensor) -> bytes:
    match kind:
        case "f32":
            return array.astype("<f4").tobytes()
        case "f16":
            return array.astype("<f2").tobytes()
        case "q8_0":
            return _q8_0(array)


def _q8_0(array: WeightTensor) -> bytes:
    """Blocks of 32 values: a 16-bit scale and 8 bits each, as quantize_row_q8_0_ref of ggml makes them."""
    blocks = array.reshape(-1, _BLOCK)
    scales = np.abs(blocks).max(axis=1, keepdims=True) / 127
    inverse = np.divide(1, scales, out=np.zeros_like(scales), where=scales != 0)
    made = np.empty(len(blocks), dtype=[("scale", "<f2"), ("values", "i1", _BLOCK)])
    made["scale"] = scales[:, 0]
    made["values"] = np.round(blocks * inverse)
    return made.tobytes()


def _value(value: MetadataValue) -> bytes:
    match value:
        case bool():
            return struct.pack("<I?", _BOOL, value)
        case int():
            return struct.pack("<II", _UINT32, value)
        case float():
            return struct.pack("<If", _FLOAT32, value)
        case str():
            return struct.pack("<I", STRING) + _string(value)
        case _:
            strings = [one for one in value if isinstance(one, str)]
            if strings:
                head = struct.pack("<IIQ", ARRAY, STRING, len(strings))
                return head + b"".join(map(_string, strings))
            numbers = [one for one in value if isinstance(one, int)]
            return struct.pack(f"<IIQ{len(numbers)}i", ARRAY, INT32, len(numbers), *numbers)


def _string(text: str) -> bytes:
    data = text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def _aligned(length: int) -> int:
    return (length + _ALIGNMENT - 1) // _ALIGNMENT * _ALIGNMENT


def _pad(file: BinaryIO, length: int) -> None:
    file.write(bytes(_aligned(length) - length))
