"""`list_files`: what is in a directory."""

from __future__ import annotations

import fnmatch
import re
import stat
import time
from typing import Final

import trio

from agentgw_daemon.text.visible import visible_line
from agentgw_daemon.tools.builtins.reading import check_read, in_thread, reading_tool
from agentgw_daemon.tools.files.places import denied_identities, open_directory, place_of
from agentgw_daemon.tools.files.walking import MAX_DEPTH, DirectoryEntry, walk
from agentgw_daemon.tools.tool import Arguments, ToolContext

DEFAULT_DEPTH: Final = 2
# Some 8,000 tokens of names.
MAX_ENTRIES: Final = 1000
# A thread is held so long at most; a cold disk gives some 20,000 names in it.
MAX_SECONDS: Final = 5.0
MAX_PATTERN_CHARS: Final = 256


def matcher(pattern: str) -> re.Pattern[str]:
    """A compiled shell pattern."""
    return re.compile(fnmatch.translate(pattern))


def matches(pattern: re.Pattern[str], path: str, name: str) -> bool:
    """Tells whether the pattern fits the whole relative path, or the name alone."""
    return bool(pattern.match(name) or pattern.match(path))


def _line(entry: DirectoryEntry) -> str:
    # Names are a stranger's text: a line end in one would be another entry.
    path = visible_line(entry.path)
    if entry.is_directory:
        return f"{path}/"
    if stat.S_ISLNK(entry.mode):
        return f"{path} (link)"
    return f"{path} ({entry.size_bytes} bytes)" if entry.is_file else f"{path} (special)"


def _list(arguments: Arguments, context: ToolContext) -> str:
    pattern = matcher(arguments["pattern"]) if "pattern" in arguments else None
    depth = int(arguments.get("depth", DEFAULT_DEPTH if pattern is None else MAX_DEPTH))
    lines: list[str] = []
    ends_at = time.monotonic() + MAX_SECONDS
    with open_directory(place_of(arguments.get("path", "."), context), context) as directory:
        check_read(directory, context)
        for entry in walk(directory, denied_identities(context), depth=depth):
            trio.from_thread.check_cancelled()
            if pattern is not None and not matches(pattern, entry.path, entry.name):
                continue
            if len(lines) == MAX_ENTRIES or time.monotonic() > ends_at:
                lines.append(f"[there is more after {len(lines)} entries; name a directory or a pattern]")
                break
            lines.append(_line(entry))
    return "\n".join(lines) or "nothing found"


LIST_FILES: Final = reading_tool(
    "list_files",
    "List files, by shell pattern if given.",
    {
        "path": {"type": "string"},
        "pattern": {"type": "string", "minLength": 1, "maxLength": MAX_PATTERN_CHARS},
        "depth": {"type": "integer", "minimum": 1, "maximum": MAX_DEPTH},
    },
    run=in_thread(_list),
    verb="List",
    look=open_directory,
)
