"""Values that go into reading a document and come out of it. Standard library only, does no I/O."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from agentgw_daemon.workers.protocol.retrieval import DocumentChunk
from agentgw_daemon.workers.retrieval.reading.characters import in_one_line

# A book with its pictures; of text there is a limit of its own.
MAX_BYTES: Final = 256 << 20
# all-MiniLM-L6-v2 looks at 256 tokens, two of them its own; the rest is left for the title path.
CHUNK_TOKENS: Final = 200
OVERLAP_TOKENS: Final = 30
# Below this a chunk cannot hold one character of a byte-level tokenizer with certainty.
MIN_CHUNK_TOKENS: Final = 8
# 64 MB of English; also what ends a document that was made to produce chunks for ever.
MAX_CHUNKS: Final = 100_000

_MAX_TITLE_CHARS: Final = 200
# Of all notes together: some hundred, of a document that was made to have as many as parts.
_MAX_NOTE_CHARS: Final = 4000

# The number of the embedder's tokens in each text, its special tokens aside.
CountTokens = Callable[[Sequence[str]], list[int]]


class Unreadable(Exception):
    """A document cannot be read; the text is the reason, in words for its owner, without the document's name."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSource:
    """A file by its path (as `os.fsdecode` gives it: any name works), or a text whose name's ending tells its format.

    When the bytes hash to `known_sha256`, they are not parsed again.
    """

    path: str = ""
    text: str | None = None
    name: str = ""
    known_sha256: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReadingLimits:
    """Bounds of reading, and the size of chunks in tokens: at most `chunk_tokens` each, always."""

    max_bytes: int = MAX_BYTES
    chunk_tokens: int = CHUNK_TOKENS
    overlap_tokens: int = OVERLAP_TOKENS
    max_chunks: int = MAX_CHUNKS


@dataclasses.dataclass(slots=True)
class ParserNotes:
    """Things that a parser learns on its way: the title, and notes for a person on what was not read as it
    stands.
    """

    title: str = ""
    notes: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OpenedDocument:
    """An opened document. Its pieces are made while they are taken, which may still raise Unreadable.

    Lines and bytes of a piece are the file's own: these bytes of the file decode to its text. Of a document whose text
    had to be `extracted` they count in the UTF-8 of that text. `parser_notes` is complete once the pieces are.
    """

    format: str
    name: str
    sha256: str
    size_bytes: int
    mtime_ns: int
    extracted: bool
    pieces: Iterator[DocumentChunk]
    parser_notes: ParserNotes

    @property
    def title(self) -> str:
        """The title that the document gives itself, or its name."""
        return in_one_line(self.parser_notes.title or self.name, _MAX_TITLE_CHARS)

    @property
    def note(self) -> str:
        """The notes in one line, each once."""
        return in_one_line("; ".join(dict.fromkeys(self.parser_notes.notes)), _MAX_NOTE_CHARS)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UnchangedBytes:
    """The bytes are those of `DocumentSource.known_sha256`."""

    sha256: str
    size_bytes: int
    mtime_ns: int
