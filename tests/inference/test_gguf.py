from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.inference.gguf import NotUsable, inspect
from tests.inference.tinygguf import ARRAY, F32, STRING, U8, U32, U64, Gguf, Tensor, chain_model, small, string
from tests.starter import SIZE_BYTES, starter_model


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


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_its_reason(name: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.gguf"
    path.write_bytes(HOSTILE[name][0])
    with pytest.raises(NotUsable, match=HOSTILE[name][1]):
        inspect(path)


def _directory(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (os.mkfifo, "not a regular file"),
        (_directory, "is a directory"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
        (lambda path: path.symlink_to("/dev/tty"), "not a regular file"),
        (lambda path: path.symlink_to(path), "cannot be opened"),
        (lambda path: None, "cannot be opened: No such file"),
    ],
    ids=["fifo", "directory", "link to a device", "link to a terminal", "link to itself", "missing"],
)
def test_what_is_no_file_is_refused_without_waiting(
    make: Callable[[Path], object], reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.gguf"
    make(path)
    with pytest.raises(NotUsable, match=reason):
        inspect(path)


def test_a_nul_in_the_path_is_refused() -> None:
    with pytest.raises(NotUsable, match="cannot be opened"):
        inspect("model\0.gguf")


@given(st.data())
def test_random_damage_is_refused_or_harmless(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    raw = bytearray(small().encode())
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    try:
        header = inspect(path)
    except NotUsable:
        return
    json.dumps(header.metadata, allow_nan=False)


def test_a_small_model_is_described(tmp_path: Path) -> None:
    header = inspect(chain_model(tmp_path / "m.gguf", ["a", "b"]))
    assert (header.architecture, header.name, header.n_ctx_train_tokens) == ("llama", "chain", 4096)
    assert header.has_chat_template
    assert header.metadata["tokenizer.ggml.merges"] == "[1 values]"


@pytest.mark.parametrize("tensor", [{"kind": 77}, {"kind": 39, "data": bytes(17)}, {"name": "x" * 200}])
def test_what_newer_writers_may_make_is_accepted(tensor: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "new.gguf"
    path.write_bytes(with_tensor(32, **tensor).encode())
    assert inspect(path).n_tensors == 2


def test_odd_but_legal_metadata_is_accepted_and_shown_as_json(tmp_path: Path) -> None:
    made = with_key("odd", F32, float("inf"))
    made.metadata += [
        ("long", STRING, "x" * 100_000),
        ("bytes", STRING, string(b"\xff\xfe")),
        ("none", ARRAY, (U8, [])),
    ]
    path = tmp_path / "odd.gguf"
    path.write_bytes(made.encode())
    shown = json.loads(json.dumps(inspect(path).metadata, allow_nan=False))
    assert shown["odd"] == "inf"
    assert len(shown["long"]) < 300


def verdict(path: Path) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "agentgw_daemon.inference.gguf", path], capture_output=True, timeout=10
    )
    assert done.stderr == b""
    return done.returncode, json.loads(done.stdout)


def test_the_command_prints_one_object(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    assert verdict(path) == (1, {"ok": False, "reason": "cannot be opened: No such file or directory"})
    path.write_bytes(small().encode())
    status, said = verdict(path)
    assert (status, said["ok"], said["architecture"]) == (0, True, "llama")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (array(STRING, 1 << 23), "metadata key"),
        (array(STRING, (1 << 23) + 1), "more than fit"),
        (array(U64, 100 << 20), "over 256 MiB"),
    ],
)
def test_the_command_ends_by_itself_on_a_gigabyte_of_header(value: bytes, reason: str, tmp_path: Path) -> None:
    """It would be killed at 5 s of processor time or 1 GiB; the file is a hole."""
    path = tmp_path / "huge.gguf"
    path.write_bytes(Gguf(metadata=[("k", ARRAY, value)], n_keys=9, n_tensors=1).encode())
    os.truncate(path, 1 << 30)
    status, said = verdict(path)
    assert (status, said["ok"]) == (1, False)
    assert reason in said["reason"]


@pytest.mark.e2e
def test_the_starter_model_is_accepted() -> None:
    status, said = verdict(starter_model())
    assert (status, said["size_bytes"], said["n_ctx_train_tokens"]) == (0, SIZE_BYTES, 8192)
