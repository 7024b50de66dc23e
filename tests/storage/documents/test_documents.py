from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agentgw.protocol.errors import InvalidParams, NotFound
from agentgw_daemon.storage.documents.documents import Removed, StoredDocument
from agentgw_daemon.storage.documents.selection import Filter, Selection
from agentgw_daemon.storage.file.store import DatabaseFiles
from agentgw_daemon.storage.sqlite.library import sqlite_utils
from tests.storage.direct import Direct, InTransaction, run
from tests.storage.papers import EMBEDDER, new, pieces_of, vectors_of


@pytest.fixture
def direct(tmp_path: Path) -> Iterator[Direct]:
    store = DatabaseFiles(tmp_path / "data", "WAL")
    store.open()
    yield Direct(store)
    # The database that a test leaves must be whole.
    assert _loose_ends(store) == []
    store.close()


def _loose_ends(store: DatabaseFiles) -> list[str]:
    checks = {
        "chunks of no content": "SELECT n FROM chunks WHERE content NOT IN (SELECT n FROM contents)",
        "contents of no document": "SELECT n FROM contents WHERE n NOT IN (SELECT content FROM documents)",
        "members without a document": "SELECT 1 FROM members AS m WHERE NOT EXISTS (SELECT 1 FROM documents AS d"
        " WHERE d.collection = m.collection AND d.content = m.content)",
        "documents of no member": "SELECT 1 FROM documents AS d WHERE NOT EXISTS (SELECT 1 FROM members AS m"
        " WHERE d.collection = m.collection AND d.content = m.content)",
        "vectors of no embedding": "SELECT 1 FROM vectors AS v WHERE NOT EXISTS (SELECT 1 FROM embeddings AS e"
        " WHERE e.embedder = v.embedder AND e.content = v.content)",
        "broken references": "SELECT * FROM pragma_foreign_key_check",
    }
    found = [name for name, sql in checks.items() if store.read(lambda db, s=sql: db.execute(s).fetchall())]  # type: ignore[misc]  # bound default
    store.write(lambda db: db.execute("INSERT INTO chunks_fts (chunks_fts, rank) VALUES ('integrity-check', 1)"))
    return found


def _put(direct: Direct, source: str, *texts: str, **fields: object) -> StoredDocument:
    return run(direct.documents.put(new(source, *texts, **fields), pieces_of(*texts), vectors_of(*texts)))


def _count(direct: Direct, table: str) -> int:
    return int(direct.store.read(lambda db: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]))


def test_a_document_is_added_then_unchanged_then_updated(direct: Direct) -> None:
    first = _put(direct, "/a.txt", "one", "two")
    assert (first.state, first.chunks) == ("added", 2)
    assert _put(direct, "/a.txt", "one", "two") == StoredDocument(
        document_id=first.document_id, state="unchanged", chunks=2
    )
    again = _put(direct, "/a.txt", "one", "three", "four")
    assert again == StoredDocument(document_id=first.document_id, state="updated", chunks=3)
    assert _count(direct, "chunks") == 3


def test_the_number_of_a_chunk_is_never_given_again(direct: Direct) -> None:
    _put(direct, "/a.txt", "one", "two")
    run(direct.documents.remove(Selection(sources=("/a.txt",))))
    _put(direct, "/a.txt", "one", "two")
    assert direct.store.read(lambda db: [row[0] for row in db.execute("SELECT n FROM chunks ORDER BY n")]) == [3, 4]


def test_the_same_content_is_stored_once_however_many_hold_it(direct: Direct) -> None:
    _put(direct, "/a.txt", "same", "words")
    linked = run(direct.documents.link(new("/b.txt", "same", "words", collection="work")))
    assert linked is not None
    assert linked.state == "added"
    assert run(direct.documents.link(new("/c.txt", "other"))) is None
    assert (_count(direct, "documents"), _count(direct, "chunks"), _count(direct, "vectors")) == (2, 2, 1)
    assert run(direct.documents.remove(Selection(sources=("/a.txt",)))) == Removed(documents=1, chunks=2)
    assert _count(direct, "chunks") == 2
    assert run(direct.documents.remove(Selection(collection="work"))) == Removed(documents=1, chunks=2)
    assert (_count(direct, "contents"), _count(direct, "chunks"), _count(direct, "vectors")) == (0, 0, 0)


def test_of_very_many_that_hold_a_chunk_the_first_hundred_are_named(direct: Direct) -> None:
    def put(db: sqlite_utils.Database) -> None:
        documents = InTransaction(db).documents
        for n in range(120):
            run(documents.put(new(f"/{n:03}", "licence"), pieces_of("licence"), None))

    direct.store.write(put)
    (row,) = run(direct.chunks.read([1], Filter()))
    assert [held.source for held in row.held_by] == [f"/{n:03}" for n in range(100)]


def test_content_cut_in_another_way_is_another_content(direct: Direct) -> None:
    _put(direct, "/a.txt", "one", "two")
    assert _put(direct, "/a.txt", "one", "two", chunking="other").state == "updated"
    assert _count(direct, "chunks") == 2


def test_a_document_whose_labels_change_keeps_its_chunks(direct: Direct) -> None:
    _put(direct, "/a.txt", "one")
    assert _put(direct, "/a.txt", "one", skills=("code_assistant",), tags=(" b ", "a", "a")).state == "updated"
    (document,) = run(direct.documents.list(Selection())).documents
    assert (document.skills, document.tags) == (("code-assistant",), ("a", "b"))
    assert direct.store.read(lambda db: db.execute("SELECT n FROM chunks").fetchall()) == [(1,)]


def test_one_file_in_two_collections_is_removed_from_both_at_once(direct: Direct) -> None:
    _put(direct, "/a.txt", "same")
    _put(direct, "/a.txt", "same", collection="work")
    wanted = Selection(sources=("/a.txt",))
    assert run(direct.documents.remove(wanted, dry_run=True)) == Removed(documents=2, chunks=2)
    assert run(direct.documents.remove(wanted)) == Removed(documents=2, chunks=2)
    assert _count(direct, "tombstones") == 2


def test_chunks_that_another_document_still_holds_are_not_counted_as_removed(direct: Direct) -> None:
    _put(direct, "/a.txt", "same")
    _put(direct, "/b.txt", "same")
    wanted = Selection(sources=("/a.txt",))
    assert run(direct.documents.remove(wanted, dry_run=True)) == Removed(documents=1, chunks=0)
    assert run(direct.documents.remove(wanted)) == Removed(documents=1, chunks=0)
    assert run(direct.documents.remove(wanted)) == Removed(documents=0, chunks=0)


def test_names_that_are_no_utf8_are_kept_and_shown(direct: Direct) -> None:
    source = b"/caf\xe9/x.txt".decode("utf-8", "surrogateescape")
    _put(direct, source, "one")
    assert list(run(direct.documents.known("default", [source, "/other"]))) == [source]
    assert list(run(direct.documents.below("default", source.removesuffix("/x.txt")))) == [source]
    (document,) = run(direct.documents.list(Selection())).documents
    assert document.source == "/caf\\xe9/x.txt"
    assert run(direct.documents.remove(Selection(sources=(document.source,)))).documents == 1


def test_what_is_known_of_a_source_says_when_it_was_seen_and_how_it_was_cut(direct: Direct) -> None:
    stored = _put(direct, "/a.txt", "one", mtime_ns=5, root="/", skills=("s",), tags=("t",))
    run(direct.documents.touch("default", {"/a.txt": (77, 99), "/none": (1, 1)}))
    known = run(direct.documents.known("default", ["/a.txt"]))["/a.txt"]
    assert (known.document_id, known.size_bytes, known.mtime_ns, known.root) == (stored.document_id, 77, 99, "/")
    assert (known.chunking, known.chunks, known.skills, known.tags) == ("lines", 1, ("s",), ("t",))
    assert run(direct.documents.known("other", ["/a.txt"])) == {}


def test_many_sources_can_be_asked_for_at_once(direct: Direct) -> None:
    _put(direct, "/1234.txt", "one")
    assert list(run(direct.documents.known("default", [f"/{n}.txt" for n in range(3000)]))) == ["/1234.txt"]


def test_only_what_lies_below_a_folder_is_below_it(direct: Direct) -> None:
    for source in ("/d/a", "/d/e/b", "/d", "/d.txt", "/d-more/c", "/e"):
        _put(direct, source, source)
    assert set(run(direct.documents.below("default", "/d"))) == {"/d/a", "/d/e/b"}
    assert set(run(direct.documents.below("default", "/d/"))) == {"/d/a", "/d/e/b"}
    assert len(run(direct.documents.below("default", "/"))) == 6
    assert run(direct.documents.remove(Selection(sources=("/d",)))).documents == 3


def test_a_listing_has_pages_and_filters(direct: Direct) -> None:
    for n in range(7):
        _put(direct, f"/Notes/{n}.md", f"text {n}", tags=("odd",) if n % 2 else (), skills=("s",) if n == 3 else ())
    _put(direct, "/other.md", "text", collection="work")
    page = run(direct.documents.list(Selection(), limit=5))
    rest = run(direct.documents.list(Selection(), limit=5, before=page.next))
    assert page.next is not None
    assert rest.next is None
    sources = [document.source for document in (*page.documents, *rest.documents)]
    assert sources == ["/other.md", *(f"/Notes/{n}.md" for n in reversed(range(7)))]

    def found(**fields: object) -> list[str]:
        listed = run(direct.documents.list(Selection(**fields))).documents  # type: ignore[arg-type]  # fields by name
        return [document.source for document in listed]

    assert found(collection="work") == ["/other.md"]
    assert found(collection="none") == []
    assert found(tags=("odd", "x")) == ["/Notes/5.md", "/Notes/3.md", "/Notes/1.md"]
    assert found(skills=("s",), tags=("odd",)) == ["/Notes/3.md"]
    assert found(text="notes/4") == ["/Notes/4.md"]
    assert found(text="%") == []


def test_documents_are_named_by_the_beginning_of_their_id(direct: Direct) -> None:
    stored = _put(direct, "/a.txt", "one")
    assert run(direct.documents.remove(Selection(ids=(stored.document_id[:-1],)))).documents == 1
    with pytest.raises(NotFound, match="no document"):
        run(direct.documents.remove(Selection(ids=(stored.document_id,))))


def test_a_made_up_page_is_refused(direct: Direct) -> None:
    with pytest.raises(InvalidParams):
        run(direct.documents.list(Selection(), before="nonsense"))


def test_a_document_without_chunks_is_kept(direct: Direct) -> None:
    assert _put(direct, "/empty").chunks == 0
    assert _put(direct, "/a", "one").chunks == 1
    assert run(direct.documents.remove(Selection(sources=("/empty",)))) == Removed(documents=1, chunks=0)


def test_a_put_that_fails_leaves_everything_as_it_was(direct: Direct) -> None:
    _put(direct, "/a.txt", "one")
    before = direct.store.read(lambda db: list(db.conn.iterdump()))
    with pytest.raises(AssertionError):
        run(direct.documents.put(new("/a.txt", "x", "y"), pieces_of("x", "y"), vectors_of("x")))
    assert direct.store.read(lambda db: list(db.conn.iterdump())) == before


def test_labels_are_replaced_alone_or_together(direct: Direct) -> None:
    for source in ("/a", "/b"):
        _put(direct, source, "one", skills=("s",), tags=("t",))
    generation = run(direct.embeddings.generation())
    run(direct.documents.relabel("default", ["/a", "/none"], ("Code_Assistant", "s"), None))
    run(direct.documents.relabel("default", ["/b"], None, ()))
    run(direct.documents.relabel("other", ["/a"], (), ()))
    known = run(direct.documents.known("default", ["/a", "/b"]))
    assert (known["/a"].skills, known["/a"].tags) == (("code-assistant", "s"), ("t",))
    assert (known["/b"].skills, known["/b"].tags) == (("s",), ())
    # What a filter lets through is another, and every vector where it was.
    assert run(direct.embeddings.generation()) > generation
    delta = run(direct.embeddings.delta("default", EMBEDDER.id, generation))
    assert (delta.added, delta.removed) == ((), ())
