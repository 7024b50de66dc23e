"""The one queue of questions about tool calls: any client may answer, the first answer wins, none is a no.

What is open lives in memory, beside the turn that waits for it; the database has it too, so that a turn that is
taken up again after a crash finds its question under the same id, with the time that was left. Questions of turns
that are not stored are in memory alone. Times on the wire are the wall clock's; waiting goes by trio's clock.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

import trio

from agentgw.protocol.errors import AlreadyExists, NotFound
from agentgw.protocol.events import TurnApproval
from agentgw.protocol.records.schema import record
from agentgw.protocol.types import Approval, Decision
from agentgw_daemon.approvals.digest import digest_of
from agentgw_daemon.observability.failpoint import failpoint
from agentgw_daemon.storage.sessions.approvals import ApprovalOutcome, StoredApproval
from agentgw_daemon.system.ids import new_id, seconds_of, time_text
from agentgw_daemon.text.valid import valid_text

if TYPE_CHECKING:
    from agentgw_daemon.events.hub import EventHub
    from agentgw_daemon.storage.database import Database
    from agentgw_daemon.tools.tool import CallPreview

# Long enough to read a diff, short enough that a yes is about what is still on the screen.
TIMEOUT_S: Final = 120.0


@record
class PendingCall:
    """A call that somebody must agree to. `stored` false: its turn is not in the database, or there is no turn."""

    turn_id: str | None
    session_id: str | None
    call_id: str
    tool: str
    arguments: Mapping[str, Any]
    cwd: str
    preview: CallPreview
    outbound: bool
    stored: bool = True

    @property
    def digest(self) -> str:
        """The digest that an answer covers."""
        return digest_of(self.tool, self.arguments, self.cwd, self.preview.things)


class _Question:
    """One open question. `lock` orders its answers; `settled` is set once `decision` is stored."""

    def __init__(self, stored: StoredApproval, deadline: float, *, in_database: bool, reopened: bool = False) -> None:
        self.stored = stored
        self.reopened = reopened
        self.in_database = in_database
        self.deadline = deadline
        self.decision: ApprovalOutcome | None = None
        self.lock = trio.Lock()
        self.settled = trio.Event()


class ApprovalQueue:
    """The questions of one daemon."""

    def __init__(
        self,
        database: Database,
        hub: EventHub,
        timeout_s: float = TIMEOUT_S,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._hub = hub
        self._timeout_s = timeout_s
        self._wall_clock = wall_clock
        self._open: dict[str, _Question] = {}
        # Questions among them whose turns are taken up again and have not come back to the call yet.
        self._recalled: dict[tuple[str, str], _Question] = {}
        # Turns of which something was recalled and that are not stored as waiting again.
        self._coming_back: set[str] = set()
        self._came_back = trio.lowlevel.ParkingLot()
        # Decided in this life of the daemon, so handed out and used up. None is forgotten, or a used yes in the
        # database could pass for one from before a restart; it is some hundred bytes an answer.
        self._ended: dict[str, ApprovalOutcome] = {}
        # Grants of `allow_session` that the database does not have.
        self._unstored_grants: defaultdict[str, set[str]] = defaultdict(set)

    async def decide(self, call: PendingCall, announce: Callable[[Approval], Awaitable[None]]) -> ApprovalOutcome:
        """Ask about the call and give the decision; `expired` when nobody answered in time.

        `announce` tells the turn's watchers; it is not called when the answer was given before the daemon restarted.
        Cancelling withdraws the question. An answer is for this one call: the same id again is a new question.
        """
        question = await self._question(call)
        approval_id = question.stored.approval.approval_id
        if call.turn_id is not None and (question.stored.decision is not None or not question.reopened):
            self._is_back(call.turn_id)
        if question.stored.decision is not None:
            self._ended[approval_id] = question.stored.decision
            return question.stored.decision
        self._open[approval_id] = question
        try:
            self._publish("asked", question.stored.approval)
            with trio.move_on_at(question.deadline):
                await announce(question.stored.approval)
                if question.reopened and call.turn_id is not None:
                    await self._database.approvals.wait_again(call.turn_id)
                    self._is_back(call.turn_id)
                await question.settled.wait()
            async with question.lock:
                return question.decision or await self._settle(question, "expired")
        finally:
            del self._open[approval_id]
            if question.decision is None:
                self._publish("withdrawn", question.stored.approval)

    async def recall(self, turn_id: str) -> None:
        """Open again what a turn that is taken up asks: it may be answered before the turn is back at its call."""
        for stored in await self._database.approvals.open_of(turn_id):
            question = self._reopened(stored)
            self._recalled[turn_id, stored.call_id] = self._open[stored.approval.approval_id] = question
            self._coming_back.add(turn_id)

    def is_recalled(self, turn_id: str, call_id: str) -> bool:
        """Tells whether this call was asked about by an earlier daemon, and has not been asked about by this one."""
        return (turn_id, call_id) in self._recalled

    async def wait_asked_again(self, turn_id: str) -> None:
        """Return when what was recalled for the turn is asked about again, its waiting stored, or is withdrawn."""
        while turn_id in self._coming_back:
            await self._came_back.park()

    def withdraw(self, turn_id: str) -> None:
        """Close what was recalled for the turn and not asked again."""
        self._is_back(turn_id)
        for key in [key for key in self._recalled if key[0] == turn_id]:
            question = self._recalled.pop(key)
            del self._open[question.stored.approval.approval_id]
            if question.decision is None:
                self._publish("withdrawn", question.stored.approval)

    def _is_back(self, turn_id: str) -> None:
        self._coming_back.discard(turn_id)
        self._came_back.unpark_all()

    def is_asking(self, turn_id: str) -> bool:
        """Tells whether a stored question of this turn waits for its answer."""
        return any(
            one.in_database and one.decision is None and one.stored.approval.turn_id == turn_id
            for one in self._open.values()
        )

    def asked(self, approval_id: str) -> tuple[Approval, str] | None:
        """An open question with the digest of what a yes would cover; None when it waits no more."""
        question = self._open.get(approval_id)
        return None if question is None else (question.stored.approval, question.stored.digest)

    async def answer(self, approval_id: str, decision: Decision, *, digest: str | None = None) -> None:
        """Settle an open question. Returns when that is stored. `digest`: only if that is what it covers.

        Raises NotFound when nothing waits under this id, AlreadyExists when another answer or the time was first.
        """
        question = self._open.get(approval_id)
        if question is not None and digest not in (None, question.stored.digest):
            raise _unknown(approval_id)
        if question is None:
            decided = self._ended.get(approval_id)
            raise _unknown(approval_id) if decided is None else _answered(approval_id, decided)
        async with question.lock:
            # The turn may not have noticed yet that its time is over.
            if question.decision is not None or trio.current_time() >= question.deadline:
                raise _answered(approval_id, question.decision or "expired")
            if approval_id not in self._open:
                raise _unknown(approval_id)
            await self._settle(question, decision)

    def list(self) -> tuple[Approval, ...]:
        """The questions that wait for an answer, the oldest first."""
        now = trio.current_time()
        return tuple(one.stored.approval for one in self._open.values() if one.decision is None and now < one.deadline)

    async def grants(self, session_id: str | None) -> frozenset[str]:
        """Digests of the calls that were allowed for the session."""
        if session_id is None:
            return frozenset()
        unstored = self._unstored_grants.get(session_id, set())
        return await self._database.approvals.grants(session_id) | unstored

    async def rule_digests(self) -> frozenset[str]:
        """Digests of the calls that are always allowed."""
        return await self._database.approvals.rule_digests()

    async def _question(self, call: PendingCall) -> _Question:
        """A new question, or the one that was open or just answered when the daemon ended."""
        digest = call.digest
        in_database = call.stored and call.turn_id is not None
        if in_database:
            recalled = self._recalled.pop((call.turn_id or "", call.call_id), None)
            if recalled is not None:
                late = _is_yes(recalled.decision) and trio.current_time() >= recalled.deadline
                if recalled.stored.digest == digest and not late:
                    return recalled
                del self._open[recalled.stored.approval.approval_id]
                if recalled.decision is None:
                    self._publish("withdrawn", recalled.stored.approval)
            stored = await self._database.approvals.of_call(call.turn_id or "", call.call_id)
            if (
                stored is not None
                and stored.digest == digest
                and not self._is_of_this_life(stored)
                and not self._is_stale_yes(stored)
            ):
                return self._reopened(stored)
        at = self._wall_clock()
        stored = StoredApproval(
            approval=Approval(
                approval_id=new_id("a"), turn_id=call.turn_id, session_id=call.session_id, tool=call.tool,
                arguments=dict(call.arguments), cwd=valid_text(call.cwd), title=call.preview.title or None,
                details=call.preview.details or None, diff=call.preview.diff, asked_at=time_text(at),
                expires_at=time_text(at + self._timeout_s),
            ),
            call_id=call.call_id, digest=digest, outbound=call.outbound,
        )  # fmt: skip
        deadline = trio.current_time() + self._timeout_s
        if in_database:
            failpoint("question-unstored")
            await self._database.approvals.add(stored)
            failpoint("question-stored")
        return _Question(stored, deadline, in_database=in_database)

    def _reopened(self, stored: StoredApproval) -> _Question:
        """A stored question with the time that is left."""
        left_s = seconds_of(stored.approval.expires_at) - self._wall_clock()
        # Whatever the wall clock did meanwhile, nobody gets more time than there was.
        deadline = trio.current_time() + min(max(left_s, 0.0), self._timeout_s)
        return _Question(stored, deadline, in_database=True, reopened=True)

    def _is_stale_yes(self, stored: StoredApproval) -> bool:
        """Tells whether it is a yes that was not used within the question's time, by all that the wall clock
        can tell.
        """
        if not _is_yes(stored.decision):
            return False
        asked_at, expires_at = seconds_of(stored.approval.asked_at), seconds_of(stored.approval.expires_at)
        # Stored times have milliseconds.
        return not asked_at - 1 <= self._wall_clock() < min(expires_at, asked_at + self._timeout_s)

    def _is_of_this_life(self, stored: StoredApproval) -> bool:
        approval_id = stored.approval.approval_id
        return approval_id in self._ended or approval_id in self._open

    async def _settle(self, question: _Question, decision: ApprovalOutcome) -> ApprovalOutcome:
        """Store the decision, then let the turn go on. The caller holds the question's lock."""
        stored = question.stored
        await self._database.approvals.settle(stored, decision)
        failpoint("answer-stored")
        session_id = stored.approval.session_id
        if decision == "allow_session" and session_id is not None and not question.in_database:
            self._unstored_grants[session_id].add(stored.digest)
        question.decision = decision
        question.settled.set()
        self._ended[stored.approval.approval_id] = decision
        self._publish("answered", stored.approval, decision=decision)
        return decision

    def _publish(self, name: Literal["asked", "answered", "withdrawn"], approval: Approval, **more: str) -> None:
        # Not the arguments: they may be as long as a file, and `approval.list` has them.
        facts = {
            "approval_id": approval.approval_id, "tool": approval.tool, "turn_id": approval.turn_id,
            "session_id": approval.session_id, "expires_at": approval.expires_at,
        }  # fmt: skip
        self._hub.publish("approvals", name, **{key: value for key, value in facts.items() if value}, **more)


def event_of(approval: Approval, call_id: str) -> TurnApproval:
    """The event that tells the turn's watchers of a question."""
    return TurnApproval(
        approval_id=approval.approval_id, call_id=call_id, tool=approval.tool, arguments=approval.arguments,
        cwd=approval.cwd, expires_at=approval.expires_at, title=approval.title, details=approval.details,
        diff=approval.diff,
    )  # fmt: skip


def _is_yes(decision: ApprovalOutcome | None) -> bool:
    return decision not in (None, "deny", "expired")


def _answered(approval_id: str, decision: ApprovalOutcome) -> AlreadyExists:
    how = "is over: nobody answered in time" if decision == "expired" else f"was answered already: {decision}"
    return AlreadyExists(f"approval {approval_id[:64]} {how}", kind="answer", id=approval_id)


def _unknown(approval_id: str) -> NotFound:
    return NotFound(
        f"no approval {approval_id[:64]} waits", hint="`agentgw approvals` lists those that do", kind="approval",
        id=approval_id,
    )  # fmt: skip
