"""Connections to a bus that is none, or ends."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import trio

from agentgw_daemon.system import dbus
from agentgw_daemon.system.dbus import UNAVAILABLE, open_bus, reason_of
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.anyio


async def reason(path: Path) -> str:
    reasons = []
    try:
        async with open_bus(f"unix:path={path}"):
            raise AssertionError("there is no bus")
    except* UNAVAILABLE as group:
        reasons.append(reason_of(group))
    return reasons[0]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "the bus closed the connection"),
        (b"REJECTED EXTERNAL\r\n", "REJECTED"),
        (b"OK 1\r\nmore", "Unexpected"),
        (b"x" * 20_000, "Too much data"),
    ],
)
async def test_what_does_not_log_us_in_has_a_reason_and_no_socket_stays_open(
    tmp_path: Path, said: bytes, why: str
) -> None:
    listener = trio.socket.socket(socket.AF_UNIX)
    await listener.bind(str(tmp_path / "bus"))
    listener.listen()

    async def answer() -> None:
        connection, _ = await listener.accept()
        async with trio.SocketStream(connection) as stream:
            await stream.receive_some()
            await stream.send_all(said)
            if not said:
                return
            # Nothing more comes once the other side has hung up.
            try:
                while await stream.receive_some():
                    continue
            except trio.BrokenResourceError:
                return

    with listener, trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer)
            assert why in await reason(tmp_path / "bus")


async def test_a_bus_that_says_nothing_has_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dbus, "ANSWER_S", 0.1)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "bus"))
        silent.listen()
        assert await reason(tmp_path / "bus") == "no answer in time"


async def test_no_bus_has_a_reason(tmp_path: Path) -> None:
    assert "No such file" in await reason(tmp_path / "bus")
