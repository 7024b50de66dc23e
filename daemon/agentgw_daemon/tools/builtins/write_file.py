"""`write_file` and `edit_file`: a whole file, or one passage of it."""

from __future__ import annotations

import difflib
import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from agentgw.protocol.records.schema import record
from agentgw_daemon.system.beneath import real_path
from agentgw_daemon.system.threads import in_file_thread
from agentgw_daemon.text.visible import visible
from agentgw_daemon.tools.files.places import MAX_FILE_BYTES, place_of
from agentgw_daemon.tools.files.replacing import Present, encoded, open_parent, present, real_parent, replace
from agentgw_daemon.tools.tool import (
    Arguments,
    CallFailed,
    CallPreview,
    FunctionTool,
    ToolContext,
    ToolSpec,
    bounded_diff,
    check_agreed,
    visible_path,
)

# Beyond this difflib takes seconds; the approval then shows what goes and what comes.
MAX_DIFF_LINES: Final = 4000


@record
class _Change:
    """A call that can be done: what is there (None: nothing) and what is to be."""

    before: Present | None
    after: str
    # See `CallPreview.things`.
    things: tuple[str, ...]


def _written(arguments: Arguments, before: Present | None) -> str:
    if before is not None and not arguments.get("overwrite", False):
        raise CallFailed(f"{arguments['path']} exists; use edit_file, or set overwrite to replace all of it")
    return str(arguments["content"])


def _edited(arguments: Arguments, before: Present | None) -> str:
    if before is None:
        raise CallFailed(f"{arguments['path']} does not exist; use write_file")
    if before.text is None:
        raise CallFailed(f"{arguments['path']} is not UTF-8 text")
    old, new = arguments["old"], arguments["new"]
    count = before.text.count(old)
    if count == 0:
        raise CallFailed("old: is not in the file; copy the passage exactly, with its spaces and line ends")
    if count > 1 and not arguments.get("all", False):
        raise CallFailed(f"old: is in the file {count} times; give more of the text around it, or set all")
    if len(before.text) + count * (len(new) - len(old)) > MAX_FILE_BYTES:
        raise CallFailed(f"new: the file would have more than {MAX_FILE_BYTES} bytes")
    return before.text.replace(old, new)


_After = Callable[[Arguments, Present | None], str]


def _plan(arguments: Arguments, context: ToolContext, after: _After) -> _Change:
    place = place_of(arguments["path"], context)
    try:
        with open_parent(place, context, make=False) as parent:
            before, real = present(parent, place.path.name), real_path(parent)
    except FileNotFoundError:
        if after is not _written:
            raise
        # The directory will be made.
        before, real = None, real_parent(place, context)
    content = after(arguments, before)
    return _Change(before=before, after=content, things=_things(real, before, content))


def _things(parent: Path, before: Present | None, content: str) -> tuple[str, ...]:
    """The directory, and the text that would be lost; a file that has this content already loses nothing.

    So a yes for the session or for always goes on to cover its call once that was carried out. Raises CallFailed for
    content that is too large.
    """
    raw = encoded(content)
    if before is None or before.sha256 == hashlib.sha256(raw).hexdigest():
        return f"directory {parent}", "replaces nothing"
    return f"directory {parent}", f"replaces {before.sha256}"


def _do(arguments: Arguments, context: ToolContext, after: _After) -> str:
    place = place_of(arguments["path"], context)
    # Before any directory is made.
    check_agreed(context, _plan(arguments, context, after).things)
    with open_parent(place, context, make=after is _written) as parent:
        before = present(parent, place.path.name)
        content = after(arguments, before)
        # It is this directory and this file that are written to.
        check_agreed(context, _things(real_path(parent), before, content))
        replace(parent, place.path.name, content, before)
    return f"wrote {visible_path(place.path)} ({len(content.encode())} bytes)"


def _diff(change: _Change, path: str) -> str:
    """The change as an approval shows it, escaped."""
    if change.before is None:
        return "\n".join(["--- /dev/null", visible(f"+++ {path}"), *_marked("+", _lines(change.after))])
    before = change.before.text
    if before is None:
        return visible(f"replaces a file that is not text with:\n{change.after}")
    old, new = _lines(before), _lines(change.after)
    if len(old) + len(new) > MAX_DIFF_LINES:
        # All of it, as a diff without a common line.
        lines = [visible(f"--- {path}"), visible(f"+++ {path}"), *_marked("-", old), *_marked("+", new)]
    else:
        made = list(difflib.unified_diff(old, new, path, path, lineterm=""))
        # The headers and the places have no end of their own, so only a last line of a file is told from the others.
        lines = [*map(visible, made[:2]), *(line if line.startswith("@@") else _ended(line) for line in made[2:])]
    return "\n".join(lines) if lines else "changes nothing"


def _lines(text: str) -> list[str]:
    """The lines with their ends, which are line feeds only: a carriage return is to be seen."""
    *lines, last = text.split("\n")
    return [*(f"{line}\n" for line in lines), *([last] if last else [])]


def _marked(sign: str, lines: Iterable[str]) -> Iterator[str]:
    return (_ended(f"{sign}{line}") for line in lines)


def _ended(line: str) -> str:
    """The line of a diff without its end; that it has none is said as other programs' diffs do."""
    return visible(line[:-1]) if line.endswith("\n") else f"{visible(line)}\n\\ No newline at end of file"


def _tool(spec: ToolSpec, verb: str, after: _After) -> FunctionTool:
    async def run(arguments: Arguments, context: ToolContext) -> str:
        return await in_file_thread(functools.partial(_do, arguments, context, after))

    async def describe(arguments: Arguments, context: ToolContext) -> CallPreview:
        path = visible_path(place_of(arguments["path"], context).path)

        def look() -> tuple[_Change, str]:
            change = _plan(arguments, context, after)
            return change, bounded_diff(_diff(change, path))

        change, diff = await in_file_thread(look)
        what = verb if change.before is not None else "Create"
        return CallPreview(
            title=f"{what} {path}", details=(f"in: {visible_path(context.cwd)}",), diff=diff, things=change.things
        )

    return FunctionTool(spec, run, describe)


WRITE_FILE: Final = _tool(
    ToolSpec(
        name="write_file",
        description="Create a text file, or with overwrite replace one.",
        parameters={
            "type": "object",
            "properties": {
                "path": {"type": "string"},
                "content": {"type": "string"},
                "overwrite": {"type": "boolean"},
            },
            "required": ["path", "content"],
            "additionalProperties": False,
        },
        effect="write",
        paths=("path",),
    ),
    "Overwrite",
    _written,
)

EDIT_FILE: Final = _tool(
    ToolSpec(
        name="edit_file",
        description="Replace a passage that is in the file exactly once, or with all everywhere.",
        parameters={
            "type": "object",
            "properties": {
                "path": {"type": "string"},
                "old": {"type": "string", "minLength": 1},
                "new": {"type": "string"},
                "all": {"type": "boolean"},
            },
            "required": ["path", "old", "new"],
            "additionalProperties": False,
        },
        effect="write",
        paths=("path",),
    ),
    "Edit",
    _edited,
)
