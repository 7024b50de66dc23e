"""`search_text`: lines that match, in the files below a directory."""

from __future__ import annotations

import functools
import os
import stat
from contextlib import AbstractContextManager
from typing import Any, Final

from agentgw_daemon.system.threads import in_file_thread
from agentgw_daemon.text.visible import visible_line
from agentgw_daemon.tools.builtins.list_files import MAX_PATTERN_CHARS
from agentgw_daemon.tools.builtins.reading import check_read, reading_tool
from agentgw_daemon.tools.files.places import denied_identities, open_any, place_of
from agentgw_daemon.tools.processes.child import ChildOutput, ask_child
from agentgw_daemon.tools.tool import (
    MAX_CONTENT_JSON_BYTES,
    Arguments,
    CallFailed,
    ToolContext,
)

# Enough for a source tree that is in the disk cache.
TIME_S: Final = 10.0
# More hits than anybody reads; the model is told to narrow the search.
MAX_MATCHES: Final = 200
_MODULE: Final = "agentgw_daemon.tools.processes.search_child"


async def _run(arguments: Arguments, context: ToolContext) -> str:
    place = place_of(arguments.get("path", "."), context)
    # Held open over the child's life; opening and closing are the blocking parts.
    opening: AbstractContextManager[int] = open_any(place, context)
    fd = await in_file_thread(opening.__enter__)
    try:
        check_read(fd, context)
        is_file = stat.S_ISREG(os.fstat(fd).st_mode)
        denied = await in_file_thread(functools.partial(denied_identities, context))
        request = {
            "fd": fd, "is_file": is_file, "path": place.path.name if is_file else "", "pattern": arguments["pattern"],
            "regex": arguments.get("regex", False), "glob": arguments.get("glob"),
            "denied": sorted(denied), "max_matches": MAX_MATCHES,
        }  # fmt: skip
        answer = await ask_child(
            _MODULE, request, context, time_s=TIME_S, max_bytes=MAX_CONTENT_JSON_BYTES, pass_fds=(fd,)
        )
    finally:
        opening.__exit__(None, None, None)
    return _written(answer)


def _written(answer: ChildOutput) -> str:
    matches = [line for line in answer.lines if isinstance(line, list)]
    ends: list[dict[str, Any]] = [line for line in answer.lines if isinstance(line, dict)]
    lines = [f"{visible_line(path)}:{number}: {text}" for path, number, text in matches]
    if ends:
        end = ends[0]
        if "error" in end:
            raise CallFailed(f"pattern: not a regular expression: {end['error']}")
        if end["more"]:
            lines.append(f"[more than {MAX_MATCHES} matches; narrow the search]")
        elif not lines:
            skipped = f", {end['skipped']} skipped" if end["skipped"] else ""
            lines.append(f"no match in {end['files']} files{skipped}")
    elif not answer.in_time:
        lines.append(f"[stopped after {TIME_S:g} s; use a simpler pattern or a smaller directory]")
    else:
        lines.append("[stopped: the search took too much time, memory or text; narrow it]")
    if not ends and not matches:
        raise CallFailed("\n".join(lines))
    return "\n".join(lines)


SEARCH_TEXT: Final = reading_tool(
    "search_text",
    "Find lines in files. The pattern is plain text unless regex is true.",
    {
        "pattern": {"type": "string", "minLength": 1, "maxLength": 1000},
        "path": {"type": "string"},
        "glob": {"type": "string", "minLength": 1, "maxLength": MAX_PATTERN_CHARS},
        "regex": {"type": "boolean"},
    },
    required=("pattern",),
    run=_run,
    verb="Search",
    look=open_any,
)
