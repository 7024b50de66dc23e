"""Changes below a folder, as the system tells them."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import trio

from agentgw_daemon.tools.files.walking import SKIPPED_DIRECTORIES

if TYPE_CHECKING:
    from watchfiles._rust_notify import RustNotify

# Changes are gathered until it is quiet for so long, or until the limit. The waiting thread wakes as often, so less of
# it would cost power, and cancelling takes as long.
_QUIET_MS: Final = 1000
_GATHERED_MS: Final = 5000
# That the folder itself went, or another took its name, is not always told.
_IN_PLACE_EVERY_S: Final = 15.0
_IGNORE_FILE: Final = ".gitignore"
# Of a folder that may be held open without being read, where the system knows that.
_HELD: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC


class FolderChanges:
    """Changes since `open_folder_changes`, also those while nobody waited."""

    def __init__(self, folder: str, held: int, watcher: RustNotify) -> None:
        self._folder = folder
        self._held = held
        self._watcher = watcher
        self._stop = threading.Event()

    def is_in_place(self) -> bool:
        """Tells whether the folder of that name is still the one whose changes are told. Blocks."""
        try:
            there = os.stat(os.path.join(self._folder, "."))
        except OSError:
            return False
        held = os.fstat(self._held)
        return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)

    async def wait(self, most_s: float) -> None:
        """Returns when something changed that may matter, also in the folder's place, and after `most_s` anyway.

        Raises OSError.
        """
        deadline = trio.current_time() + most_s
        while (left_s := deadline - trio.current_time()) > 0:
            found = await self._gathered(int(min(left_s, _IN_PLACE_EVERY_S) * 1000) + 1)
            if any(matters(path.removeprefix(self._folder)) for path in found):
                return
            if not await trio.to_thread.run_sync(self.is_in_place):
                return

    async def _gathered(self, timeout_ms: int) -> list[str]:
        from watchfiles._rust_notify import WatchfilesRustInternalError

        self._stop.clear()
        async with trio.open_nursery() as nursery:
            # The thread cannot be cancelled, but it looks at this every moment.
            nursery.start_soon(self._stop_when_cancelled)
            try:
                found = await trio.to_thread.run_sync(
                    self._watcher.watch, _GATHERED_MS, _QUIET_MS, timeout_ms, self._stop
                )
            except WatchfilesRustInternalError as error:
                raise OSError(str(error)) from error
            nursery.cancel_scope.cancel()
        return [] if isinstance(found, str) else [path for _, path in found]

    async def _stop_when_cancelled(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            self._stop.set()


@asynccontextmanager
async def open_folder_changes(folder: str) -> AsyncIterator[FolderChanges]:
    """A watch on what changes below a folder. Raises OSError when the system has no more watches to give."""
    # Held, so that no folder that is made in its place gets its number, as some file systems do at once.
    held = await trio.to_thread.run_sync(os.open, folder, _HELD)
    try:
        watcher = await trio.to_thread.run_sync(_watcher, folder)
        try:
            yield FolderChanges(folder, held, watcher)
        finally:
            watcher.close()
    finally:
        os.close(held)


def _watcher(folder: str) -> RustNotify:
    # Only for whom it is: nobody else pays for its import.
    from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

    try:
        # Not debugging, not polling, below folders too, past those that may not be read.
        return RustNotify([folder], False, False, 0, True, True)
    except WatchfilesRustInternalError as error:
        raise OSError(str(error)) from error
    except UnicodeEncodeError as error:
        raise OSError("its name is not UTF-8, and the messages have no others") from error


def matters(below: str) -> bool:
    """Tells whether a change there, relative to the folder, can change what is taken of it."""
    names = [part for part in below.split("/") if part]
    return not any(name in SKIPPED_DIRECTORIES or (name.startswith(".") and name != _IGNORE_FILE) for name in names)
