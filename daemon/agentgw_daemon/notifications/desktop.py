"""Notifications of the desktop, by the freedesktop specification over the session bus.

Each has a connection of its own for as long as somebody waits for it, so an idle daemon holds none. Whatever the bus
does ends one notification at most. A press counts only if it comes from whoever showed it and names the token that
this notification alone has: numbers of notifications are used again, after a restart of the desktop at the latest.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import trio

from agentgw.protocol.records.schema import record
from agentgw_daemon.notifications.notice import DesktopNotice, without_markup
from agentgw_daemon.system.dbus import ANSWER_S, UNAVAILABLE, open_bus, reason_of

if TYPE_CHECKING:
    from jeepney.io.trio import DBusRouter

log = logging.getLogger(__name__)

_NAME: Final = "org.freedesktop.Notifications"
_PATH: Final = "/org/freedesktop/Notifications"
# The bus may have to start what shows them.
_SHOWN_S: Final = 10.0
_QUEUED_SIGNALS: Final = 64
_CRITICAL: Final = 2
_NORMAL: Final = 1
_STAYS_MS: Final = 0
_DEFAULT_MS: Final = -1


class NoDesktop(Exception):
    """There is no program on the bus that shows notices."""


@record
class _BusCaller:
    """One connection, and the service's answers over it."""

    router: DBusRouter
    bus: str

    async def ask(self, method: str, signature: str = "", body: tuple[Any, ...] = ()) -> Any:
        """The answer to a method of the service. Raises NoDesktop."""
        from jeepney import DBusAddress, MessageType, new_method_call

        address = DBusAddress(_PATH, bus_name=_NAME, interface=_NAME)
        with trio.fail_after(_SHOWN_S):
            reply = await self.router.send_and_get_reply(new_method_call(address, method, signature, body))
        if reply.header.message_type is not MessageType.method_return:
            raise NoDesktop(str(reply.body[0]) if reply.body else f"{method} failed")
        return reply


class ShownNotice:
    """A notification on the screen."""

    def __init__(
        self, caller: _BusCaller, number: int, owner: str, token: str, signals: trio.MemoryReceiveChannel[Any]
    ):
        self._caller = caller
        self._number = number
        self._owner = owner
        self._token = token
        self._signals = signals

    async def press(self) -> str | None:
        """The action that somebody pressed; None when it was put away. Raises one of UNAVAILABLE with the bus."""
        from jeepney import HeaderFields

        async for message in self._signals:
            fields = message.header.fields
            if fields.get(HeaderFields.sender) != self._owner or not _is_about(message.body, self._number):
                continue
            match fields.get(HeaderFields.member), message.body[1]:
                case "ActionInvoked", str(key):
                    action, _, token = key.partition(":")
                    if secrets.compare_digest(token.encode(), self._token.encode()):
                        return action
                case "NotificationClosed", _:
                    return None
        raise trio.EndOfChannel("the session bus ended")

    async def close(self) -> None:
        """Take the notice off the screen."""
        await self._caller.ask("CloseNotification", "u", (self._number,))


class Desktop:
    """Place where notifications are shown: the bus of this environment."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        # The reason for which nothing can be shown is told once.
        self._told = ""

    @asynccontextmanager
    async def shown(
        self, notice: DesktopNotice, actions: Mapping[str, str] | None = None
    ) -> AsyncIterator[ShownNotice]:
        """Show a notice while the context is open. `actions` are words on buttons; a notice with some stays.

        Raises NoDesktop where that is not possible, or some of UNAVAILABLE when the bus ends.
        """
        async with open_bus(self._address()) as router:
            caller = _BusCaller(router=router, bus=_NAME)
            reply = await caller.ask("GetCapabilities")
            able = reply.body[0] if reply.body and isinstance(reply.body[0], list) else []
            sending, receiving = trio.open_memory_channel[Any](_QUEUED_SIGNALS)
            from jeepney import MatchRule, message_bus

            with trio.fail_after(ANSWER_S):
                await router.send_and_get_reply(
                    message_bus.AddMatch(MatchRule(type="signal", sender=_NAME, path=_PATH, interface=_NAME))
                )
            arriving = MatchRule(type="signal", path=_PATH, interface=_NAME)
            async with router.filter(arriving, channel=sending):
                yield await self._show(caller, notice, actions or {}, able, receiving)

    async def tell(self, notice: DesktopNotice) -> None:
        """Show a notice and leave it there. Where nobody shows it, the log has a line."""
        try:
            async with self.shown(notice):
                pass
        except* (NoDesktop, *UNAVAILABLE) as group:
            self.miss(group)

    def miss(self, error: BaseException) -> None:
        """Note that a notification was not shown, once for each reason."""
        reason = reason_of(error)
        if reason != self._told:
            log.info("notifications are not shown on the desktop: %s", reason)
        self._told = reason

    async def _show(
        self,
        caller: _BusCaller,
        notice: DesktopNotice,
        actions: Mapping[str, str],
        able: list[Any],
        signals: trio.MemoryReceiveChannel[Any],
    ) -> ShownNotice:
        from jeepney import HeaderFields

        token = secrets.token_hex(8)
        buttons = [word for key, text in actions.items() for word in (f"{key}:{token}", text)]
        body = without_markup(notice.body) if "body-markup" in able else notice.body
        hints = {"urgency": ("y", _CRITICAL if actions else _NORMAL)}
        reply = await caller.ask(
            "Notify",
            "susssasa{sv}i",
            (
                "agentgw", 0, "dialog-question" if actions else "dialog-information", notice.summary, body,
                buttons if "actions" in able else [], hints, _STAYS_MS if actions else _DEFAULT_MS,
            ),
        )  # fmt: skip
        if not reply.body or not isinstance(reply.body[0], int):
            raise NoDesktop("the desktop gave no number")
        owner = str(reply.header.fields.get(HeaderFields.sender, ""))
        return ShownNotice(caller, reply.body[0], owner, token, signals)

    def _address(self) -> str:
        """The session bus's address. Raises NoDesktop."""
        given = self._environ.get("DBUS_SESSION_BUS_ADDRESS")
        if given:
            return given
        runtime = self._environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
        path = Path(runtime) / "bus"
        with suppress(OSError):
            if path.is_socket():
                return f"unix:path={path}"
        raise NoDesktop("there is no session bus")


def _is_about(body: tuple[Any, ...], number: int) -> bool:
    return len(body) == 2 and body[0] == number
