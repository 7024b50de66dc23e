"""Jobs in the database: one run for a scheduled time, whatever happens between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agentgw.protocol.errors import InvalidParams
from agentgw_daemon.scheduler.running.stored import from_rows, start_of
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.jobs.job_rows import (
    NewRun,
    RunlessTimes,
    StoredRetry,
    StoredStamp,
    StoredStanding,
    moment_of,
    signed,
    time_column,
)

pytestmark = pytest.mark.anyio

NOON = datetime(2027, 3, 28, 12, 0, tzinfo=UTC)
STANDING = StoredStanding(considered=NOON, fingerprint="cron 0 12 * * *")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database.open(tmp_path / "data") as opened:
        yield opened


def new(at: datetime = NOON, **fields: object) -> NewRun:
    given: dict[str, object] = {"job": "a", "scheduled_for": at, "reason": "on_time", "attempt": 1, "lateness_s": 0.5}
    return NewRun(**{**given, **fields})  # type: ignore[arg-type]  # the test's own fields


async def test_a_run_is_stored_with_the_standing_of_its_job(database: Database) -> None:
    run_id = await database.jobs.begin(new(missed=36, more=True), STANDING, now=NOON)
    assert run_id is not None
    run = await database.jobs.get(run_id)
    assert (run.status, run.reason, run.missed, run.more) == ("running", "on_time", 36, True)
    assert run.scheduled_for == run.started_at == "2027-03-28T12:00:00.000Z"
    assert await database.jobs.standings() == {"a": STANDING}


async def test_a_run_without_an_end_keeps_the_time_it_is_for_to_the_microsecond(database: Database) -> None:
    at = NOON.replace(microsecond=735_907)
    await database.jobs.begin(new(at), STANDING, now=NOON)
    (unfinished,) = await database.jobs.going()
    assert unfinished.run.scheduled_for == "2027-03-28T12:00:00.735Z"
    assert moment_of(unfinished.scheduled_for) == at
    assert start_of(unfinished, from_rows({"a": STANDING})["a"]).scheduled_for == at


async def test_a_time_has_one_run_for_each_attempt_and_runs_by_hand_are_free(database: Database) -> None:
    store = database.jobs
    assert await store.begin(new(), STANDING, now=NOON)
    later = StoredStanding(considered=NOON + timedelta(hours=1), fingerprint="x")
    assert await store.begin(new(reason="catch_up"), later, now=NOON) is None
    # The time counts as decided nevertheless.
    assert (await store.standings())["a"] == later
    assert await store.begin(new(reason="retry", attempt=2), STANDING, now=NOON)
    assert await store.begin(new(reason="retry", attempt=2), STANDING, now=NOON) is None
    assert await store.begin(new(reason="manual"), STANDING, now=NOON)
    assert await store.begin(new(reason="manual"), STANDING, now=NOON)
    assert await store.begin(new(job="b"), STANDING, now=NOON)


async def test_the_end_of_a_run_carries_the_retry(database: Database) -> None:
    store = database.jobs
    run_id = await store.begin(new(), STANDING, now=NOON)
    assert run_id is not None
    await store.turn(run_id, "t-1")
    retry = StoredRetry(scheduled_for=NOON, attempt=2, at=NOON + timedelta(minutes=1))
    standing = StoredStanding(considered=NOON, fingerprint="x", retry=retry)
    await store.end(run_id, "failed", "no model", ("a", standing), now=NOON + timedelta(seconds=3))
    run = await store.get(run_id)
    assert (run.status, run.why, run.turn_id, run.finished_at) == (
        "failed", "no model", "t-1", "2027-03-28T12:00:03.000Z",
    )  # fmt: skip
    assert (await store.standings())["a"].retry == retry
    # A run that has ended stays as it is.
    await store.end(run_id, "ok", None, ("a", STANDING), now=NOON)
    assert (await store.get(run_id)).status == "failed"


async def test_what_a_crash_left_running_is_interrupted_once(database: Database) -> None:
    store = database.jobs
    run_id = await store.begin(new(), STANDING, now=NOON)
    assert run_id is not None
    assert await store.interrupt("it ended", now=NOON) == 1
    assert await store.interrupt("it ended", now=NOON) == 0
    assert ((await store.get(run_id)).status, (await store.get(run_id)).why) == ("interrupted", "it ended")
    assert await store.begin(new(), STANDING, now=NOON) is None


async def test_times_without_a_run_are_in_the_history_and_never_begun(database: Database) -> None:
    store = database.jobs
    await store.begin(new(), STANDING, now=NOON)
    await store.begin(new(NOON + timedelta(hours=1), reason="manual"), STANDING, now=NOON)
    times = RunlessTimes(
        job="a", first=NOON + timedelta(hours=2), scheduled_for=NOON + timedelta(hours=4), status="missed", count=3,
        more=False, why="the computer was asleep", lateness_s=7200.0,
    )  # fmt: skip
    await store.record(times, STANDING, now=NOON)
    page = await store.history("a", limit=2)
    assert [run.status for run in page.runs] == ["missed", "running"]
    assert (page.runs[0].first, page.runs[0].missed) == ("2027-03-28T14:00:00.000Z", 3)
    rest = await store.history("a", limit=2, before=page.next)
    assert ([run.reason for run in rest.runs], rest.next) == (["on_time"], None)
    assert await store.began("a", NOON - timedelta(days=1)) == {NOON}
    assert await store.began("a", NOON) == frozenset()
    with pytest.raises(InvalidParams):
        await store.history(before="nonsense")


async def test_states_of_files_are_kept_until_the_job_begins_anew(database: Database) -> None:
    store = database.jobs
    large = StoredStamp(inode=2**64 - 1, size=0, mtime_ns=-5)
    small = StoredStamp(inode=1, size=2, mtime_ns=3)
    await store.put_stamps("a", [large])
    await store.begin(new(reason="changed"), STANDING, now=NOON, stamps=[small, large])
    assert await store.stamps("a") == {large, small}
    await store.adopt("a", STANDING)
    assert await store.stamps("a") == {large, small}
    await store.adopt("a", STANDING, forget_stamps=True)
    assert await store.stamps("a") == frozenset()


async def test_old_runs_are_forgotten_and_those_that_go_on_are_not(database: Database) -> None:
    store = database.jobs
    old = await store.begin(new(), STANDING, now=NOON)
    assert old is not None
    await store.begin(new(NOON + timedelta(days=1)), STANDING, now=NOON)
    assert await store.prune(NOON + timedelta(days=30)) == 0
    await store.end(old, "ok", None, ("a", STANDING), now=NOON)
    await store.put_stamps("gone", [StoredStamp(inode=1, size=1, mtime_ns=1)])
    await store.adopt("gone", StoredStanding(considered=NOON, fingerprint=""))
    assert await store.prune(NOON + timedelta(days=30)) == 1
    assert list(await store.standings()) == ["a"]
    assert await store.stamps("gone") == frozenset()


async def test_a_row_that_went_bad_costs_itself(database: Database) -> None:
    for job in "abcd":
        await database.jobs.adopt(job, STANDING)
    await database.jobs.begin(new(job="d"), STANDING, now=NOON)
    for sql in (
        "UPDATE job_standings SET considered = 'noon' WHERE job = 'a'",
        "UPDATE job_standings SET considered = '9999-12-31T23:59:59.999999+00:00' WHERE job = 'b'",
        "UPDATE job_standings SET retry_for = x'00ff', retry_attempt = 'x' WHERE job = 'c'",
        "UPDATE job_runs SET scheduled_for = x'ff', status = 7, lateness_s = 'x', started_at = 5",
    ):
        await spoil(database, sql)
    assert list(await database.jobs.standings()) == ["d"]
    (run,) = (await database.jobs.history()).runs
    assert (run.status, run.lateness_s, run.started_at) == ("failed", 0.0, None)
    assert await database.jobs.began("d", NOON - timedelta(days=1)) in (None, frozenset())


async def spoil(database: Database, sql: str) -> None:
    await database._thread.write(lambda db: db.execute(sql))


def test_times_sort_as_text_and_come_back() -> None:
    moments = [NOON, NOON + timedelta(microseconds=1), NOON + timedelta(seconds=1)]
    texts = [time_column(moment) for moment in moments]
    assert texts == sorted(texts)
    assert [moment_of(text) for text in texts] == moments
    for bad in ("2027-01-01", "9999-01-01T00:00:00+00:00", "x", 5, None):
        with pytest.raises((ValueError, TypeError)):
            moment_of(bad)


@pytest.mark.parametrize("number", [0, 1, 2**63 - 1, 2**63, 2**64 - 1])
def test_an_inode_of_64_bits_has_room(number: int) -> None:
    assert -(2**63) <= signed(number) < 2**63
    assert signed(number) & (2**64 - 1) == number
