"""Questions on the desktop: shown late, answered once, taken away when they are settled elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from agentgw.protocol.types import Approval
from agentgw_daemon.approvals.queue import ApprovalQueue, PendingCall
from agentgw_daemon.events.hub import EventHub
from agentgw_daemon.notifications.approval_notices import MOST_SHOWN, ApprovalNotices
from agentgw_daemon.notifications.desktop import Desktop
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.sessions.approvals import ApprovalOutcome
from agentgw_daemon.tools.tool import CallPreview
from tests.notifications.bus import FakeDesktop, desktop_on, session_bus
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.anyio


class Office:
    """A queue of questions, and a desktop that shows them."""

    def __init__(self, queue: ApprovalQueue, screen: FakeDesktop, nursery: trio.Nursery) -> None:
        self.queue = queue
        self.screen = screen
        self.wanted = True
        self._nursery = nursery
        self._decided = trio.lowlevel.ParkingLot()
        self.decisions: dict[str, ApprovalOutcome] = {}

    async def ask(self, word: str = "ls", *, diff: str | None = None) -> Approval:
        """A question that is open."""
        call = PendingCall(
            turn_id=None, session_id=None, call_id="c-1", tool="run_command", arguments={"argv": [word]}, cwd="/home",
            preview=CallPreview(title=f"Run {word}", diff=diff), outbound=True, stored=False,
        )  # fmt: skip
        announced: list[Approval] = []
        asked = trio.Event()

        async def announce(approval: Approval) -> None:
            await trio.lowlevel.checkpoint()
            announced.append(approval)
            asked.set()

        async def decide() -> None:
            self.decisions[word] = await self.queue.decide(call, announce)
            self._decided.unpark_all()

        self._nursery.start_soon(decide)
        await asked.wait()
        return announced[0]

    async def decision(self, word: str = "ls") -> ApprovalOutcome:
        while word not in self.decisions:
            await self._decided.park()
        return self.decisions[word]


@asynccontextmanager
async def office(folder: Path, delay_s: float = 0.0) -> AsyncIterator[Office]:
    hub = EventHub()
    with session_bus(folder) as address, trio.fail_after(PATIENCE_S):
        async with (
            Database.open(folder / "data") as database,
            desktop_on(address) as screen,
            trio.open_nursery() as nursery,
        ):
            queue = ApprovalQueue(database, hub)
            made = Office(queue, screen, nursery)
            desktop = Desktop({"DBUS_SESSION_BUS_ADDRESS": address})
            notices = ApprovalNotices(queue, hub, desktop, nursery, lambda: made.wanted, delay_s)
            nursery.start_soon(notices.run)
            await trio.testing.wait_all_tasks_blocked()
            yield made
            nursery.cancel_scope.cancel()


def button(actions: dict[str, str], text: str) -> str:
    return next(key for key, shown in actions.items() if shown == text)


@pytest.mark.parametrize(("text", "decision"), [("Allow once", "allow_once"), ("Deny", "deny")])
async def test_a_button_is_an_answer(tmp_path: Path, text: str, decision: str) -> None:
    async with office(tmp_path) as o:
        await o.ask()
        asked = await o.screen.wait_asked()
        assert '{"argv": ["ls"]}' in asked.body
        await o.screen.press(asked.number, button(asked.actions, text))
        assert await o.decision() == decision


async def test_an_answer_from_elsewhere_takes_it_away_and_a_press_after_it_does_nothing(tmp_path: Path) -> None:
    async with office(tmp_path) as o:
        first = await o.ask()
        shown = await o.screen.wait_asked()
        await o.queue.answer(first.approval_id, "deny")
        await o.screen.wait_closed(shown.number)
        await o.ask("rm")
        again = await o.screen.wait_asked(2)
        # As after a restart of the desktop, which counts from 1 again.
        await o.screen.press(again.number, button(shown.actions, "Allow once"))
        await o.screen.press(again.number, button(again.actions, "Deny"))
        assert await o.decision("rm") == "deny"


async def test_what_is_answered_at_once_is_never_shown(tmp_path: Path) -> None:
    async with office(tmp_path, delay_s=3600) as o:
        approval = await o.ask()
        await o.queue.answer(approval.approval_id, "allow_once")
        assert await o.decision() == "allow_once"
        assert o.screen.asked == []


async def test_put_away_is_no_answer(tmp_path: Path) -> None:
    async with office(tmp_path) as o:
        approval = await o.ask()
        asked = await o.screen.wait_asked()
        await o.screen.put_away(asked.number)
        assert [one.approval_id for one in o.queue.list()] == [approval.approval_id]


async def test_what_changes_a_file_cannot_be_allowed_from_here(tmp_path: Path) -> None:
    async with office(tmp_path) as o:
        await o.ask(diff="--- a\n+++ b\n")
        asked = await o.screen.wait_asked()
        assert list(asked.actions.values()) == ["Deny"]
        # A key that was never offered.
        await o.screen.press(asked.number, button(asked.actions, "Deny").replace("deny", "allow_once"))
        await trio.testing.wait_all_tasks_blocked()
        assert len(o.queue.list()) == 1


async def test_nothing_is_shown_where_nobody_wants_it(tmp_path: Path) -> None:
    async with office(tmp_path) as o:
        o.wanted = False
        await o.ask("one")
        o.wanted = True
        await o.ask("two")
        asked = await o.screen.wait_asked()
        assert "two" in asked.body


async def test_only_so_many_are_shown_at_once(tmp_path: Path) -> None:
    async with office(tmp_path) as o:
        for number in range(MOST_SHOWN):
            await o.ask(f"word{number}")
        await o.screen.wait_asked(MOST_SHOWN)
        await o.ask("extra")
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert len(o.screen.asked) == MOST_SHOWN
        await o.screen.press(1, button(o.screen.asked[0].actions, "Deny"))
        assert "extra" in (await o.screen.wait_asked(MOST_SHOWN + 1)).body


async def test_an_answer_for_another_call_is_refused(tmp_path: Path) -> None:
    async with office(tmp_path) as o:
        approval = await o.ask()
        found = o.queue.asked(approval.approval_id)
        assert found is not None
        assert found[0] == approval
        with pytest.raises(Exception, match="no approval"):
            await o.queue.answer(approval.approval_id, "allow_once", digest="0" * 64)
        await o.queue.answer(approval.approval_id, "allow_once", digest=found[1])
        assert await o.decision() == "allow_once"
        assert o.queue.asked(approval.approval_id) is None
