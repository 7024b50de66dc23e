"""The models folder: names appear whole, disappear alone, and survive a crash anywhere in between."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from agentgw.protocol.errors import ModelUnavailable
from agentgw_daemon.models.files import store as module
from agentgw_daemon.models.files.store import ModelFolder, Origin, OriginFile
from agentgw_daemon.models.names.reference import HubRef
from agentgw_daemon.system.json_file import read_mapping, write_atomically
from tests.models.ggufs import shard_names
from tests.ticking import StandingClock


@pytest.fixture
def store(folder: Path) -> ModelFolder:
    made = ModelFolder(folder)
    made.prepare()
    return made


def origin(name: str = "m:1", data: bytes = b"data", at: str = "2026-01-01T00:00:00Z") -> Origin:
    return Origin(name=name, source="index", size_bytes=len(data), sha256="0" * 64, pulled_at=at)


def put(store: ModelFolder, stem: str, one: Origin, data: bytes = b"data") -> Path:
    part = store.part("0" * 64)
    part.write_bytes(data)
    return store.place((part,), stem, one)


def test_a_missing_folder_is_empty(tmp_path: Path) -> None:
    assert ModelFolder(tmp_path / "nowhere").entries() == ()


@pytest.mark.parametrize("inner", [False, True])
def test_a_folder_that_cannot_be_made_has_no_models_and_is_no_error(tmp_path: Path, inner: bool) -> None:
    folder = tmp_path / "models"
    if inner:
        folder.mkdir()
    (folder / ".partial" if inner else folder).write_text("a file")
    store = ModelFolder(folder)
    store.prepare()
    assert store.entries() == ()
    with pytest.raises(OSError):  # noqa: PT011  # which one is the system's to say
        store.make()


def test_a_placed_file_is_there_with_its_origin(store: ModelFolder) -> None:
    path = put(store, "m-1", origin())
    [one] = store.entries()
    assert (one.name, one.stem, one.path, one.size_bytes, one.origin) == ("m:1", "m-1", path, 4, origin())
    assert list(store.partial.iterdir()) == []


def test_files_put_there_by_hand_are_found_by_their_name(store: ModelFolder) -> None:
    (store.folder / "mine.gguf").write_bytes(b"x")
    (store.folder / "other.txt").write_bytes(b"x")
    (store.folder / "dir.gguf").mkdir()
    (store.folder / "dangling.gguf").symlink_to("nowhere")
    assert [(one.name, one.origin) for one in store.entries()] == [("mine", None)]


def test_a_file_put_there_within_a_tick_of_the_clock_is_found(
    store: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (store.folder / "a.gguf").write_bytes(b"a")
    changed_ns = store.folder.stat().st_mtime_ns
    monkeypatch.setattr(module, "time", StandingClock(changed_ns))
    assert [one.stem for one in store.entries()] == ["a"]
    (store.folder / "b.gguf").write_bytes(b"b")
    os.utime(store.folder, ns=(changed_ns, changed_ns))
    assert [one.stem for one in store.entries()] == ["a", "b"]


def test_the_oldest_pull_comes_first_and_strangers_last(store: ModelFolder) -> None:
    (store.folder / "a.gguf").write_bytes(b"x")
    put(store, "b", origin("late", at="2026-02-01T00:00:00Z"))
    put(store, "c", origin("early"))
    assert [one.name for one in store.entries()] == ["early", "late", "a"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "m:1"}', '{"name": 1, "source": "index"}'])
def test_a_damaged_origin_leaves_a_file_without_one(store: ModelFolder, text: str) -> None:
    path = put(store, "m-1", origin())
    path.with_suffix(".json").write_text(text)
    [one] = ModelFolder(store.folder).entries()
    assert (one.name, one.origin) == ("m-1", None)


def test_an_origin_of_another_file_does_not_count(store: ModelFolder) -> None:
    put(store, "m-1", origin()).write_bytes(b"replaced by hand")
    assert ModelFolder(store.folder).entries()[0].origin is None


def test_a_crash_between_origin_and_name_shows_nothing(store: ModelFolder) -> None:
    put(store, "m-1", origin()).unlink()
    assert ModelFolder(store.folder).entries() == ()


def test_removing_takes_the_file_and_its_origin_and_nothing_else(store: ModelFolder) -> None:
    put(store, "m-1", origin())
    put(store, "m-2", origin("m:2"))
    store.remove("m-1")
    assert sorted(path.name for path in store.folder.iterdir() if path.is_file()) == ["m-2.gguf", "m-2.json"]
    assert [one.name for one in store.entries()] == ["m:2"]
    with pytest.raises(FileNotFoundError):
        store.remove("m-1")


def test_removing_a_link_leaves_what_it_points_to(store: ModelFolder, tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").write_bytes(b"x")
    (store.folder / "linked.gguf").symlink_to(tmp_path / "mine.gguf")
    assert [one.name for one in store.entries()] == ["linked"]
    store.remove("linked")
    assert (tmp_path / "mine.gguf").read_bytes() == b"x"


def test_preparing_sweeps_what_was_abandoned_and_keeps_what_can_be_resumed(store: ModelFolder) -> None:
    scratch = store.make_scratch()
    (scratch / "x.whl").write_bytes(b"x")
    fresh, stale = store.part("1" * 64), store.part("2" * 64)
    fresh.write_bytes(b"x")
    stale.write_bytes(b"x")
    old = time.time() - 15 * 86400
    os.utime(stale, (old, old))
    (store.folder / ".write-abc").write_bytes(b"x")
    ModelFolder(store.folder).prepare()
    assert [path.name for path in store.partial.iterdir()] == [fresh.name]
    assert not (store.folder / ".write-abc").exists()


def test_the_default_is_remembered_and_forgotten(store: ModelFolder) -> None:
    assert store.default is None
    store.set_default("m:1")
    again = ModelFolder(store.folder)
    again.prepare()
    assert store.default == again.default == "m:1"
    again.set_default(None)
    last = ModelFolder(store.folder)
    last.prepare()
    assert last.default is None


def test_too_little_space_is_refused_with_the_numbers(store: ModelFolder) -> None:
    store.require_space(0, "m")
    with pytest.raises(ModelUnavailable, match=r"needs 1,000,000,000,067 MB of disk space, [\d,]+ MB are free"):
        store.require_space(10**18, "m")


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        (HubRef(owner="o", repo="r"), True),
        (HubRef(owner="O", repo="R"), True),
        (HubRef(owner="o", repo="r", quant="Q4_0"), True),
        (HubRef(owner="o", repo="r", file="m-Q4_0.gguf"), True),
        (HubRef(owner="o", repo="other"), False),
        (HubRef(owner="o", repo="r", quant="Q8_0"), False),
        (HubRef(owner="o", repo="r", file="n.gguf"), False),
        (HubRef(owner="o", repo="r", file="m-00002-of-00002.gguf"), True),
    ],
)
def test_a_pulled_file_answers_every_reference_that_means_it(text: HubRef, answers: bool) -> None:
    one = Origin(
        name="hf:o/r:Q4_0", source="hub", size_bytes=1, sha256="0" * 64, pulled_at="", owner="o", repo="r",
        file="m-Q4_0.gguf", quant="Q4_0",
        files=(OriginFile(path="m-00002-of-00002.gguf", size_bytes=1, sha256="0" * 64),),
    )  # fmt: skip
    assert one.answers(text) is answers


def put_split(store: ModelFolder, prefix: str = "m", count: int = 3) -> str:
    """Places a model in several files of 4, 5, … bytes; gives its stem."""
    files = []
    for number in range(count):
        part = store.part(f"{number}" * 64)
        part.write_bytes(b"data" + b"x" * number)
        files.append(OriginFile(path=f"{number}.gguf", size_bytes=4 + number, sha256=f"{number}" * 64))
    one = replace(origin("split"), size_bytes=sum(file.size_bytes for file in files), files=tuple(files))
    stem = f"{prefix}-00001-of-{count:05d}"
    store.place([store.part(file.sha256) for file in files], stem, one)
    return stem


def test_a_split_model_is_one_model_of_all_its_files(store: ModelFolder) -> None:
    stem = put_split(store)
    [one] = store.entries()
    assert (one.name, one.stem, one.size_bytes, one.is_complete) == ("split", stem, 15, True)
    assert one.path == store.folder / "m-00001-of-00003.gguf"
    assert [path.name for path, _ in one.files] == shard_names("m")
    assert one.is_called("m-00002-of-00003")
    assert list(store.partial.iterdir()) == []


def test_removing_a_split_model_takes_all_its_files_and_no_other(store: ModelFolder) -> None:
    put_split(store)
    put_split(store, count=2)
    (store.folder / "m.gguf").write_bytes(b"x")
    store.remove("m-00001-of-00003")
    left = sorted(path.name for path in store.folder.iterdir() if path.is_file())
    assert left == ["m-00001-of-00002.gguf", "m-00001-of-00002.json", "m-00002-of-00002.gguf", "m.gguf"]


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_split_model_that_lost_a_file_is_no_pulled_one_and_can_be_removed(store: ModelFolder, missing: int) -> None:
    put_split(store)
    (store.folder / f"m-0000{missing}-of-00003.gguf").unlink()
    [one] = store.entries()
    assert (one.origin, one.is_complete, len(one.files)) == (None, False, 2)
    store.remove(one.stem)
    assert [path for path in store.folder.iterdir() if path.is_file()] == []


def test_a_file_of_a_split_model_that_was_written_over_is_seen(store: ModelFolder) -> None:
    put_split(store)
    assert store.entries()[0].origin is not None
    (store.folder / "m-00002-of-00003.gguf").write_bytes(b"another")
    assert store.entries()[0].origin is None


def test_placing_keeps_what_is_in_its_place(store: ModelFolder) -> None:
    stem = put_split(store)
    [before] = store.entries()
    assert before.origin is not None
    targets = store.targets(stem)
    second = store.part("1" * 64)
    second.write_bytes(b"dat\0x")
    store.place([targets[0], second, targets[2]], stem, before.origin)
    assert [path.read_bytes() for path in targets] == [b"data", b"dat\0x", b"dataxx"]
    assert store.entries() == (before,)


def test_small_files_are_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_atomically(path, {"a": 1})
    write_atomically(path, {"a": 2})
    assert read_mapping(path) == {"a": 2}
    assert [one.name for one in tmp_path.iterdir()] == ["x.json"]
    assert path.stat().st_mode & 0o077 == 0
    path.write_bytes(b"[" * 100_000)
    assert read_mapping(path) == {}
