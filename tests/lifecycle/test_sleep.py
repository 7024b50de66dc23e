"""Sleep as a login manager on a bus of the test's own tells of it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
import trio
from jeepney import DBusAddress, HeaderFields, new_signal

from agentgw_daemon.lifecycle import sleep
from agentgw_daemon.lifecycle.sleep import follow_sleep
from tests.patience import PATIENCE_S
from tests.polling import pause, until
from tests.system.bus import LOGIN, FakeLogin, login_manager, standin, system_bus
from tests.system.bus import bus as bus

pytestmark = pytest.mark.anyio
PREPARE = DBusAddress("/org/freedesktop/login1", interface=f"{LOGIN}.Manager")


class Sleeper:
    """A daemon that takes as long as it is told to get ready."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.may_be_ready = trio.Event()
        self.may_be_ready.set()

    async def get_ready(self) -> None:
        self.did.append("ready")
        await self.may_be_ready.wait()

    def go_on(self) -> None:
        self.did.append("on")

    async def wait_did(self, *did: str) -> None:
        await until(lambda: self.did == list(did))

    async def follow(self) -> None:
        await follow_sleep(self.get_ready, self.go_on)


async def fall_asleep(login: FakeLogin, sleeper: Sleeper) -> None:
    """A sleep in which nothing is on its way between the two, so that the test may end."""
    await login.wait_locked()
    sleeper.did.clear()
    await login.prepare(True)
    await sleeper.wait_did("ready")
    await login.wait_let_go()


async def test_a_sleep_waits_until_all_is_paused_and_the_next_one_again(bus: str) -> None:
    sleeper = Sleeper()
    with trio.fail_after(PATIENCE_S):
        async with login_manager(bus) as login, trio.open_nursery() as nursery:
            nursery.start_soon(sleeper.follow)
            for _ in range(2):
                await login.wait_locked()
                sleeper.did.clear()
                sleeper.may_be_ready = trio.Event()
                await login.prepare(False, "nonsense", True)
                await sleeper.wait_did("ready")
                assert login.is_held
                sleeper.may_be_ready.set()
                await login.wait_let_go()
                await login.prepare(True, "nonsense", False)
                await sleeper.wait_did("ready", "on")
            await fall_asleep(login, sleeper)
            nursery.cancel_scope.cancel()
    assert sleeper.did == ["ready", "on"], "whoever is paused goes on at the end, too"


async def test_a_sleep_that_does_not_come_is_over_after_a_while(
    bus: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sleep, "AWAKE_S", 0.05)
    caplog.set_level("INFO")
    sleeper = Sleeper()
    with trio.fail_after(PATIENCE_S):
        async with login_manager(bus) as login, trio.open_nursery() as nursery:
            nursery.start_soon(sleeper.follow)
            await login.wait_locked()
            await login.prepare(True)
            await login.wait_let_go()
            await sleeper.wait_did("ready", "on")
            monkeypatch.setattr(sleep, "AWAKE_S", 60.0)
            await fall_asleep(login, sleeper)
            nursery.cancel_scope.cancel()
    assert "all goes on" in caplog.text


async def test_a_login_manager_that_gives_no_lock_is_heard_all_the_same(bus: str) -> None:
    sleeper = Sleeper()
    with trio.fail_after(PATIENCE_S):
        async with standin(LOGIN, {}) as login, trio.open_nursery() as nursery:
            nursery.start_soon(sleeper.follow)
            while not sleeper.did:
                # Until the subscription is there, nobody hears it.
                await login.send(new_signal(PREPARE, "PrepareForSleep", "b", (True,)))
                await pause()
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("to_it_alone", [False, True])
async def test_others_cannot_send_it_to_sleep(bus: str, to_it_alone: bool) -> None:
    sleeper = Sleeper()
    with trio.fail_after(PATIENCE_S):
        async with (
            login_manager(bus) as login,
            standin("org.example.Other", {}) as other,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(sleeper.follow)
            await login.wait_locked()
            signal = new_signal(PREPARE, "PrepareForSleep", "b", (True,))
            if to_it_alone:
                signal.header.fields[HeaderFields.destination] = login.asked_by
            await other.send(signal)
            await login.prepare(False)
            # The bus delivers in order: this one comes after the other's.
            await login.prepare(True)
            await sleeper.wait_did("ready")
            await login.prepare(False)
            await sleeper.wait_did("ready", "on")
            await fall_asleep(login, sleeper)
            nursery.cancel_scope.cancel()


async def test_a_bus_that_ends_while_all_is_paused_lets_it_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    sleeper = Sleeper()
    with trio.fail_after(PATIENCE_S), ExitStack() as stack:
        address = stack.enter_context(system_bus(tmp_path))
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        async with login_manager(address) as login, trio.open_nursery() as nursery:
            nursery.start_soon(sleeper.follow)
            await login.wait_locked()
            await login.prepare(True)
            await login.wait_let_go()
            stack.close()
    assert sleeper.did == ["ready", "on"]
    assert caplog.text.count("no system bus") == 1


async def test_without_a_bus_nobody_is_paused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    caplog.set_level("INFO")
    sleeper = Sleeper()
    await sleeper.follow()
    assert sleeper.did == ["on"]
    assert caplog.text.count("no system bus") == 1
