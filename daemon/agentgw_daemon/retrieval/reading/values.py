"""What goes into reading a document and what comes out. Standard library only, does no I/O."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Final

# Of a format's parser; a scan of a thousand pages is larger, but text to embed for half an hour fits.
MAX_BYTES: Final = 64 << 20
# all-MiniLM-L6-v2 looks at 256 tokens, two of them its own; the rest is left for the title path.
CHUNK_TOKENS: Final = 200
OVERLAP_TOKENS: Final = 30
# Below this a chunk cannot hold one character of a byte-level tokenizer with certainty.
MIN_CHUNK_TOKENS: Final = 8
# 64 MB of English; also what ends a document that was made to produce chunks for ever.
MAX_CHUNKS: Final = 100_000

# How many tokens of the embedder each text has, its special tokens aside.
CountTokens = Callable[[Sequence[str]], list[int]]


class Unreadable(Exception):
    """A document cannot be read; the text is the reason, in words for its owner, without the document's name."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file by its path (as `os.fsdecode` gives it: any name works), or a text whose name's ending tells its format.

    When the bytes hash to `known_sha256`, they are not parsed again.
    """

    path: str = ""
    text: str | None = None
    name: str = ""
    known_sha256: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is read, and how large chunks are in tokens: at most `chunk_tokens` each, always."""

    max_bytes: int = MAX_BYTES
    chunk_tokens: int = CHUNK_TOKENS
    overlap_tokens: int = OVERLAP_TOKENS
    max_chunks: int = MAX_CHUNKS


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One chunk. Lines count from 1, both ends included; bytes from 0, the end excluded.

    Of a text format they are the file's own: `data[first_byte:last_byte]` decodes to the text. Of a format whose text
    had to be extracted (`Document.extracted`) they count in the UTF-8 of that text.
    """

    text: str
    title_path: str  # " > " between the headings
    first_line: int
    last_line: int
    first_byte: int
    last_byte: int
    tokens: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An opened document. Its pieces are made while they are taken, which may still raise Unreadable.

    `notes` says for a person what was not read as it stands; it is complete once the pieces are.
    """

    format: str
    title: str
    sha256: str
    size_bytes: int
    mtime_ns: int
    extracted: bool
    pieces: Iterator[Piece]
    notes: list[str]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Unchanged:
    """The bytes are those of `Source.known_sha256`."""

    sha256: str
    size_bytes: int
    mtime_ns: int
