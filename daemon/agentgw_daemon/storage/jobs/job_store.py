"""Standings, runs and stamps of scheduled jobs. What a plan decides is one transaction: its row and the standing."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from agentgw.protocol.calls.jobs import JobRun, JobRunList, RunStatus
from agentgw_daemon.observability.failpoint import failpoint
from agentgw_daemon.storage.deliveries.outbox import NOBODY, EventOutbox
from agentgw_daemon.storage.jobs.job_rows import (
    RUN_COLUMNS,
    STANDING_COLUMNS,
    NewRun,
    RunlessTimes,
    StoredStamp,
    StoredStanding,
    UnfinishedRun,
    moment_of,
    run_of,
    signed,
    standing_of,
    standing_values,
    time_column,
    unfinished_of,
)
from agentgw_daemon.storage.rows import from_cursor, to_cursor
from agentgw_daemon.text.valid import valid_text

if TYPE_CHECKING:
    from agentgw_daemon.storage.sqlite.connection import Runner
    from agentgw_daemon.storage.sqlite.library import sqlite_utils

log = logging.getLogger(__name__)

# More times than that between a clock that was set back and what was decided: none of them comes again.
_MOST_BEGUN: Final = 100_000
_PUT_STANDING: Final = f"INSERT OR REPLACE INTO job_standings ({STANDING_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"


class JobStore:
    """All that is stored of jobs."""

    def __init__(self, runner: Runner, outbox: EventOutbox = NOBODY) -> None:
        self._runner = runner
        self._outbox = outbox

    async def standings(self) -> Mapping[str, StoredStanding]:
        """The standings, by job. A row that has become bad is left out: its job begins anew, without runs of before."""

        def do(db: sqlite_utils.Database) -> dict[str, StoredStanding]:
            found: dict[str, StoredStanding] = {}
            for row in db.execute(f"SELECT {STANDING_COLUMNS} FROM job_standings").fetchall():
                try:
                    job, standing = standing_of(row)
                except (ValueError, TypeError):
                    log.warning("what is stored of a job cannot be read, it begins anew: %.100r", row[0])
                    continue
                found[job] = standing
            return found

        return await self._runner.read(do)

    async def adopt(self, job: str, standing: StoredStanding, *, forget_stamps: bool = False) -> None:
        """Store the standing, with or without the files' states that its job had."""

        def do(db: sqlite_utils.Database) -> None:
            _put(db, job, standing)
            if forget_stamps:
                db.execute("DELETE FROM job_stamps WHERE job = ?", (job,))

        await self._runner.write(do)

    async def begin(
        self, run: NewRun, standing: StoredStanding, *, now: datetime, stamps: Iterable[StoredStamp] = ()
    ) -> str | None:
        """Store that a run starts now, and give its id; None where that time had a run already: then no run starts."""
        handled = tuple(stamps)

        def do(db: sqlite_utils.Database) -> str | None:
            try:
                row = db.execute(
                    "INSERT INTO job_runs (job, scheduled_for, reason, attempt, status, lateness_s, missed, more,"
                    " started_at) VALUES (?, ?, ?, ?, 'running', ?, ?, ?, ?) RETURNING id",
                    (
                        run.job, time_column(run.scheduled_for), run.reason, run.attempt, run.lateness_s, run.missed,
                        run.more, time_column(now),
                    ),
                ).fetchone()  # fmt: skip
            except sqlite3.IntegrityError:
                row = None
            _put(db, run.job, standing)
            _add_stamps(db, run.job, handled)
            return None if row is None else str(row[0])

        failpoint("job-run-unstored")
        found = await self._runner.write(do)
        failpoint("job-run-stored")
        return found

    async def record(self, times: RunlessTimes, standing: StoredStanding, *, now: datetime) -> str:
        """Store that these times have no run, and give the row's id."""

        def do(db: sqlite_utils.Database) -> str:
            row = db.execute(
                "INSERT INTO job_runs (job, scheduled_for, first, status, why, lateness_s, missed, more, finished_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
                (
                    times.job, time_column(times.scheduled_for), time_column(times.first), times.status,
                    valid_text(times.why), times.lateness_s, times.count, times.more, time_column(now),
                ),
            ).fetchone()  # fmt: skip
            _put(db, times.job, standing)
            return str(row[0])

        return await self._runner.write(do)

    async def turn(self, run_id: str, turn_id: str) -> None:
        """Store which turn is the run's."""

        def do(db: sqlite_utils.Database) -> None:
            db.execute("UPDATE job_runs SET turn_id = ? WHERE id = ?", (turn_id, int(run_id)))

        await self._runner.write(do)

    async def end(
        self, run_id: str, status: RunStatus, why: str | None, standing: tuple[str, StoredStanding], *, now: datetime
    ) -> None:
        """Store how a run ended, with the standing of its job."""

        def do(db: sqlite_utils.Database) -> None:
            ended = db.execute(
                "UPDATE job_runs SET status = ?, why = ?, finished_at = ? WHERE id = ? AND status = 'running'",
                (status, None if why is None else valid_text(why), time_column(now), int(run_id)),
            ).rowcount
            if ended:
                self._outbox.job_finished(db, _run(db, int(run_id)))
            _put(db, *standing)

        await self._runner.write(do)

    async def going(self) -> tuple[UnfinishedRun, ...]:
        """The runs that have no end yet."""

        def do(db: sqlite_utils.Database) -> tuple[UnfinishedRun, ...]:
            rows = db.execute(f"SELECT {RUN_COLUMNS} FROM job_runs WHERE status = 'running' ORDER BY id").fetchall()
            return tuple(map(unfinished_of, rows))

        return await self._runner.read(do)

    async def interrupt(self, why: str, *, now: datetime, but: Collection[str] = ()) -> int:
        """Mark the runs that an earlier daemon left going, but those of these ids, and give their number.

        They are not run again.
        """
        kept = {int(run_id) for run_id in but}

        def do(db: sqlite_utils.Database) -> int:
            going = [row[0] for row in db.execute("SELECT id FROM job_runs WHERE status = 'running' ORDER BY id")]
            left = [run_id for run_id in going if run_id not in kept]
            for run_id in left:
                db.execute(
                    "UPDATE job_runs SET status = 'interrupted', why = ?, finished_at = ? WHERE id = ?",
                    (why, time_column(now), run_id),
                )
                self._outbox.job_finished(db, _run(db, run_id))
            return len(left)

        return await self._runner.write(do)

    async def began(self, job: str, since: datetime) -> frozenset[datetime] | None:
        """Scheduled times later than `since` that had a run; None where there are too many to tell."""

        def do(db: sqlite_utils.Database) -> frozenset[datetime] | None:
            rows = db.execute(
                "SELECT scheduled_for FROM job_runs WHERE job = ? AND scheduled_for > ?"
                " AND reason IN ('on_time', 'catch_up') LIMIT ?",
                (job, time_column(since), _MOST_BEGUN + 1),
            ).fetchall()
            if len(rows) > _MOST_BEGUN:
                return None
            try:
                return frozenset(moment_of(row[0]) for row in rows)
            except (ValueError, TypeError):
                return None

        return await self._runner.read(do)

    async def get(self, run_id: str) -> JobRun:
        """One run that is there."""

        def do(db: sqlite_utils.Database) -> JobRun:
            return _run(db, int(run_id))

        return await self._runner.read(do)

    async def latest(self, jobs: Collection[str]) -> Mapping[str, JobRun]:
        """The latest run of each of these jobs."""

        def do(db: sqlite_utils.Database) -> dict[str, JobRun]:
            found: dict[str, JobRun] = {}
            for job in jobs:
                row = db.execute(
                    f"SELECT {RUN_COLUMNS} FROM job_runs WHERE job = ? ORDER BY id DESC LIMIT 1", (job,)
                ).fetchone()
                if row is not None:
                    found[job] = run_of(row)
            return found

        return await self._runner.read(do)

    async def history(self, job: str | None = None, limit: int = 50, before: str | None = None) -> JobRunList:
        """A page of runs, the latest first. Raises InvalidParams for a cursor that is none."""
        last = from_cursor(before, int)[0] if before is not None else 2**63 - 1

        def do(db: sqlite_utils.Database) -> JobRunList:
            rows = db.execute(
                f"SELECT {RUN_COLUMNS} FROM job_runs WHERE id < ?1 AND (?2 IS NULL OR job = ?2)"
                " ORDER BY id DESC LIMIT ?3",
                (last, job, limit + 1),
            ).fetchall()
            more = to_cursor(rows[limit - 1][0]) if len(rows) > limit else None
            return JobRunList(runs=tuple(map(run_of, rows[:limit])), next=more)

        return await self._runner.read(do)

    async def stamps(self, job: str) -> frozenset[StoredStamp]:
        """States of files that need no run of this job any more."""

        def do(db: sqlite_utils.Database) -> frozenset[StoredStamp]:
            rows = db.execute("SELECT inode, size, mtime_ns FROM job_stamps WHERE job = ?", (job,)).fetchall()
            return frozenset(
                StoredStamp(inode=row[0] & ((1 << 64) - 1), size=row[1], mtime_ns=row[2])
                for row in rows
                if all(isinstance(value, int) for value in row)
            )

        return await self._runner.read(do)

    async def put_stamps(self, job: str, stamps: Iterable[StoredStamp]) -> None:
        """Store exactly these states."""
        handled = tuple(stamps)

        def do(db: sqlite_utils.Database) -> None:
            db.execute("DELETE FROM job_stamps WHERE job = ?", (job,))
            _add_stamps(db, job, handled)

        await self._runner.write(do)

    async def prune(self, before: datetime) -> int:
        """Forget runs of times before this, and of jobs that are gone as well all else; gives how many runs went."""
        text = time_column(before)

        def do(db: sqlite_utils.Database) -> int:
            gone = db.execute(
                "DELETE FROM job_runs WHERE scheduled_for < ?1 AND status <> 'running'"
                " AND (finished_at IS NULL OR finished_at < ?1)",
                (text,),
            ).rowcount
            db.execute(
                "DELETE FROM job_stamps WHERE job IN"
                " (SELECT job FROM job_standings WHERE fingerprint = '' AND considered < ?)",
                (text,),
            )
            db.execute(
                "DELETE FROM job_standings WHERE fingerprint = '' AND considered < ?"
                " AND job NOT IN (SELECT job FROM job_runs)",
                (text,),
            )
            return gone

        return await self._runner.write(do)


def _run(db: sqlite_utils.Database, run_id: int) -> JobRun:
    return run_of(db.execute(f"SELECT {RUN_COLUMNS} FROM job_runs WHERE id = ?", (run_id,)).fetchone())


def _put(db: sqlite_utils.Database, job: str, standing: StoredStanding) -> None:
    db.execute(_PUT_STANDING, standing_values(job, standing))


def _add_stamps(db: sqlite_utils.Database, job: str, stamps: tuple[StoredStamp, ...]) -> None:
    rows = [(job, signed(one.inode), one.size, signed(one.mtime_ns)) for one in stamps]
    for row in rows:
        db.execute("INSERT OR IGNORE INTO job_stamps (job, inode, size, mtime_ns) VALUES (?, ?, ?, ?)", row)
