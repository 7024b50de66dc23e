"""The same lives with what is stored in a real database: a crash is another opening of its file."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

from hypothesis import settings
from hypothesis.stateful import invariant

from agentgw_daemon.scheduler.planning.decisions import Adopt, PlannedAction, Record, Start
from agentgw_daemon.scheduler.running.stored import from_rows, run_of, stamps_of, start_of, times_of, to_row
from agentgw_daemon.storage.file.store import DatabaseFiles
from agentgw_daemon.storage.jobs.job_store import JobStore
from tests.scheduler.planning.life import Life
from tests.scheduler.planning.world import World
from tests.storage.direct import Direct, run


class StoredWorld(World):
    """Keeps nothing itself: what is committed is what the next opening of the file gives."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.ids: dict[str, str] = {}
        self.open()

    def open(self) -> None:
        self.files = DatabaseFiles(self.folder, "WAL")
        self.files.open()
        self.store = JobStore(Direct(self.files))

    def start(self) -> None:
        self.standings = from_rows(run(self.store.standings()))
        super().start()

    def kill(self, waiting: frozenset[str] = frozenset()) -> None:
        super().kill(waiting)
        self.files.close()
        self.open()

    def take_up(self) -> None:
        going = run(self.store.going())
        assert {one.run.job for one in going} >= self.left.keys()
        kept = {one.run.run_id: one for one in going if one.run.job in self.left and one.run.job in self.jobs}
        assert run(self.store.interrupt("killed", now=self.clock.wall, but=kept)) == len(going) - len(kept)
        self.ids = {one.run.job: run_id for run_id, one in kept.items()}
        for one in kept.values():
            start = self.left[one.run.job]
            found = start_of(one, self.standings[one.run.job])
            # Files' states are with the job, and paths with the turn.
            assert found == replace(start, standing=found.standing, lateness_s=found.lateness_s, alone=found.alone)
        super().take_up()

    def commit(self, action: PlannedAction) -> None:
        row, now = to_row(action.standing), self.clock.wall
        match action:
            case Adopt():
                run(self.store.adopt(action.job, row))
            case Record():
                run(self.store.record(times_of(action), row, now=now))
            case Start():
                run_id = run(self.store.begin(run_of(action), row, now=now, stamps=stamps_of(action.stamps)))
                assert run_id is not None, "the database refused a second run"
                self.ids[action.job] = run_id
        super().commit(action)
        assert from_rows(run(self.store.standings()))[action.job] == action.standing
        since = action.standing.considered
        assert run(self.store.began(action.job, since)) == {
            slot for slot in self.began.get(action.job, ()) if slot > since
        }

    def end(self, name: str, *, failed: bool = False) -> None:
        assert self.planner is not None
        standing = self.planner.after(name, failed=failed)
        stored = self.store.end(
            self.ids.pop(name), "failed" if failed else "ok", None, (name, to_row(standing)), now=self.clock.wall
        )
        run(stored)
        super().end(name, failed=failed)


class StoredLife(Life):
    """As `Life`, and the history is looked at after each thing that happens."""

    def make_world(self) -> World:
        self.folder = Path(tempfile.mkdtemp(prefix="jobs-"))
        self.stored = StoredWorld(self.folder)
        return self.stored

    def teardown(self) -> None:
        self.stored.files.close()
        shutil.rmtree(self.folder)

    @invariant()
    def each_time_has_one_run_and_what_goes_on_is_on_record(self) -> None:
        runs = run(self.stored.store.history(limit=10_000)).runs
        assert len(runs) == len(self.stored.runs) + len(self.stored.records)
        timed = [one for one in runs if one.reason in ("on_time", "catch_up", "retry")]
        assert max(Counter((one.job, one.scheduled_for, one.attempt) for one in timed).values(), default=1) == 1
        going = {one.job for one in runs if one.status == "running"}
        # What a kill cut off is found by the next daemon.
        assert self.stored.planner is None or going == set(self.stored.running)


TestStoredLife = StoredLife.TestCase
TestStoredLife.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)
