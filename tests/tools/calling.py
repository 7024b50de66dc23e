"""Calls the way the agent loop makes them: arguments checked, then the call."""

from __future__ import annotations

from typing import Any

from agentgw_daemon.tools.arguments import check_arguments
from agentgw_daemon.tools.tool import CallPreview, RunnableTool, ToolContext, ToolResult


async def call(tool: RunnableTool, context: ToolContext, **arguments: Any) -> ToolResult:
    return await tool.call(check_arguments(tool.spec, arguments), context)


async def preview(tool: RunnableTool, context: ToolContext, **arguments: Any) -> CallPreview:
    return await tool.describe_call(check_arguments(tool.spec, arguments), context)


async def content(tool: RunnableTool, context: ToolContext, **arguments: Any) -> str:
    """The content that a call gives which must succeed."""
    result = await call(tool, context, **arguments)
    assert result.ok, result.content
    return result.content


async def failure(tool: RunnableTool, context: ToolContext, **arguments: Any) -> str:
    """The reason why a call fails that must."""
    result = await call(tool, context, **arguments)
    assert not result.ok, result.content
    return result.content
