"""The header check in its child process, and what is remembered of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentgw.protocol.errors import ModelUnavailable
from agentgw_daemon.models.files.preflight import Preflight
from tests.models.ggufs import gguf, shard_names, shards

pytestmark = pytest.mark.anyio


@pytest.fixture
def preflight(tmp_path: Path) -> Preflight:
    return Preflight(tmp_path / "known.json", os.environ, "test")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf())
    return path


async def test_a_usable_file_tells_its_header(preflight: Preflight, model: Path) -> None:
    real, known = await preflight.check(str(model), "m")
    assert real == str(model)
    assert (known.header.architecture, known.header.name) == ("llama", "tiny 1")
    assert (known.header.n_ctx_train_tokens, known.header.has_chat_template) == (2048, True)
    assert known.header.metadata["general.name"] == "tiny 1"
    assert known.size_bytes == model.stat().st_size


async def test_a_file_is_looked_into_once_and_across_daemons(
    preflight: Preflight, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await preflight.check(str(model), "m")
    again = Preflight(tmp_path / "known.json", os.environ, "test")
    again.load()
    monkeypatch.setattr("sys.executable", "/bin/false")
    assert await again.check(str(model), "m") == await preflight.check(str(model), "m") == first
    assert again.known(str(model)) == first[1]


async def test_a_file_that_changed_is_looked_into_again(preflight: Preflight, model: Path) -> None:
    await preflight.check(str(model), "m")
    model.write_bytes(gguf(2))
    assert preflight.known(str(model)) is None
    _, known = await preflight.check(str(model), "m")
    assert known.header.name == "tiny 2"


async def test_a_digest_is_added_to_what_is_known(preflight: Preflight, model: Path, tmp_path: Path) -> None:
    real, known = await preflight.check(str(model), "m")
    await preflight.set_sha256(real, known, "0" * 64)
    again = Preflight(tmp_path / "known.json", os.environ, "test")
    again.load()
    remembered = again.known(real)
    assert remembered is not None
    assert remembered.sha256 == "0" * 64


@pytest.mark.parametrize("text", ["", "[]", '{"/x": 1}', '{"/x": {"size_bytes": 1}}'])
async def test_a_damaged_memory_is_as_good_as_none(
    preflight: Preflight, model: Path, tmp_path: Path, text: str
) -> None:
    (tmp_path / "known.json").write_text(text)
    preflight.load()
    assert (await preflight.check(str(model), "m"))[1].header.name == "tiny 1"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_bytes(b"hello, I am a text" * 10), "is not a GGUF file"),
        (lambda path: path.write_bytes(b""), "too short"),
        (lambda path: path.write_bytes(gguf()[:100_000]), "is cut short"),
        (lambda path: path.write_bytes(gguf()[:200]), "ends within its header"),
        (lambda path: path.mkdir(), "is a directory"),
        (os.mkfifo, "is not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
        (lambda path: path.symlink_to(path), "symbolic links"),
        (lambda path: None, "no such file"),
    ],
    ids=["text", "empty", "short", "header", "folder", "fifo", "device", "loop", "missing"],
)
async def test_what_is_not_usable_is_refused_with_the_reason(
    preflight: Preflight, tmp_path: Path, make: object, reason: str
) -> None:
    path = tmp_path / "x.gguf"
    assert callable(make)
    make(path)
    with pytest.raises(ModelUnavailable) as caught:
        await preflight.check(str(path), "my model")
    assert caught.value.message.startswith("my model ")
    assert reason in caught.value.data["reason"]
    assert caught.value.data["model"] == "my model"


async def test_a_check_that_breaks_is_a_refusal_and_not_a_crash(
    preflight: Preflight, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(ModelUnavailable, match="broke the check"):
        await preflight.check(str(model), "m")


async def test_a_check_that_hangs_is_ended(
    preflight: Preflight, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = tmp_path / "hang"
    hanging.write_text("#!/bin/sh\nexec sleep 60\n")
    hanging.chmod(0o700)
    monkeypatch.setattr("sys.executable", str(hanging))
    monkeypatch.setattr("agentgw_daemon.models.files.preflight.TIMEOUT_S", 0.2)
    with pytest.raises(ModelUnavailable, match="takes longer"):
        await preflight.check(str(model), "m")


@pytest.fixture
def split_model(tmp_path: Path) -> list[Path]:
    """The files of a model, in order."""
    paths = [tmp_path / name for name in shard_names("m")]
    for path, data in zip(paths, shards(), strict=True):
        path.write_bytes(data)
    return paths


async def test_a_split_model_is_known_by_its_first_file(preflight: Preflight, split_model: list[Path]) -> None:
    real, known = await preflight.check(str(split_model[0]), "m")
    assert real == str(split_model[0])
    assert [one.path for one in known.others] == [str(path) for path in split_model[1:]]
    assert known.total_bytes == sum(path.stat().st_size for path in split_model)
    assert (known.header.name, known.header.n_files) == ("split 1", 3)
    assert await preflight.check(str(split_model[1]), "m") == (real, known)


async def test_a_file_behind_the_first_that_changed_is_looked_into_again(
    preflight: Preflight, split_model: list[Path]
) -> None:
    await preflight.check(str(split_model[0]), "m")
    split_model[2].write_bytes(b"text")
    assert preflight.known(str(split_model[0])) is None
    with pytest.raises(ModelUnavailable, match=r"no usable part 3 of 3: m-00003-of-00003.gguf is too short"):
        await preflight.check(str(split_model[0]), "m")


async def test_the_files_may_be_links_to_files_of_other_names(
    preflight: Preflight, split_model: list[Path], tmp_path: Path
) -> None:
    folder = tmp_path / "snapshot"
    folder.mkdir()
    for number, path in enumerate(split_model):
        (folder / path.name).symlink_to(path.rename(tmp_path / f"blob{number}"))
    real, known = await preflight.check(str(folder / split_model[1].name), "m")
    assert [real, *(one.path for one in known.others)] == [str(tmp_path / f"blob{number}") for number in range(3)]


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        (0, "is split, and its first file, m-00001-of-00003.gguf, cannot be opened: no such file"),
        (1, "no usable part 2 of 3: m-00002-of-00003.gguf cannot be opened: No such file"),
    ],
)
async def test_a_missing_file_is_named(
    preflight: Preflight, split_model: list[Path], missing: int, reason: str
) -> None:
    split_model[missing].unlink()
    with pytest.raises(ModelUnavailable, match=reason):
        await preflight.check(str(split_model[2]), "m")


async def test_a_whole_model_may_be_named_like_one_of_several(preflight: Preflight, tmp_path: Path) -> None:
    path = tmp_path / "m-00001-of-00003.gguf"
    path.write_bytes(gguf())
    _, known = await preflight.check(str(path), "m")
    assert (known.others, known.header.n_files) == ((), 1)


@pytest.mark.parametrize("name", ["m.gguf", "m-00001-of-00099.gguf", "m-00001-of-99999.gguf"])
async def test_a_split_model_under_a_name_that_does_not_say_so_is_refused(
    preflight: Preflight, split_model: list[Path], tmp_path: Path, name: str
) -> None:
    split_model[0].rename(tmp_path / name)
    with pytest.raises(ModelUnavailable, match=r"-00001-of-00003.gguf|by its name into 99"):
        await preflight.check(str(tmp_path / name), "m")
