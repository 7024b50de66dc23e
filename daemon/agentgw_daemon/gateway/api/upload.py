"""A document sent as it is: kept in a file of its own until it is stored, and then removed, whatever happened."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import trio

from agentgw.protocol.errors import InvalidParams, StorageUnavailable

if TYPE_CHECKING:
    from agentgw_daemon.gateway.routing.exchange import Exchange

# Written at once: a change to a thread for each piece that comes would cost more than the writing.
_BLOCK_BYTES: Final = 1 << 20
# A disk that takes longer to remove a file is not waited for; the thread goes on.
_REMOVE_S: Final = 10.0


@asynccontextmanager
async def received(exchange: Exchange, source: object) -> AsyncIterator[str]:
    """The path of a file with the request's body, named by the ending of `source`. Raises RpcError or HttpRefused."""
    if not isinstance(source, str) or not source:
        raise InvalidParams(
            "Invalid params: source is missing", hint="name the document in the query: ?source=notes.pdf",
            path="source", reason="missing",
        )  # fmt: skip
    try:
        # Not below our own directories: nothing there is read as a document.
        folder = Path(await trio.to_thread.run_sync(tempfile.mkdtemp, "", "agentgw-"))
    except OSError as error:
        raise StorageUnavailable(f"there is no room for the document ({error.strerror})") from None
    path = folder / f"document{PurePosixPath(source).suffix[:16]}"
    try:
        try:
            await _write(exchange, path)
        except OSError as error:
            raise StorageUnavailable(f"the document cannot be kept ({error.strerror})") from None
        yield str(path)
    finally:
        with trio.move_on_after(_REMOVE_S, shield=True):
            await trio.to_thread.run_sync(shutil.rmtree, folder, True, abandon_on_cancel=True)


async def _write(exchange: Exchange, path: Path) -> None:
    limit = exchange.gateway.http.max_upload_bytes
    pieces: list[bytes] = []
    held_bytes = 0
    async with await trio.open_file(path, "xb") as file:
        async for piece in exchange.connection.body_pieces(limit, "http.max_upload_bytes"):
            pieces.append(piece)
            held_bytes += len(piece)
            if held_bytes >= _BLOCK_BYTES:
                await file.write(b"".join(pieces))
                pieces.clear()
                held_bytes = 0
        await file.write(b"".join(pieces))
