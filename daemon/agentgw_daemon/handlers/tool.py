"""`tool.*`: what a model may call, and a call by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgw.errors import InvalidParams, NotFound
from agentgw.events import TurnEvent
from agentgw.params import NoParams, ToolCallParams
from agentgw.results import ToolCallResult, ToolList
from agentgw.types import Tool
from agentgw_daemon.agent import kits
from agentgw_daemon.agent.consent import DeskConsent, Terms
from agentgw_daemon.agent.toolkit import Wanted
from agentgw_daemon.storage.ids import new_id
from agentgw_daemon.tools.arguments import check_arguments
from agentgw_daemon.tools.places import needs_approval
from agentgw_daemon.tools.tool import CallFailed

if TYPE_CHECKING:
    from agentgw_daemon.dispatch import Handler
    from agentgw_daemon.requests import Request


async def list_tools(request: Request, params: NoParams) -> ToolList:
    """Usable ones first."""
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
        Tool(name=problem.name, description="", source=problem.source, error=problem.reason)
        for problem in catalogue.problems
    ]
    return ToolList(tools=(*usable, *broken))


async def call(request: Request, params: ToolCallParams) -> ToolCallResult:
    """Nobody watches a turn here: who is to be asked sees it in the queue of approvals."""
    services = request.services
    tool = (await services.tools.tools()).get(params.tool)
    if tool is None:
        raise NotFound(f"there is no tool {params.tool}", hint="see `agentgw tools`", kind="tool", id=params.tool)
    call_id = new_id("c")
    context = await kits.context_of(services, params.cwd, session_id=call_id, turn_id=call_id)
    terms = Terms(asked_for=params.approvals, allow=services.settings.tools.allow, stored=False)
    consent = DeskConsent(services.approvals, context, terms, lambda: False)
    try:
        arguments = check_arguments(tool.spec, params.arguments)
        asks = needs_approval(tool.spec, context, arguments)
        wanted = Wanted(call_id=call_id, tool=tool, arguments=arguments, asks=asks)
        if asks and not await consent.agree(wanted, _nobody):
            return ToolCallResult(ok=False, content="it was denied")
    except CallFailed as failed:
        raise InvalidParams(failed.text, path="arguments", reason=failed.text) from None
    result = await tool.call(arguments, context)
    return ToolCallResult(ok=result.ok, content=result.content)


async def _nobody(*events: TurnEvent) -> None:
    """No turn, so no watchers."""


HANDLERS: dict[str, Handler] = {"tool.list": list_tools, "tool.call": call}
