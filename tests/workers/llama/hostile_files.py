"""Model files that must be refused."""

from __future__ import annotations

import struct
from typing import Any

from tests.workers.llama.tinygguf import ARRAY, STRING, U8, U32, U64, Gguf, Tensor, small, string


def with_key(key: str | bytes, kind: int, value: Any) -> Gguf:
    made = small()
    made.metadata = [entry for entry in made.metadata if entry[0] != key] + [(key, kind, value)]  # type: ignore[list-item]  # a key of bytes is not UTF-8
    return made


def with_tensor(
    *shape: int, kind: int = 0, name: str = "x", offset: int | None = None, data: bytes = bytes(128)
) -> Gguf:
    made = small()
    made.tensors.append(Tensor(name, shape, data, kind, offset))
    return made


def array(kind: int, length: int, rest: bytes = b"") -> bytes:
    return struct.pack("<IQ", kind, length) + rest


HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty file": (b"", "too short"),
    "magic alone": (b"GGUF", "too short"),
    "other magic": (small(magic=b"GGML").encode(), "not a GGUF"),
    "html page": (b"<!DOCTYPE html><title>404</title>", "not a GGUF"),
    "version 1": (small(version=1).encode(), "version 1"),
    "version 4": (small(version=4).encode(), "version 4"),
    "big-endian": (small(version=3 << 24).encode(), "big-endian"),
    "2^63 keys": (small(n_keys=1 << 63).encode(), "metadata keys"),
    "2^63 tensors": (small(n_tensors=1 << 63).encode(), "tensors"),
    "more keys than are there": (small(n_keys=3).encode(), "string of|unknown type"),
    "more tensors than are there": (small(n_tensors=9).encode(), "twice"),
    "no tensors": (small(tensors=[]).encode(), "no tensors"),
    "2^63 array of 57 bytes": (
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + string("k") + struct.pack("<I", ARRAY) + array(U32, 1 << 63) + b"1234",
        "ends within",
    ),
    "2^63 strings": (with_key("k", ARRAY, array(STRING, 1 << 63)).encode(), "more than fit"),
    "array of arrays": (with_key("k", ARRAY, array(ARRAY, 1, array(U8, 0))).encode(), "unknown type"),
    "array element longer than the file": (
        with_key("k", ARRAY, array(STRING, 2, string("a") + struct.pack("<Q", 1 << 62))).encode(),
        "ends within",
    ),
    "string longer than the file": (with_key("k", STRING, struct.pack("<Q", 1 << 62)).encode(), "more than fit"),
    "key longer than the file": (
        b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + struct.pack("<Q", 1 << 60) + b"key",
        "string of",
    ),
    "unknown value type": (with_key("k", 13, b"").encode(), "unknown type 13"),
    "empty key": (with_key("", U32, 1).encode(), "empty metadata key"),
    "duplicate key": (small(metadata=[*small().metadata, *small().metadata]).encode(), "twice"),
    "no architecture": (small(metadata=[("general.name", STRING, "x")]).encode(), "architecture"),
    "architecture is a number": (with_key("general.architecture", U32, 7).encode(), "architecture"),
    "513 blocks": (with_key("llama.block_count", U32, 513).encode(), "block_count"),
    "2^64-1 blocks": (with_key("llama.block_count", U64, (1 << 64) - 1).encode(), "block_count"),
    "513 experts": (with_key("llama.expert_count", U32, 513).encode(), "expert_count"),
    "alignment 0": (with_key("general.alignment", U32, 0).encode(), "power of two"),
    "alignment 24": (with_key("general.alignment", U32, 24).encode(), "power of two"),
    "alignment of the wrong type": (with_key("general.alignment", STRING, "32").encode(), "power of two"),
    "zero dimension": (with_tensor(32, 0).encode(), "dimension of zero"),
    "five dimensions": (with_tensor(1, 1, 1, 1, 1).encode(), "5 dimensions"),
    "2^63 values": (with_tensor(1 << 32, 1 << 31).encode(), "counted"),
    "2^42+1 values": (with_tensor((1 << 42) + 1).encode(), "cut short"),
    "row no multiple of the block": (with_tensor(33, kind=2).encode(), "multiple of 32"),
    "offset beyond the file": (with_tensor(32, offset=1 << 40).encode(), "cut short"),
    "offset 2^64-32": (with_tensor(32, offset=(1 << 64) - 32).encode(), "cut short"),
    "offset not aligned": (with_tensor(32, offset=33).encode(), "not aligned"),
    "tensor twice": (with_tensor(32, name="token_embd.weight").encode(), "twice"),
    "cut by a byte": (small().encode()[:-1], "cut short"),
    "cut in half": (small().encode()[: len(small().encode()) // 8], "ends within"),
}
