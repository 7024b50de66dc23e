"""Questions to the system's services over D-Bus: is the network metered, is the user away.

Optional: without a bus or a service what is asked is unknown.
"""

from __future__ import annotations

import logging
from typing import Final

import trio

from agentgw_daemon.system.dbus import ANSWER_S, UNAVAILABLE, open_bus, reason_of

log = logging.getLogger(__name__)

_LOGIN: Final = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
_NETWORK: Final = (
    "org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager", "org.freedesktop.NetworkManager",
)  # fmt: skip
# NMMetered: 1 is yes, 2 no, 3 guessed yes, 4 guessed no, 0 unknown.
_METERED: Final = (1, 3)
_NOT_METERED: Final = (2, 4)


async def is_unmetered() -> bool | None:
    """Tells whether the network costs nothing by the byte, as NetworkManager has it."""
    metered = await _property(_NETWORK, "Metered")
    return True if metered in _NOT_METERED else False if metered in _METERED else None


async def is_user_away() -> bool | None:
    """The login manager's hint that no session is used."""
    hint = await _property(_LOGIN, "IdleHint")
    return hint if isinstance(hint, bool) else None


async def _property(place: tuple[str, str, str], name: str) -> object:
    """A property of a service; None where it cannot be had."""
    found: object = None
    try:
        found = await _ask(place, name)
    except* UNAVAILABLE as group:
        log.debug("%s of %s cannot be had: %s", name, place[0], reason_of(group))
    return found


async def _ask(place: tuple[str, str, str], name: str) -> object:
    from jeepney import DBusAddress, MessageType, Properties

    service, path, interface = place
    question = Properties(DBusAddress(path, bus_name=service, interface=interface)).get(name)
    async with open_bus("SYSTEM") as router:
        with trio.fail_after(ANSWER_S):
            reply = await router.send_and_get_reply(question)
    if reply.header.message_type is not MessageType.method_return or not reply.body:
        return None
    # A variant: its signature and its value.
    value = reply.body[0]
    return value[1] if isinstance(value, tuple) and len(value) == 2 else None
