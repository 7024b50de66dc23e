"""Jobs from the file to their turns and their history, over years in milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio

from agentgw.protocol.errors import AlreadyExists, ModelUnavailable, ShuttingDown, StorageUnavailable
from agentgw.protocol.types import SessionId, TurnId
from agentgw_daemon.events.turn_state import TurnState
from agentgw_daemon.storage.jobs.job_rows import NewRun
from tests.polling import pause, until
from tests.scheduler.fakeclock import FakeClock
from tests.scheduler.made import BERLIN, DAY_S, HOUR_S
from tests.scheduler.running.office import START, FakeTurns, office

pytestmark = pytest.mark.anyio

HOURLY = 'name: a, message: do it, cron_expression: "0 * * * *"'


async def test_a_job_runs_at_its_time_as_a_detached_turn(tmp_path: Path) -> None:
    async with office(tmp_path, f"{HOURLY}, skill_name: k, model: m") as made:
        assert made.turns.started == []
        await made.look(HOUR_S / 2)
        (params,) = made.turns.started
        assert (params.message, params.skill, params.model, params.detach) == ("do it", "k", "m", True)
        (run,) = await made.runs()
        assert (run.status, run.reason, run.turn_id) == ("ok", "on_time", "t-1")
        assert run.scheduled_for == "2026-11-02T08:00:00.000Z"
        assert [event.name for event in made.events] == ["loaded", "started", "ok"]
        assert [(job.name, heard.status) for job, heard in made.listener.heard] == [("a", "ok")]


async def test_a_job_that_was_asleep_for_years_makes_up_for_all_with_one_run(tmp_path: Path) -> None:
    async with office(tmp_path, HOURLY, f"{HOURLY.replace('name: a', 'name: b')}, misfire: skip") as made:
        made.clock.sleep(3652 * DAY_S)
        await made.look()
        assert made.turns.started == []  # the machine settles first
        (waiting, _) = (await made.jobs.list()).jobs
        assert (waiting.state, waiting.why) == ("waiting", "the computer has just woken up")
        await made.look(31)
        await made.all_ended()
        (run,) = await made.runs("a")
        assert (run.status, run.reason, run.missed, run.more) == ("ok", "catch_up", 100, True)
        (missed,) = await made.runs("b")
        assert (missed.status, missed.why, missed.missed, missed.more) == (
            "missed",
            "the computer was asleep",
            100,
            True,
        )


async def test_a_daemon_that_was_off_for_three_hours_catches_up_once_and_says_how_many(tmp_path: Path) -> None:
    entry = 'name: a, message: x, cron_expression: "*/5 * * * *"'
    clock = FakeClock(START)
    async with office(tmp_path, entry, f"{entry.replace('name: a', 'name: b')}, grace_s: 60", clock=clock):
        pass
    clock.go_on(3 * HOUR_S + 90)
    async with office(tmp_path, clock=clock) as made:
        await made.all_ended()
        (run,) = await made.runs("a")
        assert (run.status, run.reason, run.missed) == ("ok", "catch_up", 36)
        (missed,) = await made.runs("b")
        assert (missed.status, missed.missed, missed.why) == ("missed", 36, "agentgw was not running")


async def test_fifty_missed_jobs_start_one_at_a_time(tmp_path: Path) -> None:
    entries = [f'name: j{number}, message: x, cron_expression: "0 * * * *"' for number in range(50)]
    async with office(tmp_path, *entries, limit=8) as made:
        made.turns.at_once = False
        made.clock.sleep(5 * HOUR_S)
        await made.look()
        await made.look(31)
        ended = 0
        while made.turns.going:
            assert len(made.turns.going) == 1
            made.turns.end(next(iter(made.turns.going)))
            ended += 1
            await made.look(1)
        assert (ended, made.turns.most_at_once) == (50, 1)
        assert set(await made.statuses()) == {"ok"}


async def test_after_a_wake_up_a_job_waits_for_the_network_but_not_for_ever(tmp_path: Path) -> None:
    async with office(tmp_path, HOURLY) as made:
        made.world.there.discard("network")
        made.clock.sleep(2 * HOUR_S)
        await made.look()
        await made.look(35)
        assert made.turns.started == []
        await made.look(90)
        assert len(made.turns.started) == 1


@pytest.mark.parametrize(
    ("day", "cron", "times"),
    [
        ("2027-03-28", "30 2 * * *", ["03:00+02:00"]),
        ("2027-03-28", "0 1-3 * * *", ["01:00+01:00", "03:00+02:00"]),
        ("2026-10-25", "30 2 * * *", ["02:30+02:00"]),
        ("2026-10-25", "*/15 2 * * *", [f"02:{m}+0{h}:00" for h in (2, 1) for m in ("00", "15", "30", "45")]),
    ],
)  # fmt: skip
async def test_nights_of_a_change_of_clocks_run_as_the_zone_has_it(
    tmp_path: Path, day: str, cron: str, times: list[str]
) -> None:
    midnight = datetime.fromisoformat(day).replace(tzinfo=BERLIN).astimezone(UTC)
    async with office(tmp_path, f'name: a, message: x, cron_expression: "{cron}"', clock=FakeClock(midnight)) as made:
        for _ in range(5 * 12):
            await made.look(300)
        slots = [datetime.fromisoformat(run.scheduled_for).astimezone(BERLIN) for run in await made.runs()]
        assert [slot.isoformat()[11:16] + slot.isoformat()[19:] for slot in slots] == times


async def test_clocks_set_back_a_day_run_nothing_twice(tmp_path: Path) -> None:
    async with office(tmp_path, HOURLY) as made:
        for _ in range(5):
            await made.look(HOUR_S)
        made.clock.set(-DAY_S)
        for _ in range(30):
            await made.look(HOUR_S)
        slots = [run.scheduled_for for run in await made.runs()]
        assert len(slots) == len(set(slots))


async def test_a_run_that_a_kill_cut_off_is_interrupted_and_not_run_again(tmp_path: Path) -> None:
    clock = FakeClock(START)
    for _ in range(3):
        turns = FakeTurns()
        turns.at_once = False
        async with office(tmp_path, f"{HOURLY}, retries: 3", clock=clock, turns=turns) as made:
            await made.look(HOUR_S)
    async with office(tmp_path, clock=clock) as made:
        assert await made.statuses() == ["interrupted"] * 3
        assert made.turns.started == []
        assert {run.why for run in await made.runs()} == {"agentgw ended while it ran"}


async def test_a_run_whose_turn_is_left_waiting_goes_on_with_the_next_daemon_and_is_not_run_again(
    tmp_path: Path,
) -> None:
    clock, turns = FakeClock(START), FakeTurns()
    turns.at_once = False
    async with office(tmp_path, f"{HOURLY}, retries: 3", clock=clock, turns=turns) as made:
        await made.look(HOUR_S)
        (first,) = turns.going.values()
        made.scheduler.close()
        first.end(ShuttingDown("it waits"))
        await made.scheduler.wait_ended()
        assert await made.statuses() == ["running"]
    # The next daemon goes on with the turn: it is the same one to whoever asks.
    turns.going["t-1"] = resumed = TurnState(
        turn_id=TurnId("t-1"), session_id=SessionId("s-1"), skill="k", model="m", stored=True, detached=True
    )
    async with office(tmp_path, clock=clock, turns=turns) as made:
        assert made.scheduler.going["a"].turn_id == "t-1"
        await made.look(HOUR_S / 4)
        assert await made.statuses() == ["running"]
        assert len(turns.started) == 1
        turns.end("t-1")
        await made.all_ended()
        assert resumed.outcome is not None
        assert [(run.status, run.turn_id) for run in await made.runs()] == [("ok", "t-1")]
        assert [(job.name, run.status) for job, run in made.listener.heard] == [("a", "ok")]


async def test_a_run_that_was_left_waiting_ends_in_its_own_time_or_with_its_job(tmp_path: Path) -> None:
    clock, turns = FakeClock(START), FakeTurns()
    turns.at_once = False
    two = (f"{HOURLY}, timeout_s: 60, overlap: queue", f"{HOURLY.replace('name: a', 'name: b')}")
    async with office(tmp_path, *two, clock=clock, turns=turns, limit=2) as made:
        for name in ("a", "b"):
            await made.jobs.run(name, wait=False)
        assert await made.statuses() == ["running", "running"]
    clock.go_on(120)
    async with office(tmp_path, two[0], clock=clock, turns=turns) as made:
        while made.scheduler.going:
            # It took longer than a minute, the daemon's absence included.
            if (turn := turns.find("t-1")) is not None and turn.scope.cancel_called:
                turns.end("t-1", "cancelled")
            await pause()
        runs = await made.runs()
        assert [(run.status, run.why) for run in runs] == [
            ("failed", "it took longer than 60 seconds"),
            ("interrupted", "agentgw ended while it ran"),
        ]


async def test_a_failure_is_tried_again_after_a_pause_and_no_more_often_than_asked(tmp_path: Path) -> None:
    async with office(tmp_path, f"{HOURLY}, retries: 2") as made:
        made.turns.error = ModelUnavailable("no model", model="m")
        await made.look(HOUR_S / 2)
        await made.look(59)
        assert await made.statuses() == ["failed"]
        await made.look(2)
        await made.look(600)
        await made.look(600)
        runs = await made.runs()
        assert [(run.attempt, run.status, run.why) for run in runs] == [(n, "failed", "no model") for n in (1, 2, 3)]
        assert {run.scheduled_for for run in runs} == {"2026-11-02T08:00:00.000Z"}


async def test_a_run_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    async with office(tmp_path, f"{HOURLY}, timeout_s: 0.01") as made:
        made.turns.at_once = False
        await made.scheduler.look()
        made.clock.go_on(HOUR_S)
        await made.scheduler.look()
        while (turn := made.turns.find("t-1")) is None or not turn.scope.cancel_called:
            await pause()
        made.turns.end("t-1", "cancelled")
        await made.all_ended()
        (run,) = await made.runs()
        assert (run.status, run.why) == ("failed", "it took longer than 0.01 seconds")


@pytest.mark.parametrize(("policy", "statuses"), [("skip", ["ok", "skipped"]), ("queue", ["ok", "ok"])])
async def test_a_time_that_comes_while_the_run_before_goes_on(tmp_path: Path, policy: str, statuses: list[str]) -> None:
    async with office(tmp_path, f"{HOURLY}, overlap: {policy}", limit=4) as made:
        made.turns.at_once = False
        await made.look(HOUR_S)
        await made.look(HOUR_S)
        made.turns.at_once = True
        made.turns.end("t-1")
        await made.all_ended()
        assert await made.statuses() == statuses


async def test_no_more_runs_go_on_at_once_than_may(tmp_path: Path) -> None:
    entries = [f'name: j{number}, message: x, cron_expression: "0 * * * *"' for number in range(5)]
    async with office(tmp_path, *entries, limit=2) as made:
        made.turns.at_once = False
        await made.look(HOUR_S / 2)
        assert len(made.turns.going) == 2
        states = {job.name: (job.state, job.why) for job in (await made.jobs.list()).jobs}
        assert list(states.values()).count(("waiting", "other jobs are running")) == 3


async def test_what_a_job_needs_is_waited_for_with_the_reason(tmp_path: Path) -> None:
    async with office(tmp_path, f"{HOURLY}, needs: [ac, idle]") as made:
        assert made.world.asked == {"ac", "idle"}  # what no job needs is not looked at
        made.world.there.discard("ac")
        await made.look(HOUR_S / 2)
        (job,) = (await made.jobs.list()).jobs
        assert (job.state, job.why, made.turns.started) == ("waiting", "needs mains power", [])
        made.world.there.add("ac")
        await made.look(120)
        (run,) = await made.runs()
        assert (run.status, run.reason, run.lateness_s > 100) == ("ok", "on_time", True)


async def test_nothing_starts_while_the_machine_is_about_to_sleep(tmp_path: Path) -> None:
    async with office(tmp_path, HOURLY) as made:
        made.scheduler.hold(True)
        await made.look(HOUR_S / 2)
        assert made.turns.started == []
        made.scheduler.hold(False)
        await made.look()
        assert len(made.turns.started) == 1


async def test_without_a_scheduler_only_what_is_asked_for_runs_and_no_time_is_decided(tmp_path: Path) -> None:
    clock = FakeClock(START)
    async with office(tmp_path, HOURLY, clock=clock):
        pass
    async with office(tmp_path, clock=clock, enabled=False) as made:
        await made.look(3 * HOUR_S)
        assert (made.turns.started, await made.runs()) == ([], [])
        assert (await made.jobs.run("a", wait=True)).status == "ok"
        assert [run.reason for run in await made.runs()] == ["manual"]
    async with office(tmp_path, clock=clock) as made:
        await made.all_ended()
        assert [(run.reason, run.missed) for run in await made.runs()] == [("manual", 0), ("catch_up", 3)]


async def test_a_run_by_hand_does_not_wait_and_not_beside_another(tmp_path: Path) -> None:
    async with office(tmp_path, f"{HOURLY}, enabled: false, needs: [network]") as made:
        made.world.there.clear()
        made.turns.at_once = False
        run = await made.jobs.run("a", wait=False)
        assert (run.status, run.reason, run.turn_id) == ("running", "manual", "t-1")
        with pytest.raises(AlreadyExists):
            await made.jobs.run("a", wait=False)
        made.turns.end("t-1", error=ModelUnavailable("gone", model="m"))
        await made.all_ended()
        assert await made.statuses() == ["failed"]


async def test_a_stop_interrupts_runs_and_their_ends_are_stored(tmp_path: Path) -> None:
    async with office(tmp_path, f"{HOURLY}, retries: 1") as made:
        made.turns.at_once = False
        await made.look(HOUR_S)
        made.scheduler.close()
        made.turns.end("t-1", "cancelled")
        await made.scheduler.wait_ended()
        assert [(run.status, run.why) for run in await made.runs()] == [("interrupted", "agentgw was stopped")]
        await made.look(2 * HOUR_S)
        assert len(made.turns.started) == 1


async def test_a_turn_that_cannot_start_in_a_stop_is_interrupted(tmp_path: Path) -> None:
    async with office(tmp_path, HOURLY) as made:
        made.turns.error = ShuttingDown("the daemon is stopping")
        await made.look(HOUR_S)
        assert await made.statuses() == ["interrupted"]


async def test_a_bug_in_a_turn_or_a_listener_ends_that_run_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with office(tmp_path, HOURLY) as made:
        made.turns.error = ZeroDivisionError("bug")
        made.listener.error = ZeroDivisionError("bug")
        await made.look(HOUR_S / 2)
        made.turns.error = None
        await made.look(HOUR_S)
        first, second = await made.runs()
        assert (first.status, second.status) == ("failed", "ok")
        assert (first.why or "").startswith("Internal error ")
        assert "ZeroDivisionError" in caplog.text


async def test_a_bad_line_is_told_once_and_the_others_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with office(tmp_path, HOURLY, "name: b, message: x, every: fortnight", "name: c") as made:
        await made.look(HOUR_S)
        assert [run.job for run in await made.runs()] == ["a"]
        found = await made.jobs.list()
        assert [(one.line, one.job) for one in found.problems] == [(3, "b"), (4, "c")]
        assert caplog.text.count("jobs.yaml:3:") == 1


async def test_a_job_that_cannot_be_reckoned_with_costs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with office(tmp_path, HOURLY, "name: b, message: x, every: 7 minutes") as made:
        monkeypatch.setattr("agentgw_daemon.scheduler.schedules.every.Every.next_after", lambda *_: 1 // 0)
        monkeypatch.setattr("agentgw_daemon.scheduler.schedules.every.Every.latest_upto", lambda *_: 1 // 0)
        await made.look(HOUR_S)
        await made.look(HOUR_S)
        assert {run.job for run in await made.runs()} == {"a"}
        assert caplog.text.count("planning job b") == 1


async def test_an_entry_that_goes_bad_rests_and_owes_its_times_when_it_is_mended(tmp_path: Path) -> None:
    async with office(tmp_path, HOURLY) as made:
        made.write("name: a, message: do it, cron_expression: nonsense")
        await made.look(2 * HOUR_S)
        assert await made.runs() == []
        made.write(HOURLY)
        await made.look()
        await made.all_ended()
        assert [(run.reason, run.missed) for run in await made.runs()] == [("catch_up", 2)]


async def test_a_database_that_cannot_be_written_delays_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with office(tmp_path, HOURLY) as made:
        begin = made.database.jobs.begin

        async def full(*args: object, **more: object) -> None:
            raise StorageUnavailable("the disk is full", reason="full")

        monkeypatch.setattr(made.database.jobs, "begin", full)
        await made.look(HOUR_S / 2)
        assert made.turns.started == []
        monkeypatch.setattr(made.database.jobs, "begin", begin)
        await made.look(30)
        assert await made.statuses() == ["ok"]


async def test_old_runs_are_forgotten(tmp_path: Path) -> None:
    clock = FakeClock(START)
    async with office(tmp_path, HOURLY, clock=clock) as made:
        await made.look(HOUR_S)
    clock.go_on(100 * DAY_S)
    async with office(tmp_path, clock=clock, keep_days=30.0) as made:
        await made.all_ended()
        assert [run.reason for run in await made.runs()] == ["catch_up"]


async def test_the_loop_sleeps_until_the_next_time_and_wakes_when_it_is_poked(tmp_path: Path) -> None:
    async with office(tmp_path, HOURLY) as made, trio.open_nursery() as nursery:
        made.clock.go_on(HOUR_S / 2 - 0.01)
        nursery.start_soon(made.scheduler.run)
        await until(lambda: made.scheduler.plan.wake_at)
        made.clock.go_on(1)
        made.scheduler.poke()
        while await made.statuses() != ["ok"]:
            await pause()
        nursery.cancel_scope.cancel()


async def test_approvals_and_folders_of_a_job_reach_its_turn(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "a.txt").write_text("buy milk")
    (inbox / "b.bin").write_bytes(b"\xff\xfe")
    (inbox / ".hidden").write_text("no")
    async with office(tmp_path, f"{HOURLY}, approvals: deny, files: [{inbox}], cwd: /tmp", limit=2) as made:
        await made.look(HOUR_S)
        (params,) = made.turns.started
        assert (params.approvals, params.cwd) == (("deny",), "/tmp")
        assert [(file.name, file.text) for file in params.files] == [
            (f"{inbox}/a.txt", "buy milk"), ("files that are left out", f"{inbox}/b.bin"),
        ]  # fmt: skip
        made.write(f"{HOURLY}, approvals: [run_command], files: [{inbox}/gone]")
        await made.look(HOUR_S)
        run = (await made.runs())[-1]
        assert (run.status, run.why) == ("failed", f"{inbox}/gone: No such file or directory")


async def test_a_job_that_cannot_be_stored_keeps_no_other_from_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with office(tmp_path, "name: a, message: m, every: hour", "name: b, message: m, every: hour") as made:
        await made.look()
        begin = made.database.jobs.begin

        async def refuse_one(run: NewRun, *args: Any, **options: Any) -> str | None:
            if run.job == "a":
                raise OverflowError("too large")
            return await begin(run, *args, **options)

        monkeypatch.setattr(made.database.jobs, "begin", refuse_one)
        await made.look(HOUR_S)
        await made.all_ended()
        assert await made.statuses("a") == []
        assert await made.statuses("b") == ["ok"]
        assert "too large" in caplog.text
        monkeypatch.undo()
        await made.all_ended()
        assert await made.statuses("a") == ["ok"], "nothing is forgotten"


def test_the_start_is_what_the_tests_say_it_is() -> None:
    assert START.astimezone(BERLIN) - timedelta(hours=8, minutes=30) == datetime(2026, 11, 2, tzinfo=BERLIN)
