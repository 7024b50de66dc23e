"""Giving space back that deleted rows left in the file: only when there is much of it, and only while nobody waits."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agentgw_daemon.storage.sqlite.library import sqlite_utils

# Below it nobody would notice; the pages are used again by what is stored next.
_LEAST_BYTES: Final = 16 << 20
_LEAST_SHARE: Final = 0.25
# Instructions of SQLite's machine between two looks: well under a millisecond.
_LOOK_EVERY: Final = 10_000
# The new contents are in the log first, then in the file.
_ROOM: Final = 2.2


def wasted_bytes(db: sqlite_utils.Database) -> int:
    """Bytes of pages without content."""
    return _pragma(db, "freelist_count") * _pragma(db, "page_size")


def is_worthwhile(db: sqlite_utils.Database) -> bool:
    """Tells whether much of the file is empty."""
    wasted = wasted_bytes(db)
    return wasted >= _LEAST_BYTES and wasted >= _LEAST_SHARE * _pragma(db, "page_count") * _pragma(db, "page_size")


def has_room(db: sqlite_utils.Database, directory: str) -> bool:
    """Tells whether the disk has room for the copy that is made on the way."""
    used = _pragma(db, "page_count") * _pragma(db, "page_size") - wasted_bytes(db)
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize > _ROOM * used


def vacuum(db: sqlite_utils.Database, may_go_on: Callable[[], bool]) -> bool:
    """Write the file anew without its empty pages; tells whether that was done. `may_go_on` ends it half-way, which
    leaves the file as it was.
    """
    plain = db.conn
    plain.set_progress_handler(lambda: not may_go_on(), _LOOK_EVERY)
    try:
        plain.execute("VACUUM")
        plain.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return False
    finally:
        plain.set_progress_handler(None, 0)
    return True


def _pragma(db: sqlite_utils.Database, name: str) -> int:
    return int(db.conn.execute(f"PRAGMA {name}").fetchone()[0])
