"""Approvals of the calls of one turn: rules and grants first, then whoever watches the queue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Final

from agentgw.protocol.events import TurnEvent
from agentgw.protocol.records.schema import record
from agentgw.protocol.types import Approval
from agentgw_daemon.agent.loop import Emit
from agentgw_daemon.agent.tool_runner import Agreed, CheckedCall, denied
from agentgw_daemon.approvals.digest import digest_of
from agentgw_daemon.approvals.policy import Allow, Permission, Refuse, decide
from agentgw_daemon.approvals.queue import ApprovalQueue, PendingCall, event_of
from agentgw_daemon.text.valid import valid_text
from agentgw_daemon.tools.tool import CallFailed, CallPreview, ToolContext, ToolSpec

# Each is a question that somebody answered, or a rule that was made for those very things.
_MOST_CHANGES: Final = 5
_ASKED_AGAIN: Final = "asked again: what the call is about was changed after the answer"


@record
class ApprovalInput:
    """Words that the turn brings along about approvals, and the setting `tools.allow`."""

    asked_for: tuple[str, ...] | None
    allow: Collection[str]
    stored: bool
    # For whoever is asked, where it is not the agent that they talk to.
    agent: str | None = None
    # Told of a question as well: whoever watches the turns that wait for this one.
    above: Callable[[TurnEvent], Awaitable[None]] | None = None


class ApprovalGate:
    """See `tool_runner.Consent`. `tainted` says whether untrusted text has entered the session."""

    def __init__(
        self, queue: ApprovalQueue, context: ToolContext, approval_input: ApprovalInput, tainted: Callable[[], bool]
    ) -> None:
        self._queue: Final = queue
        self._context: Final = context
        self._input: Final = approval_input
        self._tainted: Final = tainted

    async def agree(self, wanted: CheckedCall, emit: Emit) -> Agreed | None:
        """See Consent.

        The things that the call is about are looked at before anybody is asked, and again after the answer: when they
        were changed in between, the answer was about something else, and the changed ones are asked about.
        """
        turn_id, call_id = self._context.turn_id, wanted.call_id
        if not self._queue.is_recalled(turn_id, call_id) and isinstance(self._by_name(wanted.tool.spec), Allow):
            # Allowed as a tool, whatever it is called with.
            return Agreed()
        note: tuple[str, ...] = ()
        for _ in range(_MOST_CHANGES):
            preview = await self._preview(wanted, note)
            # Once it was asked about, the answer counts, also when that answer is what allows it by now.
            asked_before = self._queue.is_recalled(turn_id, call_id)
            permission = await self._permission(wanted, preview.things)
            if isinstance(permission, Refuse):
                raise denied(wanted.tool.spec.name, permission.reason)
            if not (isinstance(permission, Allow) and not asked_before):
                if not await self._ask(wanted, preview, emit):
                    return None
                if (await self._preview(wanted)).things != preview.things:
                    note = (_ASKED_AGAIN,)
                    continue
            return Agreed(things=preview.things)
        raise CallFailed("what the call is about changes all the time; nothing was done")

    def _by_name(self, spec: ToolSpec) -> Permission:
        return decide(
            spec, "", asked_for=self._input.asked_for, allow=self._input.allow, session_grants=(), rules=(),
            tainted=self._tainted(),
        )  # fmt: skip

    async def _permission(self, wanted: CheckedCall, things: tuple[str, ...]) -> Permission:
        spec, context = wanted.tool.spec, self._context
        return decide(
            spec, digest_of(spec.name, wanted.arguments, str(context.cwd), things), asked_for=self._input.asked_for,
            allow=self._input.allow, session_grants=await self._queue.grants(context.session_id),
            rules=await self._queue.rule_digests(), tainted=self._tainted(),
        )  # fmt: skip

    async def _preview(self, wanted: CheckedCall, note: tuple[str, ...] = ()) -> CallPreview:
        preview = await wanted.tool.describe_call(wanted.arguments, self._context)
        by = () if self._input.agent is None else (f"wanted by: {self._input.agent}",)
        return CallPreview(
            title=valid_text(preview.title), details=tuple(map(valid_text, (*note, *preview.details, *by))),
            diff=None if preview.diff is None else valid_text(preview.diff), things=preview.things,
        )  # fmt: skip

    async def _ask(self, wanted: CheckedCall, preview: CallPreview, emit: Emit) -> bool:
        """Asks, and tells whether somebody said yes. Raises ApprovalDenied when nobody answered."""
        spec, context = wanted.tool.spec, self._context
        call = PendingCall(
            turn_id=context.turn_id, session_id=context.session_id, call_id=wanted.call_id, tool=spec.name,
            arguments=wanted.arguments, cwd=str(context.cwd), preview=preview, outbound=spec.outbound,
            stored=self._input.stored,
        )  # fmt: skip
        asked: list[Approval] = []

        async def announce(approval: Approval) -> None:
            asked.append(approval)
            event = event_of(approval, wanted.call_id)
            await emit(event)
            if self._input.above is not None:
                await self._input.above(event)

        settled = await self._queue.decide(call, announce)
        if settled == "expired":
            raise denied(spec.name, "nobody answered", approval_id=asked[0].approval_id if asked else "")
        return settled != "deny"
