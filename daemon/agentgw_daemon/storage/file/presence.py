"""The names of the open database: whether they still lead to it, and what is done when they do not. Blocking.

SQLite goes on writing into a file that was removed, and says that it was committed. So the names are looked at around
each commit: what is gone is written back from the open connection before anybody hears of the commit; what was put in
its place by somebody, or written into it, is left alone, and what there is of ours is kept beside it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Literal

from agentgw.protocol.records.schema import record
from agentgw_daemon.storage.file.backups import copy_open
from agentgw_daemon.storage.file.condition import Files
from agentgw_daemon.storage.sqlite.connection import SqliteConnection
from agentgw_daemon.system.durable import sync_path

State = Literal["in place", "removed", "log removed", "taken", "overwritten", "folder gone"]
Identity = tuple[int, int]

_SET_ASIDE: Final = "displaced"
_OLD_LOG: Final = "old-wal"
# Of the file format (sqlite.org/fileformat2.html): sizes, counters, versions. A time can change by a mere touch.
_HEADER_BYTES: Final = 100


@record
class WrittenBack:
    """The database, or its log, was removed while it was open, and is there again with all that was committed."""

    what: str
    at: str


class Presence:
    """Identity of the files behind the names, from the moment it is made and for as long as the database is open.

    Opens no descriptor of the file: closing one takes SQLite's locks away (fcntl(2)). SQLite's own serves to look.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        # SQLite works on the file itself where the name is a link, and puts the log beside that.
        self._file = Path(os.path.realpath(files.database))
        self._log_file = self._file.with_name(self._file.name + "-wal")
        self._folder = _identity(files.directory)
        self._database = _identity(files.database)
        # There is none in journal mode DELETE, and SQLite does not promise when it makes one.
        self._log = _identity(self._log_file)
        self._fd = None if self._database is None else _descriptor_of(self._database)
        self._stamp = self._stamp_now()
        self._header = self._header_now()

    def settle(self) -> None:
        """Takes the files as they are for our own work: what was written until this moment was written by us."""
        stamp = self._stamp_now()
        if stamp != self._stamp:
            self._stamp, self._header = stamp, self._header_now()

    def look(self) -> State:
        """The place of each file; some system calls. Raises OSError when that cannot be told."""
        if _identity(self._files.directory) != self._folder:
            return "folder gone"
        found = _identity(self._files.database)
        if found != self._database:
            return "removed" if found is None else "taken"
        stamp = self._stamp_now()
        if stamp != self._stamp:
            if stamp[0] != self._stamp[0] or self._header_now() != self._header:
                return "overwritten"
            self._stamp = stamp
        log = _identity(self._log_file)
        if self._log is None:
            self._log = log
        return "in place" if log == self._log else "log removed"

    def write_back(self, connection: SqliteConnection, state: State, stamp: str) -> None:
        """Write all that is committed under the database's name; it is on the disk when this returns.

        A crash in between leaves either what there was or a whole database: until the old log is removed it holds
        nothing that the copy lacks. Raises FileExistsError when somebody was faster.
        """
        copy = self._files.directory / "agentgw.db.restored"
        copy_open(connection, copy)
        try:
            self._set_foreign_log_aside(stamp)
            if state == "log removed":
                copy.replace(self._files.database)
            else:
                _put(copy, self._files.database)
        finally:
            copy.unlink(missing_ok=True)
        sync_path(self._files.directory)
        if self._log is not None and _identity(self._log_file) == self._log:
            self._log_file.unlink()
            sync_path(self._log_file.parent)

    def keep_aside(self, connection: SqliteConnection, stamp: str) -> Path:
        """Copy all that is committed into a new folder beside the name, which is somebody else's now; gives the copy.

        Our log goes there too: under its old name it would be taken for the other file's.
        """
        folder = self._files.new_directory(f"{_SET_ASIDE}-{stamp}")
        copy = folder / self._files.database.name
        copy_open(connection, copy)
        self._move_log(folder)
        return copy

    def let_go(self, connection: SqliteConnection, stamp: str) -> Path:
        """Close the connection without writing its log into the file, which is somebody else's now; gives the log."""
        folder = self._files.new_directory(f"{_SET_ASIDE}-{stamp}")
        self._move_log(folder)
        hidden = folder / "in between"
        # SQLite writes the log into the file unless that is there no more under its name.
        self._file.rename(hidden)
        try:
            connection.close()
        finally:
            hidden.rename(self._file)
        return folder / _OLD_LOG

    def _move_log(self, folder: Path) -> None:
        if self._log is not None and _identity(self._log_file) == self._log:
            self._log_file.rename(folder / _OLD_LOG)
        sync_path(folder)
        sync_path(self._files.directory)

    def _stamp_now(self) -> tuple[int, int]:
        status = os.stat(self._file if self._fd is None else self._fd)
        return status.st_size, status.st_mtime_ns

    def _header_now(self) -> bytes:
        return b"" if self._fd is None else os.pread(self._fd, _HEADER_BYTES, 0)

    def _set_foreign_log_aside(self, stamp: str) -> None:
        if _identity(self._log_file) not in (None, self._log):
            self._log_file.rename(self._files.new_directory(f"{_SET_ASIDE}-{stamp}") / self._log_file.name)


def _descriptor_of(identity: Identity) -> int | None:
    """The descriptor by which this process has a file open; None where the system does not tell."""
    try:
        names = os.listdir("/dev/fd")
    except OSError:
        return None
    for name in names:
        try:
            status = os.fstat(int(name))
        except (OSError, ValueError):
            # That of the listing itself, which is closed by now.
            continue
        if (status.st_dev, status.st_ino) == identity:
            return int(name)
    return None


def _put(source: Path, target: Path) -> None:
    """Give the file a name that nothing has. Raises FileExistsError."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links.
        source.rename(target)


def _identity(path: Path) -> Identity | None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino
