"""`read_file`: some lines of a text file."""

from __future__ import annotations

from typing import Final

from agentgw_daemon.tools.builtins.reading import check_read, in_thread, reading_tool
from agentgw_daemon.tools.files.binary import is_binary
from agentgw_daemon.tools.files.places import MAX_FILE_BYTES, open_file, place_of, read_bytes
from agentgw_daemon.tools.tool import (
    MAX_CONTENT_BYTES,
    Arguments,
    CallFailed,
    ToolContext,
    visible_path,
)

# As much source text as a context of 8,192 tokens takes beside a conversation.
DEFAULT_LINES: Final = 400
MAX_LINES: Final = 5000


def lines_of(text: str) -> list[str]:
    """The lines with their ends, counted as editors count them: `str.splitlines` also splits at form feeds."""
    *whole, last = text.split("\n")
    return [line + "\n" for line in whole] + ([last] if last else [])


def excerpt(text: str, start_line: int, lines: int) -> str:
    """Lines from `start_line` (from 1), as many as asked for and fit, and a note when there are more."""
    all_lines = lines_of(text)
    if start_line > max(1, len(all_lines)):
        raise CallFailed(f"start_line: the file has {len(all_lines)} lines")
    taken: list[str] = []
    room = MAX_CONTENT_BYTES
    for line in all_lines[start_line - 1 : start_line - 1 + lines]:
        room -= len(line.encode("utf-8", "replace"))
        if room < 0:
            break
        taken.append(line)
    if not taken and all_lines:
        cut = all_lines[start_line - 1].encode("utf-8", "replace")[:MAX_CONTENT_BYTES].decode("utf-8", "ignore")
        return f"{cut}\n[line {start_line} is cut; it has {len(all_lines[start_line - 1])} characters]"
    last = start_line + len(taken) - 1
    if last >= len(all_lines):
        return "".join(taken)
    ended = "".join(taken).removesuffix("\n")
    return f"{ended}\n[lines {start_line} to {last} of {len(all_lines)}; go on with start_line {last + 1}]"


def _read(arguments: Arguments, context: ToolContext) -> str:
    place = place_of(arguments["path"], context)
    with open_file(place, context) as fd:
        check_read(fd, context)
        raw = read_bytes(fd, MAX_FILE_BYTES)
    if is_binary(raw):
        raise CallFailed(f"{visible_path(place.path)} is not text ({len(raw)} bytes)")
    text = raw.decode("utf-8-sig", "replace")
    return excerpt(text, int(arguments.get("start_line", 1)), int(arguments.get("lines", DEFAULT_LINES)))


READ_FILE: Final = reading_tool(
    "read_file",
    "Read a text file.",
    {
        "path": {"type": "string"},
        "start_line": {"type": "integer", "minimum": 1},
        "lines": {"type": "integer", "minimum": 1, "maximum": MAX_LINES},
    },
    required=("path",),
    run=in_thread(_read),
    verb="Read",
    look=open_file,
)
