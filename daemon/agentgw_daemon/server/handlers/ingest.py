"""`document.ingest` and the folders that are followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgw.protocol.ingests import DocumentIngestParams, DocumentUnwatchParams, IngestResult, WatchedList
from agentgw.protocol.params import NoParams
from agentgw.protocol.results import Done
from agentgw_daemon.knowledge.labels import check_skills

if TYPE_CHECKING:
    from agentgw_daemon.server.request import Handler, RequestContext


async def ingest(request: RequestContext, params: DocumentIngestParams) -> IngestResult:
    """Store documents, with progress; leaving ends it and keeps what is stored."""
    daemon = request.daemon
    if params.skills:
        await check_skills(params.skills, await request.services.projects.skill_set(params.cwd))
    folders = daemon.watching.folders_of(params) if params.watch else ()
    result = await daemon.ingest.run(params, request.notify)
    for folder in folders:
        await daemon.watching.follow(folder)
    return result


async def watched(request: RequestContext, params: NoParams) -> WatchedList:
    """The followed folders, and how each is."""
    return WatchedList(folders=request.daemon.watching.listing())


async def unwatch(request: RequestContext, params: DocumentUnwatchParams) -> Done:
    """Follow a folder no more."""
    await request.daemon.watching.unfollow(params.path, params.collection)
    return Done()


HANDLERS: dict[str, Handler] = {
    "document.ingest": ingest,
    "document.watched": watched,
    "document.unwatch": unwatch,
}
