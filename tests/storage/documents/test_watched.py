"""Followed folders in the database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agentgw_daemon.storage.documents.watched import Watched, WatchedFolders
from agentgw_daemon.storage.file.store import DatabaseFiles
from tests.storage.direct import Direct, run


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[WatchedFolders]:
    store = DatabaseFiles(tmp_path / "data", "WAL")
    store.open()
    yield WatchedFolders(Direct(store))
    store.close()


def test_a_folder_is_kept_with_all_it_was_given(watched: WatchedFolders) -> None:
    asked = Watched(
        path="/caf\udce9", collection="c", skills=("a",), tags=(), exclude=("*.log", "!a"), chunk_size=64
    )  # fmt: skip
    stored = run(watched.put(asked))
    assert run(watched.all()) == (stored,)
    assert (stored.path, stored.skills, stored.tags, stored.exclude, stored.chunk_size) == (
        "/caf\udce9", ("a",), (), ("*.log", "!a"), 64,
    )  # fmt: skip
    assert stored.since


def test_followed_again_it_is_followed_in_the_new_way_since_then(watched: WatchedFolders) -> None:
    first = run(watched.put(Watched(path="/a", collection="c", tags=("x",))))
    again = run(watched.put(Watched(path="/a", collection="c")))
    assert run(watched.all()) == (again,)
    assert (again.tags, again.since) == (None, first.since)


def test_one_collection_or_all_are_let_go(watched: WatchedFolders) -> None:
    for collection in ("one", "two", "three"):
        run(watched.put(Watched(path="/a", collection=collection)))
    run(watched.put(Watched(path="/b", collection="one")))
    assert run(watched.remove("/a", "two")) == 1
    assert run(watched.remove("/a")) == 2
    assert run(watched.remove("/a")) == 0
    assert [one.path for one in run(watched.all())] == ["/b"]
