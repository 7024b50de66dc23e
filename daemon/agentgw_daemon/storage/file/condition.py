"""The state in which the database was left, as the files tell it before SQLite touches them.

A clean close writes a note with the file's size and time; opening takes it away. No note, or a note that does not fit
the file, means a crash, a power loss or a hand on the file: SQLite's quick check is worth its time then, and only then.
Removing a file works on a full disk, so the absence is what says "open".
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from agentgw_daemon.storage.sqlite.filesystem import make_private, size_of
from agentgw_daemon.system.durable import sync_path


class Files:
    """The paths that make up one database."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.database = directory / "agentgw.db"
        self.wal = directory / "agentgw.db-wal"
        self.shm = directory / "agentgw.db-shm"
        self.journal = directory / "agentgw.db-journal"
        self.clean_note = directory / "agentgw.db-clean"
        self.backups = directory / "backups"

    def size_bytes(self) -> int:
        """The database with its log."""
        return size_of(self.database) + size_of(self.wal)

    def write_clean_note(self) -> None:
        """Say that the database was closed and is as it should be."""
        make_private(self.clean_note)
        self.clean_note.write_text(json.dumps(_fingerprint(self.database)), encoding="utf-8")
        sync_path(self.clean_note)
        sync_path(self.directory)

    def was_left_clean(self) -> bool:
        """Tells whether nothing has happened to the file since its clean close."""
        try:
            note = json.loads(self.clean_note.read_text(encoding="utf-8"))
            return bool(note == _fingerprint(self.database))
        except (OSError, ValueError):
            return False

    def drop_clean_note(self) -> None:
        """Say that the database is open."""
        self.clean_note.unlink(missing_ok=True)
        sync_path(self.directory)

    def lost_content(self) -> str | None:
        """The reason why SQLite must not be shown these files: it takes an empty database for a new one and
        drops its log.
        """
        if size_of(self.database) > 0:
            return None
        if size_of(self.wal) > 0:
            return "the database file is missing or empty, but its log is there"
        if self.database.exists() and (self.clean_note.exists() or any(self.backups.glob("agentgw-*.db"))):
            return "the database file is empty"
        return None

    def move_aside(self, stamp: str, why: str = "corrupt") -> Path:
        """Move all that is there into a new directory beside it, and give that.

        The database is linked first and stays under its own name until the caller replaces or removes it, so that a
        kill in between never leaves a fresh start where there was a file.
        """
        target = self.new_directory(f"{why}-{stamp}")
        if self.database.exists():
            try:
                os.link(self.database, target / self.database.name)
            except OSError:  # a filesystem without hard links
                self.database.rename(target / self.database.name)
        for path in (self.wal, self.shm, self.journal):
            if path.exists():
                path.rename(target / path.name)
        sync_path(target)
        return target

    def new_directory(self, name: str) -> Path:
        """A private one of this name beside the database, or with a number behind it."""
        for suffix in ("", *(f"-{n}" for n in range(1, 1000))):
            target = self.directory / (name + suffix)
            if not target.exists():
                target.mkdir(mode=0o700)
                target.chmod(0o700)
                return target
        raise FileExistsError(f"too many directories named {name}")


def _fingerprint(path: Path) -> dict[str, int]:
    found = path.stat()
    return {"size": found.st_size, "mtime_ns": found.st_mtime_ns}
