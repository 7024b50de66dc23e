"""`document.ingest` over a real connection: progress before the result, errors as they are, a client that leaves."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from agentgw_daemon.knowledge.ingest.watching import Watching
from agentgw_daemon.server.calls.request import Handler, RequestContext
from agentgw_daemon.server.handlers import ingest
from tests.fakes import change
from tests.knowledge.live import LiveIngest, fill, live_ingest
from tests.server.harness import RawClient, connected

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def client_of(made: LiveIngest) -> AsyncIterator[RawClient]:
    async with trio.open_nursery() as nursery:
        watching = Watching(made.database, made.ingest, nursery)

        def with_parts(handler: Handler) -> Handler:
            async def run(request: RequestContext, params: Any) -> Any:
                change(request.daemon, ingest=made.ingest, watching=watching)
                return await handler(request, params)

            return run

        async with connected({name: with_parts(handler) for name, handler in ingest.HANDLERS.items()}) as client:
            yield client
        nursery.cancel_scope.cancel()


async def test_progress_comes_before_the_result_and_ends_with_everything(tmp_path: Path) -> None:
    fill(tmp_path / "n", {"a.txt": "one\n\ntwo", "b.txt": "three"})
    async with live_ingest(tmp_path) as made, client_of(made) as client:
        await client.send(
            {"jsonrpc": "2.0", "id": 1, "method": "document.ingest", "params": {"paths": [str(tmp_path / "n")]}}
        )
        said = [await client.receive()]
        while "method" in said[-1]:
            said.append(await client.receive())
        assert {one["method"] for one in said[:-1]} == {"document.progress"}
        assert said[-2]["params"]["files_done"] == said[-2]["params"]["files_total"] == 2
        assert said[-2]["params"]["chunks"] == said[-1]["result"]["chunks"] == 3


async def test_what_is_wrong_with_the_parameters_is_said(tmp_path: Path) -> None:
    async with live_ingest(tmp_path) as made, client_of(made) as client:
        for params in (
            {},
            {"paths": ["a"]},
            {"paths": ["/a"], "collection": "../x"},
            {"paths": ["/a"], "chunk_size": 1},
        ):
            answer = await client.ask("document.ingest", **params)
            assert answer["error"]["code"] == -32602, params


async def test_a_client_that_leaves_ends_its_ingest(tmp_path: Path) -> None:
    fill(tmp_path / "n", {"slow": "x"})
    async with live_ingest(tmp_path) as made:
        async with client_of(made) as client:
            await client.send(
                {"jsonrpc": "2.0", "id": 1, "method": "document.ingest", "params": {"paths": [str(tmp_path / "n")]}}
            )
            await client.receive()
            assert made.ingest.busy
            await client.stream.aclose()
        assert not made.ingest.busy


async def test_a_folder_is_followed_once_it_is_stored_and_let_go_by_name(tmp_path: Path) -> None:
    fill(tmp_path / "n", {"a.txt": "one"})
    folder = str(tmp_path / "n")
    async with live_ingest(tmp_path) as made, client_of(made) as client:
        await client.send(
            {"jsonrpc": "2.0", "id": 1, "method": "document.ingest", "params": {"paths": [folder], "watch": True}}
        )
        while "result" not in await client.receive():
            pass
        [one] = (await client.ask("document.watched"))["result"]["folders"]
        assert one["path"] == folder
        assert (await client.ask("document.unwatch", path=folder))["result"] == {"ok": True}
        assert (await client.ask("document.unwatch", path=folder))["error"]["code"] == -32001
        assert (await client.ask("document.watched"))["result"] == {"folders": []}


async def test_an_upload_is_stored_under_its_name_and_gone_then(tmp_path: Path) -> None:
    async with live_ingest(tmp_path) as made, client_of(made) as client:
        sent = await client.ask("document.upload", data=base64.b64encode(b"rent is due").decode())
        upload_id = sent["result"]["upload_id"]
        params = {"upload": upload_id, "source": "laptop:/notes/rent.md"}
        await client.send({"jsonrpc": "2.0", "id": 2, "method": "document.ingest", "params": params})
        while "method" in (said := await client.receive()):
            continue
        assert (said["result"]["added"], said["result"]["chunks"]) == (1, 1)
        assert (await client.ask("document.ingest", **params))["error"]["code"] == -32001


async def test_an_upload_needs_a_name_and_stands_alone(tmp_path: Path) -> None:
    async with live_ingest(tmp_path) as made, client_of(made) as client:
        sent = await client.ask("document.upload", data="")
        upload = sent["result"]["upload_id"]
        for params in (
            {"upload": upload},
            {"upload": upload, "source": "x", "paths": ["/x"]},
            {"upload": upload, "source": "x", "text": "x"},
            {"upload": upload, "source": "x", "watch": True},
            {"upload": "../x", "source": "x"},
        ):
            assert (await client.ask("document.ingest", **params))["error"]["code"] == -32602
