"""Results of reading a document and of asking the index, as the daemon's other parts see them. Values and errors
only.
"""

from __future__ import annotations

from agentgw.protocol.records.schema import record
from agentgw_daemon.workers.protocol.retrieval import DocumentChunk


@record
class ExtractedDocument:
    """A document that was read; `sha256` is that of its bytes; `note` says what was not read as it stands."""

    format: str
    title: str
    sha256: str
    size_bytes: int
    mtime_ns: int
    pieces: tuple[DocumentChunk, ...]
    note: str = ""


@record
class UnchangedDocument:
    """A document whose bytes are known already; nothing was parsed."""

    sha256: str
    size_bytes: int
    mtime_ns: int


class UnreadableDocument(Exception):
    """One document cannot be read; the text says why, for a person, without the document's name."""


class IndexFailed(Exception):
    """The vector index cannot do this as it is; the text says why. It is a cache: it can be made again."""
