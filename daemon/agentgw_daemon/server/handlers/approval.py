"""`approval.*`: the queue of tool calls that wait for a yes, and the rules that yeses made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentgw.protocol.calls.approvals import ApprovalAnswerParams, ApprovalList, RuleIdParams, RuleList
from agentgw.protocol.calls.shared import Done, NoParams

if TYPE_CHECKING:
    from agentgw_daemon.server.calls.request import RequestContext


def list_open(request: RequestContext, params: NoParams) -> ApprovalList:
    """The questions that wait."""
    return ApprovalList(approvals=request.services.approvals.list())


async def answer(request: RequestContext, params: ApprovalAnswerParams) -> Done:
    """Settle an open approval."""
    await request.services.approvals.answer(params.approval_id, params.decision)
    return Done()


async def rules(request: RequestContext, params: NoParams) -> RuleList:
    """The rules that always allow a call."""
    return RuleList(rules=await request.services.database.approvals.rules())


async def revoke(request: RequestContext, params: RuleIdParams) -> Done:
    """Remove a rule; what was granted to a session by itself stays."""
    await request.services.database.approvals.revoke(params.rule_id)
    return Done()


HANDLERS: dict[str, Any] = {
    "approval.list": list_open,
    "approval.answer": answer,
    "approval.rules": rules,
    "approval.revoke": revoke,
}
