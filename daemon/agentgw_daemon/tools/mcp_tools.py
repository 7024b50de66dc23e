"""The tools of MCP servers, as tools like all others: checked one by one, named after their server, never trusted."""

from __future__ import annotations

from typing import Final

import trio

from agentgw_daemon.tools.declared import (
    MAX_NAME,
    DeclarationRefused,
    checked_parameters,
    fit_name,
    plain_text,
    preview,
)
from agentgw_daemon.tools.mcp_errors import ServerFailed
from agentgw_daemon.tools.mcp_result import result_text
from agentgw_daemon.tools.mcp_server import McpServer
from agentgw_daemon.tools.tool import Arguments, CallPreview, ToolContext, ToolResult, ToolSpec, bounded

# A server with more would fill a small model's context with its list alone.
MAX_TOOLS: Final = 128


class McpTool:
    """One tool of a server. Whatever the server says of it, a call may do anything and send anything."""

    def __init__(self, server: McpServer, name: str, spec: ToolSpec) -> None:
        self.spec = spec
        self._server = server
        self._name = name

    async def describe_call(self, arguments: Arguments, context: ToolContext) -> CallPreview:
        """The server, its own name for the tool, and the arguments."""
        await trio.lowlevel.checkpoint()
        return preview(f"{plain_text(self._name, MAX_NAME)} of the MCP server {self._server.name}", arguments)

    async def call(self, arguments: Arguments, context: ToolContext) -> ToolResult:
        """Ask the server, starting it if need be; a failure of either kind is a failed result."""
        try:
            result = await self._server.call(self._name, arguments)
        except ServerFailed as error:
            return ToolResult(ok=False, content=str(error), untrusted=True)
        text = bounded(result_text(result))
        return ToolResult(ok=result.get("isError") is not True, content=text, untrusted=True)


def tools_of(server: McpServer) -> tuple[list[McpTool], list[tuple[str, str]]]:
    """The tools the server listed last, and (name, reason) of those that cannot be used."""
    made: dict[str, McpTool] = {}
    problems: list[tuple[str, str]] = []
    listed = server.listed or ()
    for declared in listed[:MAX_TOOLS]:
        try:
            tool = _tool(server, declared)
            if tool.spec.name in made:
                raise DeclarationRefused(f"another of its tools is {tool.spec.name} here, too")
            made[tool.spec.name] = tool
        except DeclarationRefused as error:
            name = declared.get("name") if isinstance(declared, dict) else None
            problems.append((plain_text(name, MAX_NAME) or "a tool without a name", str(error)))
    if len(listed) > MAX_TOOLS:
        problems.append((server.name, f"it has {len(listed)} tools, of which the first {MAX_TOOLS} are taken"))
    return list(made.values()), problems


def _tool(server: McpServer, declared: object) -> McpTool:
    if not isinstance(declared, dict):
        raise DeclarationRefused("its declaration is not an object")
    name = declared.get("name")
    # The protocol's own bound for a name is 128.
    if not isinstance(name, str) or not 0 < len(name) <= 2 * MAX_NAME:
        raise DeclarationRefused("it has no name that can be used")
    spec = ToolSpec(
        name=fit_name(f"{server.name}__{name}"),
        description=plain_text(declared.get("description")),
        parameters=checked_parameters(declared.get("inputSchema")),
        effect="network",
        outbound=True,
        untrusted=True,
    )
    return McpTool(server, name, spec)
