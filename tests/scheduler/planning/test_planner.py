"""The planner through single stories; the model test goes through all of them mixed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta

import pytest

from agentgw_daemon.scheduler.job import Job
from agentgw_daemon.scheduler.planning.decisions import Adopt, Record, Start
from agentgw_daemon.scheduler.planning.planner import Planner
from agentgw_daemon.scheduler.planning.settling import FileState, Settled
from agentgw_daemon.scheduler.schedules.every import parse_every
from agentgw_daemon.scheduler.schedules.schedule import At, OnPath
from tests.scheduler.made import BERLIN, DAY_S, EIGHT, HOME, HOUR_S, job
from tests.scheduler.planning.world import World

EVERY_5 = "*/5 * * * *"


def begun(*jobs: Job, limit: int = 2) -> World:
    world = World(limit=limit)
    world.start()
    world.edit(jobs)
    return world


def summary(world: World) -> list[tuple[object, ...]]:
    return [(run.reason, (run.scheduled_for - EIGHT) / timedelta(minutes=1), run.missed) for run in world.runs]


def test_a_job_runs_at_its_times() -> None:
    world = begun(job("a", EVERY_5))
    for _ in range(2):
        world.awake(300)
        world.finish("a")
    assert summary(world) == [("on_time", 5, 0), ("on_time", 10, 0)]
    assert [run.lateness_s for run in world.runs] == [0.0, 0.0]


def test_three_hours_without_a_daemon_are_one_run() -> None:
    world = begun(job("a", EVERY_5))
    world.kill()
    world.awake(3 * HOUR_S)
    world.start()
    assert summary(world) == [("on_time", 180, 35)]
    world.kill()
    world.awake(3 * HOUR_S + 120)
    world.start()
    assert summary(world)[1] == ("catch_up", 360, 36)
    assert world.runs[1].lateness_s == 120.0


def test_under_skip_what_was_missed_is_recorded_with_the_reason() -> None:
    world = begun(job("a", EVERY_5, misfire="skip"))
    world.kill()
    world.awake(3 * HOUR_S + 120)
    world.start()
    assert world.runs == []
    (record,) = world.records
    assert (record.status, record.count, record.more) == ("missed", 36, False)
    assert record.why == "agentgw was not running"
    assert record.lateness_s == 120.0
    world.awake(180)
    assert summary(world) == [("on_time", 185, 0)]


def test_the_grace_is_how_late_a_run_may_be() -> None:
    world = begun(job("a", "0 * * * *", grace_s=600.0), job("b", "0 * * * *", misfire="skip", grace_s=600.0))
    world.asleep(HOUR_S + 500)
    world.awake(40)
    world.finish("a")
    assert [(run.job, run.reason) for run in world.runs] == [("a", "catch_up"), ("b", "catch_up")]
    world.finish("b")
    world.asleep(HOUR_S + 700)
    world.awake(40)
    assert len(world.runs) == 2
    assert [(record.job, record.why) for record in world.records] == [
        ("a", "the computer was asleep"), ("b", "the computer was asleep"),
    ]  # fmt: skip


def test_after_a_sleep_the_machine_settles_first_and_then_one_starts_at_a_time() -> None:
    world = begun(*(job(f"j{number:02}", EVERY_5) for number in range(50)), limit=8)
    world.asleep(HOUR_S + 60)
    world.awake(29)
    assert not world.runs
    assert {one.why for one in world.plan.waiting} == {"the computer has just woken up"}
    world.awake(1)
    for number in range(50):
        assert list(world.running) == [f"j{number:02}"]
        world.finish(f"j{number:02}")
    assert [run.job for run in world.runs] == [f"j{number:02}" for number in range(50)]


def test_as_many_as_may_start_together_where_none_is_late() -> None:
    world = begun(*(job(f"j{number}", EVERY_5) for number in range(5)), limit=3)
    world.awake(301)
    assert len(world.running) == 3
    assert {one.why for one in world.plan.waiting} == {"other jobs are running"}


def test_a_clock_set_forward_by_a_year_is_one_run() -> None:
    world = begun(job("a", "0 * * * *", misfire="run_once"))
    world.set_clock(400 * DAY_S)
    assert [(run.reason, run.missed, run.more) for run in world.runs] == [("on_time", 99 + 1, True)]


def test_a_clock_set_back_by_a_day_runs_nothing_twice() -> None:
    world = begun(job("a", "0 * * * *"))
    for _ in range(3):
        world.awake(HOUR_S)
        world.finish("a")
    world.set_clock(-DAY_S)
    for _ in range(30):
        world.awake(HOUR_S)
        for name in list(world.running):
            world.finish(name)
    slots = [run.scheduled_for for run in world.runs]
    assert len(slots) == len(set(slots))


def test_a_clock_that_was_wrongly_ahead_keeps_no_job_from_its_times() -> None:
    world = begun(job("a", "0 * * * *"))
    world.set_clock(400 * DAY_S)
    world.finish("a")
    world.set_clock(-400 * DAY_S)
    world.awake(HOUR_S)
    assert summary(world)[-1] == ("on_time", 60, 0)
    world.finish("a")
    # Also for a daemon that finds it so when it starts.
    world.kill()
    world.start()
    world.awake(HOUR_S)
    assert summary(world)[-1] == ("on_time", 120, 0)


def test_the_grace_holds_too_where_the_clock_was_set_back() -> None:
    world = begun(job("a", "0 * * * *", grace_s=120.0, needs=frozenset({"network"})))
    world.set_clock(400 * DAY_S)
    world.finish("a")
    world.set_clock(-400 * DAY_S)
    world.provide()
    world.awake(HOUR_S + 300)
    world.provide("network")
    assert len(world.runs) == 1
    world.awake(HOUR_S)
    assert summary(world)[-1] == ("on_time", 120, 0)


def test_after_a_clock_set_back_as_many_start_together_as_may() -> None:
    world = begun(job("a", "0 * * * *"), job("b", "0 * * * *"), limit=2)
    world.asleep(400 * DAY_S + 60)
    world.awake(40)
    for name in ("a", "b"):
        world.finish(name)
    world.set_clock(-400 * DAY_S)
    world.awake(HOUR_S)
    assert sorted(world.running) == ["a", "b"]


def test_a_job_rests_when_what_had_a_run_is_too_much_to_know() -> None:
    world = begun(job("a", "0 * * * *"))
    world.set_clock(400 * DAY_S)
    world.finish("a")
    world.clock.set(-400 * DAY_S)
    assert world.planner is not None
    world.planner.observe(world.clock.read())
    (ask,) = world.planner.plan().asks
    world.planner.answer(ask.job, None)
    world.awake(5 * HOUR_S)
    assert len(world.runs) == 1


@pytest.mark.parametrize(("overlap", "expected"), [("skip", 1), ("queue", 2)])
def test_a_time_that_comes_during_a_run_is_skipped_or_waits(overlap: str, expected: int) -> None:
    world = begun(job("a", EVERY_5, overlap=overlap))
    world.awake(600)
    if overlap == "skip":
        assert [(record.status, record.count, record.why) for record in world.records] == [
            ("skipped", 1, "its run before is still going")
        ]
    else:
        assert [one.why for one in world.plan.waiting] == ["its run before is still going"]
    world.finish("a")
    assert len(world.runs) == expected
    assert len(world.records) == 2 - expected


def test_what_is_needed_is_waited_for_and_a_newer_time_takes_the_place_of_the_older() -> None:
    world = begun(job("a", EVERY_5, needs=frozenset({"network"})))
    world.provide("ac")
    world.awake(601)
    assert [(one.scheduled_for, one.why) for one in world.plan.waiting] == [
        (EIGHT + timedelta(minutes=10), "needs the network")
    ]
    world.provide("network")
    assert summary(world) == [("on_time", 10, 1)]


def test_a_time_that_comes_while_an_older_one_waits_is_seen_to_come() -> None:
    world = begun(job("a", EVERY_5, needs=frozenset({"network"})))
    world.provide()
    world.awake(301)
    world.awake(400)
    world.provide("network")
    assert summary(world) == [("on_time", 10, 1)]


def test_under_skip_the_older_time_is_recorded_with_what_it_waited_for() -> None:
    world = begun(job("a", EVERY_5, misfire="skip", needs=frozenset({"network"})))
    world.provide()
    world.awake(601)
    world.provide("network")
    assert [(record.count, record.why) for record in world.records] == [(1, "needs the network")]
    assert summary(world) == [("on_time", 10, 0)]


def test_waiting_ends_with_the_grace() -> None:
    world = begun(job("a", "0 * * * *", grace_s=120.0, needs=frozenset({"network"})))
    world.provide()
    world.awake(HOUR_S + 125)
    assert [(record.status, record.why) for record in world.records] == [("missed", "needs the network")]
    world.provide("network")
    assert world.runs == []


def test_a_failed_run_is_tried_again_with_growing_distance() -> None:
    world = begun(job("a", "0 0 * * *", retries=3))
    world.awake(15 * HOUR_S)
    for attempt, distance_s in ((2, 60), (3, 120), (4, 240)):
        world.finish("a", failed=True)
        world.awake(distance_s - 1)
        assert not world.running
        world.awake(1)
        assert world.running["a"].attempt == attempt
    world.finish("a", failed=True)
    world.awake(3 * HOUR_S)
    assert len(world.runs) == 4


def test_a_retry_survives_the_daemon() -> None:
    world = begun(job("a", "0 0 * * *", retries=1))
    world.awake(15 * HOUR_S)
    world.finish("a", failed=True)
    world.kill()
    world.awake(30)
    world.start()
    assert len(world.runs) == 1
    world.awake(31)
    assert [(run.reason, run.attempt) for run in world.runs] == [("on_time", 1), ("retry", 2)]
    assert world.runs[0].scheduled_for == world.runs[1].scheduled_for


def test_a_retry_that_was_interrupted_is_not_made_again() -> None:
    world = begun(job("a", "0 0 * * *", retries=5))
    world.awake(15 * HOUR_S)
    world.finish("a", failed=True)
    world.awake(60)
    assert world.running["a"].reason == "retry"
    world.kill()
    world.start()
    world.awake(3 * HOUR_S)
    assert len(world.runs) == 2


def test_a_newer_time_takes_the_place_of_a_retry() -> None:
    world = begun(job("a", "* * * * *", retries=5))
    world.awake(65)
    world.finish("a", failed=True)
    world.awake(120)
    assert [run.reason for run in world.runs] == ["on_time", "on_time"]


def test_a_run_that_was_interrupted_is_not_tried_again() -> None:
    world = begun(job("a", "0 10 * * *", retries=5))
    world.awake(HOUR_S)
    world.kill()
    world.start()
    world.awake(5 * HOUR_S)
    assert len(world.runs) == 1


@pytest.mark.parametrize("commits", [1, 2])
def test_a_kill_before_the_commit_loses_nothing_and_one_after_it_repeats_nothing(commits: int) -> None:
    world = begun(job("a", "0 10 * * *"), job("b", "0 10 * * *"))
    world.kill_after = commits
    world.awake(HOUR_S)
    assert world.planner is None
    world.awake(10)
    world.start()
    world.awake(10)
    for name in list(world.running):
        world.finish(name)
    assert sorted(run.job for run in world.runs) == ["a", "b"]


def test_a_single_time_runs_once_also_when_the_daemon_was_away() -> None:
    world = begun(job("a", At(text="", instant=EIGHT + timedelta(hours=1))))
    world.kill()
    world.awake(DAY_S)
    world.start()
    assert summary(world) == [("catch_up", 60, 1)]
    world.finish("a")
    world.awake(DAY_S)
    assert len(world.runs) == 1


def test_a_job_that_is_off_or_gone_owes_nothing_when_it_comes_back() -> None:
    world = begun(job("a", EVERY_5), job("b", EVERY_5))
    world.switch("a", False)
    world.remove("b")
    world.awake(DAY_S)
    assert not world.runs
    world.switch("a", True)
    world.edit([job("b", EVERY_5)])
    assert not world.runs
    world.awake(300)
    assert [(run.reason, run.missed) for run in world.runs] == [("on_time", 0), ("on_time", 0)]


def test_a_job_that_went_while_the_daemon_was_away_owes_nothing_either() -> None:
    world = begun(job("a", EVERY_5))
    world.kill()
    gone = world.jobs.pop("a")
    world.start()
    assert world.standings["a"].fingerprint == ""
    world.awake(DAY_S)
    world.edit([gone])
    assert not world.runs


def test_another_schedule_begins_now_and_another_message_changes_nothing() -> None:
    world = begun(job("a", "0 10 * * *"))
    world.kill()
    world.awake(2 * HOUR_S)
    world.jobs["a"] = job("a", "30 8 * * *")
    world.start()
    assert not world.runs
    world.kill()
    world.awake(DAY_S)
    world.jobs["a"] = replace(world.jobs["a"], message="other")
    world.start()
    assert [run.reason for run in world.runs] == ["catch_up"]


def test_a_job_whose_entry_cannot_be_read_rests_and_owes_its_times() -> None:
    world = begun(job("a", EVERY_5))
    assert world.planner is not None
    known = dict(world.jobs)
    world.planner.load([], complete=False)
    world.jobs.clear()
    world.awake(HOUR_S)
    assert not world.runs
    assert world.standings["a"].fingerprint
    world.edit(known.values())
    assert [run.missed for run in world.runs] == [11]


def test_a_run_by_hand_starts_at_once_and_takes_no_time_away() -> None:
    world = begun(job("a", "0 10 * * *", enabled=False, needs=frozenset({"network"})), job("b", "0 10 * * *"))
    world.provide()
    assert world.planner is not None
    for name in ("a", "b"):
        world.planner.want(name)
    world.act()
    assert [(run.job, run.reason) for run in world.runs] == [("a", "manual"), ("b", "manual")]
    world.finish("a", failed=True)
    world.finish("b")
    world.awake(HOUR_S)
    assert [(run.job, run.reason) for run in world.runs[2:]] == [("b", "on_time")]


def test_a_run_by_hand_waits_for_the_run_before() -> None:
    world = begun(job("a", "0 10 * * *"))
    world.awake(HOUR_S)
    assert world.planner is not None
    world.planner.want("a")
    world.act()
    assert [one.why for one in world.plan.waiting] == ["its run before is still going"]
    world.finish("a")
    assert [run.reason for run in world.runs] == ["on_time", "manual"]


@pytest.mark.parametrize(("step_s", "reason"), [(-10.0, "on_time"), (10.0, "catch_up")])
def test_a_run_that_waited_is_on_time_though_the_clock_was_set_back_meanwhile(step_s: float, reason: str) -> None:
    """Its time was seen to come; after a step forward nobody knows."""
    world = begun(job("a", "*/10 * * * *"), job("b", At(text="", instant=EIGHT + timedelta(minutes=11))), limit=1)
    world.awake(11 * 60 + 90)
    world.set_clock(step_s)
    world.finish("a")
    assert summary(world) == [("on_time", 10, 0), (reason, 11, int(reason == "catch_up"))]


def test_nothing_starts_while_the_machine_is_about_to_sleep() -> None:
    world = begun(job("a", EVERY_5))
    assert world.planner is not None
    world.planner.hold(True)
    world.awake(301)
    assert [one.why for one in world.plan.waiting] == ["the computer goes to sleep"]
    world.planner.hold(False)
    world.act()
    assert len(world.runs) == 1


def test_changes_that_settled_start_one_run_for_all_of_them() -> None:
    world = begun(job("a", OnPath(path=HOME / "inbox", settle_s=10)))
    assert world.planner is not None
    one, two = FileState(inode=1, size=1, mtime_ns=1), FileState(inode=2, size=2, mtime_ns=2)
    world.planner.change("a", Settled(paths=("x",), stamps=frozenset({one})))
    world.act()
    assert [(run.reason, run.paths, run.stamps) for run in world.runs] == [("changed", ("x",), {one})]
    world.planner.change("a", Settled(paths=("y",), stamps=frozenset({two})))
    world.act()
    assert len(world.runs) == 1
    world.finish("a")
    assert world.runs[1].paths == ("y",)
    world.finish("a")
    assert len(world.runs) == 2


def test_the_zone_of_the_machine_moves_with_its_owner() -> None:
    world = begun(job("a", "0 12 * * *"), job("b", "0 12 * * *", zone=BERLIN))
    assert world.planner is not None
    assert world.planner.upcoming("a") == EIGHT.replace(hour=11)
    world.planner.move(UTC)
    assert world.planner.upcoming("a") == EIGHT.replace(hour=12)
    assert world.planner.upcoming("b") == EIGHT.replace(hour=11)


def test_the_next_time_is_told_also_of_one_that_waits_for_its_jitter() -> None:
    world = begun(job("a", "0 * * * *", jitter_s=1800.0), job("off", "0 * * * *", enabled=False))
    assert world.planner is not None
    begins = world.planner.upcoming("a")
    assert begins is not None
    world.awake(HOUR_S)
    assert world.planner.upcoming("a") == begins
    assert world.planner.upcoming("off") is None


def test_a_plan_says_when_to_ask_again() -> None:
    world = begun(job("a", "0 10 * * *"), job("b", parse_every("day at 12:00")))
    assert world.plan.wake_at == EIGHT + timedelta(hours=1)
    world.edit([job("a", "0 10 * * *", enabled=False), job("b", "0 10 * * *", enabled=False)])
    assert world.plan.wake_at is None


def test_a_plan_that_was_not_committed_is_made_again() -> None:
    world = begun(job("a", EVERY_5, misfire="skip"))
    assert world.planner is not None
    planner: Planner = world.planner
    planner.observe(world.clock.go_on(300))
    (first,), (again,) = planner.plan().actions, planner.plan().actions
    assert isinstance(first, Start)
    assert first == again
    planner.observe(world.clock.go_on(3600))
    assert all(isinstance(action, Record | Start | Adopt) for action in planner.plan().actions)
    assert planner.plan().actions == planner.plan().actions
