"""`document.*`: finding, listing and removing the user's documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgw.protocol.calls.documents import (
    DocumentDeleteParams,
    DocumentList,
    DocumentListParams,
    DocumentsDeleted,
    DocumentSearchParams,
    DocumentSearchResult,
)
from agentgw.protocol.errors import InvalidParams
from agentgw_daemon.knowledge.labels import check_filters, check_skills
from agentgw_daemon.storage.documents.selection import Selection
from agentgw_daemon.text.queries import check_query

if TYPE_CHECKING:
    from agentgw_daemon.server.calls.request import Handler, RequestContext


async def search(request: RequestContext, params: DocumentSearchParams) -> DocumentSearchResult:
    """Chunks that fit a query, the best first."""
    check_query(params.query)
    await _check(request, params)
    found = await request.services.knowledge.find(
        params.query, k=params.k, collection=params.collection, skills=params.skills, tags=params.tags
    )
    return DocumentSearchResult(chunks=found.chunks, notice=found.notice)


async def _check(request: RequestContext, params: DocumentSearchParams | DocumentListParams) -> None:
    services = request.services
    if params.skills:
        await check_skills(params.skills, await services.projects.skill_set(params.cwd), services.database)
    await check_filters(params.tags, params.collection, services.database)


async def list_documents(request: RequestContext, params: DocumentListParams) -> DocumentList:
    """The last written first."""
    await _check(request, params)
    selection = Selection(collection=params.collection, text=params.source, skills=params.skills, tags=params.tags)
    return await request.services.database.documents.list(selection, limit=params.limit, before=params.before)


async def delete(request: RequestContext, params: DocumentDeleteParams) -> DocumentsDeleted:
    """Remove the named documents."""
    selection = Selection(collection=params.collection, sources=params.sources, ids=params.ids)
    if selection == Selection():
        raise InvalidParams(
            "Invalid params: sources, ids or collection must say what to delete",
            hint="give at least one of them", path="sources", reason="nothing is named",
        )  # fmt: skip
    await check_filters((), params.collection, request.services.database)
    removed = await request.services.database.documents.remove(selection, dry_run=params.dry_run)
    return DocumentsDeleted(documents=removed.documents, chunks=removed.chunks)


HANDLERS: dict[str, Handler] = {
    "document.search": search,
    "document.list": list_documents,
    "document.delete": delete,
}
