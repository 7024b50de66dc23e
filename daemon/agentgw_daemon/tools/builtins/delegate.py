"""`delegate_to_agent` as it is listed. A turn whose skill names sub-agents gets its own (`agent.delegation`)."""

from __future__ import annotations

from typing import Final

import trio

from agentgw_daemon.tools.tool import Arguments, CallFailed, CallPreview, FunctionTool, ToolContext, ToolSpec

NAME: Final = "delegate_to_agent"
# A task is written by a model; more than this is a document, which a tool can read.
MAX_TASK_CHARS: Final = 32 << 10


async def _run(_arguments: Arguments, _context: ToolContext) -> str:
    await trio.lowlevel.checkpoint()
    raise CallFailed(f"{NAME} works in turns of a skill that names agentgw-sub-agents, and nowhere else")


async def _describe(_arguments: Arguments, _context: ToolContext) -> CallPreview:
    await trio.lowlevel.checkpoint()
    return CallPreview(title="Let another skill do a part of the work")


DELEGATE: Final = FunctionTool(
    ToolSpec(
        name=NAME,
        description="Let another agent do one part of the work. It sees nothing but the task.",
        parameters={
            "type": "object",
            "properties": {
                "skill": {"type": "string"},
                "task": {"type": "string", "maxLength": MAX_TASK_CHARS},
            },
            "required": ["skill", "task"],
            "additionalProperties": False,
        },
        effect="none",
        ordered=True,
    ),
    _run,
    _describe,
)
