"""`tool.*`: the tools that a model may call, and a call by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agentgw.protocol.calls.shared import NoParams
from agentgw.protocol.calls.tools import ToolCallParams, ToolCallResult, ToolList
from agentgw.protocol.errors import InvalidParams, NotFound
from agentgw.protocol.events import TurnEvent
from agentgw.protocol.types import Tool
from agentgw_daemon.agent import toolkit
from agentgw_daemon.agent.approval_gate import ApprovalGate, ApprovalInput
from agentgw_daemon.agent.named_tools import check_named
from agentgw_daemon.agent.tool_runner import Agreed, CheckedCall, denied
from agentgw_daemon.approvals.policy import ASK, DENY
from agentgw_daemon.system.ids import new_id
from agentgw_daemon.text.near import hint_for
from agentgw_daemon.text.valid import valid_text
from agentgw_daemon.tools.arguments import check_arguments
from agentgw_daemon.tools.files.places import needs_approval
from agentgw_daemon.tools.tool import CallFailed

if TYPE_CHECKING:
    from agentgw_daemon.server.calls.request import Handler, RequestContext


async def list_tools(request: RequestContext, params: NoParams) -> ToolList:
    """Tools, usable ones first."""
    catalogue = request.services.tools
    found = await catalogue.tools()
    usable = [
        Tool(
            name=name, description=tool.spec.description, source=catalogue.sources[name], effect=tool.spec.effect,
            parameters=dict(tool.spec.parameters),
        )
        for name, tool in sorted(found.items())
    ]  # fmt: skip
    broken = [
        Tool(
            name=problem.name,
            description="",
            source=problem.source,
            error=request.services.secrets.redact(problem.reason),
        )
        for problem in catalogue.problems
    ]
    return ToolList(tools=(*usable, *broken))


async def call(request: RequestContext, params: ToolCallParams) -> ToolCallResult:
    """The caller hears of a question as if the call were a turn with one notification; the queue has it as well."""
    services = request.services
    tool = (await services.tools.tools([params.tool])).get(params.tool)
    if tool is None:
        why = services.tools.absence(params.tool)
        raise NotFound(
            f"there is no tool {params.tool}{f': {why}' if why else ''}",
            hint=hint_for(params.tool, services.tools.current, "`agentgw tools` lists them"), kind="tool",
            id=params.tool,
        )  # fmt: skip
    check_named([word for word in params.approvals or () if word not in (ASK, DENY)], services.tools)
    call_id = new_id("c")
    context = await toolkit.context_of(services, params.cwd, session_id=call_id, turn_id=call_id)
    approval_input = ApprovalInput(asked_for=params.approvals, allow=services.settings.tools.allow, stored=False)
    consent = ApprovalGate(services.approvals, context, approval_input, lambda: False)

    async def tell(*events: TurnEvent) -> None:
        await request.events.show(call_id, call_id, 1, events)

    try:
        arguments = check_arguments(tool.spec, params.arguments)
        asks = needs_approval(tool.spec, context, arguments)
        wanted = CheckedCall(call_id=call_id, tool=tool, arguments=arguments, asks=asks)
        agreed = await consent.agree(wanted, tell) if asks else Agreed()
        if agreed is None:
            raise denied(tool.spec.name, "somebody said no")
    except CallFailed as failed:
        raise InvalidParams(failed.text, path="arguments", reason=failed.text) from None
    result = await tool.call(arguments, replace(context, agreed=agreed.things))
    return ToolCallResult(ok=result.ok, content=services.secrets.redact(valid_text(result.content)))


HANDLERS: dict[str, Handler] = {"tool.list": list_tools, "tool.call": call}
