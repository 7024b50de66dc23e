"""Preview of a call in an approval, for tools that have nothing of their own to add."""

from __future__ import annotations

from agentgw_daemon.text.visible import visible_json
from agentgw_daemon.tools.tool import Arguments, ToolContext, visible_path


def exact_details(arguments: Arguments, context: ToolContext) -> tuple[str, ...]:
    """The arguments as they are, and where."""
    return f"arguments: {visible_json(dict(arguments))}", f"in: {visible_path(context.cwd)}"
