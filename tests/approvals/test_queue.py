"""An answer is for one call, once, in time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing

from agentgw.protocol.errors import AlreadyExists, NotFound
from agentgw.protocol.events import DaemonEvent
from agentgw.protocol.types import Approval, Decision
from agentgw_daemon.approvals.policy import Allow, Ask, decide
from agentgw_daemon.approvals.queue import ApprovalQueue, PendingCall
from agentgw_daemon.events.hub import EventHub
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.sessions.approvals import ApprovalOutcome, use_up
from agentgw_daemon.storage.sessions.turns import NewTurn
from agentgw_daemon.tools.tool import CallPreview, ToolSpec

RUN = ToolSpec(name="run_command", description="", parameters={"type": "object"}, effect="command", outbound=True)


@pytest.fixture
def anyio_backend(clock: trio.testing.MockClock) -> tuple[str, dict[str, object]]:
    """A clock that only `jump` moves."""
    return "trio", {"clock": clock}


@pytest.fixture
def clock() -> trio.testing.MockClock:
    return trio.testing.MockClock()


pytestmark = pytest.mark.anyio


class Approvers:
    """A queue on a database of its own, and one that answers."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.hub = EventHub()
        self.queue = ApprovalQueue(database, self.hub)
        self.announced: list[Approval] = []

    async def call(self, *, argv: tuple[str, ...] = ("ls",), call_id: str = "c1", cwd: str = "/home/u") -> PendingCall:
        """A call of a new turn in a new session."""
        started = await self.database.turns.start(NewTurn(message="m", skill="s", model="echo"))
        return PendingCall(
            turn_id=started.turn.turn_id, session_id=started.turn.session_id, call_id=call_id, tool=RUN.name,
            arguments={"argv": list(argv)}, cwd=cwd, preview=CallPreview(title="run ls"), outbound=True,
        )  # fmt: skip

    @asynccontextmanager
    async def asking(self, call: PendingCall) -> AsyncIterator[tuple[Approval, list[ApprovalOutcome]]]:
        """The question about the call, open; afterwards the list has what was decided."""
        announced = trio.Event()
        decided: list[ApprovalOutcome] = []

        async def announce(approval: Approval) -> None:
            self.announced.append(approval)
            announced.set()

        async def ask() -> None:
            decided.append(await self.queue.decide(call, announce))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await announced.wait()
            yield self.announced[-1], decided

    async def settle(self, call: PendingCall, decision: Decision) -> Approval:
        async with self.asking(call) as (approval, decided):
            await self.queue.answer(approval.approval_id, decision)
        assert decided == [decision]
        return approval

    async def is_asked(self, call: PendingCall) -> bool:
        """Tells whether the policy asks about the call, given all that was answered."""
        made = decide(
            RUN, call.digest, asked_for=("ask",), allow=(), session_grants=await self.queue.grants(call.session_id),
            rules=await self.queue.rule_digests(), tainted=False,
        )  # fmt: skip
        assert isinstance(made, Ask | Allow)
        return isinstance(made, Ask)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def approvers(data: Path) -> AsyncIterator[Approvers]:
    async with Database.open(data) as database:
        yield Approvers(database)


async def test_a_yes_lets_the_one_call_go_on(approvers: Approvers) -> None:
    call = await approvers.call()
    approval = await approvers.settle(call, "allow_once")
    assert (approval.tool, approval.arguments, approval.cwd) == ("run_command", {"argv": ["ls"]}, "/home/u")
    assert approvers.queue.list() == ()
    assert await approvers.is_asked(call)


async def test_nobodys_answer_is_a_no_after_two_minutes(approvers: Approvers, clock: trio.testing.MockClock) -> None:
    async with approvers.asking(await approvers.call()) as (approval, decided):
        assert approvers.queue.list() == (approval,)
        clock.jump(119)
        await trio.testing.wait_all_tasks_blocked()
        assert decided == []
        clock.jump(1)
    assert decided == ["expired"]
    with pytest.raises(AlreadyExists, match="in time"):
        await approvers.queue.answer(approval.approval_id, "allow_once")


async def test_an_answer_121_seconds_later_comes_too_late(approvers: Approvers, clock: trio.testing.MockClock) -> None:
    async with approvers.asking(await approvers.call()) as (approval, decided):
        clock.jump(121)
        with pytest.raises(AlreadyExists, match="in time"):
            await approvers.queue.answer(approval.approval_id, "allow_always")
    assert decided == ["expired"]
    assert await approvers.queue.rule_digests() == frozenset()


async def test_a_grant_covers_no_other_words_directory_or_session(approvers: Approvers) -> None:
    call = await approvers.call()
    await approvers.settle(call, "allow_session")
    assert not await approvers.is_asked(call)
    assert await approvers.is_asked(replace(call, arguments={"argv": ["ls", "; id"]}))
    assert await approvers.is_asked(replace(call, arguments={"argv": ["ls; id"]}))
    assert await approvers.is_asked(replace(call, cwd="/"))
    assert await approvers.is_asked(replace(call, tool="write_file"))
    assert await approvers.is_asked(await approvers.call())


async def test_an_always_covers_the_same_call_of_every_session_until_revoked(approvers: Approvers) -> None:
    await approvers.settle(await approvers.call(), "allow_always")
    assert not await approvers.is_asked(await approvers.call())
    assert await approvers.is_asked(await approvers.call(cwd="/"))
    (rule,) = await approvers.database.approvals.rules()
    await approvers.database.approvals.revoke(rule.rule_id)
    assert await approvers.is_asked(await approvers.call())


async def test_a_used_answer_is_used_up(approvers: Approvers) -> None:
    call = await approvers.call()
    first = await approvers.settle(call, "allow_once")
    async with approvers.asking(call) as (again, decided):
        assert again.approval_id != first.approval_id
        with pytest.raises(AlreadyExists, match="answered already"):
            await approvers.queue.answer(first.approval_id, "allow_once")
        await approvers.queue.answer(again.approval_id, "deny")
    assert decided == ["deny"]


async def test_a_reused_call_id_with_other_arguments_is_asked_about(approvers: Approvers) -> None:
    call = await approvers.call()
    await approvers.settle(call, "allow_once")
    approvers.queue = ApprovalQueue(approvers.database, approvers.hub)
    async with approvers.asking(replace(call, arguments={"argv": ["id"]})) as (approval, decided):
        await approvers.queue.answer(approval.approval_id, "deny")
    assert decided == ["deny"]


async def test_of_two_answers_at_once_one_wins(approvers: Approvers) -> None:
    refused: list[Decision] = []

    async def answer(approval: Approval, decision: Decision) -> None:
        try:
            await approvers.queue.answer(approval.approval_id, decision)
        except AlreadyExists:
            refused.append(decision)

    async with approvers.asking(await approvers.call()) as (approval, decided), trio.open_nursery() as nursery:
        nursery.start_soon(answer, approval, "allow_once")
        nursery.start_soon(answer, approval, "deny")
    assert len(refused) == 1
    assert {*refused, *decided} == {"allow_once", "deny"}


async def test_a_restart_keeps_the_question_its_id_and_the_time_left(data: Path, clock: trio.testing.MockClock) -> None:
    async with Database.open(data) as database:
        approvers = Approvers(database)
        call = await approvers.call()
        wall = 1_800_000_000.0
        approvers.queue = ApprovalQueue(database, approvers.hub, wall_clock=lambda: wall)
        with trio.CancelScope() as crash:
            async with approvers.asking(call) as (before, _):
                crash.cancel()
        approvers.queue = ApprovalQueue(database, approvers.hub, wall_clock=lambda: wall + 100)
        async with approvers.asking(call) as (after, decided):
            assert after == before
            clock.jump(20)
        assert decided == ["expired"]


async def test_an_answer_from_before_a_restart_holds_once(approvers: Approvers) -> None:
    call = await approvers.call()
    approval = await approvers.settle(call, "allow_once")
    approvers.queue = ApprovalQueue(approvers.database, approvers.hub)
    assert await approvers.queue.decide(call, never) == "allow_once"
    async with approvers.asking(call) as (again, decided):
        assert again.approval_id != approval.approval_id
        await approvers.queue.answer(again.approval_id, "deny")
    assert decided == ["deny"]


@pytest.mark.parametrize("decision", ["allow_once", "allow_session", "allow_always"])
@pytest.mark.parametrize("later_s", [120.0, 86_400.0, -3600.0])
async def test_a_yes_that_was_not_used_in_its_time_does_not_outlive_the_daemon(
    approvers: Approvers, decision: Decision, later_s: float
) -> None:
    wall = 1_800_000_000.0
    approvers.queue = ApprovalQueue(approvers.database, approvers.hub, wall_clock=lambda: wall)
    call = await approvers.call()
    approval = await approvers.settle(call, decision)
    approvers.queue = ApprovalQueue(approvers.database, approvers.hub, wall_clock=lambda: wall + later_s)
    async with approvers.asking(call) as (again, decided):
        assert again.approval_id != approval.approval_id
        await approvers.queue.answer(again.approval_id, "deny")
    assert decided == ["deny"]


async def test_a_no_outlives_the_daemon_however_long(approvers: Approvers) -> None:
    wall = 1_800_000_000.0
    approvers.queue = ApprovalQueue(approvers.database, approvers.hub, wall_clock=lambda: wall)
    call = await approvers.call()
    await approvers.settle(call, "deny")
    approvers.queue = ApprovalQueue(approvers.database, approvers.hub, wall_clock=lambda: wall + 86_400)
    assert await approvers.queue.decide(call, never) == "deny"


async def test_an_answer_is_about_the_things_that_were_shown(approvers: Approvers) -> None:
    call = await approvers.call()
    await approvers.settle(call, "allow_always")
    await approvers.settle(call, "allow_once")
    changed = replace(call, preview=CallPreview(title="run ls", things=("program /bin/ls",)))
    assert await approvers.is_asked(changed)
    approvers.queue = ApprovalQueue(approvers.database, approvers.hub)
    async with approvers.asking(changed) as (_, decided):
        await approvers.queue.answer(approvers.announced[-1].approval_id, "deny")
    assert decided == ["deny"]


async def test_a_call_that_had_begun_when_the_daemon_was_killed_is_asked_about_again(approvers: Approvers) -> None:
    call = await approvers.call()
    approval = await approvers.settle(call, "allow_once")
    await approvers.database.approvals._runner.write(lambda db: use_up(db, call.turn_id or "", call.call_id))
    approvers.queue = ApprovalQueue(approvers.database, approvers.hub)
    async with approvers.asking(call) as (again, decided):
        assert again.approval_id != approval.approval_id
        await approvers.queue.answer(again.approval_id, "deny")
    assert decided == ["deny"]


async def left_open(approvers: Approvers) -> tuple[PendingCall, Approval]:
    """A question that was open when its daemon was killed."""
    call = await approvers.call()
    with trio.CancelScope() as crash:
        async with approvers.asking(call) as (approval, _):
            crash.cancel()
    approvers.queue = ApprovalQueue(approvers.database, approvers.hub)
    return call, approval


async def never(_: Approval) -> None:
    raise AssertionError("asked again")


async def test_a_recalled_question_can_be_answered_before_its_turn_is_back(approvers: Approvers) -> None:
    call, before = await left_open(approvers)
    await approvers.queue.recall(call.turn_id or "")
    assert approvers.queue.list() == (before,)
    assert approvers.queue.is_asking(call.turn_id or "")
    assert approvers.queue.is_recalled(call.turn_id or "", "c1")
    await approvers.queue.answer(before.approval_id, "allow_once")
    assert not approvers.queue.is_asking(call.turn_id or "")
    with pytest.raises(AlreadyExists, match="answered already"):
        await approvers.queue.answer(before.approval_id, "deny")
    announced: list[Approval] = []

    async def announce(approval: Approval) -> None:
        announced.append(approval)

    assert await approvers.queue.decide(call, announce) == "allow_once"
    assert announced == [before]
    assert not approvers.queue.is_recalled(call.turn_id or "", "c1")


async def test_a_turn_that_comes_back_too_late_for_its_yes_asks_anew(
    approvers: Approvers, clock: trio.testing.MockClock
) -> None:
    call, before = await left_open(approvers)
    await approvers.queue.recall(call.turn_id or "")
    await approvers.queue.answer(before.approval_id, "allow_once")
    clock.jump(121)
    async with approvers.asking(call) as (again, decided):
        assert again.approval_id != before.approval_id
        await approvers.queue.answer(again.approval_id, "deny")
    assert decided == ["deny"]


async def test_a_recalled_question_of_other_arguments_is_asked_anew(approvers: Approvers) -> None:
    call, before = await left_open(approvers)
    await approvers.queue.recall(call.turn_id or "")
    async with approvers.asking(replace(call, arguments={"argv": ["id"]})) as (approval, decided):
        assert approval.approval_id != before.approval_id
        assert approvers.queue.list() == (approval,)
        with pytest.raises(NotFound):
            await approvers.queue.answer(before.approval_id, "allow_once")
        await approvers.queue.answer(approval.approval_id, "deny")
    assert decided == ["deny"]


async def test_what_was_recalled_and_not_asked_again_is_withdrawn_with_its_turn(approvers: Approvers) -> None:
    call, before = await left_open(approvers)
    await approvers.queue.recall(call.turn_id or "")
    heard: list[DaemonEvent] = []
    with approvers.hub.subscribed({"approvals"}, heard.append):
        approvers.queue.withdraw("t-other")
        assert approvers.queue.list() == (before,)
        approvers.queue.withdraw(call.turn_id or "")
    assert [event.name for event in heard] == ["withdrawn"]
    assert approvers.queue.list() == ()
    with pytest.raises(NotFound):
        await approvers.queue.answer(before.approval_id, "allow_once")


async def test_answered_questions_are_not_recalled(approvers: Approvers) -> None:
    call = await approvers.call()
    await approvers.settle(call, "allow_once")
    approvers.queue = ApprovalQueue(approvers.database, approvers.hub)
    await approvers.queue.recall(call.turn_id or "")
    assert approvers.queue.list() == ()
    assert await approvers.queue.decide(call, never) == "allow_once"


async def test_a_recalled_question_keeps_the_time_that_was_left(data: Path, clock: trio.testing.MockClock) -> None:
    async with Database.open(data) as database:
        approvers = Approvers(database)
        approvers.queue = ApprovalQueue(database, approvers.hub, wall_clock=lambda: 1_800_000_000.0)
        call, before = await left_open(approvers)
        approvers.queue = ApprovalQueue(database, approvers.hub, wall_clock=lambda: 1_800_000_100.0)
        await approvers.queue.recall(call.turn_id or "")
        clock.jump(19)
        assert approvers.queue.list() == (before,)
        clock.jump(1)
        assert approvers.queue.list() == ()
        with pytest.raises(AlreadyExists, match="in time"):
            await approvers.queue.answer(before.approval_id, "allow_once")

        async def announce(_: Approval) -> None:
            await trio.lowlevel.checkpoint()

        assert await approvers.queue.decide(call, announce) == "expired"


async def test_a_question_that_is_not_stored_is_not_one_to_come_back_to(approvers: Approvers) -> None:
    call = replace(await approvers.call(), stored=False)
    async with approvers.asking(call) as (approval, _):
        assert not approvers.queue.is_asking(call.turn_id or "")
        await approvers.queue.answer(approval.approval_id, "deny")


async def test_cancelling_withdraws_the_question(approvers: Approvers) -> None:
    with trio.CancelScope() as scope:
        async with approvers.asking(await approvers.call()) as (approval, _):
            scope.cancel()
    assert approvers.queue.list() == ()
    with pytest.raises(NotFound):
        await approvers.queue.answer(approval.approval_id, "allow_once")


async def test_an_unstored_turn_is_asked_about_and_leaves_nothing_but_its_sessions_grant(approvers: Approvers) -> None:
    call = replace(await approvers.call(), turn_id="t-ephemeral", session_id="s-ephemeral", stored=False)
    await approvers.settle(call, "allow_session")
    assert await approvers.queue.grants("s-ephemeral") == {call.digest}
    assert await approvers.queue.grants("s-other") == frozenset()
    assert await approvers.queue.grants(None) == frozenset()
    assert await approvers.database.approvals.of_call("t-ephemeral", "c1") is None


async def test_the_daemons_events_tell_of_questions_and_answers(approvers: Approvers) -> None:
    heard: list[DaemonEvent] = []
    with approvers.hub.subscribed({"approvals"}, heard.append):
        approval = await approvers.settle(await approvers.call(), "deny")
    assert [event.name for event in heard] == ["asked", "answered"]
    assert heard[0].data["approval_id"] == approval.approval_id
    assert heard[1].data["decision"] == "deny"
    assert all("arguments" not in event.data for event in heard)
