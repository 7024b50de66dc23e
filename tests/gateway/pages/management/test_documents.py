"""Documents as a page: what is found and stored is text to it, and files arrive as they were sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentgw.protocol.calls.documents import (
    DocumentDeleteParams,
    DocumentIngestParams,
    DocumentList,
    DocumentListParams,
    DocumentsDeleted,
    DocumentSearchParams,
    DocumentSearchResult,
    IngestFailure,
    IngestResult,
)
from agentgw.protocol.errors import ModelUnavailable
from agentgw.protocol.types import Chunk, Document
from agentgw_daemon.server.calls.request import Handler
from tests.gateway.harness import opened
from tests.gateway.pages.harness import EVIL, ORIGIN, Visitor, text_of

pytestmark = pytest.mark.anyio


class Documents:
    """`document.*` of these, and what was asked of them."""

    def __init__(self, *documents: Document, chunks: tuple[Chunk, ...] = (), cursor: str | None = None) -> None:
        self.searched: list[DocumentSearchParams] = []
        self.listed: list[DocumentListParams] = []
        self.deleted: list[DocumentDeleteParams] = []
        self.ingested: list[tuple[str | None, bytes]] = []
        self.error: Exception | None = None
        self.result = IngestResult(added=1, updated=0, unchanged=0, chunks=3)
        self._documents, self._chunks, self._next = documents, chunks, cursor

    def handlers(self) -> dict[str, Handler]:
        return {
            "document.list": self.list, "document.search": self.search, "document.delete": self.delete,
            "document.ingest": self.ingest,
        }  # fmt: skip

    def list(self, request: Any, params: DocumentListParams) -> DocumentList:
        self.listed.append(params)
        return DocumentList(documents=self._documents, next=self._next)

    def search(self, request: Any, params: DocumentSearchParams) -> DocumentSearchResult:
        if self.error is not None:
            raise self.error
        self.searched.append(params)
        return DocumentSearchResult(chunks=self._chunks)

    def delete(self, request: Any, params: DocumentDeleteParams) -> DocumentsDeleted:
        self.deleted.append(params)
        return DocumentsDeleted(documents=1, chunks=1)

    def ingest(self, request: Any, params: DocumentIngestParams) -> IngestResult:
        self.ingested.append((params.source, Path(params.paths[0]).read_bytes()))
        return self.result


def document(**more: Any) -> Document:
    values: dict[str, Any] = {
        "document_id": "d-1", "source": "/n/a.md", "collection": "default", "title": "Notes", "format": "markdown",
        "size_bytes": 1500, "chunks": 2, "sha256": "", "skills": (), "tags": (), "created_at": "2019-01-01T00:00:00Z",
        "updated_at": "2020-02-03T04:05:00Z",
    }  # fmt: skip
    return Document(**{**values, **more})


def chunk(**more: Any) -> Chunk:
    values: dict[str, Any] = {
        "document_id": "d-1", "source": "/n/a.md", "text": "the whole passage", "score": 1.0, "title_path": "Notes",
        "lines": (3, 5), "snippet": "a «match» here",
    }  # fmt: skip
    return Chunk(**{**values, **more})


async def test_what_is_stored_is_listed_with_its_size_and_a_question_before_it_goes() -> None:
    made_of = Documents(document(), cursor="cursor")
    async with opened(made_of.handlers()) as made:
        reply = await Visitor(made).get("/documents")
    text = text_of(reply)
    assert "/n/a.md" in text
    assert "markdown · 1.5 kB · 2 passages · 2020-02-03 04:05 UTC" in text
    assert "Yes, remove it" in text
    assert "before=cursor" in reply.body.decode()
    assert made_of.searched == []


async def test_without_documents_the_page_says_how_some_are_added() -> None:
    async with opened(Documents().handlers()) as made:
        visitor = Visitor(made)
        assert "There are no documents yet. Add files above" in text_of(await visitor.get("/documents"))
        assert "no document whose name has x" in text_of(await visitor.get("/documents?source=x"))


async def test_a_search_marks_its_matches_and_keeps_the_passage_at_hand() -> None:
    made_of = Documents(chunks=(chunk(also_in=("b.md",)),))
    async with opened(made_of.handlers()) as made:
        reply = await Visitor(made).get("/documents/found?q=match", HX_Request="true")
    assert made_of.searched == [DocumentSearchParams(query="match", k=10)]
    assert "a <mark>match</mark> here" in reply.body.decode()
    for words in ("the whole passage", "lines 3–5", "Also in b.md"):
        assert words in text_of(reply)


async def test_a_search_that_finds_nothing_says_so_and_none_searches_nothing() -> None:
    made_of = Documents()
    async with opened(made_of.handlers()) as made:
        visitor = Visitor(made)
        assert "Nothing fits" in text_of(await visitor.get("/documents?q=x"))
        assert "Nothing fits" not in text_of(await visitor.get("/documents?q=%20"))
    assert len(made_of.searched) == 1


async def test_stored_documents_are_found_by_words_of_their_names() -> None:
    made_of = Documents()
    async with opened(made_of.handlers()) as made:
        page = await Visitor(made).get("/documents?source=%22a%22+note")
    assert 'name="source" value="&#34;a&#34; note"' in page.body.decode()
    assert [params.source for params in made_of.listed] == ['"a" note']


async def test_nothing_of_a_document_is_read_as_html() -> None:
    evil_chunk = chunk(source=EVIL, text=EVIL, title_path=EVIL, snippet=f"«{EVIL}»{EVIL}", also_in=(EVIL,))
    made_of = Documents(
        document(source=EVIL, title=EVIL, format=EVIL, collection=EVIL, document_id=EVIL), chunks=(evil_chunk,)
    )
    made_of.result = IngestResult(
        added=0, updated=0, unchanged=0, chunks=0, failed=(IngestFailure(source=EVIL, reason=EVIL),)
    )
    async with opened(made_of.handlers()) as made:
        visitor = Visitor(made)
        pages = [
            await visitor.get("/documents?q=%3Cimg%20src%3E&source=%22%3E%3Cimg"),
            await upload(visitor, "%3Cimg%3E", b"x"),
        ]
    for one in pages:
        assert one.status == 200
        assert "<img" not in one.body.decode()
        assert 'onerror="' not in one.body.decode()


async def upload(visitor: Visitor, source: str, body: bytes, **headers: str) -> Any:
    kind = {"Content-Type": "application/octet-stream", "HX-Request": "true", "Origin": ORIGIN}
    kind["X-Form-Token"] = visitor.form_token
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return await visitor.client.ask(
        "POST", f"/documents/upload?source={source}", headers={**visitor.cookie, **kind, **more}, body=body
    )  # fmt: skip


async def test_a_file_is_stored_under_its_name_as_it_was_sent() -> None:
    made_of = Documents()
    async with opened(made_of.handlers()) as made:
        reply = await upload(Visitor(made), "my%20notes.md", b"\x00\xffbytes")
    assert made_of.ingested == [("my notes.md", b"\x00\xffbytes")]
    assert "my notes.md is added, 3 passages." in text_of(reply)


async def test_a_file_needs_our_origin_the_token_and_a_name() -> None:
    made_of = Documents()
    async with opened(made_of.handlers()) as made:
        assert (await upload(Visitor(made), "a.md", b"x", Origin="http://evil.com")).status == 403
        assert (await upload(Visitor(made), "a.md", b"x", X_Form_Token="guess")).status == 403
        assert (await upload(Visitor(made), "a.md", b"x", Content_Type="text/plain")).status == 415
        assert (await upload(Visitor(made), "", b"x")).status == 400
    assert made_of.ingested == []


async def test_the_one_document_that_a_form_names_is_removed() -> None:
    made_of = Documents(document())
    async with opened(made_of.handlers()) as made:
        visitor = Visitor(made)
        reply = await visitor.post("/documents/delete", {"document": "d-1"})
        assert (await visitor.post("/documents/delete", {})).status == 400
    assert (reply.status, reply.headers["location"]) == (303, "/documents")
    assert made_of.deleted == [DocumentDeleteParams(ids=("d-1",))]


async def test_without_an_embedder_the_page_says_what_is_missing_and_still_lists() -> None:
    made_of = Documents(document())
    made_of.error = ModelUnavailable("the embedder is not pulled", hint="run `agentgw pull`", model="e", reason="x")
    async with opened(made_of.handlers()) as made:
        reply = await Visitor(made).get("/documents?q=x")
    assert reply.status == 200
    assert "the embedder is not pulled. run <code>agentgw pull</code>" in reply.body.decode()
    assert "Nothing fits" not in text_of(reply)
    assert "/n/a.md" in text_of(reply)
