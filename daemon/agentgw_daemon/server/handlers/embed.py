"""`embed`: texts to vectors."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from agentgw.protocol.calls.embeddings import EmbedParams, EmbedResult
from agentgw.protocol.errors import InvalidParams

if TYPE_CHECKING:
    from agentgw_daemon.server.calls.request import Handler, RequestContext

# Some eleven bytes of JSON each: a result fits in one message.
MAX_NUMBERS: Final = 64 << 10
# Finer than what the engines differ by, and half as long as what Python writes of a 32-bit number.
_DECIMALS: Final = 7


async def embed(request: RequestContext, params: EmbedParams) -> EmbedResult:
    """Embeds a few texts at once, many by the faster engine."""
    retrieval = request.services.retrieval
    embedder = await retrieval.embedder()
    most = MAX_NUMBERS // embedder.dim
    if len(params.texts) > most:
        reason = f"{embedder.name} has {embedder.dim} dimensions: at most {most} texts at a time"
        raise InvalidParams(reason, hint="send them in several requests", path="texts", reason=reason)
    vectors = await retrieval.embed(params.texts, purpose="query", embedder=embedder, kind=params.purpose)
    form = struct.Struct(f"<{embedder.dim}f")
    return EmbedResult(
        embeddings=tuple(tuple(round(x, _DECIMALS) for x in form.unpack(vector)) for vector in vectors),
        model=embedder.name, dim=embedder.dim,
    )  # fmt: skip


HANDLERS: dict[str, Handler] = {"embed": embed}
