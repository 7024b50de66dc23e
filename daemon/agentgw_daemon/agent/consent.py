"""Who agrees to the calls of one turn: rules and grants first, then whoever watches the queue of approvals."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from agentgw.schema import record
from agentgw.types import Approval
from agentgw_daemon.agent.loop import Emit
from agentgw_daemon.agent.toolkit import Wanted, denied
from agentgw_daemon.approvals.desk import Desk, PendingCall, event_of
from agentgw_daemon.approvals.digest import digest_of
from agentgw_daemon.approvals.policy import Allow, Refuse, decide
from agentgw_daemon.tools.tool import ToolContext


@record
class Terms:
    """What the turn brings along: its own words about approvals, and the setting `tools.allow`."""

    asked_for: tuple[str, ...] | None
    allow: Collection[str]
    stored: bool


class DeskConsent:
    """See `toolkit.Consent`. `tainted` says whether untrusted text has entered the session."""

    def __init__(self, desk: Desk, context: ToolContext, terms: Terms, tainted: Callable[[], bool]) -> None:
        self._desk: Final = desk
        self._context: Final = context
        self._terms: Final = terms
        self._tainted: Final = tainted

    async def agree(self, wanted: Wanted, emit: Emit) -> bool:
        """See Consent."""
        spec, context = wanted.tool.spec, self._context
        permission = decide(
            spec, digest_of(spec.name, wanted.arguments, str(context.cwd)), asked_for=self._terms.asked_for,
            allow=self._terms.allow, session_grants=await self._desk.grants(context.session_id),
            rules=await self._desk.rule_digests(), tainted=self._tainted(),
        )  # fmt: skip
        if isinstance(permission, Allow | Refuse):
            # Rules may have changed since it was asked about.
            self._desk.withdraw(context.turn_id)
        if isinstance(permission, Allow):
            return True
        if isinstance(permission, Refuse):
            raise denied(spec.name, permission.reason)
        call = PendingCall(
            turn_id=context.turn_id, session_id=context.session_id, call_id=wanted.call_id, tool=spec.name,
            arguments=wanted.arguments, cwd=str(context.cwd),
            preview=await wanted.tool.describe_call(wanted.arguments, context), outbound=spec.outbound,
            stored=self._terms.stored,
        )  # fmt: skip
        asked: list[Approval] = []

        async def announce(approval: Approval) -> None:
            asked.append(approval)
            await emit(event_of(approval, wanted.call_id))

        settled = await self._desk.decide(call, announce)
        if settled == "expired":
            raise denied(spec.name, "nobody answered", approval_id=asked[0].approval_id if asked else "")
        return settled != "deny"
