"""Preview of a call in an approval, for tools that have nothing of their own to add."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager

from agentgw_daemon.system.beneath import real_path
from agentgw_daemon.system.threads import in_file_thread
from agentgw_daemon.text.visible import visible_json
from agentgw_daemon.tools.files.places import Place, place_of
from agentgw_daemon.tools.tool import Arguments, CallPreview, ToolContext, check_agreed, visible_path


def exact_details(arguments: Arguments, context: ToolContext) -> tuple[str, ...]:
    """The arguments as they are, and where."""
    return f"arguments: {visible_json(dict(arguments))}", f"in: {visible_path(context.cwd)}"


def check_read(fd: int, context: ToolContext) -> None:
    """Raises CallFailed when what was opened to be read is not what somebody agreed to."""
    check_agreed(context, _things(fd))


def read_preview(
    verb: str, look: Callable[[Place, ToolContext], AbstractContextManager[int]]
) -> Callable[[Arguments, ToolContext], Awaitable[CallPreview]]:
    """The preview of a tool that reads its argument `path`, which `look` opens as the call will."""

    async def describe(arguments: Arguments, context: ToolContext) -> CallPreview:
        place = place_of(arguments.get("path", "."), context)

        def opened() -> tuple[str, ...]:
            try:
                with look(place, context) as fd:
                    return _things(fd)
            except FileNotFoundError:
                # The existence of a file outside of the roots is for whoever agrees to its being read.
                return ("reads nothing",)

        things = await in_file_thread(opened)
        outside = () if place.root else ("outside of the directories that tools may read",)
        return CallPreview(
            title=f"{verb} {visible_path(place.path)}", details=(*outside, *exact_details(arguments, context)),
            things=things,
        )  # fmt: skip

    return describe


def _things(fd: int) -> tuple[str, ...]:
    return (f"reads {real_path(fd)}",)
