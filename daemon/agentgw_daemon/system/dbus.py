"""Connections to the buses of the system and of the desktop, for as long as they are needed. Imports jeepney late."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from jeepney.io.trio import DBusConnection, DBusRouter

# Both are on this machine.
ANSWER_S: Final = 2.0
# All that a bus that is missing, ends, or says nonsense can raise; a refused login is a ValueError.
UNAVAILABLE: Final = (
    ImportError, OSError, ValueError, TypeError, LookupError, RuntimeError, EOFError, trio.TooSlowError,
    trio.EndOfChannel, trio.BrokenResourceError, trio.ClosedResourceError,
)  # fmt: skip


@asynccontextmanager
async def open_bus(bus: str, *, with_descriptors: bool = False) -> AsyncIterator[DBusRouter]:
    """A connection to SYSTEM, or to an address as D-Bus writes them. What fails is in UNAVAILABLE, or a group of it.

    `with_descriptors`: answers may bring file descriptors.
    """
    with trio.fail_after(ANSWER_S):
        connection = await _connected(bus, with_descriptors)
    async with connection, connection.router() as router:
        yield router


async def _connected(bus: str, with_descriptors: bool) -> DBusConnection:
    """A connection that is logged in. jeepney's own function leaves the socket behind where that fails."""
    from jeepney.auth import BEGIN, Authenticator
    from jeepney.bus import get_bus
    from jeepney.bus_messages import message_bus
    from jeepney.io.trio import DBusConnection

    stream = await trio.open_unix_socket(get_bus(bus))
    try:
        login = Authenticator(enable_fds=with_descriptors)
        for words in login:
            await stream.send_all(words)
            answer = await stream.receive_some(4096)
            if not answer:
                raise trio.EndOfChannel("the bus closed the connection")
            login.feed(answer)
        await stream.send_all(BEGIN)
        connection = DBusConnection(stream.socket, enable_fds=with_descriptors)
        # The bus wants to be greeted first.
        async with connection.router() as router:
            await router.send_and_get_reply(message_bus.Hello())
    except BaseException:
        stream.socket.close()
        raise
    return connection


def reason_of(error: BaseException) -> str:
    """The first reason in a group, on one line."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, trio.TooSlowError):
        return "no answer in time"
    return " ".join(str(error).split())[:200] or type(error).__name__
