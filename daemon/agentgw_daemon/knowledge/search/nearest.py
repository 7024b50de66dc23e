"""Finding chunks by meaning: with which embedder, in which indexes, and what stands in the way."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Final

from agentgw.protocol.errors import ModelUnavailable, NotFound, Overloaded, RpcError, Timeout, WorkerDied
from agentgw.protocol.records.schema import record
from agentgw_daemon.retrieval.results import IndexFailed
from agentgw_daemon.storage.documents.generations import EmbedderIdentity
from agentgw_daemon.storage.documents.visible import Allowed
from agentgw_daemon.workers.protocol import retrieval as wire

if TYPE_CHECKING:
    from agentgw_daemon.knowledge.search.indexing import Indexing
    from agentgw_daemon.storage.documents.chunks import Scope
    from agentgw_daemon.workers.protocol.index import IndexFound

# Failures that keep one search from its vectors; words still find something, and that is worth more than an error.
_PASSING: Final = (WorkerDied, Timeout, Overloaded, IndexFailed)


@record
class EmbedderChoice:
    """Embedder of a query, or the reason why it has none."""

    embedder: wire.Embedder | None
    notice: str | None = None


@record
class Nearest:
    """Chunks by similarity (cosine), the best first; `vector` is the query's. `lost`: there was nothing to compare
    with.
    """

    similarities: Mapping[int, float] = field(default_factory=dict)
    vector: bytes = b""
    notice: str | None = None
    lost: bool = False

    @property
    def numbers(self) -> tuple[int, ...]:
        """The chunks."""
        return tuple(self.similarities)


async def choose(
    scope: Scope,
    configured: Callable[[], Awaitable[wire.Embedder]],
    by_name: Callable[[str], Awaitable[wire.Embedder]],
) -> EmbedderChoice:
    """The embedder that made the most vectors here, be it the configured one or the one before it.

    Raises ModelUnavailable when there is none and nothing to search either.
    """
    try:
        wanted = await configured()
    except (ModelUnavailable, NotFound) as error:
        if not scope.collections:
            raise
        first = await _earlier(scope, by_name)
        text = f"{error.message}. {error.hint}" if error.hint else error.message
        return EmbedderChoice(embedder=first, notice=None if first else f"only words were searched: {text}")
    if not scope.embedders:
        said = "only words were searched: no document has a vector" if scope.collections else None
        return EmbedderChoice(embedder=None, notice=said)
    if scope.embedders[0].id == wanted.id:
        return _of(wanted, scope)
    earlier = await _earlier(scope, by_name)
    if earlier is not None:
        return _of(earlier, scope)
    if any(one.id == wanted.id for one in scope.embedders):
        return _of(wanted, scope)
    names = f"{scope.embedders[0].name}, not of {wanted.name}"
    return EmbedderChoice(embedder=None, notice=f"only words were searched: the documents have vectors of {names}")


def _of(embedder: wire.Embedder, scope: Scope) -> EmbedderChoice:
    """The choice of an embedder that made vectors. What another one made has none of it, and that is told."""
    if embedder.id not in scope.partial:
        return EmbedderChoice(embedder=embedder)
    return EmbedderChoice(embedder=embedder, notice=f"not all documents have vectors of {embedder.name} yet")


async def _earlier(scope: Scope, by_name: Callable[[str], Awaitable[wire.Embedder]]) -> wire.Embedder | None:
    """The embedder of most vectors, if it is still what it was. Its prompt before documents may be another by now:
    that changes nothing of a query's vector.
    """
    if not scope.embedders:
        return None
    first = scope.embedders[0]
    try:
        found = await by_name(first.name)
    except RpcError:
        return None
    return dataclasses.replace(found, id=first.id) if wire.bare_id(found.id) == wire.bare_id(first.id) else None


async def nearest(
    indexing: Indexing, scope: Scope, embedder: wire.Embedder, query: str, vector: bytes, depth: int
) -> Nearest:
    """The chunks nearest to a query in all collections of the scope. `vector`: the query's, if it is known already."""
    made = EmbedderIdentity(id=embedder.id, name=embedder.name, dim=embedder.dim)
    best: list[tuple[float, int]] = []
    complete = True
    try:
        for collection, allowed in scope.collections.items():
            found, whole = await indexing.search(
                collection, made, generation=scope.generation, k=depth, allowed=allowed,
                query=vector or (embedder, query),
            )  # fmt: skip
            vector, complete = found.vector, complete and whole
            best += _pairs(found)
    except _PASSING as error:
        return Nearest(notice=f"only words were searched: {error}")
    if vector and not any(vector):
        # No direction at all: its tokens are unknown to the embedder.
        return Nearest(vector=vector, notice=f"only words were searched: {embedder.name} does not know this script")
    if not best and complete:
        text = f"only words were searched: none of the documents has a vector of {embedder.name}"
        return Nearest(vector=vector, notice=text, lost=True)
    # A content in several collections is found in each.
    ordered = {n: score for score, n in sorted(best, key=lambda pair: (-pair[0], pair[1]))}
    notice = None if complete else "the vector index is being built: words were searched everywhere, meaning not yet"
    return Nearest(similarities=dict(list(ordered.items())[:depth]), vector=vector, notice=notice)


async def similarities_of(
    indexing: Indexing, scope: Scope, embedder: wire.Embedder, vector: bytes, numbers: Sequence[int]
) -> dict[int, float]:
    """The similarities of chunks that were found in another way; of none when they cannot be had."""
    made = EmbedderIdentity(id=embedder.id, name=embedder.name, dim=embedder.dim)
    near: dict[int, float] = {}
    try:
        for collection, allowed in scope.collections.items():
            some = Allowed([(n, 1) for n in sorted(numbers) if n in allowed and n not in near])
            if len(some):
                found, _ = await indexing.search(
                    collection, made, generation=scope.generation, k=len(some), allowed=some, query=vector
                )
                near |= {n: score for score, n in _pairs(found)}
    except _PASSING:
        return {}
    return near


def _pairs(found: IndexFound) -> list[tuple[float, int]]:
    count = len(found.scores) // 4
    scores, labels = struct.unpack(f"<{count}f", found.scores), struct.unpack(f"<{count}q", found.labels)
    return list(zip(scores, labels, strict=True))
