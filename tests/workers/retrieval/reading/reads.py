"""Reading documents in tests, and what holds for every one of them."""

from __future__ import annotations

import itertools
from pathlib import Path

from agentgw_daemon.workers.protocol.retrieval import DocumentChunk
from agentgw_daemon.workers.retrieval.reading.chunking.units import CHARS_PER_TOKEN
from agentgw_daemon.workers.retrieval.reading.reader import read
from agentgw_daemon.workers.retrieval.reading.values import CountTokens, DocumentSource, OpenedDocument, ReadingLimits
from tests.workers.retrieval.reading.counting import by_pieces


def read_bytes(
    folder: Path, name: str, data: bytes, *, limits: ReadingLimits | None = None, count: CountTokens = by_pieces
) -> tuple[OpenedDocument, list[DocumentChunk]]:
    """The document that a file of this name and content is."""
    path = folder / name
    path.write_bytes(data)
    return read_path(str(path), limits=limits, count=count)


def read_path(
    path: str, *, limits: ReadingLimits | None = None, count: CountTokens = by_pieces
) -> tuple[OpenedDocument, list[DocumentChunk]]:
    """The document of a file."""
    return taken(read(DocumentSource(path=path), limits or ReadingLimits(), count))


def read_text(
    name: str, text: str, *, limits: ReadingLimits | None = None, count: CountTokens = by_pieces
) -> tuple[OpenedDocument, list[DocumentChunk]]:
    """The document that a text of this name is."""
    return taken(read(DocumentSource(text=text, name=name), limits or ReadingLimits(), count))


def taken(document: object) -> tuple[OpenedDocument, list[DocumentChunk]]:
    """A document with all its pieces."""
    assert isinstance(document, OpenedDocument)
    return document, list(document.pieces)


def assert_sound(pieces: list[DocumentChunk], limits: ReadingLimits, count: CountTokens) -> None:
    """Checks what holds for chunks of any document."""
    for piece in pieces:
        assert piece.text.strip()
        assert [piece.tokens] == count([piece.text])
        assert piece.tokens <= limits.chunk_tokens or len(piece.text) == 1
        assert len(piece.text) <= limits.chunk_tokens * CHARS_PER_TOKEN
        assert piece.first_line + piece.text.count("\n") == piece.last_line
        assert piece.first_byte < piece.last_byte
    for before, after in itertools.pairwise(pieces):
        assert before.first_byte < after.first_byte
        assert before.last_byte < after.last_byte
        assert before.first_line <= after.first_line


def assert_covers(pieces: list[DocumentChunk], data: bytes, encoding: str = "utf-8") -> None:
    """The pieces are the file's own bytes, and every character of it that is not blank is in one."""
    end = at = 0
    line = 1
    for piece in pieces:
        assert data[piece.first_byte : piece.last_byte].decode(encoding) == piece.text
        assert is_blank(data[end : max(end, piece.first_byte)].decode(encoding))
        line += data[at : piece.first_byte].decode(encoding).count("\n")
        assert piece.first_line == line
        at, end = piece.first_byte, max(end, piece.last_byte)
    assert is_blank(data[end:].decode(encoding))


def is_blank(text: str) -> bool:
    """Tells whether nothing of a document is in it."""
    return not text.removeprefix("\ufeff").strip()
