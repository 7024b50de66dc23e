"""`query_sqlite`: a SELECT against a database of the user's, carried out in a child process."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from agentgw_daemon.system.beneath import real_path
from agentgw_daemon.system.threads import in_file_thread
from agentgw_daemon.tools.builtins.reading import check_read, reading_tool
from agentgw_daemon.tools.files.places import Place, open_file, place_of
from agentgw_daemon.tools.processes.child import ChildOutput, ask_child
from agentgw_daemon.tools.processes.query_child import MAX_ROWS, MAX_SQL_BYTES
from agentgw_daemon.tools.tool import (
    MAX_CONTENT_JSON_BYTES,
    Arguments,
    CallFailed,
    ToolContext,
    visible_path,
)

# Leaves something of two seconds for the start of the child, which may use so much of a processor in all.
TIME_S: Final = 1.5
# For a child that waits (a slow disk, a busy machine) instead of computing.
_GRACE_S: Final = 3.5
# A database is read page by page, never whole.
MAX_DATABASE_BYTES: Final = 1 << 40
_MODULE: Final = "agentgw_daemon.tools.processes.query_child"
_MAGIC: Final = b"SQLite format 3\0"
# Byte 19 of the header, the read version: 2 is WAL (sqlite.org/fileformat2.html).
_READ_VERSION_AT: Final = 19
_WAL_VERSION: Final = 2


@contextmanager
def _opened(place: Place, context: ToolContext) -> Iterator[int]:
    """The database. Raises CallFailed when it is none."""
    with open_file(place, context, max_bytes=MAX_DATABASE_BYTES) as fd:
        if os.pread(fd, len(_MAGIC), 0) != _MAGIC:
            raise CallFailed(f"path: {visible_path(place.path)} is not an SQLite database")
        yield fd


def _look(arguments: Arguments, context: ToolContext) -> tuple[Path, list[int], bool]:
    """Real path, device and inode of the database, and whether it can be opened without taking part in its locking."""
    with _opened(place_of(arguments["path"], context), context) as fd:
        check_read(fd, context)
        header = os.pread(fd, _READ_VERSION_AT + 1, 0)
        real, status = real_path(fd), os.fstat(fd)
    return real, [status.st_dev, status.st_ino], header[_READ_VERSION_AT] == _WAL_VERSION and _at_rest(real)


def _at_rest(database: Path) -> bool:
    """Tells whether nobody has this WAL database open. A reader of one makes files beside it unless told that it
    is so.
    """
    log, index = (database.with_name(database.name + suffix) for suffix in ("-wal", "-shm"))
    if not log.exists():
        return True
    if not index.exists():
        raise CallFailed("path: its program crashed and left a -wal file; open the database with that program first")
    return False


async def _run(arguments: Arguments, context: ToolContext) -> str:
    real, identity, immutable = await in_file_thread(functools.partial(_look, arguments, context))
    request = {
        "path": str(real), "identity": identity, "sql": arguments["sql"], "params": list(arguments.get("params", ())),
        "immutable": immutable, "time_s": TIME_S,
    }  # fmt: skip
    answer = await ask_child(_MODULE, request, context, time_s=TIME_S + _GRACE_S, max_bytes=MAX_CONTENT_JSON_BYTES)
    return _written(answer)


def _written(answer: ChildOutput) -> str:
    """The columns, then a row a line, each as a JSON array."""
    ends: list[dict[str, Any]] = [line for line in answer.lines if isinstance(line, dict)]
    lines = [json.dumps(one["columns"], ensure_ascii=False) for one in ends if "columns" in one]
    lines += [json.dumps(line, ensure_ascii=False) for line in answer.lines if isinstance(line, list)]
    last = ends[-1] if ends else {}
    if "error" in last:
        raise CallFailed(f"sql: {_hint(last['error'])}", untrusted=True)
    if "rows" not in last and len(lines) < 2:
        raise CallFailed("sql: took too much time or memory")
    if "rows" not in last:
        lines.append("[stopped: too much time, memory or text; select less]")
    elif last["more"]:
        lines.append(f"[more than {MAX_ROWS} rows; use LIMIT and OFFSET]")
    elif not last["rows"]:
        lines.append("[no rows]")
    return "\n".join(lines)


def _hint(error: str) -> str:
    if "not authorized" in error or "prohibited" in error:
        return f"{error}: only SELECT with ordinary functions is allowed"
    if error == "interrupted":
        return f"interrupted after {TIME_S:g} s; select less"
    return error


QUERY_SQLITE: Final = reading_tool(
    "query_sqlite",
    "Run one SELECT on an SQLite file. Tables: SELECT sql FROM sqlite_master.",
    {
        "path": {"type": "string"},
        "sql": {"type": "string", "maxLength": MAX_SQL_BYTES},
        "params": {"type": "array", "items": {"type": ["string", "number", "null"]}, "maxItems": 100},
    },
    required=("path", "sql"),
    run=_run,
    verb="Query",
    look=_opened,
)
