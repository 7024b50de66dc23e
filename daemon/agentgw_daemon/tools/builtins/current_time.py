"""`current_time`: the date, which a model cannot know."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import trio

from agentgw_daemon.system.threads import in_file_thread
from agentgw_daemon.tools.tool import Arguments, CallFailed, CallPreview, FunctionTool, ToolContext, ToolSpec


def written(now: datetime, tz: str | None) -> str:
    """An aware time in the zone, or in the machine's own. Raises CallFailed for a zone that does not exist."""
    if tz is None:
        local = now.astimezone()
    else:
        try:
            local = now.astimezone(ZoneInfo(tz))
        # OSError: the name of a directory of zones.
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise CallFailed("tz: not a known zone; write it like Europe/Berlin") from None
    # Not strftime: its names of days are the locale's.
    day = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")[local.weekday()]
    return f"{day} {local.isoformat(sep=' ', timespec='seconds')} ({local.tzname()})"


async def _run(arguments: Arguments, _context: ToolContext) -> str:
    return await in_file_thread(functools.partial(written, datetime.now(UTC), arguments.get("tz")))


async def _describe(_arguments: Arguments, _context: ToolContext) -> CallPreview:
    await trio.lowlevel.checkpoint()
    return CallPreview(title="Look at the clock")


CURRENT_TIME: Final = FunctionTool(
    ToolSpec(
        name="current_time",
        description="Date and time now.",
        parameters={
            "type": "object",
            "properties": {"tz": {"type": "string", "maxLength": 64}},
            "additionalProperties": False,
        },
        effect="none",
    ),
    _run,
    _describe,
)
