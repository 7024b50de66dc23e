"""The database after a crash."""

from __future__ import annotations

import contextlib
import sqlite3

from tests.e2e.home import Home


def integrity(home: Home) -> str:
    """SQLite's own verdict on a copy."""
    with contextlib.closing(sqlite3.connect(home.database_copy())) as database:
        (verdict,) = database.execute("PRAGMA integrity_check").fetchone()
        return str(verdict)
