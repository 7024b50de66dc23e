"""Words over a bus of the test's own, with stand-ins for NetworkManager and logind."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import trio
from jeepney import DBusAddress, HeaderFields, MessageType, message_bus, new_error, new_method_return, new_signal
from jeepney.io.trio import DBusConnection, open_dbus_connection

from agentgw_daemon.scheduler.running.system_bus import follow_sleep, is_unmetered, is_user_away
from tests.polling import pause

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="there is no dbus-daemon here"),
]

LOGIN: Final = "org.freedesktop.login1"
NETWORK: Final = "org.freedesktop.NetworkManager"
PREPARE: Final = DBusAddress("/org/freedesktop/login1", interface=f"{LOGIN}.Manager")


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bus in a process of its own that lets its clients take any name."""
    address = f"unix:path={tmp_path}/bus"
    config = tmp_path / "bus.conf"
    config.write_text(
        '<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"'
        ' "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">'
        f"<busconfig><listen>{address}</listen><auth>EXTERNAL</auth><policy context='default'>"
        "<allow send_destination='*' eavesdrop='true'/><allow eavesdrop='true'/><allow own='*'/></policy></busconfig>"
    )
    child = subprocess.Popen(
        ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address=1"], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    with child:
        assert child.stdout.readline().startswith(b"unix:")
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        yield address
        child.terminate()


@asynccontextmanager
async def standin(name: str, properties: dict[str, tuple[str, Any]]) -> AsyncIterator[DBusConnection]:
    """A service of this name that has these properties and nothing else."""
    connection = await open_dbus_connection("SYSTEM")
    async with connection, trio.open_nursery() as nursery:
        async with connection.router() as router:
            await router.send_and_get_reply(message_bus.RequestName(name))

        async def serve() -> None:
            while True:
                asked = await connection.receive()
                if asked.header.message_type is not MessageType.method_call:
                    continue
                assert asked.header.fields[HeaderFields.member] == "Get"
                found = properties.get(asked.body[1])
                if found is None:
                    await connection.send(new_error(asked, "org.freedesktop.DBus.Error.UnknownProperty"))
                else:
                    await connection.send(new_method_return(asked, "v", (found,)))

        nursery.start_soon(serve)
        yield connection
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("metered", "free"), [(1, False), (2, True), (3, False), (4, True), (0, None)])
async def test_a_metered_network_is_what_the_manager_says(bus: str, metered: int, free: bool | None) -> None:
    async with standin(NETWORK, {"Metered": ("u", metered)}):
        assert await is_unmetered() is free


async def test_a_user_is_away_when_no_session_is_used(bus: str) -> None:
    async with standin(LOGIN, {"IdleHint": ("b", True)}):
        assert await is_user_away() is True
    async with standin(LOGIN, {"IdleHint": ("s", "perhaps")}):
        assert await is_user_away() is None


async def test_a_service_that_is_not_there_or_knows_nothing_is_no_answer(bus: str) -> None:
    assert await is_unmetered() is None
    async with standin(NETWORK, {}):
        assert await is_unmetered() is None


async def test_a_sleep_is_held_for_and_let_go_and_a_bus_that_ends_lets_go_too(bus: str) -> None:
    held: list[bool] = []
    with trio.fail_after(20):
        async with standin(LOGIN, {}) as login, trio.open_nursery() as nursery:
            nursery.start_soon(follow_sleep, held.append)
            while not held:
                # Until the subscription is there, nobody hears it.
                await login.send(new_signal(PREPARE, "PrepareForSleep", "b", (True,)))
                await pause()
            await login.send(new_signal(PREPARE, "PrepareForSleep", "s", ("nonsense",)))
            await login.send(new_signal(PREPARE, "PrepareForSleep", "b", (False,)))
            while held[-1]:
                await pause()
            nursery.cancel_scope.cancel()
    assert set(held[:-2]) <= {True}
    assert held[-1] is False


async def test_others_cannot_send_it_to_sleep(bus: str) -> None:
    held: list[bool] = []
    with trio.fail_after(20):
        async with (
            standin(LOGIN, {}) as login,
            standin("org.example.Other", {}) as other,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(follow_sleep, held.append)
            while not held:
                await other.send(new_signal(PREPARE, "PrepareForSleep", "b", (True,)))
                await login.send(new_signal(PREPARE, "PrepareForSleep", "b", (False,)))
                await pause()
            nursery.cancel_scope.cancel()
    assert True not in held
