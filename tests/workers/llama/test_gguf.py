from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.workers.llama.gguf import inspect
from agentgw_daemon.workers.llama.gguf_head import UnusableModelFile
from tests.patience import PATIENCE_S
from tests.starter import SIZE_BYTES, starter_model
from tests.workers.llama.hostile_files import HOSTILE, array, with_key, with_tensor
from tests.workers.llama.tinygguf import ARRAY, F32, STRING, U8, U64, Gguf, chain_model, small, string


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_its_reason(name: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.gguf"
    path.write_bytes(HOSTILE[name][0])
    with pytest.raises(UnusableModelFile, match=HOSTILE[name][1]):
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
    with pytest.raises(UnusableModelFile, match=reason):
        inspect(path)


def test_a_nul_in_the_path_is_refused() -> None:
    with pytest.raises(UnusableModelFile, match="cannot be opened"):
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
    except UnusableModelFile:
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
        [sys.executable, "-W", "error", "-m", "agentgw_daemon.workers.llama.gguf", path],
        capture_output=True,
        timeout=PATIENCE_S,
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
    """The command would be killed at 5 s of processor time or 1 GiB; the file is a hole."""
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
