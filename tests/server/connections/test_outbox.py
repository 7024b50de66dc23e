"""The one place that writes to a connection."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from agentgw_daemon.events.delivery import ReaderGone
from agentgw_daemon.server.connections.outbox import Outbox
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def outbox(limit_bytes: int = 1 << 20, stall_s: float = 60) -> AsyncIterator[tuple[Outbox, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    sending = trio.socket.from_stdlib_socket(ours)
    with trio.fail_after(PATIENCE_S), theirs, sending:
        async with trio.open_nursery() as nursery:
            box = Outbox(sending, limit_bytes=limit_bytes, stall_s=stall_s)
            nursery.start_soon(box.run)
            yield box, theirs
            nursery.cancel_scope.cancel()


def received(theirs: socket.socket) -> bytes:
    theirs.setblocking(False)
    data = b""
    with contextlib.suppress(BlockingIOError):
        while more := theirs.recv(1 << 20):
            data += more
    return data


async def test_a_frame_leaves_at_once_when_nothing_is_before_it() -> None:
    async with outbox() as (box, theirs):
        box.put_nowait(b"one\n")
        assert received(theirs) == b"one\n"
        assert box.queued_bytes == 0


async def test_order_is_kept_between_what_left_at_once_and_what_was_queued() -> None:
    async with outbox() as (box, theirs):
        frames = [f"{i:06d}".encode() + b"x" * 2000 + b"\n" for i in range(500)]
        for frame in frames:
            box.put_nowait(frame)
        got = b""
        while len(got) < sum(map(len, frames)):
            await wait_all_tasks_blocked()
            got += received(theirs)
        assert got == b"".join(frames)
        assert box.queued_bytes == 0


async def test_put_waits_when_full_and_goes_on_when_read() -> None:
    async with outbox(limit_bytes=10_000) as (box, theirs):
        put = 0

        async def fill() -> None:
            nonlocal put
            for _ in range(1000):
                await box.put(b"x" * 1000)
                put += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(fill)
            await wait_all_tasks_blocked()
            assert put < 1000
            assert box.queued_bytes <= 12_000
            total = 0
            while total < 1_000_000:
                total += len(received(theirs))
                await wait_all_tasks_blocked()
        assert put == 1000


async def test_a_reader_that_stands_still_is_given_up() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    sending = trio.socket.from_stdlib_socket(ours)
    with theirs, sending, trio.fail_after(PATIENCE_S):
        box = Outbox(sending, limit_bytes=10, stall_s=0.05)
        with pytest.raises(ReaderGone):
            for _ in range(1000):
                box.put_nowait(b"x" * 1000)
            await box.run()
        with pytest.raises(ReaderGone):
            box.put_nowait(b"late")


@pytest.mark.parametrize("anyio_backend", [("trio", {"clock": MockClock(autojump_threshold=0.01)})], ids=["jumping"])
async def test_a_slow_reader_that_makes_progress_is_kept() -> None:
    async with outbox(stall_s=5) as (box, theirs):
        box.put_nowait(b"x" * 600_000)
        total = 0
        for _ in range(6):
            await trio.sleep(4)
            total += len(received(theirs))
        while total < 600_000:
            await wait_all_tasks_blocked()
            total += len(received(theirs))


async def test_a_closed_reader_is_noticed_by_the_write() -> None:
    async with outbox() as (box, theirs):
        theirs.close()
        with pytest.raises(ReaderGone):
            box.put_nowait(b"anyone?\n")


async def test_an_offer_to_a_full_reader_ends_the_connection_instead_of_losing_one() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    sending = trio.socket.from_stdlib_socket(ours)
    with theirs, sending, trio.fail_after(PATIENCE_S):
        box = Outbox(sending, limit_bytes=1000, stall_s=60)
        with pytest.raises(BaseExceptionGroup) as caught:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(box.run)
                await wait_all_tasks_blocked()
                for _ in range(1000):
                    box.offer(b"x" * 1000)
        assert caught.group_contains(ReaderGone)
