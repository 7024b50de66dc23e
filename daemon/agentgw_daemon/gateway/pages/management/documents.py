"""Documents as a page: search with marked matches, files sent with progress, and what is stored, to be removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentgw.protocol.calls.documents import (
    DocumentDeleteParams,
    DocumentIngestParams,
    DocumentListParams,
    DocumentSearchParams,
)
from agentgw.protocol.errors import ModelUnavailable
from agentgw.protocol.records.schema import bind
from agentgw_daemon.gateway.api.upload import received
from agentgw_daemon.gateway.pages.query import query_of
from agentgw_daemon.gateway.pages.rendering.marking import marked
from agentgw_daemon.gateway.pages.rendering.templates import fragment, moved, page
from agentgw_daemon.gateway.routing.routes import Route

if TYPE_CHECKING:
    from agentgw_daemon.gateway.http.messages import HttpAnswer
    from agentgw_daemon.gateway.routing.exchange import Exchange

_PATH: Final = "/documents"
_SHOWN_CHUNKS: Final = 10
_SHOWN_DOCUMENTS: Final = 50
_MOST_QUERY_CHARS: Final = 1000


async def documents(exchange: Exchange) -> HttpAnswer:
    """The page."""
    return await page(exchange, "documents.html", **await _found(exchange), **await _stored(exchange))


async def search(exchange: Exchange) -> HttpAnswer:
    """Passages that a search finds, for the page that is open."""
    return await fragment(exchange, "documents_found.html", **await _found(exchange))


async def stored(exchange: Exchange) -> HttpAnswer:
    """The list alone."""
    return await fragment(exchange, "documents_stored.html", **await _stored(exchange))


async def _found(exchange: Exchange) -> dict[str, Any]:
    query = query_of(exchange, "q")[:_MOST_QUERY_CHARS]
    if not query:
        return {"query": "", "chunks": (), "notice": None, "marked": marked}
    try:
        found = await exchange.call("document.search", DocumentSearchParams(query=query, k=_SHOWN_CHUNKS))
    except ModelUnavailable as error:
        # The rest of the page is of use all the same.
        words = exchange.gateway.daemon.services.secrets.redact(". ".join(filter(None, (error.message, error.hint))))
        return {"query": query, "chunks": None, "notice": words, "marked": marked}
    return {"query": query, "chunks": found.chunks, "notice": found.notice, "marked": marked}


async def _stored(exchange: Exchange) -> dict[str, Any]:
    before, source = query_of(exchange, "before"), query_of(exchange, "source")
    values = {"limit": _SHOWN_DOCUMENTS, "before": before or None, "source": source or None}
    listed = await exchange.call("document.list", bind(DocumentListParams, values))
    return {"documents": listed.documents, "next": listed.next, "before": before, "source": source}


async def upload(exchange: Exchange) -> HttpAnswer:
    """Stores the body under the name `source`."""
    source = query_of(exchange, "source")
    async with received(exchange, source) as path:
        params = bind(DocumentIngestParams, {"paths": [path], "source": source})
        result = await exchange.call("document.ingest", params)
    return await fragment(exchange, "uploaded.html", source=source, result=result)


async def delete(exchange: Exchange) -> HttpAnswer:
    """Removes one."""
    params = bind(DocumentDeleteParams, {"ids": [exchange.fields.get("document", "")]})
    await exchange.call("document.delete", params)
    return moved(exchange, _PATH)


async def ingest(exchange: Exchange) -> HttpAnswer:
    """The place of the page where documents are added."""
    return moved(exchange, f"{_PATH}#add")


DOCUMENTS: Final = (
    Route(
        method="GET", path=_PATH, page=True, respond=documents,
        doc="Documents: what `q` finds, and those whose `source` has these words, before the cursor `before`.",
    ),
    Route(method="GET", path="/documents/found", page=True, respond=search, doc="What `q` finds, alone."),
    Route(method="GET", path="/documents/stored", page=True, respond=stored, doc="The list alone."),
    Route(
        method="POST", path="/documents/upload", page=True, body="upload", respond=upload,
        doc="Stores the body under the name `source`.",
    ),
    Route(
        method="POST", path="/documents/delete", page=True, body="form", respond=delete, doc="Removes the `document`."
    ),
    Route(method="GET", path="/ingest", page=True, respond=ingest, doc="Where documents are added."),
)  # fmt: skip
