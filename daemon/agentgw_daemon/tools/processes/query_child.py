"""The child of `query_sqlite`: one SELECT against one database that is the user's, read-only.

    {"path", "identity", "sql", "params", "immutable", "time_s"} -> {"columns": […]}, [row]…, {"rows": n, "more": bool}
    or {"error": …}

`mode=ro` alone is no sandbox: SQL can attach and make other files. An authorizer lets through reading and the listed
functions, nothing else. A process of its own because a damaged file can crash SQLite, and because a single
function can run longer than anything interrupts. Standard library only.
"""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import sys
import time
from typing import Any, Final
from urllib.parse import quote

# The kernel ends what the deadline cannot interrupt: a single long function.
CPU_S: Final = 2
MEMORY_BYTES: Final = 512 << 20
MAX_ROWS: Final = 200
MAX_CELL_CHARS: Final = 1000
# No value in a database of text and numbers is larger; randomblob and friends can make none that is.
MAX_VALUE_BYTES: Final = 4 << 20
MAX_SQL_BYTES: Final = 64 << 10
# Instructions of SQLite's machine between two looks at the clock: well under a millisecond.
_STEPS: Final = 10_000
_LIMITS: Final = {
    sqlite3.SQLITE_LIMIT_LENGTH: MAX_VALUE_BYTES,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: MAX_SQL_BYTES,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    # LIKE and GLOB take the product of pattern and text.
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 200,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
# Recursion is a loop, which the clock ends.
_ACTIONS: Final = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
# Full-text search asks for these itself; without a value they change nothing.
_PRAGMAS: Final = frozenset({"data_version", "page_size"})
# The statement with which SQLite announces that a virtual table (json_each, full-text search) tells its columns. A
# statement that says the same fails: the schema cannot be updated without writable_schema, nor anything with query_only
# and mode=ro.
_DECLARES: Final = (sqlite3.SQLITE_UPDATE, "sqlite_master")
# Functions that only compute. Not here: load_extension, fts3_tokenizer (takes pointers), zeroblob and randomblob.
_FUNCTION_NAMES: Final = """
    -> ->> abs acos acosh asin asinh atan atan2 atanh avg bm25 ceil ceiling char coalesce concat concat_ws cos cosh
    count cume_dist current_date current_time current_timestamp date datetime degrees dense_rank exp first_value floor
    format glob group_concat hex highlight ifnull iif instr json json_array json_array_length json_each json_extract
    json_group_array json_group_object json_insert json_object json_patch json_quote json_remove json_replace json_set
    json_tree json_type json_valid julianday lag last_value lead length like likelihood likely ln log log10 log2 lower
    ltrim match matchinfo max min mod nth_value ntile nullif octet_length offsets percent_rank pi pow power printf
    quote radians random rank replace round row_number rtrim sign sin sinh snippet sqlite_version sqrt strftime
    string_agg substr substring sum tan tanh time timediff total trim trunc typeof unicode unixepoch unlikely upper
"""
_FUNCTIONS: Final = frozenset(_FUNCTION_NAMES.split())


def main() -> None:
    """Reads the request, writes the answer."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    if sys.platform != "darwin":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    request = json.load(sys.stdin)
    try:
        _query(request)
    except (sqlite3.Error, sqlite3.Warning, OSError, OverflowError, MemoryError) as error:
        _say({"error": "there is not enough memory" if isinstance(error, MemoryError) else str(error)})


def _query(request: dict[str, Any]) -> None:
    uri = f"file:{quote(request['path'])}?mode=ro{'&immutable=1' if request['immutable'] else ''}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=request["time_s"])
    status = os.stat(request["path"])
    if [status.st_dev, status.st_ino] != request["identity"]:
        _say({"error": "the file was exchanged"})
        return
    _settle(connection)
    ends_at = time.monotonic() + request["time_s"]
    connection.set_progress_handler(lambda: time.monotonic() > ends_at, _STEPS)
    cursor = connection.execute(request["sql"], request["params"])
    if cursor.description is None:
        _say({"error": "only SELECT is allowed"})
        return
    _say({"columns": [column[0] for column in cursor.description]})
    rows = 0
    for row in cursor:
        if rows == MAX_ROWS:
            _say({"rows": rows, "more": True})
            return
        _say([_cell(value) for value in row])
        rows += 1
    _say({"rows": rows, "more": False})


def _settle(connection: sqlite3.Connection) -> None:
    """Sorting in memory instead of a temporary file; distrust of what the database's own schema says."""
    for pragma in ("temp_store=MEMORY", "trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0", "query_only=ON"):
        connection.execute(f"PRAGMA {pragma}")
    # Some Pythons bring an SQLite with extensions in reach of SQL, others without the call that says so.
    if hasattr(connection, "enable_load_extension"):
        connection.enable_load_extension(False)
    # Invalid UTF-8 in a text column is no reason to fail.
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    for limit, value in _LIMITS.items():
        connection.setlimit(limit, value)
    connection.set_authorizer(_authorize)


def _authorize(action: int, first: str | None, second: str | None, _schema: str | None, _trigger: str | None) -> int:
    allowed = (
        action in _ACTIONS
        or (action, first) == _DECLARES
        or (action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _FUNCTIONS)
        or (action == sqlite3.SQLITE_PRAGMA and (first or "").lower() in _PRAGMAS and second is None)
    )
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _cell(value: object) -> object:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, str) and len(value) > MAX_CELL_CHARS:
        return f"{value[:MAX_CELL_CHARS]}… ({len(value)} characters)"
    return value


def _say(value: object) -> None:
    # At once: rows that came before the time was over count.
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
