"""Documents in the process that reads them: the role's handler here, and the real worker behind the facade."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import tokenizers
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from agentgw_daemon.retrieval.results import ExtractedDocument, UnchangedDocument, UnreadableDocument
from agentgw_daemon.retrieval.spec import RetrievalSettings
from agentgw_daemon.workers.protocol import codec
from agentgw_daemon.workers.protocol import retrieval as wire
from agentgw_daemon.workers.protocol.codec import ReplyPart, WorkerReply
from agentgw_daemon.workers.retrieval import reading_role
from agentgw_daemon.workers.retrieval.handlers import Handlers, Refusal
from tests.workers.retrieval.live import running
from tests.workers.retrieval.reading import archives
from tests.workers.retrieval.reading.formats.pdfs.pdf_files import encrypted, written


@pytest.fixture
def embedder(tmp_path_factory: pytest.TempPathFactory) -> wire.Embedder:
    """One whose tokens are words and marks."""
    folder = tmp_path_factory.mktemp("embedder")
    tokenizer = tokenizers.Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return wire.Embedder(name="words", id="words-1", dim=8, max_tokens=256, folder=str(folder))


class Task:
    """A request that keeps what it is sent."""

    def __init__(self) -> None:
        self.parts: list[ReplyPart] = []
        self.cancelled = False

    def emit(self, part: ReplyPart) -> None:
        self.parts.append(part)


Ask = Callable[..., tuple[WorkerReply, Task]]


@pytest.fixture
def ask(embedder: wire.Embedder) -> Ask:
    """Asks the role to read."""
    handlers = Handlers()
    reading_role.add_to(handlers)

    def read(task: Task | None = None, **given: object) -> tuple[WorkerReply, Task]:
        task = task or Task()
        request = {"chunk_tokens": 40, "overlap_tokens": 5, "max_bytes": 64 << 20, "max_chunks": 10_000} | given
        return handlers.answer(wire.Read(embedder=embedder, **request), task), task  # type: ignore[arg-type]

    return read


def test_pieces_come_in_parts_and_the_reply_at_the_end(ask: Ask) -> None:
    reply, task = ask(text="# Words\n\n" + "One two three. " * 1000, name="a.md")
    assert isinstance(reply, wire.Extracted)
    assert (reply.format, reply.title, reply.note) == ("markdown", "Words", "")
    assert len(task.parts) > 1
    pieces = [piece for part in task.parts if isinstance(part, wire.Pieces) for piece in part.pieces]
    assert pieces[0].text.startswith("# Words")
    assert all(0 < piece.tokens <= 40 for piece in pieces)
    assert [codec.decode(codec.encode(1, part)) for part in task.parts] == [(1, part) for part in task.parts]


def test_a_cancelled_request_ends_between_two_parts(ask: Ask) -> None:
    task = Task()
    task.cancelled = True
    with pytest.raises(Refusal) as refused:
        ask(task, text="One two three. " * 10_000, name="a.txt")
    assert refused.value.kind == "cancelled"
    assert task.parts == []


@pytest.mark.usefixtures("no_collections")
def test_a_document_that_takes_too_long_is_unreadable(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_role, "TIME_S", 0.05)
    with pytest.raises(Refusal, match="takes more than 0 s to read") as refused:
        ask(text="One two three. " * 1_000_000, name="a.txt")
    assert refused.value.kind == "unreadable"
    monkeypatch.undo()
    assert isinstance(ask(text="Next.", name="a.txt")[0], wire.Extracted)


def test_a_document_that_takes_too_much_memory_is_unreadable(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(text="First.", name="a.md")  # so that what is imported does not count
    monkeypatch.setattr(reading_role, "MEMORY_BYTES", 64 << 20)
    with pytest.raises(Refusal, match="takes too much memory to read") as refused:
        ask(text="# h\n" * 1_000_000, name="a.md")
    assert refused.value.kind == "unreadable"
    assert isinstance(ask(text="Next.", name="a.txt")[0], wire.Extracted)


def test_chunks_that_are_too_small_are_no_fault_of_the_document(ask: Ask) -> None:
    with pytest.raises(Refusal) as refused:
        ask(text="x", name="a", chunk_tokens=1)
    assert refused.value.kind == "invalid"


@pytest.mark.anyio
async def test_the_real_worker_reads_each_kind_and_outlives_what_it_cannot_read(
    tmp_path: Path, embedder: wire.Embedder
) -> None:
    async def resolve() -> wire.Embedder:
        return embedder

    odd = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.md")
    with open(odd, "w", encoding="utf-8") as file:
        file.write("# Odd\n\nName.")
    good = {
        "a.pdf": written("In a PDF."),
        "a.docx": archives.docx(archives.paragraph("In a document.")),
        "a.epub": archives.epub({"c.xhtml": "<html><body><p>In a book.</p></body></html>"}),
        "a.html": b"<p>On a page.",
    }
    bad = {
        "locked.pdf": (encrypted(written("Secret."), "password", "AES-256"), "is encrypted: it needs a password"),
        "broken.pdf": (b"%PDF-1.7 broken", "is a damaged PDF"),
        "bomb.docx": (archives.docx("<w:p/>" * 2_000_000), "is packed out of all proportion, as only a ZIP bomb is"),
        "junk": (bytes(range(256)) * 100, "is binary data, not text"),
    }
    os.mkfifo(tmp_path / "pipe")
    with open(tmp_path / "sparse", "wb") as sparse:
        sparse.truncate(4 << 30)
    async with running(RetrievalSettings(), resolve) as retrieval:

        async def text_of(path: str) -> str:
            found = await retrieval.read(path, chunk_tokens=100)
            assert isinstance(found, ExtractedDocument)
            return "".join(piece.text for piece in found.pieces)

        assert await text_of(odd) == "# Odd\n\nName."
        [worker] = retrieval.workers()
        for name, data in good.items():
            (tmp_path / name).write_bytes(data)
            assert (await text_of(str(tmp_path / name))).startswith(("In a", "On a"))
        for name, (data, reason) in bad.items():
            (tmp_path / name).write_bytes(data)
            assert await _refusal(text_of(str(tmp_path / name))) == reason
        assert await _refusal(text_of(str(tmp_path / "pipe"))) == "is a pipe, not a file"
        assert await _refusal(text_of(str(tmp_path / "sparse"))) == "is too large: 4,295 MB; up to 268 MB are read"
        again = await retrieval.read(odd, chunk_tokens=100)
        assert isinstance(again, ExtractedDocument)
        assert isinstance(await retrieval.read(odd, known_sha256=again.sha256, chunk_tokens=100), UnchangedDocument)
        assert [one.pid for one in retrieval.workers()] == [worker.pid]


async def _refusal(read: Awaitable[str]) -> str:
    with pytest.raises(UnreadableDocument) as refused:
        await read
    return str(refused.value)
