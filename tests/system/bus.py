"""A system bus of the test's own, and stand-ins for the services on it."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import trio
from jeepney import DBusAddress, HeaderFields, MessageType, message_bus, new_error, new_method_return, new_signal
from jeepney.io.trio import DBusConnection, open_dbus_connection

LOGIN: Final = "org.freedesktop.login1"
NETWORK: Final = "org.freedesktop.NetworkManager"
DAEMON: Final = shutil.which("dbus-daemon")
_MANAGER: Final = DBusAddress("/org/freedesktop/login1", interface=f"{LOGIN}.Manager")


@contextmanager
def system_bus(folder: Path) -> Iterator[str]:
    """The address of a bus in a process of its own that lets its clients take any name."""
    if DAEMON is None:
        pytest.skip("there is no dbus-daemon here; it is in the package dbus")
    address = f"unix:path={folder}/bus"
    config = folder / "bus.conf"
    config.write_text(
        '<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"'
        ' "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">'
        f"<busconfig><listen>{address}</listen><auth>EXTERNAL</auth><policy context='default'>"
        "<allow send_destination='*' eavesdrop='true'/><allow eavesdrop='true'/><allow own='*'/></policy></busconfig>"
    )
    child = subprocess.Popen([DAEMON, f"--config-file={config}", "--nofork", "--print-address=1"], stdout=-1)
    assert child.stdout is not None
    with child:
        try:
            assert child.stdout.readline().startswith(b"unix:")
            yield address
        finally:
            # Also when a test fails: otherwise its end would wait for the bus for ever, and nobody would see why.
            child.terminate()


@asynccontextmanager
async def standin(
    name: str, properties: dict[str, tuple[str, Any]], address: str = "SYSTEM"
) -> AsyncIterator[DBusConnection]:
    """A service of this name that has these properties and nothing else."""
    connection = await open_dbus_connection(address)
    async with connection, trio.open_nursery() as nursery:
        async with connection.router() as router:
            await router.send_and_get_reply(message_bus.RequestName(name))

        async def serve() -> None:
            while True:
                asked = await connection.receive()
                if asked.header.message_type is not MessageType.method_call:
                    continue
                found = None
                if asked.header.fields[HeaderFields.member] == "Get":
                    found = properties.get(asked.body[1])
                if found is None:
                    await connection.send(new_error(asked, "org.freedesktop.DBus.Error.UnknownProperty"))
                else:
                    await connection.send(new_method_return(asked, "v", (found,)))

        nursery.start_soon(serve)
        yield connection
        nursery.cancel_scope.cancel()


class FakeLogin:
    """A login manager that gives out locks; one that is closed at the other end has been let go."""

    def __init__(self, connection: DBusConnection) -> None:
        self._connection = connection
        self.asked_by = ""  # the number on the bus of whoever took a lock last
        self._locks: list[int] = []
        self._given = trio.Event()

    async def wait_locked(self) -> None:
        """Returns once a lock is held, which is when signals are heard."""
        await self._given.wait()

    async def prepare(self, *words: bool | str) -> None:
        """Tells that the machine is about to sleep (True), or goes on (False)."""
        for word in words:
            signature = "b" if isinstance(word, bool) else "s"
            await self._connection.send(new_signal(_MANAGER, "PrepareForSleep", signature, (word,)))

    async def wait_let_go(self) -> None:
        """Returns when nobody holds a lock any more."""
        for lock in self._locks:
            await trio.lowlevel.wait_readable(lock)
        self.close()

    def close(self) -> None:
        """Forgets its locks."""
        for lock in self._locks:
            os.close(lock)
        self._locks.clear()
        self._given = trio.Event()

    @property
    def is_held(self) -> bool:
        """Tells whether somebody holds a lock."""
        return bool(self._locks) and not select.select(self._locks, [], [], 0)[0]

    async def serve(self) -> None:
        """Answer Inhibit, and nothing else, until the bus ends."""
        while True:
            try:
                asked = await self._connection.receive()
            except trio.EndOfChannel:
                return
            if asked.header.message_type is not MessageType.method_call:
                continue
            assert asked.header.fields[HeaderFields.member] == "Inhibit", asked
            assert (asked.body[0], asked.body[3]) == ("sleep", "delay")
            self.asked_by = str(asked.header.fields[HeaderFields.sender])
            ours, theirs = os.pipe()
            await self._connection.send(new_method_return(asked, "h", (theirs,)))
            os.close(theirs)
            self._locks.append(ours)
            self._given.set()


@asynccontextmanager
async def login_manager(address: str) -> AsyncIterator[FakeLogin]:
    """A login manager on the bus."""
    connection = await open_dbus_connection(address, enable_fds=True)
    async with connection:
        async with connection.router() as router:
            await router.send_and_get_reply(message_bus.RequestName(LOGIN))
        made = FakeLogin(connection)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(made.serve)
            yield made
            nursery.cancel_scope.cancel()
        made.close()


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a bus that this process takes for the system's."""
    with system_bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        yield address
