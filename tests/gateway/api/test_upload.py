"""Documents sent as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from agentgw.protocol.calls.shared import Done
from agentgw.protocol.errors import NotFound
from agentgw_daemon.config.settings import HttpSection
from tests.gateway.harness import HOST, opened
from tests.polling import until

pytestmark = pytest.mark.anyio

OCTETS = {"Content-Type": "application/octet-stream"}


class Store:
    """`document.ingest` that reads what it is pointed to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.seen: list[tuple[str, bytes, Any]] = []
        self.paths: list[Path] = []
        self._error = error

    async def ingest(self, request: Any, params: Any) -> Done:
        await trio.lowlevel.checkpoint()
        (path,) = map(Path, params.paths)
        assert path.stat().st_mode & 0o077 == 0
        assert path.parent.stat().st_mode & 0o077 == 0
        self.paths.append(path)
        self.seen.append((params.source, path.read_bytes(), params.tags))
        if self._error is not None:
            raise self._error
        return Done()


@pytest.fixture(autouse=True)
def private_umask(monkeypatch: pytest.MonkeyPatch) -> Any:
    """As the daemon has it."""
    import os

    before = os.umask(0o077)
    yield
    os.umask(before)


async def test_a_document_is_stored_under_its_name_and_its_file_removed() -> None:
    store = Store()
    async with opened({"document.ingest": store.ingest}) as made:
        reply = await made.client().ask(
            "POST", "/api/ingest?source=notes/a.pdf&tags=x,y", headers=OCTETS, body=b"%PDF" * 100_000
        )
    assert reply.status == 200
    assert store.seen == [("notes/a.pdf", b"%PDF" * 100_000, ("x", "y"))]
    assert store.paths[0].suffix == ".pdf"
    assert not store.paths[0].parent.exists()


async def test_the_file_is_removed_as_well_when_the_document_cannot_be_stored() -> None:
    store = Store(NotFound("no"))
    async with opened({"document.ingest": store.ingest}) as made:
        reply = await made.client().ask("POST", "/api/ingest?source=a.txt", headers=OCTETS, body=b"x")
    assert reply.status == 404
    assert not store.paths[0].parent.exists()


@pytest.mark.parametrize("query", ["", "?source="])
async def test_a_document_without_a_name_is_refused(query: str) -> None:
    store = Store()
    async with opened({"document.ingest": store.ingest}) as made:
        reply = await made.client().ask("POST", f"/api/ingest{query}", headers=OCTETS, body=b"x")
    assert (reply.status, reply.error, store.seen) == (400, "InvalidParams", [])


async def test_paths_are_not_for_who_sends_a_document() -> None:
    store = Store()
    async with opened({"document.ingest": store.ingest}) as made:
        query = "?source=a.txt&text=y&paths=/etc/passwd"
        reply = await made.client().ask("POST", f"/api/ingest{query}", headers=OCTETS, body=b"x")
    assert [body for _, body, _ in store.seen] == [b"x"]
    assert reply.status == 200


async def test_a_document_larger_than_allowed_is_refused_whether_it_says_so_or_not() -> None:
    store = Store()
    async with opened({"document.ingest": store.ingest}, http=HttpSection(max_upload_bytes=4096)) as made:
        reply = await made.client().ask("POST", "/api/ingest?source=a.txt", headers=OCTETS, body=b"x" * 5000)
        assert reply.status == 413
        assert "http.max_upload_bytes" in reply.json["error"]["hint"]
        client = made.client()
        head = f"POST /api/ingest?source=a HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/pdf\r\n"
        await client.stream.send_all(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(5):
            await client.stream.send_all(b"400\r\n" + b"x" * 0x400 + b"\r\n")
        assert (await client.reply("POST")).status == 413
    assert store.seen == []


async def test_a_document_whose_sender_leaves_half_way_is_not_stored() -> None:
    store = Store()
    async with opened({"document.ingest": store.ingest}) as made:
        client = made.client()
        head = f"POST /api/ingest?source=a HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/pdf\r\n"
        await client.stream.send_all(f"{head}Content-Length: 100\r\n\r\nhalf".encode())
        await client.stream.aclose()
        await until(lambda: made.gateway.access.answered)
    assert store.seen == []
