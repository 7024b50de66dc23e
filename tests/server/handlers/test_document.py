"""`document.search`, `.list` and `.delete` as a client meets them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentgw.protocol.calls.documents import DocumentDeleteParams, DocumentListParams, DocumentSearchParams
from agentgw.protocol.errors import InvalidParams
from agentgw.protocol.records.schema import bind
from agentgw_daemon.server.calls.request import RequestContext
from agentgw_daemon.server.handlers import document
from tests.fakes import request_to, services_with
from tests.knowledge.library import Library, library

pytestmark = pytest.mark.anyio


def _request(documents: Library) -> RequestContext:
    return request_to(services_with(database=documents.database, knowledge=documents.knowledge))


async def test_what_is_stored_is_found_listed_and_deleted(tmp_path: Path) -> None:
    async with library(tmp_path) as documents:
        request = _request(documents)
        await documents.put("/a.md", "alpha beta", tags=("t",))
        await documents.put("/b.md", "gamma delta")
        found = await document.search(request, bind(DocumentSearchParams, {"query": "alpha", "k": 1, "tags": ["t"]}))
        assert [chunk.source for chunk in found.chunks] == ["/a.md"]
        listed = await document.list_documents(request, bind(DocumentListParams, {"source": "A.MD"}))
        assert [one.source for one in listed.documents] == ["/a.md"]
        gone = await document.delete(request, bind(DocumentDeleteParams, {"sources": ["/a.md"], "dry_run": True}))
        assert (gone.documents, gone.chunks) == (1, 1)
        assert await document.delete(request, bind(DocumentDeleteParams, {"sources": ["/a.md"]})) == gone
        assert [chunk.source for chunk in await documents.knowledge.search("alpha")] == ["/b.md"]


@pytest.mark.parametrize("params", [{}, {"dry_run": True}])
async def test_deleting_everything_by_naming_nothing_is_refused(tmp_path: Path, params: dict[str, Any]) -> None:
    async with library(tmp_path) as documents:
        with pytest.raises(InvalidParams, match="what to delete"):
            await document.delete(_request(documents), bind(DocumentDeleteParams, params))
