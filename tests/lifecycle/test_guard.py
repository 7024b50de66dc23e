"""The socket's name while the daemon runs: removed, replaced, taken over."""

from __future__ import annotations

import os
import socket
from functools import partial
from pathlib import Path

import pytest
import trio

from agentgw.local.paths import Paths
from agentgw_daemon.lifecycle.guard import guard_socket
from agentgw_daemon.lifecycle.socket_name import SocketName
from tests.lifecycle.processes import can_connect, foreign
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.anyio


class Owner:
    """Stands in for the app: takes replaced listeners and requests to drain."""

    def __init__(self) -> None:
        self.listeners: list[socket.socket] = []
        self.replaced = trio.Event()
        self.drained = trio.Event()
        self.reasons: list[str] = []

    async def on_replaced(self, listener: socket.socket) -> None:
        """A new listening socket."""
        self.listeners.append(listener)
        self.replaced.set()

    def drain(self, reason: str) -> None:
        """Asked to stop."""
        self.reasons.append(reason)
        self.drained.set()

    def guard(self, name: SocketName, *, touch_s: float = 3600) -> partial[object]:
        """The guard, in a hurry."""
        return partial(
            guard_socket,
            name,
            on_replaced=self.on_replaced,
            drain=self.drain,
            interval_s=0.001,
            confirm_s=0.001,
            touch_s=touch_s,
        )

    def close(self) -> None:
        """Close what was handed over."""
        for listener in self.listeners:
            listener.close()


@pytest.fixture
async def owner() -> Owner:
    """An owner; its listeners are closed by the test's nursery ending."""
    return Owner()


async def look_often(name: SocketName, owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the guard until it has looked five times."""
    look, enough, looks = name.look, trio.Event(), 0

    def counting() -> str:
        nonlocal looks
        looks += 1
        if looks == 5:
            trio.from_thread.run_sync(enough.set)
        return look()

    monkeypatch.setattr(name, "look", counting)
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(owner.guard(name))
            await enough.wait()
            nursery.cancel_scope.cancel()
    monkeypatch.setattr(name, "look", look)


async def test_a_removed_name_is_published_again(
    bound: tuple[SocketName, socket.socket], place: Paths, owner: Owner
) -> None:
    name, _ = bound
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            os.unlink(place.socket)
            nursery.start_soon(owner.guard(name))
            await owner.replaced.wait()
            nursery.cancel_scope.cancel()
    assert can_connect(place.socket)
    assert name.is_ours
    assert owner.reasons == []
    owner.close()


async def test_a_dead_socket_in_its_place_is_replaced(
    bound: tuple[SocketName, socket.socket], place: Paths, owner: Owner
) -> None:
    name, _ = bound
    foreign(place.socket).close()
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(owner.guard(name))
            await owner.replaced.wait()
            nursery.cancel_scope.cancel()
    assert can_connect(place.socket)
    owner.close()


async def test_another_listener_that_stays_means_draining(
    bound: tuple[SocketName, socket.socket], place: Paths, owner: Owner
) -> None:
    name, _ = bound
    with foreign(place.socket), trio.fail_after(PATIENCE_S):
        # Returns by itself.
        await owner.guard(name)()  # type: ignore[misc]
    assert owner.reasons == ["another process listens on the socket"]
    assert owner.listeners == []


async def test_a_listener_that_goes_again_is_only_a_daemon_that_our_lock_turned_away(
    bound: tuple[SocketName, socket.socket], place: Paths, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, _ = bound
    other = foreign(place.socket)
    look = name.look

    def look_then_go() -> str:
        state = look()
        other.close()
        return state

    monkeypatch.setattr(name, "look", look_then_go)
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(owner.guard(name))
            await owner.replaced.wait()
            nursery.cancel_scope.cancel()
    assert owner.reasons == []
    owner.close()


@pytest.mark.parametrize("state", ["missing", "dead"])
async def test_a_managed_name_is_left_to_its_manager(
    bound: tuple[SocketName, socket.socket],
    place: Paths,
    owner: Owner,
    state: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = SocketName(place, managed=True)
    if state == "dead":
        foreign(place.socket).close()
    else:
        os.unlink(place.socket)
    await look_often(name, owner, monkeypatch)
    assert name.look() == state
    assert owner.listeners == []
    # Said once, not at every look.
    assert [record.getMessage() for record in caplog.records].count(
        f"the socket {place.socket} is {state}: new clients cannot reach this daemon"
    ) == 1


async def test_what_is_no_socket_is_left_alone(
    bound: tuple[SocketName, socket.socket],
    place: Paths,
    owner: Owner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name, _ = bound
    victim = tmp_path / "victim"
    victim.write_text("precious")
    os.unlink(place.socket)
    os.symlink(victim, place.socket)
    await look_often(name, owner, monkeypatch)
    assert os.path.islink(place.socket)
    assert victim.read_text() == "precious"
    assert owner.listeners == []


async def test_a_live_name_is_touched_now_and_then(
    bound: tuple[SocketName, socket.socket], place: Paths, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, _ = bound
    touch, touched = name.touch, trio.Event()

    def touch_and_tell() -> None:
        touch()
        touched.set()

    monkeypatch.setattr(name, "touch", touch_and_tell)
    os.utime(place.socket, (1, 1))
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(owner.guard(name, touch_s=0))
            await touched.wait()
            nursery.cancel_scope.cancel()
    assert os.stat(place.socket).st_mtime > 1
    assert name.is_ours
