"""Texts as vectors: `embed`."""

from __future__ import annotations

from typing import Annotated, Literal

from agentgw.protocol.records.schema import Limit, record


@record
class EmbedParams:
    """Texts to turn into vectors."""

    texts: Annotated[tuple[str, ...], "each is cut to the embedder's window", Limit(min_length=1, max_length=256)]
    purpose: Annotated[
        Literal["query", "document"], "which of the embedder's prompts, if it has any, is put before each text"
    ] = "query"


@record
class EmbedResult:
    """One vector of unit length a text, in their order."""

    embeddings: tuple[tuple[float, ...], ...]
    model: str
    dim: int
