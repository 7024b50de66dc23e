"""An index of words that was made by other rules is made anew, whatever happens meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentgw_daemon.storage.documents.selection import Filter, Selection
from agentgw_daemon.storage.file.store import DatabaseFiles
from agentgw_daemon.storage.words import tables
from agentgw_daemon.storage.words.terms import terms_of
from tests.storage.direct import Direct, run
from tests.storage.papers import new, pieces_of

_SOUND = "INSERT INTO chunks_fts (chunks_fts, rank) VALUES ('integrity-check', 1)"


def _put(direct: Direct, source: str, *texts: str) -> None:
    run(direct.documents.put(new(source, *texts), pieces_of(*texts), None))


def _count(direct: Direct, query: str) -> int:
    return len(run(direct.chunks.by_words(terms_of(query), 100, Filter())).matches)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The database of a version with other rules."""
    store = DatabaseFiles(tmp_path, "WAL")
    store.open()
    direct = Direct(store)
    for n in range(5):
        _put(direct, f"/file{n}", *(f"word{n} number{m}" for m in range(4)))
    store.write(lambda db: db.execute("UPDATE words_made SET version = 'other'"))
    store.close()
    monkeypatch.setattr(tables, "_AT_ONCE", 3)
    return tmp_path


def test_it_is_made_in_steps_and_a_restart_goes_on(folder: Path) -> None:
    for left in (17, 10, 3, 0):
        store = DatabaseFiles(folder, "WAL")
        store.open()
        direct = Direct(store)
        assert run(direct.chunks.without_words()) == left
        run(direct.chunks.make_words(7))
        store.close()
    store = DatabaseFiles(folder, "WAL")
    store.open()
    store.write(lambda db: db.execute(_SOUND))
    assert _count(Direct(store), "number3") == 5
    store.close()


def test_documents_come_and_go_meanwhile(folder: Path) -> None:
    store = DatabaseFiles(folder, "WAL")
    store.open()
    direct = Direct(store)
    _put(direct, "/new", "fresh number3")
    assert _count(direct, "number3") == 1
    run(direct.documents.remove(Selection(sources=("/file0", "/file4"))))
    _put(direct, "/file1", "changed number3")
    assert run(direct.chunks.without_words()) == 8
    while run(direct.chunks.make_words(3)):
        pass
    assert _count(direct, "number3") == 4
    store.write(lambda db: db.execute(_SOUND))
    store.close()


@pytest.mark.parametrize(
    "spoilt",
    [
        "DELETE FROM words_made",
        "UPDATE words_made SET next = 'x'",
        "UPDATE words_made SET behind = x'ff'",
        "UPDATE words_made SET version = CAST(version AS BLOB)",
        "INSERT INTO words_made SELECT * FROM words_made",
    ],
)
def test_it_is_made_anew_where_what_is_noted_of_it_has_rotted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, spoilt: str
) -> None:
    monkeypatch.setattr(tables, "_AT_ONCE", 100)
    store = DatabaseFiles(folder, "WAL")
    store.open()
    for statement in (spoilt, "DELETE FROM chunks_fts_data WHERE id > 10"):
        store.write(lambda db, sql=statement: db.execute(sql))  # type: ignore[misc]  # bound default
    store.close()
    store = DatabaseFiles(folder, "WAL")
    store.open()
    assert _count(Direct(store), "number3") == 5
    store.write(lambda db: db.execute(_SOUND))
    assert store.read(lambda db: db.execute("SELECT count(*) FROM words_made").fetchone()[0]) == 1
    store.close()


def test_names_are_made_at_once(folder: Path) -> None:
    store = DatabaseFiles(folder, "WAL")
    store.open()
    (found,) = run(Direct(store).chunks.by_words(terms_of('"file3"'), 10, Filter())).matches
    assert run(Direct(store).chunks.read([found.n], Filter()))[0].held_by[0].source == "/file3"
    store.close()
