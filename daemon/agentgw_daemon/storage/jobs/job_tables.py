"""Tables of scheduled jobs. Times are of UTC with microseconds in one form, so that they sort as text."""

from __future__ import annotations

from typing import Final

# A scheduled time has at most one run for each attempt: the index refuses another, whatever the clock did meanwhile.
# `inode` is signed, as SQLite's integers are.
JOBS: Final = (
    """CREATE TABLE job_standings (
        job TEXT PRIMARY KEY,
        considered TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        retry_for TEXT,
        retry_attempt INTEGER,
        retry_at TEXT
    ) WITHOUT ROWID""",
    """CREATE TABLE job_runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        job TEXT NOT NULL,
        scheduled_for TEXT NOT NULL,
        first TEXT,
        reason TEXT,
        attempt INTEGER NOT NULL DEFAULT 1,
        status TEXT NOT NULL,
        why TEXT,
        lateness_s REAL NOT NULL DEFAULT 0,
        missed INTEGER NOT NULL DEFAULT 0,
        more INTEGER NOT NULL DEFAULT 0,
        turn_id TEXT,
        started_at TEXT,
        finished_at TEXT
    )""",
    """CREATE UNIQUE INDEX job_runs_once ON job_runs (job, scheduled_for, attempt)
        WHERE reason IN ('on_time', 'catch_up', 'retry')""",
    "CREATE INDEX job_runs_by_job ON job_runs (job, id)",
    "CREATE INDEX job_runs_going ON job_runs (id) WHERE status = 'running'",
    """CREATE TABLE job_stamps (
        job TEXT NOT NULL,
        inode INTEGER NOT NULL,
        size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        PRIMARY KEY (job, inode, size, mtime_ns)
    ) WITHOUT ROWID""",
)
