"""Sleep of the machine: the login manager tells of it over D-Bus, and waits a moment for those who get ready.

Optional: without a bus or a login manager there is one line in the log, and nobody is told anything.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import trio

from agentgw_daemon.system.dbus import ANSWER_S, UNAVAILABLE, open_bus, reason_of

if TYPE_CHECKING:
    from jeepney import Message
    from jeepney.fds import FileDescriptor
    from jeepney.io.trio import DBusRouter

log = logging.getLogger(__name__)

# Sleeps come in pairs, minutes apart.
_QUEUED_SIGNALS: Final = 16
# logind waits 5 s for all who get ready (InhibitDelayMaxSec); this clock stands still while the machine sleeps. Who is
# awake so long after does not sleep any more, whatever became of the word for it.
AWAKE_S: Final = 60.0
_SERVICE: Final = "org.freedesktop.login1"
_PATH: Final = "/org/freedesktop/login1"
_INTERFACE: Final = "org.freedesktop.login1.Manager"
_LOCK: Final = ("sleep", "agentgw", "Puts running answers aside", "delay")


async def follow_sleep(get_ready: Callable[[], Awaitable[object]], go_on: Callable[[], object]) -> None:
    """Await `get_ready` when the machine is about to sleep, and call `go_on` when it has slept. Ends with the bus.

    The sleep waits for `get_ready` where the login manager lets us delay it. `go_on` is also called when no sleep
    came of it within AWAKE_S, and at the end.
    """
    try:
        async with open_bus("SYSTEM", with_descriptors=True) as router:
            await _Follower(router, get_ready, go_on).follow()
    except* UNAVAILABLE as group:
        log.info("nobody tells when the machine goes to sleep, for there is no system bus: %s", reason_of(group))
    finally:
        # What is held for a sleep would wait for ever.
        go_on()


class _Follower:
    """Follower of one bus. It holds a lock that delays sleeps, but while one is under way."""

    def __init__(
        self, router: DBusRouter, get_ready: Callable[[], Awaitable[object]], go_on: Callable[[], object]
    ) -> None:
        self._router = router
        self._get_ready = get_ready
        self._go_on = go_on
        self._lock: FileDescriptor | None = None
        self._owner: str | None = None  # the login manager's number on the bus

    async def follow(self) -> None:
        from jeepney import MatchRule, message_bus

        # What arrives carries the sender's number, not its name.
        wanted = MatchRule(type="signal", sender=_SERVICE, path=_PATH, interface=_INTERFACE, member="PrepareForSleep")
        arriving = MatchRule(type="signal", path=_PATH, interface=_INTERFACE, member="PrepareForSleep")
        sending, receiving = trio.open_memory_channel[Any](_QUEUED_SIGNALS)
        try:
            async with self._router.filter(arriving, channel=sending):
                with trio.fail_after(ANSWER_S):
                    await self._router.send_and_get_reply(message_bus.AddMatch(wanted))
                await self._take_lock()
                log.debug("the login manager tells when the machine goes to sleep")
                while True:
                    await self._until(receiving, True, math.inf)
                    await self._get_ready()
                    self._drop_lock()
                    if not await self._until(receiving, False, trio.current_time() + AWAKE_S):
                        log.info("the machine was to sleep %g s ago and did not: all goes on", AWAKE_S)
                    self._go_on()
                    await self._take_lock()
        finally:
            self._drop_lock()

    async def _until(self, signals: trio.MemoryReceiveChannel[Any], word: bool, deadline: float) -> bool:
        """Wait for this word of the login manager; False when it did not come until then."""
        with trio.move_on_at(deadline):
            async for signal in signals:
                if signal.body == (word,) and await self._is_the_login_managers(signal):
                    return True
            raise trio.EndOfChannel
        return False

    async def _is_the_login_managers(self, signal: Message) -> bool:
        """Tells whether the login manager sent the message. The bus also delivers what anybody sends to us alone."""
        from jeepney import HeaderFields, MessageType, message_bus

        sender = signal.header.fields.get(HeaderFields.sender)
        if sender != self._owner:
            # The first one, one of a stranger's, or the login manager was started again.
            with trio.fail_after(ANSWER_S):
                reply = await self._router.send_and_get_reply(message_bus.GetNameOwner(_SERVICE))
            is_known = reply.header.message_type is MessageType.method_return and bool(reply.body)
            self._owner = str(reply.body[0]) if is_known else None
        return sender is not None and sender == self._owner

    async def _take_lock(self) -> None:
        from jeepney import DBusAddress, new_method_call
        from jeepney.fds import FileDescriptor

        manager = DBusAddress(_PATH, bus_name=_SERVICE, interface=_INTERFACE)
        try:
            with trio.fail_after(ANSWER_S):
                reply = await self._router.send_and_get_reply(new_method_call(manager, "Inhibit", "ssss", _LOCK))
        except trio.TooSlowError:
            log.debug("the login manager gives no lock: no answer in time")
            return
        if reply.body and isinstance(reply.body[0], FileDescriptor):
            self._lock = reply.body[0]
        else:
            log.debug("the login manager gives no lock: %s", str(reply.body)[:200])

    def _drop_lock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None
