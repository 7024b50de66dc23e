"""Folder of states, as any process may use it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentgw_daemon.workers.protocol.kv_files import segment, state_file, state_folder


def put(folder: Path, cache_scope: str, token: int, model: str = "m") -> Path:
    header = segment.describe(segment.ROOT, 0, segment.pack([token]), 3)
    path = state_folder.model_folder(folder, model) / state_folder.file_name(cache_scope, header.digest)
    state_file.write(path, header, b"abc")
    return path


def test_an_owner_is_forgotten_in_every_model_and_nobody_else(tmp_path: Path) -> None:
    mine = [put(tmp_path, "s-1", 1), put(tmp_path, "s-1", 2), put(tmp_path, "s-1", 1, "other")]
    half = mine[0].with_name(f"{mine[0].name}.77.tmp")
    half.write_bytes(b"half")
    longer = "s-1-" + "0" * 32  # the name of a cache scope that looks like a file's of ours
    others = [put(tmp_path, "s-12", 1), put(tmp_path, "shared", 1), put(tmp_path, "S-1", 1), put(tmp_path, longer, 1)]
    foreign = mine[0].with_name("s-1-notes.txt")
    foreign.write_text("kept")
    assert state_folder.forget(tmp_path, "s-1") == 3
    assert not any(path.exists() for path in (*mine, half))
    assert all(path.exists() for path in (*others, foreign))
    assert state_folder.forget(tmp_path, "s-1") == 0


def test_a_link_of_an_owner_goes_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    path = put(tmp_path / "kv", "s-1", 1)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert state_folder.forget(tmp_path / "kv", "s-1") == 1
    assert (tmp_path / "elsewhere").exists()
    assert not path.is_symlink()


@pytest.mark.parametrize("cache_scope", ["", "*", "../x", "a b", "x" * 65])
def test_a_name_that_no_cache_scope_can_have_is_refused(tmp_path: Path, cache_scope: str) -> None:
    with pytest.raises(ValueError, match="cache scope"):
        state_folder.forget(tmp_path, cache_scope)


def test_a_missing_folder_has_nothing_and_stays_missing(tmp_path: Path) -> None:
    assert state_folder.forget(tmp_path / "kv", "s-1") == 0
    assert state_folder.usage(tmp_path / "kv") == (0, 0)
    assert state_folder.trim(tmp_path / "kv", 0) == []
    assert not (tmp_path / "kv").exists()


def test_usage_counts_files_and_bytes_of_all_models(tmp_path: Path) -> None:
    paths = [put(tmp_path, "s-1", 1), put(tmp_path, "s-2", 1, "other")]
    (tmp_path / "stray").write_text("not counted")
    assert state_folder.usage(tmp_path) == (2, sum(path.stat().st_size for path in paths))


def test_the_mark_of_a_forgotten_owner_fades(tmp_path: Path) -> None:
    put(tmp_path, "s-1", 1)
    state_folder.forget(tmp_path, "s-1")
    state_folder.trim(tmp_path, 1 << 20)
    assert state_folder.is_forgotten(tmp_path, "s-1")
    os.utime(tmp_path / "s-1.forgotten", (0, 0))
    state_folder.trim(tmp_path, 1 << 20)
    assert not state_folder.is_forgotten(tmp_path, "s-1")


def test_a_model_file_that_changes_is_another_model(tmp_path: Path) -> None:
    file, link = tmp_path / "model.gguf", tmp_path / "link"
    file.write_bytes(b"GGUF")
    link.symlink_to(file)
    before = state_folder.identity(str(file))
    assert state_folder.identity(str(link)) == before
    file.write_bytes(b"GGUF!")
    assert state_folder.identity(str(file)) != before
    assert state_folder.model_folder(tmp_path, before).parent == tmp_path


def test_a_split_model_is_another_one_when_any_of_its_files_is(tmp_path: Path) -> None:
    files = [tmp_path / "a.gguf", tmp_path / "b.gguf"]
    for file in files:
        file.write_bytes(b"GGUF")
    before = state_folder.identity(*map(str, files))
    assert before != state_folder.identity(str(files[0]))
    files[1].write_bytes(b"GGUF!")
    assert state_folder.identity(*map(str, files)) != before


def test_what_is_used_together_is_older_towards_its_end(tmp_path: Path) -> None:
    chain = [put(tmp_path, "s-1", token) for token in (1, 2, 3)]
    assert state_file.touch(chain) == 3
    times = [path.stat().st_mtime_ns for path in chain]
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == 3
    chain[1].unlink()
    assert state_file.touch(chain) == 1
