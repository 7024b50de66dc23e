"""What an approval shows of a call, for tools that have nothing of their own to add."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from agentgw_daemon.tools.places import place_of
from agentgw_daemon.tools.tool import Arguments, CallPreview, ToolContext, visible_path
from agentgw_daemon.tools.visible import visible_json


def exact_details(arguments: Arguments, context: ToolContext) -> tuple[str, ...]:
    """The arguments as they are, and where."""
    return f"arguments: {visible_json(dict(arguments))}", f"in: {visible_path(context.cwd)}"


def read_preview(verb: str) -> Callable[[Arguments, ToolContext], Awaitable[CallPreview]]:
    """The preview of a tool that reads its argument `path`."""

    async def describe(arguments: Arguments, context: ToolContext) -> CallPreview:
        await trio.lowlevel.checkpoint()
        place = place_of(arguments.get("path", "."), context)
        outside = () if place.root else ("outside of the directories that tools may read",)
        return CallPreview(
            title=f"{verb} {visible_path(place.path)}", details=(*outside, *exact_details(arguments, context))
        )

    return describe
