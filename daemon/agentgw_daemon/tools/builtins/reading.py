"""Tools that read files: how they are declared, and what an approval shows of their calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from agentgw_daemon.system.beneath import real_path
from agentgw_daemon.system.threads import in_file_thread
from agentgw_daemon.tools.builtins.preview import exact_details
from agentgw_daemon.tools.files.places import Place, place_of
from agentgw_daemon.tools.tool import (
    Arguments,
    CallPreview,
    FunctionTool,
    ToolContext,
    ToolSpec,
    check_agreed,
    visible_path,
)


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


def reading_tool(
    name: str,
    description: str,
    properties: Mapping[str, Any],
    *,
    required: Sequence[str] = (),
    run: Callable[[Arguments, ToolContext], Awaitable[str]],
    verb: str,
    look: Callable[[Place, ToolContext], AbstractContextManager[int]],
) -> FunctionTool:
    """A tool that reads its argument `path`, which `look` opens; `verb` is the first word of its previews."""
    parameters: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        parameters["required"] = list(required)
    parameters["additionalProperties"] = False
    spec = ToolSpec(
        name=name, description=description, parameters=parameters, effect="read", untrusted=True, paths=("path",)
    )
    return FunctionTool(spec, run, read_preview(verb, look))


def in_thread(read: Callable[[Arguments, ToolContext], str]) -> Callable[[Arguments, ToolContext], Awaitable[str]]:
    """A function that reads files, to be waited for; when the call is cancelled its thread is left to end alone."""

    async def run(arguments: Arguments, context: ToolContext) -> str:
        return await in_file_thread(partial(read, arguments, context), abandon=True)

    return run


def _things(fd: int) -> tuple[str, ...]:
    return (f"reads {real_path(fd)}",)
