"""Words with the system's services over D-Bus: is the network metered, is the user away, does the machine go to sleep.

Optional: without a bus or a service there is one line in the log, and what is asked is unknown. Nothing is sent but
questions and one subscription.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

import trio

from agentgw_daemon.system.dbus import ANSWER_S, UNAVAILABLE, open_bus, reason_of

log = logging.getLogger(__name__)

# Sleeps come in pairs, minutes apart.
_QUEUED_SIGNALS: Final = 16
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


async def follow_sleep(hold: Callable[[bool], None]) -> None:
    """Call `hold` with True when the machine is about to sleep and with False when it goes on; ends with the bus."""
    try:
        await _follow_sleep(hold)
    except* UNAVAILABLE as group:
        log.info("nobody tells when the machine goes to sleep, for there is no system bus: %s", reason_of(group))
    finally:
        # A run that is held for a sleep would wait for ever.
        hold(False)


async def _follow_sleep(hold: Callable[[bool], None]) -> None:
    from jeepney import MatchRule, message_bus

    service, path, interface = _LOGIN
    # The bus knows whose signals these are; what arrives carries the sender's number, not its name.
    wanted = MatchRule(type="signal", sender=service, path=path, interface=interface, member="PrepareForSleep")
    arriving = MatchRule(type="signal", path=path, interface=interface, member="PrepareForSleep")
    async with open_bus("SYSTEM") as router:
        sending, receiving = trio.open_memory_channel[Any](_QUEUED_SIGNALS)
        async with router.filter(arriving, channel=sending):
            with trio.fail_after(ANSWER_S):
                await router.send_and_get_reply(message_bus.AddMatch(wanted))
            log.debug("the login manager tells when the machine goes to sleep")
            async for message in receiving:
                if message.body and isinstance(message.body[0], bool):
                    hold(message.body[0])


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
