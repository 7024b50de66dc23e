from __future__ import annotations

import base64
import os
from contextlib import ExitStack
from pathlib import Path

import pytest
import trio

from agentgw.protocol.errors import InvalidParams, NotFound, Overloaded, StorageUnavailable
from agentgw_daemon.server.calls import uploads as uploads_module
from agentgw_daemon.server.calls.uploads import Uploads

pytestmark = pytest.mark.anyio


def coded(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def test_pieces_become_one_file_that_goes_with_the_connection() -> None:
    with ExitStack() as stack:
        uploads = Uploads(stack)
        upload_id, size = await uploads.add(coded(b"one "), None, most_bytes=100)
        assert (await uploads.add(coded(b"two"), upload_id, most_bytes=100)) == (upload_id, 7)
        assert size == 4
        path = Path(uploads.path(upload_id))
        assert path.read_bytes() == b"one two"
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert not path.parent.exists()


async def test_an_empty_document_is_one() -> None:
    with ExitStack() as stack:
        uploads = Uploads(stack)
        upload_id, size = await uploads.add("", None, most_bytes=100)
        assert size == 0
        assert Path(uploads.path(upload_id)).read_bytes() == b""


async def test_a_document_that_grows_too_large_is_forgotten() -> None:
    with ExitStack() as stack:
        uploads = Uploads(stack)
        upload_id, _ = await uploads.add(coded(b"x" * 60), None, most_bytes=100)
        path = uploads.path(upload_id)
        with pytest.raises(InvalidParams, match=r"larger than 100 bytes; http\.max_upload_bytes"):
            await uploads.add(coded(b"x" * 60), upload_id, most_bytes=100)
        assert not os.path.exists(path)
        with pytest.raises(NotFound, match="there is no upload"):
            uploads.path(upload_id)


async def test_pieces_that_come_at_the_same_time_count_all() -> None:
    refused = 0

    async def add() -> None:
        nonlocal refused
        try:
            await uploads.add(coded(b"x" * 60), upload_id, most_bytes=100)
        except (InvalidParams, NotFound):
            refused += 1

    with ExitStack() as stack:
        uploads = Uploads(stack)
        upload_id, _ = await uploads.add("", None, most_bytes=100)
        path = Path(uploads.path(upload_id))
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(add)
        assert refused == 5
        assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("data", ["x", "====", "a b=", "é", "YQ==\n"])
async def test_what_is_not_base64_is_refused(data: str) -> None:
    with ExitStack() as stack, pytest.raises(InvalidParams, match="data is not base64"):
        await Uploads(stack).add(data, None, most_bytes=100)


async def test_another_connections_upload_is_unknown() -> None:
    with ExitStack() as stack:
        upload_id, _ = await Uploads(stack).add(coded(b"x"), None, most_bytes=100)
        with pytest.raises(NotFound):
            await Uploads(stack).add(coded(b"x"), upload_id, most_bytes=100)


async def test_only_so_many_are_open_at_once() -> None:
    with ExitStack() as stack:
        uploads = Uploads(stack)
        made = [(await uploads.add(coded(b"x"), None, most_bytes=100))[0] for _ in range(4)]
        with pytest.raises(Overloaded, match="4 uploads are open"):
            await uploads.add(coded(b"x"), None, most_bytes=100)
        await uploads.remove(made[0])
        await uploads.add(coded(b"x"), None, most_bytes=100)


async def test_a_disk_that_is_full_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: str, piece: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(uploads_module, "_append", full)
    with ExitStack() as stack, pytest.raises(StorageUnavailable, match="No space left"):
        await Uploads(stack).add(coded(b"x"), None, most_bytes=100)
