"""A session bus of the test's own, and a desktop on it that notes what it is asked to show."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio
from jeepney import DBusAddress, HeaderFields, MessageType, new_error, new_method_return, new_signal
from jeepney.bus_messages import message_bus
from jeepney.io.trio import DBusConnection, open_dbus_connection

from tests.system.bus import DAEMON

NAME = "org.freedesktop.Notifications"
PATH = "/org/freedesktop/Notifications"


@contextmanager
def session_bus(folder: Path) -> Iterator[str]:
    """The address of a bus that nobody else is on."""
    if DAEMON is None:
        pytest.skip("there is no dbus-daemon here; it is in the package dbus")
    configuration = folder / "bus.conf"
    configuration.write_text(
        "<busconfig><type>session</type>"
        f"<listen>unix:path={folder}/bus</listen><auth>EXTERNAL</auth>"
        '<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/>'
        '<allow eavesdrop="false"/></policy></busconfig>'
    )
    with subprocess.Popen(
        [DAEMON, f"--config-file={configuration}", "--nofork", "--print-address=1"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        try:
            yield address
        finally:
            process.terminate()


@dataclass
class Asked:
    """One call of Notify."""

    number: int
    summary: str
    body: str
    actions: dict[str, str]
    urgency: int


@dataclass
class FakeDesktop:
    """Displayer of notifications. `able` is what it says it can do."""

    connection: DBusConnection
    able: list[str] = field(default_factory=lambda: ["body", "body-markup", "actions"])
    asked: list[Asked] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    refuses: bool = False
    _changed: trio.lowlevel.ParkingLot = field(default_factory=trio.lowlevel.ParkingLot)

    async def wait_asked(self, count: int = 1) -> Asked:
        while len(self.asked) < count:
            await self._changed.park()
        return self.asked[-1]

    async def wait_closed(self, number: int) -> None:
        while number not in self.closed:
            await self._changed.park()

    async def press(self, number: int, key: str) -> None:
        await self.send("ActionInvoked", "us", (number, key))

    async def put_away(self, number: int) -> None:
        await self.send("NotificationClosed", "uu", (number, 2))

    async def send(self, member: str, signature: str, body: tuple[Any, ...]) -> None:
        emitter = DBusAddress(PATH, interface=NAME)
        await self.connection.send(new_signal(emitter, member, signature, body))

    async def serve(self) -> None:
        while True:
            message = await self.connection.receive()
            if message.header.message_type is not MessageType.method_call:
                continue
            await self.connection.send(self._answer(message))
            self._changed.unpark_all()

    def _answer(self, message: Any) -> Any:
        if self.refuses:
            return new_error(message, "org.freedesktop.DBus.Error.ServiceUnknown", "s", ("no desktop today",))
        match message.header.fields[HeaderFields.member]:
            case "GetCapabilities":
                return new_method_return(message, "as", (self.able,))
            case "Notify":
                _, _, _, summary, body, words, hints, _ = message.body
                number = len(self.asked) + 1
                actions = dict(zip(words[::2], words[1::2], strict=True))
                self.asked.append(Asked(number, summary, body, actions, hints["urgency"][1]))
                return new_method_return(message, "u", (number,))
            case "CloseNotification":
                self.closed.append(message.body[0])
                return new_method_return(message)
            case other:
                raise AssertionError(other)


@asynccontextmanager
async def desktop_on(address: str, *, owns: bool = True) -> AsyncIterator[FakeDesktop]:
    """A desktop on the bus; one that does not own the name is a stranger's program."""
    connection = await open_dbus_connection(address)
    async with connection:
        if owns:
            async with connection.router() as router:
                await router.send_and_get_reply(message_bus.RequestName(NAME))
        made = FakeDesktop(connection)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(made.serve)
            yield made
            nursery.cancel_scope.cancel()
