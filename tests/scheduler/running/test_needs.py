"""Looks at a network, mains power and idle people, at folders that look like the system's."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from agentgw.protocol.calls.turns import TurnStartParams
from agentgw_daemon.events.hub import EventHub
from agentgw_daemon.scheduler.job import NEEDS
from agentgw_daemon.scheduler.running.interactive import IDLE_S, InteractiveUse
from agentgw_daemon.scheduler.running.needs import Surroundings, file_looks, has_network, is_on_mains
from agentgw_daemon.scheduler.running.system_bus import is_unmetered, is_user_away
from tests.scheduler.running.office import FakeTurns

pytestmark = pytest.mark.anyio

HEADER = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
DEFAULT = "eth0\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
LOCAL = "eth0\t0002A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
ZEROS = "0" * 32
V6 = f"{ZEROS} 00 {ZEROS} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 wlan0\n"
V6_REJECT = f"{ZEROS} 00 {ZEROS} 00 {ZEROS} ffffffff 00000001 00000000 00200200 lo\n"


@pytest.mark.parametrize(
    ("v4", "v6", "there"),
    [
        (HEADER + LOCAL + DEFAULT, None, True),
        (HEADER + LOCAL, V6_REJECT, False),
        (HEADER, V6_REJECT + V6, True),
        (HEADER + DEFAULT.replace("0003", "0002"), None, False),
        ("\x00nonsense\n\t\n" + "x " * 20, "y " * 20, False),
        (None, None, None),
    ],
)
def test_a_network_is_a_route_to_everywhere(tmp_path: Path, v4: str | None, v6: str | None, there: bool | None) -> None:
    for name, text in (("route", v4), ("ipv6_route", v6)):
        if text is not None:
            (tmp_path / name).write_text(text)
    assert has_network(tmp_path) is there


@pytest.mark.parametrize(
    ("supplies", "there"),
    [
        ({"AC": {"type": "Mains", "online": "1"}, "BAT0": {"type": "Battery", "status": "Charging"}}, True),
        ({"AC": {"type": "Mains", "online": "0"}, "BAT0": {"type": "Battery", "status": "Discharging"}}, False),
        ({"mouse": {"type": "Battery", "scope": "Device", "status": "Discharging"}}, True),
        ({"odd": {}}, True),
        ({}, True),
    ],
)
def test_mains_power_is_what_a_machine_without_a_battery_has(
    tmp_path: Path, supplies: dict[str, dict[str, str]], there: bool
) -> None:
    for supply, files in supplies.items():
        (tmp_path / supply).mkdir()
        for name, text in files.items():
            (tmp_path / supply / name).write_text(f"{text}\n")
    assert is_on_mains(tmp_path) is there
    assert is_on_mains(tmp_path / "none") is None


async def test_what_cannot_be_found_out_counts_as_there_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    surroundings = Surroundings(file_looks(tmp_path / "proc", tmp_path / "sys"))
    for _ in range(2):
        assert await surroundings.met(["network", "ac"]) == frozenset(NEEDS)
    assert caplog.text.count("taken as there") == 2


async def test_a_look_that_hangs_or_fails_has_an_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("agentgw_daemon.scheduler.running.needs.LOOK_S", 0.05)

    async def hang() -> bool:
        await trio.sleep_forever()
        return False

    async def fail() -> bool:
        raise ZeroDivisionError

    async def no() -> bool:
        return False

    surroundings = Surroundings({"network": hang, "ac": fail, "idle": no})
    with trio.fail_after(10):
        assert await surroundings.met(["network", "ac", "idle"]) == {"network", "unmetered", "ac"}
    assert "ZeroDivisionError" in caplog.text


async def test_without_a_system_bus_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    assert (await is_unmetered(), await is_user_away()) == (None, None)


# The library leaves a socket whose login failed to the collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
async def test_a_bus_that_says_nonsense_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def babble(stream: trio.SocketStream) -> None:
        await stream.send_all(b"\xff" * 100 + b"\r\n")

    listener = trio.socket.socket(trio.socket.AF_UNIX)
    await listener.bind(str(tmp_path / "bus"))
    listener.listen()
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/bus")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, babble, [trio.SocketListener(listener)])
        assert await is_user_away() is None
        nursery.cancel_scope.cancel()


def test_a_computer_is_idle_some_minutes_after_the_last_turn_that_somebody_watched() -> None:
    clock = MockClock()
    trio.run(_use_and_leave, clock, clock=clock)


async def _use_and_leave(clock: MockClock) -> None:
    hub, turns = EventHub(), FakeTurns()
    turns.at_once = False
    use = InteractiveUse(turns.find)
    with use.following(hub):
        hers = await turns.start(TurnStartParams(message="x"))
        ours = await turns.start(TurnStartParams(message="x", detach=True))
        hub.publish("turns", "started", turn_id=ours.turn_id)
        assert use.is_idle
        hub.publish("turns", "started", turn_id=hers.turn_id)
        assert not use.is_idle
        clock.jump(2 * IDLE_S)
        assert not use.is_idle
        hub.publish("turns", "completed", turn_id=hers.turn_id)
        hub.publish("turns", "completed", turn_id=ours.turn_id)
        assert not use.is_idle
        clock.jump(IDLE_S)
        assert use.is_idle
