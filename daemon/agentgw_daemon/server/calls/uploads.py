"""Documents that a client sends in pieces: files of their own, gone when they are stored or their client is."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import shutil
import tempfile
from contextlib import ExitStack
from typing import Final

from agentgw.protocol.errors import InvalidParams, NotFound, Overloaded, StorageUnavailable
from agentgw_daemon.system.threads import in_file_thread

# A client sends one, has it stored and sends the next.
_MOST_OPEN: Final = 4


class Uploads:
    """Uploads of one connection; `stack` is closed with it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._folder = ""
        self._sizes: dict[str, int] = {}

    async def add(self, data: str, upload_id: str | None, *, most_bytes: int) -> tuple[str, int]:
        """Appends a piece to its upload, or begins one; gives its id and size. Raises RpcError."""
        try:
            piece = base64.b64decode(data, validate=True)
        except (ValueError, binascii.Error):
            raise _invalid("data", "is not base64") from None
        if upload_id is None:
            upload_id = self._begin()
        elif upload_id not in self._sizes:
            raise _unknown(upload_id)
        size = self._sizes[upload_id] + len(piece)
        if size > most_bytes:
            await self.remove(upload_id)
            raise _invalid(
                "data", f"makes the document larger than {most_bytes} bytes; http.max_upload_bytes allows more"
            )
        path = self._path(upload_id)
        # Before it is written: pieces that come at the same time count, too.
        self._sizes[upload_id] = size
        try:
            await in_file_thread(lambda: _append(path, piece))
        except OSError as error:
            await self.remove(upload_id)
            raise StorageUnavailable(f"the document cannot be kept ({error.strerror})") from None
        if upload_id not in self._sizes:
            # It was removed meanwhile, and this has made the file again.
            await self.remove(upload_id)
            raise _unknown(upload_id)
        return upload_id, size

    def path(self, upload_id: str) -> str:
        """The file of an upload. Raises NotFound."""
        if upload_id not in self._sizes:
            raise _unknown(upload_id)
        return self._path(upload_id)

    async def remove(self, upload_id: str) -> None:
        """Forgets an upload and its file."""
        self._sizes.pop(upload_id, None)
        path = self._path(upload_id)
        await in_file_thread(lambda: _remove(path))

    def _begin(self) -> str:
        if len(self._sizes) >= _MOST_OPEN:
            raise Overloaded(f"{_MOST_OPEN} uploads are open on this connection", limit="uploads", value=_MOST_OPEN)
        if not self._folder:
            try:
                # Not below our own directories: nothing there is read as a document.
                self._folder = tempfile.mkdtemp(prefix="agentgw-")
            except OSError as error:
                raise StorageUnavailable(f"there is no room for the document ({error.strerror})") from None
            self._stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
        made = f"u-{secrets.token_hex(8)}"
        self._sizes[made] = 0
        return made

    def _path(self, upload_id: str) -> str:
        return os.path.join(self._folder, upload_id)


def _append(path: str, piece: bytes) -> None:
    with open(path, "ab") as file:
        file.write(piece)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _unknown(upload_id: str) -> NotFound:
    return NotFound(
        f"there is no upload {upload_id} on this connection",
        hint="send the document again",
        kind="upload",
        id=upload_id,
    )


def _invalid(path: str, reason: str) -> InvalidParams:
    return InvalidParams(f"Invalid params: {path} {reason}", path=path, reason=reason)
