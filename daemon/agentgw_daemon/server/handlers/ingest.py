"""`document.ingest` and the folders that are followed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from agentgw.protocol.calls.documents import (
    DocumentIngestParams,
    DocumentUnwatchParams,
    DocumentUploadParams,
    IngestResult,
    UploadResult,
    WatchedList,
)
from agentgw.protocol.calls.shared import Done, NoParams
from agentgw.protocol.errors import InvalidParams
from agentgw_daemon.knowledge.labels import check_skills

if TYPE_CHECKING:
    from agentgw_daemon.server.calls.request import Handler, RequestContext


async def upload(request: RequestContext, params: DocumentUploadParams) -> UploadResult:
    """Keep a piece of a document until it is stored or its client leaves."""
    most_bytes = request.services.settings.http.max_upload_bytes
    upload_id, size = await request.uploads.add(params.data, params.upload_id, most_bytes=most_bytes)
    return UploadResult(upload_id=upload_id, size_bytes=size)


async def ingest(request: RequestContext, params: DocumentIngestParams) -> IngestResult:
    """Store documents, with progress; leaving ends it and keeps what is stored."""
    if params.upload is None:
        return await _ingest(request, params)
    if params.paths or params.text is not None or params.source is None or params.watch:
        reason = "goes with `source`, and with neither `paths`, `text` nor `watch`"
        raise InvalidParams(f"Invalid params: upload {reason}", path="upload", reason=reason)
    path = request.uploads.path(params.upload)
    try:
        return await _ingest(request, replace(params, upload=None, paths=(path,)))
    finally:
        with trio.CancelScope(shield=True):
            await request.uploads.remove(params.upload)


async def _ingest(request: RequestContext, params: DocumentIngestParams) -> IngestResult:
    daemon = request.daemon
    if params.skills:
        await check_skills(params.skills, await request.services.projects.skill_set(params.cwd))
    folders = await daemon.watching.folders_of(params) if params.watch else ()
    result = await daemon.ingest.run(params, request.events.notify)
    for folder in folders:
        await daemon.watching.follow(folder)
    return result


async def watched(request: RequestContext, params: NoParams) -> WatchedList:
    """The followed folders, and how each is."""
    watching = request.daemon.watching
    await watching.take_up()
    return WatchedList(folders=watching.listing())


async def unwatch(request: RequestContext, params: DocumentUnwatchParams) -> Done:
    """Follow a folder no more."""
    await request.daemon.watching.unfollow(params.path, params.collection)
    return Done()


HANDLERS: dict[str, Handler] = {
    "document.upload": upload,
    "document.ingest": ingest,
    "document.watched": watched,
    "document.unwatch": unwatch,
}
