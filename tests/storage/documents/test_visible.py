from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agentgw_daemon.storage.documents.chunks import Chunks
from agentgw_daemon.storage.documents.generations import generation_of
from agentgw_daemon.storage.documents.selection import Filter
from agentgw_daemon.storage.documents.visible import Allowed, Visibility
from agentgw_daemon.storage.file.store import DatabaseFiles
from agentgw_daemon.storage.sqlite.library import sqlite_utils
from agentgw_daemon.storage.words.terms import terms_of
from tests.storage.direct import Direct, InTransaction, run, talk
from tests.storage.papers import new, pieces_of


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DatabaseFiles]:
    made = DatabaseFiles(tmp_path, "WAL")
    made.open()
    yield made
    made.close()


def _put(store: DatabaseFiles, first: int, behind: int) -> None:
    def do(db: sqlite_utils.Database) -> None:
        direct = InTransaction(db).documents
        for n in range(first, behind):
            run(direct.put(new(f"/{n}", f"word{n}"), pieces_of(f"word{n}"), None))

    store.write(do)


def _steps_of_a_search(store: DatabaseFiles) -> int:
    """Steps of SQLite's machine that a search for one word takes, what is remembered of the one before it aside."""
    chunks, steps = Chunks(Direct(store)), 0

    def step() -> None:
        nonlocal steps
        steps += 1

    def search() -> None:
        run(chunks.scope(Filter()))
        assert len(run(chunks.by_words(terms_of("word7"), 50, Filter())).matches) == 1

    search()
    store.read(lambda db: db.conn.set_progress_handler(step, 1))
    search()
    store.read(lambda db: db.conn.set_progress_handler(None, 0))
    return steps


def test_a_search_takes_no_step_for_each_document_there_is(store: DatabaseFiles) -> None:
    _put(store, 0, 100)
    few = _steps_of_a_search(store)
    _put(store, 100, 2_100)
    # Some more steps in the larger index of words.
    assert _steps_of_a_search(store) < few + 1_500


def test_chunks_are_counted_again_when_a_hundredth_of_them_changed(store: DatabaseFiles) -> None:
    visibility = Visibility()
    _put(store, 0, 2)
    assert store.read(visibility.total) == 2
    _put(store, 2, 3)
    assert store.read(visibility.total) == 3
    _put(store, 3, 500)
    assert store.read(visibility.total) == 500
    store.write(lambda db: db.execute("UPDATE contents SET chunks = 2 WHERE n = 1"))
    assert store.read(visibility.total) == 500


def test_what_has_to_do_with_no_document_lists_none_again(store: DatabaseFiles) -> None:
    visibility, direct = Visibility(), Direct(store)
    _put(store, 0, 3)

    def seen(**fields: tuple[str, ...]) -> Allowed:
        return store.read(lambda db: visibility.of(db, "default", Filter(**fields)))

    before = seen(skills=("a",))
    assert before.whole
    talk(direct, "hello", "there")
    assert seen(skills=("a",)) is before
    run(direct.documents.relabel("default", ["/0"], ("b",), ("t",)))
    assert (len(seen(skills=("a",))), len(seen(skills=("b",))), len(seen(tags=("t",)))) == (2, 3, 1)
    assert [seen(**{kind: ("x",)}).whole for kind in ("skills", "tags")] == [False, False]
    assert len(seen()) == 3


def test_nothing_is_remembered_of_a_database_that_was_replaced(store: DatabaseFiles) -> None:
    visibility = Visibility()

    def seen() -> int:
        return store.read(lambda db: len(visibility.of(db, "default", Filter())))

    _put(store, 0, 1)
    store.backup()
    _put(store, 1, 3)
    assert seen() == store.read(visibility.total) == 3
    generation = store.read(generation_of)
    store._replace("for this test")
    store.write(lambda db: db.execute("UPDATE knowledge SET generation = ?", (generation,)))
    assert seen() == store.read(visibility.total) == 1


@pytest.mark.parametrize("column", ["first_chunk", "chunks"])
@pytest.mark.parametrize("bad", ["x", b"\xff", 2**62, 2.5])
def test_a_content_in_a_row_that_went_bad_costs_itself(store: DatabaseFiles, column: str, bad: object) -> None:
    _put(store, 0, 3)
    direct = Direct(store)
    store.write(lambda db: db.execute(f"UPDATE contents SET {column} = ? WHERE first_chunk <> 2", (bad,)))
    chunks = Chunks(direct)
    (allowed,) = run(chunks.scope(Filter())).collections.values()
    assert 2 in allowed
    assert len(run(chunks.by_words(terms_of("word1"), 50, Filter())).matches) == 1
    assert run(chunks.scope(Filter(tags=("none",)))).collections == {}
    assert run(direct.embeddings.state("default", "e1")).chunks == 0
    assert run(direct.embeddings.count_missing("e1")) < 1 << 62
