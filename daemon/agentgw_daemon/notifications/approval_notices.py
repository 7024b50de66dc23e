"""Approvals that wait, shown on the desktop once nobody has answered for a moment."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import trio

from agentgw.protocol.errors import AlreadyExists, NotFound, RpcError
from agentgw.protocol.types import Decision, Topic
from agentgw_daemon.notifications.desktop import Desktop, NoDesktop, ShownNotice
from agentgw_daemon.notifications.notice import approval_notice
from agentgw_daemon.observability.supervision import supervised
from agentgw_daemon.system.dbus import UNAVAILABLE

if TYPE_CHECKING:
    from agentgw.protocol.events import DaemonEvent
    from agentgw_daemon.approvals.queue import ApprovalQueue
    from agentgw_daemon.events.hub import EventHub

log = logging.getLogger(__name__)

# Whoever watches the turn in a terminal sees the question there and has begun to read it by then; nobody can tell
# whether somebody watches.
DELAY_S: Final = 5.0
# More at once are a screen full; they wait for a place, and `agentgw approvals` has them all.
MOST_SHOWN: Final = 5
_TOPICS: Final[tuple[Topic, ...]] = ("approvals",)
_ALLOW: Final = {"allow_once": "Allow once"}
_DENY: Final = {"deny": "Deny"}


class ApprovalNotices:
    """Shows questions, hands in the answers of whoever presses a button, takes away what was settled elsewhere."""

    def __init__(
        self,
        approvals: ApprovalQueue,
        hub: EventHub,
        desktop: Desktop,
        nursery: trio.Nursery,
        is_wanted: Callable[[], bool],
        delay_s: float = DELAY_S,
    ) -> None:
        self._approvals = approvals
        self._hub = hub
        self._desktop = desktop
        self._nursery = nursery
        self._is_wanted = is_wanted
        self._delay_s = delay_s
        # An event each that is set when the question is settled.
        self._open: dict[str, trio.Event] = {}
        self._places = trio.Semaphore(MOST_SHOWN)

    async def run(self) -> None:
        """Show notices of approvals until cancelled."""
        with self._hub.subscribed(_TOPICS, self._heard):
            await trio.sleep_forever()

    def _heard(self, event: DaemonEvent) -> None:
        approval_id = str(event.data["approval_id"])
        if event.name != "asked":
            settled = self._open.pop(approval_id, None)
            if settled is not None:
                settled.set()
        elif approval_id not in self._open and self._is_wanted():
            self._open[approval_id] = settled = trio.Event()
            self._nursery.start_soon(supervised, f"showing approval {approval_id}", self._wait, approval_id, settled)

    async def _wait(self, approval_id: str, settled: trio.Event) -> None:
        with trio.move_on_after(self._delay_s):
            await settled.wait()
        if settled.is_set():
            return
        try:
            # Questions have an end, so whoever waits for a place gets one.
            async with self._places:
                if not settled.is_set():
                    await self._ask(approval_id, settled)
        except* (NoDesktop, *UNAVAILABLE) as group:
            self._desktop.miss(group)

    async def _ask(self, approval_id: str, settled: trio.Event) -> None:
        asked = self._approvals.asked(approval_id)
        if asked is None:
            return
        approval, digest = asked
        notice = approval_notice(approval)
        actions = {**(_ALLOW if notice.may_allow else {}), **_DENY}
        async with self._desktop.shown(notice, actions) as shown:
            pressed = await _press_or(shown, settled)
            if pressed is None:
                # Settled elsewhere, or put away: the question stays where it is, and in `agentgw approvals`.
                if settled.is_set():
                    await shown.close()
                return
        decision: Decision | None = next((known for known in _DECISIONS if known == pressed and known in actions), None)
        if decision is not None:
            await self._answer(approval_id, digest, decision)

    async def _answer(self, approval_id: str, digest: str, decision: Decision) -> None:
        try:
            await self._approvals.answer(approval_id, decision, digest=digest)
            log.info("approval %s: %s was pressed on the desktop", approval_id, decision)
        except (AlreadyExists, NotFound) as stale:
            log.debug("a button was pressed too late: %s", stale.message)
        except RpcError as error:
            log.warning("an answer from the desktop could not be stored: %s", error.message)


_DECISIONS: Final[tuple[Decision, ...]] = ("allow_once", "deny")


async def _press_or(shown: ShownNotice, settled: trio.Event) -> str | None:
    """The action that was pressed before the question was settled."""
    pressed: str | None = None
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            await settled.wait()
            nursery.cancel_scope.cancel()

        nursery.start_soon(wait)
        pressed = await shown.press()
        nursery.cancel_scope.cancel()
    return pressed
