"""`approval.*`: the queue of tool calls that wait for a yes, and the rules that yeses made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentgw.params import ApprovalAnswerParams, NoParams, RuleIdParams
from agentgw.results import ApprovalList, Done, RuleList

if TYPE_CHECKING:
    from agentgw_daemon.requests import Request


def list_open(request: Request, params: NoParams) -> ApprovalList:
    """What waits."""
    return ApprovalList(approvals=request.services.approvals.list())


async def answer(request: Request, params: ApprovalAnswerParams) -> Done:
    """Settle one."""
    await request.services.approvals.answer(params.approval_id, params.decision)
    return Done()


async def rules(request: Request, params: NoParams) -> RuleList:
    """What is always allowed."""
    return RuleList(rules=await request.services.database.approvals.rules())


async def revoke(request: Request, params: RuleIdParams) -> Done:
    """Remove a rule; what was granted to a session by itself stays."""
    await request.services.database.approvals.revoke(params.rule_id)
    return Done()


HANDLERS: dict[str, Any] = {
    "approval.list": list_open,
    "approval.answer": answer,
    "approval.rules": rules,
    "approval.revoke": revoke,
}
