"""Random lives of a daemon with jobs, for the planner alone and for what is stored of it."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from agentgw_daemon.scheduler.schedules.every import parse_every
from agentgw_daemon.scheduler.schedules.schedule import At, Schedule
from tests.scheduler.made import DAY_S, HOUR_S, job
from tests.scheduler.planning.world import World

SCHEDULES = ("*/10 * * * *", "0 9 * * *", "30 2 * * *", "0 * * * *", "15,45 1-3 * * *", "0 0 1 * *")
PHRASES = ("7 minutes", "day at 02:15", "monday at 10:00", "hour at :15", "90 seconds")

names = st.sampled_from(["a", "b", "c", "d"])
times = st.one_of(st.sampled_from(SCHEDULES), st.sampled_from(PHRASES).map(parse_every))
policies = st.fixed_dictionaries(
    {
        "misfire": st.sampled_from(["run_once", "skip"]),
        "grace_s": st.sampled_from([None, None, 0.0, 60.0, 600.0, 86_400.0]),
        "jitter_s": st.sampled_from([0.0, 0.0, 30.0, 7200.0]),
        "overlap": st.sampled_from(["skip", "queue"]),
        "retries": st.sampled_from([0, 2]),
        "needs": st.sampled_from([frozenset(), frozenset({"network"})]),
    }
)
seconds = st.one_of(st.floats(0.001, 120.0), st.floats(0.001, 4 * HOUR_S), st.floats(0.001, 3 * DAY_S))
leaps = st.one_of(seconds, st.sampled_from([600.0, HOUR_S, DAY_S]), st.floats(0, 400 * DAY_S), st.just(3652 * DAY_S))


class Life(RuleBasedStateMachine):
    """Happenings to a daemon with jobs; the world checks every decision."""

    def make_world(self) -> World:
        return World()

    def __init__(self) -> None:
        super().__init__()
        self.world = self.make_world()

    @initialize(limit=st.integers(1, 3), schedule=times, policy=policies)
    def begin(self, limit: int, schedule: Schedule | str, policy: dict[str, object]) -> None:
        self.world.limit = limit
        self.world.start()
        self.world.edit([job("a", schedule, **policy)])

    @rule(for_s=st.floats(0.001, 6 * HOUR_S))
    def awake(self, for_s: float) -> None:
        self.world.awake(for_s)

    @rule(for_s=leaps)
    def asleep(self, for_s: float) -> None:
        self.world.asleep(for_s)

    @rule(by_s=leaps, back=st.booleans())
    def set_clock(self, by_s: float, back: bool) -> None:
        self.world.set_clock(-min(by_s, 400 * DAY_S) if back else by_s)

    @rule(name=names, schedule=times, policy=policies)
    def write(self, name: str, schedule: Schedule | str, policy: dict[str, object]) -> None:
        self.world.edit([job(name, schedule, **policy)])

    @rule(name=names, ahead_s=seconds, policy=policies)
    def write_once(self, name: str, ahead_s: float, policy: dict[str, object]) -> None:
        at = self.world.clock.wall + timedelta(seconds=ahead_s)
        self.world.edit([job(name, At(text="", instant=at), **policy)])

    @precondition(lambda self: self.world.jobs)
    @rule(data=st.data(), enabled=st.booleans())
    def switch(self, data: st.DataObject, enabled: bool) -> None:
        self.world.switch(data.draw(st.sampled_from(sorted(self.world.jobs))), enabled)

    @precondition(lambda self: self.world.jobs.keys() - self.world.running.keys())
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        # Of a job that runs nobody would know the rules any more.
        self.world.remove(data.draw(st.sampled_from(sorted(self.world.jobs.keys() - self.world.running.keys()))))

    @precondition(lambda self: self.world.running)
    @rule(data=st.data(), failed=st.booleans())
    def finish(self, data: st.DataObject, failed: bool) -> None:
        self.world.finish(data.draw(st.sampled_from(sorted(self.world.running))), failed=failed)

    @precondition(lambda self: self.world.planner is not None and self.world.jobs)
    @rule(data=st.data())
    def want(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.world.jobs)))
        assert self.world.planner is not None
        self.world.planner.want(name)
        self.world.act()

    @rule(network=st.booleans())
    def network(self, network: bool) -> None:
        self.world.provide(*(("network",) if network else ()))

    @precondition(lambda self: self.world.planner is not None)
    @rule()
    def kill(self) -> None:
        self.world.kill()

    @precondition(lambda self: self.world.planner is not None and self.world.running)
    @rule(data=st.data())
    def stop_while_runs_wait(self, data: st.DataObject) -> None:
        self.world.kill(data.draw(st.frozensets(st.sampled_from(sorted(self.world.running)))))

    @precondition(lambda self: self.world.planner is not None)
    @rule(commits=st.integers(1, 4))
    def kill_at_a_commit(self, commits: int) -> None:
        self.world.kill_after = commits

    @precondition(lambda self: self.world.planner is None)
    @rule()
    def start(self) -> None:
        self.world.start()
