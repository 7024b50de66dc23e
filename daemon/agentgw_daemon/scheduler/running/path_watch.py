"""Follows what one job is started by: a file, or all files in a folder, until they have changed and stayed still.

Folders are listened to through the system's own notifications, and looked at after each; a single file is looked at
now and then, which costs a system call. Hidden files, and folders that hold no documents, do not count.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Final

import trio

from agentgw_daemon.knowledge.ingest.folder_changes import open_folder_changes
from agentgw_daemon.knowledge.sources import shown
from agentgw_daemon.scheduler.planning.settling import FileState, Settled, Settling
from agentgw_daemon.storage.jobs.job_rows import signed
from agentgw_daemon.system.threads import in_file_thread
from agentgw_daemon.tools.files.walking import SKIPPED_DIRECTORIES

log = logging.getLogger(__name__)

# Messages get lost (a full queue, a network file system): nothing is missed for longer than this.
_LOOK_EVERY_S: Final = 600.0
_FILE_EVERY_S: Final = 15.0
# A folder that is not there, or that the system does not tell about.
_TRY_AGAIN_S: Final = 30.0
# No folder that somebody watches for work has more; each is a system call a look.
MOST_FILES: Final = 50_000
# Of whatever kind: a tree of a million folders has no files, and takes as long.
MOST_NAMES: Final = 4 * MOST_FILES


class PathWatch:
    """One job's path. `tell` is awaited with what has settled; what was told is told again until it is taken."""

    def __init__(self, path: str, settling: Settling, tell: Callable[[Settled], Awaitable[None]]) -> None:
        self._path = path
        self._settling = settling
        self._tell = tell
        self._complained = ""
        self.has_looked = False

    @property
    def settling(self) -> Settling:
        """The files that have settled, and those that are handled."""
        return self._settling

    async def run(self) -> None:
        """Follow the path until cancelled."""
        while True:
            try:
                if await trio.to_thread.run_sync(os.path.isdir, self._path):
                    # Before the system is asked to tell of it, which takes something of each folder in it.
                    if await self._files() is None:
                        await trio.sleep(self._refuse())
                        continue
                    await self._follow_folder()
                else:
                    again_s = await self._look()
                    await trio.sleep(min(again_s, _FILE_EVERY_S))
                    continue
            except OSError as error:
                self._complain(f"is looked at every {_TRY_AGAIN_S:g} s: {error}")
                await self._look()
            await trio.sleep(_TRY_AGAIN_S)

    async def _follow_folder(self) -> None:
        async with open_folder_changes(self._path) as changes:
            # Listening before looking: what changes meanwhile is told afterwards. Of a folder that was made anew
            # under this name nothing would be told.
            while await trio.to_thread.run_sync(changes.is_in_place):
                await changes.wait(await self._look())

    async def _look(self) -> float:
        """Look once, tell what has settled, and give the time after which another look is due at the latest."""
        files = await self._files()
        if files is None:
            return self._refuse()
        settled = self._settling.look(files, trio.current_time())
        await self._tell(settled)
        self.has_looked = True
        return min(_LOOK_EVERY_S, settled.again_s if settled.again_s is not None else _LOOK_EVERY_S)

    async def _files(self) -> dict[str, FileState] | None:
        # A stop does not wait for it: a tree at the bound takes many seconds on a slow disk.
        return await in_file_thread(partial(files_of, self._path), abandon=True)

    def _refuse(self) -> float:
        self._complain(f"has more than {MOST_FILES} files, or too many folders, to be watched")
        return _LOOK_EVERY_S

    def _complain(self, what: str) -> None:
        if what != self._complained:
            self._complained = what
            log.warning("%s %s", shown(self._path), what)


def files_of(path: str) -> dict[str, FileState] | None:
    """The state of the file, or of each file in the folder; nothing of what is not there, None for too many."""
    found: dict[str, FileState] = {}
    for count, file in enumerate(_paths(path)):
        if count >= MOST_NAMES:
            return None
        try:
            status = os.stat(file)
        except OSError:
            continue  # gone, or somebody else's
        if stat.S_ISREG(status.st_mode):
            # A time beyond the year 2262 has no room in the database as it is.
            time_ns = signed(status.st_mtime_ns)
            found[file] = FileState(inode=status.st_ino, size=status.st_size, mtime_ns=time_ns)
            if len(found) > MOST_FILES:
                return None
    return found


def _paths(path: str) -> Iterator[str]:
    """The file, or all that is below the folder, folders included, one at a time: nobody knows how much it is."""
    yield path
    folders = [path] if os.path.isdir(path) else []
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False) and entry.name not in SKIPPED_DIRECTORIES:
                        folders.append(entry.path)
                    yield entry.path
        except OSError:
            continue  # gone, or somebody else's
