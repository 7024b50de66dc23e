"""Jobs over random sleeps, set clocks, kills and edits: at most once, nothing forgotten, as the policies say."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import settings

from tests.scheduler.made import DAY_S, HOUR_S, job
from tests.scheduler.planning.life import SCHEDULES, Life
from tests.scheduler.planning.world import World

TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("jumps", [300, pytest.param(10_000, marks=pytest.mark.chaos)])
def test_many_jobs_over_random_jumps_run_at_most_once_and_none_is_lost(jumps: int) -> None:
    chance = random.Random(11)
    world = World(limit=50)
    world.edit([job(f"j{number}", SCHEDULES[number % 4], overlap="queue") for number in range(50)])
    world.start()
    for _ in range(jumps):
        world.set_clock(chance.choice([-3600, 3600, 60, -86_400, 86_400, 400 * DAY_S, -400 * DAY_S, 1, -1]))
        world.awake(chance.uniform(1, 600))
        world.finish_all()
    began = [(run.job, run.scheduled_for) for run in world.runs]
    assert len(began) == len(set(began))
    assert not world.records  # under run_once nothing is missed


def test_ten_years_asleep_are_one_run_a_job() -> None:
    world = World(limit=10)
    world.edit([job(f"j{number}", text, overlap="queue") for number, text in enumerate(SCHEDULES)])
    world.start()
    world.asleep(3652 * DAY_S)
    for _ in range(2 * len(world.jobs)):
        world.awake(60)
        assert len(world.running) <= 1
        for name in list(world.running):
            world.finish(name)
    late = [run for run in world.runs if run.missed]
    assert sorted(run.job for run in late) == sorted(world.jobs)
    assert {run.missed for run in late if run.more} == {100}


def test_a_changed_policy_is_that_of_the_times_that_wait() -> None:
    world = World()
    world.edit([job("a", "0 * * * *", misfire="skip", needs=frozenset({"network"}))])
    world.start()
    world.provide()
    world.awake(2 * HOUR_S)
    world.edit([replace(world.jobs["a"], misfire="run_once", needs=frozenset())])
    assert [run.missed for run in world.runs] == [0]
