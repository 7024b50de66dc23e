"""Tool calls that wait for a yes, and the rules that answers leave behind: `approval.*`."""

from __future__ import annotations

from typing import Annotated

from agentgw.protocol import types as t
from agentgw.protocol.records.schema import Limit, record


@record
class ApprovalList:
    """Questions that wait for an answer, the oldest first."""

    approvals: tuple[t.Approval, ...]


@record
class ApprovalAnswerParams:
    """A yes or a no to a tool call."""

    approval_id: Annotated[str, "the approval", Limit(min_length=1, max_length=64)]
    decision: Annotated[
        t.Decision, "the same tool, arguments and directory are not asked about again: in this session, or always"
    ]


@record
class RuleList:
    """Rules that always allow a call, the oldest first."""

    rules: tuple[t.ApprovalRule, ...]


@record
class RuleIdParams:
    """The id of a rule."""

    rule_id: Annotated[str, "the rule", Limit(min_length=1, max_length=64)]
