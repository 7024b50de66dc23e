"""One model's queue, where the pool's tests cannot look: between the grant of a slot and its use."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from agentgw_daemon.inference.engine import Loading, Queued
from agentgw_daemon.inference.hosting.host import ModelHost, Ticket
from agentgw_daemon.inference.hosting.supervisor import WorkerProcess
from agentgw_daemon.system.child_environment import worker_environment
from tests.inference.hosting.fakeworker import fake_model, fake_settings
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def hosting(folder: Path) -> AsyncIterator[ModelHost]:
    """The host of a fake model, with as many workers as it wants."""
    settings = fake_settings()

    def start_worker() -> WorkerProcess:
        worker = WorkerProcess(settings, worker_environment(os.environ, "test"))
        nursery.start_soon(worker.run)
        return worker

    async def make_room(_: ModelHost) -> None:
        await trio.lowlevel.checkpoint()

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            yield ModelHost(fake_model(folder), settings, nursery, take_worker=start_worker, make_room=make_room)
            nursery.cancel_scope.cancel()


async def granted(ticket: Ticket) -> WorkerProcess:
    while await ticket.next_change() is not None:
        pass
    assert ticket.worker is not None
    return ticket.worker


async def test_one_in_the_background_keeps_nobody_from_the_worker(tmp_path: Path) -> None:
    async with hosting(tmp_path) as host:
        job = host.join(needs_slot=True, background=True)
        worker = await granted(job)
        waiting = host.join(needs_slot=True, background=True)
        person = host.join(needs_slot=True)
        assert await granted(person) is worker, "the worker parks the job"
        another = host.join(needs_slot=True)
        assert await another.next_change() == Queued(position=1)
        assert await waiting.next_change() == Queued(position=2)
        host.leave(person)
        assert await granted(another) is worker
        assert waiting.worker is None
        for ticket in (job, waiting, another):
            host.leave(ticket)


async def test_a_worker_knows_the_next_whole_answer_and_those_keep_nobody_from_it(tmp_path: Path) -> None:
    async with hosting(tmp_path) as host:
        computing = host.join(needs_slot=True, whole=True)
        worker = await granted(computing)
        ahead, third = host.join(needs_slot=True, whole=True), host.join(needs_slot=True, whole=True)
        assert await granted(ahead) is worker
        assert await third.next_change() == Queued(position=1)
        assert host.busy == 1, "there is one slot"
        job = host.join(needs_slot=True, background=True)
        person = host.join(needs_slot=True)
        assert await granted(person) is worker, "the worker lets it in first"
        another = host.join(needs_slot=True)
        assert await another.next_change() == Queued(position=1)
        host.leave(computing)
        assert await granted(third) is worker
        for ticket in (ahead, third, job, person, another):
            host.leave(ticket)


async def test_slot_of_a_worker_that_dies_unasked_keeps_its_place(tmp_path: Path) -> None:
    async with hosting(tmp_path) as host:
        early = host.join(needs_slot=True)
        dead = await granted(early)
        late = host.join(needs_slot=True)
        assert await late.next_change() == Queued(position=1)
        dead.kill("for the test")
        assert await early.next_change() == Loading()
        assert await granted(early) is not dead
        assert late.worker is None
        host.leave(early)
        assert await granted(late) is early.worker
        host.leave(late)
