"""Models in several files: looked at together, refused where llama.cpp would abort or take another model's weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentgw_daemon.models.names.shards import MAX_SHARDS
from agentgw_daemon.workers.llama.gguf import MAX_FILES, inspect
from agentgw_daemon.workers.llama.gguf_head import UnusableModelFile
from agentgw_daemon.workers.llama.llama import LlamaModel
from tests.workers.llama.splitgguf import split, write
from tests.workers.llama.tinygguf import I32, STRING, U16, U32, Gguf, Tensor, chain_model, small

TENSORS = [Tensor(name, (32, 4), bytes([number]) * 512) for number, name in enumerate(("a", "b", "c", "d"))]


def model(*names: str) -> bytes:
    return small(tensors=[one for one in TENSORS if not names or one.name in names]).encode()


def part(number: int, count: int, n_tensors: int, *names: str, **more: Any) -> bytes:
    """A file of a split model whose keys may lie."""
    keys = {"split.no": (U16, number), "split.count": (U16, count), "split.tensors.count": (I32, n_tensors)} | more
    first = [("general.architecture", STRING, "llama")] if number == 0 else []
    metadata = first + [(key, kind, value) for key, (kind, value) in keys.items()]
    return Gguf(metadata=metadata, tensors=[one for one in TENSORS if one.name in names]).encode()


@pytest.mark.parametrize("metadata_alone", [False, True])
def test_a_split_model_says_what_the_whole_one_does(tmp_path: Path, metadata_alone: bool) -> None:
    (tmp_path / "whole.gguf").write_bytes(model())
    whole = inspect(tmp_path / "whole.gguf")
    paths = write(split(model(), 3, metadata_alone=metadata_alone), tmp_path, "m")
    found = inspect(*paths)
    assert (whole.n_files, found.n_files) == (1, 3)
    assert (found.architecture, found.n_tensors) == (whole.architecture, whole.n_tensors)
    assert found.size_bytes == sum(path.stat().st_size for path in paths)
    assert found.metadata["split.count"] == 3


def test_of_a_whole_model_the_others_are_not_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "m-00001-of-00002.gguf"
    path.write_bytes(model())
    assert inspect(path, tmp_path / "m-00002-of-00002.gguf").n_files == 1


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([part(0, 2, 2, "a"), None], r"no usable part 2 of 2: m-00002-of-00002.gguf cannot be opened"),
        ([part(0, 2, 2, "a")], r"its name has to end in -00001-of-00002.gguf, with the others beside it"),
        ([part(1, 2, 2, "b"), part(0, 2, 2, "a")], "is part 2 of the 2 of a split model, and part 1 has to be named"),
        ([part(0, 3, 2, "a"), part(1, 3, 2, "b")], "into 3 files, and by its name into 2"),
        ([part(0, 2, 2, "a"), part(1, 3, 2, "b")], "m-00002-of-00002.gguf is part 2 of 3"),
        ([part(0, 2, 2, "a"), part(0, 2, 2, "b")], "is part 1 of 2"),
        ([part(0, 2, 2, "a"), model("b")], "is no part of a split model"),
        ([part(0, 2, 2, "a"), part(1, 2, 3, "b", "c")], "another number of tensors"),
        ([part(0, 2, 2, "a"), part(1, 2, 2, "a")], "the same tensor in two of its parts"),
        ([part(0, 2, 3, "a"), part(1, 2, 3, "b")], "2 tensors in its parts, and says 3"),
        ([part(0, 2, 2, "a"), part(1, 2, 2, "b", **{"general.architecture": (STRING, "qwen")})], "l.architecture"),
        ([part(0, 2, 2, "a"), part(1, 2, 2, "b")[:-600]], "m-00002-of-00002.gguf is cut short|ends within"),
        ([part(0, 2, 2, "a"), b"text " * 20], "m-00002-of-00002.gguf is not a GGUF file"),
        ([part(0, 60_000, 2, "a"), part(1, 60_000, 2, "b")], "split into 60000 files; at most 512"),
        ([part(0, 2, 2, "a", **{"split.count": (U32, 2)}), part(1, 2, 2, "b")], "split.count as a value of the type 4"),
        ([part(0, 2, 2, "a"), part(1, 2, 2, "b", **{"split.no": (U32, 1)})], "split.no as a value of the type 4"),
        ([part(0, 2, 2, "a", **{"split.no": (STRING, "0")}), part(1, 2, 2, "b")], "split.no as a value of the type 8"),
        ([part(7, 2, 2, "a"), part(1, 2, 2, "b")], "does not say which one it is"),
    ],
)  # fmt: skip
def test_files_that_do_not_belong_together_are_refused(tmp_path: Path, parts: list[bytes | None], reason: str) -> None:
    paths = [tmp_path / f"m-{number:05d}-of-{len(parts):05d}.gguf" for number in range(1, len(parts) + 1)]
    for path, data in zip(paths, parts, strict=True):
        if data is not None:
            path.write_bytes(data)
    with pytest.raises(UnusableModelFile, match=reason):
        inspect(*paths)


def test_a_file_of_metadata_alone_is_no_whole_model(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(small(tensors=[]).encode())
    with pytest.raises(UnusableModelFile, match="holds no tensors"):
        inspect(tmp_path / "m.gguf")


def test_both_floors_know_the_same_bound() -> None:
    assert MAX_FILES == MAX_SHARDS


@pytest.mark.parametrize("metadata_alone", [False, True])
def test_llama_cpp_loads_the_files_under_any_names(tmp_path: Path, metadata_alone: bool) -> None:
    whole = LlamaModel(str(chain_model(tmp_path / "chain.gguf", ["x"])))
    parts = split((tmp_path / "chain.gguf").read_bytes(), 3, metadata_alone=metadata_alone)
    paths = write(parts, tmp_path, "chain")
    renamed = [path.rename(tmp_path / f"blob{number}") for number, path in enumerate(paths)]
    model = LlamaModel(str(renamed[0]), others=[str(path) for path in renamed[1:]])
    assert (model.n_params, model.n_vocabulary, model.chat_template) == (
        whole.n_params, whole.n_vocabulary, whole.chat_template,
    )  # fmt: skip
    model.close()
    whole.close()


def test_llama_cpp_finds_the_others_by_their_names(tmp_path: Path) -> None:
    paths = write(split(chain_model(tmp_path / "chain.gguf", ["x"]).read_bytes(), 3), tmp_path, "chain")
    model = LlamaModel(str(paths[0]))
    assert model.n_ctx_train_tokens == 4096
    model.close()
