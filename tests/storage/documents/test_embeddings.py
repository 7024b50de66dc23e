from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agentgw_daemon.storage.documents import embeddings
from agentgw_daemon.storage.documents.embeddings import IndexFile
from agentgw_daemon.storage.documents.generations import EmbedderIdentity
from agentgw_daemon.storage.documents.selection import Selection
from agentgw_daemon.storage.file.store import DatabaseFiles
from tests.storage.direct import Direct, run
from tests.storage.papers import EMBEDDER, OTHER, new, pieces_of, split, vector, vectors_of


@pytest.fixture
def direct(tmp_path: Path) -> Iterator[Direct]:
    store = DatabaseFiles(tmp_path / "data", "WAL")
    store.open()
    yield Direct(store)
    store.close()


def _put(direct: Direct, source: str, *texts: str, **fields: object) -> None:
    run(direct.documents.put(new(source, *texts, **fields), pieces_of(*texts), vectors_of(*texts)))


def _apply(direct: Direct, held: dict[int, bytes], after: int, collection: str = "default", by: str = "e1") -> int:
    """Bring what an index would hold up to date; gives the generation it is then up to."""
    delta = run(direct.embeddings.delta(collection, by, after))
    for first, count in delta.removed:
        for n in range(first, first + count):
            held.pop(n, None)
    for row, blob in run(direct.embeddings.vectors(delta.added)):
        held.update(zip(range(row.first_chunk, row.first_chunk + row.chunks), split(blob), strict=True))
    return delta.generation


def test_a_delta_brings_an_index_from_any_generation_to_now(direct: Direct) -> None:
    texts = [str(n) for n in range(150)]
    _put(direct, "/a", *texts)
    held: dict[int, bytes] = {}
    at = _apply(direct, held, 0)
    assert held == {n: vector(f"e1{n - 1}") for n in range(1, 151)}
    _put(direct, "/b", "new")
    run(direct.documents.remove(Selection(sources=("/a",))))
    at = _apply(direct, held, at)
    assert held == {151: vector("e1new")}
    assert run(direct.embeddings.delta("default", "e1", at)).added == ()


@pytest.mark.parametrize("bad", ["many", b"\xff", 1.5])
def test_counters_that_went_bad_are_counted_again(direct: Direct, bad: object) -> None:
    _put(direct, "/a", "one", "two")
    _put(direct, "/b", "three")
    run(direct.documents.remove(Selection(sources=("/a",))))
    held: dict[int, bytes] = {}
    at = _apply(direct, held, 0)
    direct.store.write(lambda db: db.execute("UPDATE knowledge SET generation = ?, next_chunk = ?", (bad, bad)))
    assert _apply(direct, dict(held), at) == at
    _put(direct, "/c", "four")
    _apply(direct, held, at)
    assert held == {3: vector("e1three"), 4: vector("e1four")}


@pytest.mark.parametrize("bad", ["many", b"\xff"])
def test_an_embedder_whose_dimensions_went_bad_gets_them_with_its_next_vectors(direct: Direct, bad: object) -> None:
    _put(direct, "/a", "one")
    direct.store.write(lambda db: db.execute("UPDATE embedders SET dim = ?", (bad,)))
    assert run(direct.embeddings.large(1)) == ()
    _put(direct, "/b", "two")
    assert run(direct.embeddings.large(1)) == (("default", EMBEDDER),)


@pytest.mark.parametrize("column", ["first_chunk", "chunks", "vectors"])
@pytest.mark.parametrize("bad", ["x", b"\xff", 2**62, -1, 0, 2, 2.5])
def test_vectors_in_a_row_that_went_bad_are_left_out(direct: Direct, column: str, bad: object) -> None:
    _put(direct, "/a", "one")
    _put(direct, "/b", "two", "three")
    direct.store.write(lambda db: db.execute(f"UPDATE vectors SET {column} = ? WHERE first_chunk = 1", (bad,)))
    held: dict[int, bytes] = {}
    _apply(direct, held, 0)
    assert held == {2: vector("e1two"), 3: vector("e1three")}


@pytest.mark.parametrize("column", ["first_chunk", "chunks"])
def test_a_removal_in_a_row_that_went_bad_is_left_out(direct: Direct, column: str) -> None:
    _put(direct, "/a", "one")
    _put(direct, "/b", "two")
    at = run(direct.embeddings.generation())
    run(direct.documents.remove(Selection(sources=("/a",))))
    run(direct.documents.remove(Selection(sources=("/b",))))
    direct.store.write(lambda db: db.execute(f"UPDATE tombstones SET {column} = 'x' WHERE first_chunk = 1"))
    assert run(direct.embeddings.delta("default", "e1", at)).removed == ((2, 1),)


def test_content_that_left_and_came_back_is_there(direct: Direct) -> None:
    _put(direct, "/a", "same")
    _put(direct, "/b", "same", collection="work")
    held: dict[int, bytes] = {}
    at = _apply(direct, held, 0)
    run(direct.documents.remove(Selection(collection="default")))
    _put(direct, "/c", "same")
    _apply(direct, held, at)
    assert list(held) == [1]


def test_rows_removed_after_they_were_listed_are_left_out(direct: Direct) -> None:
    _put(direct, "/a", "one")
    delta = run(direct.embeddings.delta("default", "e1", 0))
    run(direct.documents.remove(Selection(sources=("/a",))))
    _put(direct, "/b", "two")
    assert run(direct.embeddings.vectors(delta.added)) == ()


def test_a_second_embedder_fills_up_beside_the_first_and_replaces_it(direct: Direct) -> None:
    _put(direct, "/a", "one", "two")
    _put(direct, "/b", "three")
    assert run(direct.embeddings.count_missing("e2")) == 3
    (first,) = run(direct.embeddings.missing("e2", most=1))
    assert [text for _, text in first.chunks] == ["one", "two"]
    assert run(direct.embeddings.add(first.content, vectors_of("one", "two", embedder=OTHER)))
    assert not run(direct.embeddings.add(first.content, vectors_of("one", "two", embedder=OTHER)))
    assert run(direct.embeddings.state("default", "e2")).chunks == 2
    assert run(direct.embeddings.state("default", "e1")).chunks == 3
    (second,) = run(direct.embeddings.missing("e2", most=5, behind=first.content))
    run(direct.documents.remove(Selection(sources=("/b",))))
    assert not run(direct.embeddings.add(second.content, vectors_of("three", embedder=OTHER))), "gone by now"
    run(direct.embeddings.saved("default", "e1", IndexFile(file="f", sha256="0", generation=1)))
    assert run(direct.embeddings.keep_only("e2")) == ("f",)
    assert run(direct.embeddings.state("default", "e1")).chunks == 0
    held: dict[int, bytes] = {}
    _apply(direct, held, 0, by="e2")
    assert held == {1: vector("e2one"), 2: vector("e2two")}


def test_documents_without_vectors_are_to_be_embedded(direct: Direct) -> None:
    run(direct.documents.put(new("/a", "one"), pieces_of("one"), None))
    assert run(direct.embeddings.state("default", "e1")).chunks == 0
    (found,) = run(direct.embeddings.missing("e1", most=5))
    assert run(direct.embeddings.add(found.content, vectors_of("one")))
    held: dict[int, bytes] = {}
    _apply(direct, held, 1)
    assert held == {1: vector("e1one")}


def test_a_saved_index_lets_its_removals_be_forgotten(direct: Direct) -> None:
    _put(direct, "/a", "one")
    run(direct.documents.remove(Selection(sources=("/a",))))
    at = run(direct.embeddings.generation())
    _put(direct, "/b", "two")
    run(direct.embeddings.saved("default", "e1", IndexFile(file="f", sha256="abc", generation=at)))
    state = run(direct.embeddings.state("default", "e1"))
    assert state.file == IndexFile(file="f", sha256="abc", generation=at)
    assert state.floor == at
    assert run(direct.embeddings.delta("default", "e1", 0)).removed == ()
    run(direct.embeddings.unsaved("default", "e1"))
    assert run(direct.embeddings.state("default", "e1")).file is None


def test_removals_do_not_pile_up_without_end(direct: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "MOST_TOMBSTONES", 2)
    for n in range(3):
        _put(direct, "/a", f"text {n}")
    run(direct.embeddings.trim())
    assert run(direct.embeddings.state("default", "e1")).floor == 0
    _put(direct, "/a", "last")
    run(direct.embeddings.trim())
    state = run(direct.embeddings.state("default", "e1"))
    assert state.floor == state.generation
    assert run(direct.embeddings.delta("default", "e1", 0)).removed == ()


def test_an_embedder_does_not_change_its_dimensions(direct: Direct) -> None:
    _put(direct, "/a", "one")
    with pytest.raises(AssertionError):
        run(
            direct.documents.put(
                new("/b", "two"),
                pieces_of("two"),
                vectors_of("two", embedder=EmbedderIdentity(id="e1", name="x", dim=8)),
            )
        )
    assert run(direct.embeddings.collections()) == ("default",)
    assert EMBEDDER.dim == 4


_SOURCES = st.sampled_from(["/a", "/b", "/d/c"])
_COLLECTIONS = st.sampled_from(["default", "work"])
_TEXTS = st.lists(st.sampled_from(["one", "two", "three"]), max_size=3)


class Indexes(RuleBasedStateMachine):
    """However documents come and go, indexes that follow at times of their own end up with what the database has."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.store = DatabaseFiles(Path(self.folder.name), "WAL")
        self.store.open()
        self.direct = Direct(self.store)
        self.documents: dict[tuple[str, str], tuple[str, ...]] = {}
        self.held: dict[str, tuple[dict[int, bytes], int]] = {"default": ({}, 0), "work": ({}, 0)}

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @rule(collection=_COLLECTIONS, source=_SOURCES, texts=_TEXTS)
    def put(self, collection: str, source: str, texts: list[str]) -> None:
        _put(self.direct, source, *texts, collection=collection)
        self.documents[collection, source] = tuple(texts)

    @rule(collection=_COLLECTIONS, source=_SOURCES)
    def remove(self, collection: str, source: str) -> None:
        run(self.direct.documents.remove(Selection(collection=collection, sources=(source,))))
        self.documents.pop((collection, source), None)

    @rule(collection=_COLLECTIONS, save=st.booleans())
    def follow(self, collection: str, save: bool) -> None:
        held, at = self.held[collection]
        state = run(self.direct.embeddings.state(collection, "e1"))
        if at < state.floor:
            held, at = {}, 0
        at = _apply(self.direct, held, at, collection)
        self.held[collection] = held, at
        wanted = sorted(
            vector("e1" + text)
            for texts in {texts for (where, _), texts in self.documents.items() if where == collection}
            for text in texts
        )
        assert sorted(held.values()) == wanted
        assert state.chunks == len(wanted)
        if save:
            run(self.direct.embeddings.saved(collection, "e1", IndexFile(file="f", sha256="", generation=at)))

    @invariant()
    def words_are_indexed(self) -> None:
        if hasattr(self, "store"):
            check = "INSERT INTO chunks_fts (chunks_fts, rank) VALUES ('integrity-check', 1)"
            self.store.write(lambda db: db.execute(check))


TestIndexes = Indexes.TestCase
TestIndexes.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
