"""Documents for tests: their pieces, and vectors that can be told apart."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

from agentgw_daemon.storage.documents.contents import Vectors
from agentgw_daemon.storage.documents.documents import NewDocument
from agentgw_daemon.storage.documents.generations import EmbedderIdentity

DIM = 4
EMBEDDER = EmbedderIdentity(id="e1", name="test", dim=DIM)
OTHER = EmbedderIdentity(id="e2", name="other", dim=DIM)


@dataclasses.dataclass(frozen=True)
class Paper:
    """A piece, as the reader makes it."""

    text: str
    title_path: str = ""
    first_line: int = 1
    last_line: int = 1
    first_byte: int = 0
    last_byte: int = 0
    tokens: int = 1


def pieces_of(*texts: str) -> list[Paper]:
    return [Paper(text, first_line=n, last_line=n) for n, text in enumerate(texts, 1)]


def vector(text: str) -> bytes:
    """A vector that no other text has."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[: DIM * 4]


def vectors_of(*texts: str, embedder: EmbedderIdentity = EMBEDDER) -> Vectors:
    return Vectors(embedder=embedder, rows=[vector(embedder.id + text) for text in texts])


def new(source: str, *texts: str, **fields: Any) -> NewDocument:
    """A document whose bytes are these texts."""
    content = "\n".join(texts)
    values: dict[str, Any] = {
        "sha256": hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest(), "chunking": "lines",
        "title": "", "format": "text", "size_bytes": len(content),
    } | fields  # fmt: skip
    return NewDocument(source=source, **values)


def split(blob: bytes) -> Sequence[bytes]:
    """The vectors in a row."""
    return [blob[at : at + DIM * 4] for at in range(0, len(blob), DIM * 4)]
