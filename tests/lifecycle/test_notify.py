"""The service manager's socket: what is said there, and that nothing said there can do harm."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from agentgw_daemon.lifecycle.notify import Notifier
from agentgw_daemon.lifecycle.watchdog import feed_watchdog


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """The address as NOTIFY_SOCKET has it, and the manager's end."""
    address = str(tmp_path / "notify") if request.param == "path" else f"@agentgw-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(address if address.startswith("/") else f"\0{address[1:]}")
        heard.settimeout(10)
        yield address, heard


def test_each_state_is_said_in_the_managers_words(manager: tuple[str, socket.socket]) -> None:
    address, heard = manager
    notifier = Notifier.taken_from({"NOTIFY_SOCKET": address}, 7)
    notifier.ready("serving on\n/run/x.sock")
    notifier.reloading()
    notifier.stopping("SIGTERM", within_s=20.5)
    notifier.alive()
    assert [heard.recv(4096) for _ in range(4)] == [
        b"READY=1\nSTATUS=serving on /run/x.sock",
        b"RELOADING=1\nSTATUS=reloading",
        b"STOPPING=1\nSTATUS=stopping: SIGTERM\nEXTEND_TIMEOUT_USEC=20500000",
        b"WATCHDOG=1",
    ]


@pytest.mark.parametrize(
    "address", ["", "relative", "vsock:2:1234", "/nowhere/at/all", "/" + "x" * 300, "@\0", "/a\0b"]
)
def test_where_nobody_listens_nothing_is_raised(address: str) -> None:
    Notifier.taken_from({"NOTIFY_SOCKET": address}, 7).ready("serving")


@pytest.mark.parametrize(
    ("more", "watchdog_s"),
    [
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7"}, 60),
        ({"WATCHDOG_USEC": "500000"}, 0.5),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "²"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_only_where_it_watches_this_process(more: dict[str, str], watchdog_s: float | None) -> None:
    environ = {"NOTIFY_SOCKET": "/run/notify", "HOME": "/h", **more}
    assert Notifier.taken_from(environ, 7).watchdog_s == watchdog_s
    assert environ == {"HOME": "/h"}


def test_signs_of_life_come_at_half_the_interval(manager: tuple[str, socket.socket]) -> None:
    address, heard = manager
    notifier = Notifier(address, 60)

    async def live_for(duration_s: float) -> None:
        with trio.move_on_after(duration_s):
            await feed_watchdog(notifier)

    trio.run(live_for, 100, clock=trio.testing.MockClock(autojump_threshold=0))
    heard.settimeout(0)
    # At 0, 30, 60 and 90 s.
    assert [heard.recv(100) for _ in range(4)] == [b"WATCHDOG=1"] * 4
    with pytest.raises(BlockingIOError):
        heard.recv(100)


def test_a_loop_that_stands_still_gives_no_sign(manager: tuple[str, socket.socket]) -> None:
    address, heard = manager
    heard.settimeout(0)
    signs = []

    async def hang(clock: trio.testing.MockClock) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(feed_watchdog, Notifier(address, 60))
            await trio.testing.wait_all_tasks_blocked()
            signs.append(heard.recv(100))
            # The time passes, and the loop does not come to its tasks.
            clock.jump(600)
            with pytest.raises(BlockingIOError):
                heard.recv(100)
            nursery.cancel_scope.cancel()

    clock = trio.testing.MockClock()
    trio.run(hang, clock, clock=clock)
    assert signs == [b"WATCHDOG=1"]


def test_feeding_without_a_watchdog_ends_at_once() -> None:
    trio.run(feed_watchdog, Notifier())
