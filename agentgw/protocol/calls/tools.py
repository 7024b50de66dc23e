"""Tools, and calls of them without a model: `tool.*`."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any

from agentgw.protocol import types as t
from agentgw.protocol.calls.shared import DIRECTORY
from agentgw.protocol.records.schema import Limit, record


@record
class ToolList:
    """Tools by name; those that cannot be used have `error`."""

    tools: tuple[t.Tool, ...]


@record
class ToolCallParams:
    """The tool to call, and its arguments."""

    tool: Annotated[str, "its name", Limit(min_length=1, max_length=64)]
    arguments: Annotated[dict[str, Any], "what it is given, by name"] = field(default_factory=dict)
    cwd: Annotated[str | None, "absolute path: where the user is", Limit(max_length=4096, pattern=DIRECTORY)] = None
    approvals: Annotated[tuple[str, ...] | None, "as of turn.start", Limit(max_length=1000)] = None


@record
class ToolCallResult:
    """The result of a tool call."""

    ok: bool
    content: str
