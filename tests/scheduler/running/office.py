"""The jobs of a daemon in this process: a real database and file, a clock that tests move, turns that tests end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trio

from agentgw.protocol.calls.jobs import JobRun
from agentgw.protocol.calls.turns import TurnResult, TurnStartParams
from agentgw.protocol.errors import RpcError
from agentgw.protocol.events import DaemonEvent
from agentgw.protocol.types import FinishReason, SessionId, Topic, TurnId
from agentgw_daemon.events.hub import EventHub
from agentgw_daemon.events.turn_state import TurnState
from agentgw_daemon.scheduler.job import NEEDS, Job, Need
from agentgw_daemon.scheduler.jobs import Jobs
from agentgw_daemon.scheduler.running.book import JobsBook
from agentgw_daemon.scheduler.running.interactive import InteractiveUse
from agentgw_daemon.scheduler.running.needs import Look, Surroundings
from agentgw_daemon.scheduler.running.scheduler import JobScheduler
from agentgw_daemon.storage.database import Database
from tests.patience import PATIENCE_S
from tests.polling import until
from tests.scheduler.fakeclock import FakeClock
from tests.scheduler.made import BERLIN

# A Monday, half past eight in Berlin.
START = datetime(2026, 11, 2, 7, 30, tzinfo=UTC)


class FakeTurns:
    """Starts turns that go on until the test ends them, or that end at once."""

    def __init__(self) -> None:
        self.started: list[TurnStartParams] = []
        self.going: dict[str, TurnState] = {}
        self.error: Exception | None = None
        self.at_once = True
        self.most_at_once = 0

    async def start(self, params: TurnStartParams) -> TurnState:
        await trio.lowlevel.checkpoint()
        if self.error is not None:
            raise self.error
        self.started.append(params)
        turn = TurnState(
            turn_id=TurnId(f"t-{len(self.started)}"), session_id=SessionId("s-1"), skill="k", model="m", stored=True,
            detached=params.detach,
        )  # fmt: skip
        self.going[turn.turn_id] = turn
        self.most_at_once = max(self.most_at_once, len(self.going))
        if self.at_once:
            self.end(turn.turn_id)
        return turn

    def find(self, turn_id: str) -> TurnState | None:
        return self.going.get(turn_id)

    def end(self, turn_id: str, reason: FinishReason = "stop", error: RpcError | None = None) -> None:
        turn = self.going.pop(turn_id)
        turn.end(error or TurnResult(turn_id=turn_id, session_id="s-1", text="done", finish_reason=reason))


class Listener:
    def __init__(self) -> None:
        self.heard: list[tuple[Job, JobRun]] = []
        self.error: Exception | None = None

    async def job_ended(self, job: Job, run: JobRun) -> None:
        await trio.lowlevel.checkpoint()
        self.heard.append((job, run))
        if self.error is not None:
            raise self.error


class World:
    """The machine around the jobs."""

    def __init__(self) -> None:
        self.there: set[Need] = set(NEEDS)
        self.asked: set[Need] = set()

    def looks(self) -> dict[Need, Look]:
        def look(need: Need) -> Look:
            async def found() -> bool | None:
                await trio.lowlevel.checkpoint()
                self.asked.add(need)
                return need in self.there

            return found

        return {need: look(need) for need in NEEDS}


@dataclass
class Office:
    """One daemon's jobs. `look` is what its loop does when it wakes."""

    database: Database
    scheduler: JobScheduler
    jobs: Jobs
    turns: FakeTurns
    clock: FakeClock
    world: World
    listener: Listener
    file: Path
    events: list[DaemonEvent] = field(default_factory=list)

    def write(self, *entries: str) -> None:
        """The file with these entries, each in flow style without its braces."""
        self.file.write_text("jobs:\n" + "".join(f"  - {{{entry}}}\n" for entry in entries))

    async def look(self, after_s: float = 0.0) -> None:
        self.clock.go_on(after_s)
        await self.scheduler.look()
        # Runs whose turns are over end by themselves, and then there is room for the next.
        await until(lambda: not any(going.turn_id not in self.turns.going for going in self.scheduler.going.values()))
        await self.scheduler.look()
        for going in tuple(self.scheduler.going.values()):
            await going.started.wait()

    async def all_ended(self) -> None:
        """Returns when nothing goes on any more and nothing more starts."""
        await self.look()
        while self.scheduler.going:
            await self.look()

    async def runs(self, name: str | None = None) -> list[JobRun]:
        """The history, the first row first."""
        return list(reversed((await self.database.jobs.history(name, limit=1000)).runs))

    async def statuses(self, name: str | None = None) -> list[str]:
        return [run.status for run in await self.runs(name)]


@asynccontextmanager
async def office(
    folder: Path, *entries: str, clock: FakeClock | None = None, turns: FakeTurns | None = None,
    has_looked: bool = True, **options: Any,
) -> AsyncIterator[Office]:  # fmt: skip
    """Opens the database in the folder, as a daemon that starts does; its end is that of a kill: nothing is settled.

    `has_looked` false: requests come before its loop has looked at anything.
    """
    clock = clock or FakeClock(START)
    turns, hub, world, listener = turns or FakeTurns(), EventHub(), World(), Listener()
    file = folder / "jobs.yaml"
    with trio.fail_after(PATIENCE_S):
        async with Database.open(folder / "data") as database, trio.open_nursery() as nursery:
            book = JobsBook(file, home=folder, zone=lambda: BERLIN)
            scheduler = JobScheduler(
                book, database.jobs, turns, hub, Surroundings(world.looks()), nursery, clock=clock, listener=listener,
                **options,
            )  # fmt: skip
            made = Office(
                database=database, scheduler=scheduler, clock=clock, turns=turns, world=world, listener=listener,
                jobs=Jobs(scheduler, database.jobs, hub, InteractiveUse(turns.find)), file=file,
            )  # fmt: skip
            if entries:
                made.write(*entries)
            topics: tuple[Topic, ...] = ("jobs",)
            with hub.subscribed(topics, made.events.append):
                if has_looked:
                    await scheduler.look()
                yield made
            nursery.cancel_scope.cancel()
