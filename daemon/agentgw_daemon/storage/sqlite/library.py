"""sqlite-utils, imported without the libraries it takes along when it finds them.

It imports numpy and pandas only to store their scalar types. llama-cpp-python brings numpy, which would cost the
daemon 12 MB and a third of the import's time. It also prefers pysqlite3 to the standard library's sqlite3, whose
exception classes would then not be those we catch. click and dateutil serve its command line: another 2 MB.
"""

from __future__ import annotations

from agentgw_daemon.system.left_out import left_out

with left_out(absent=("numpy", "pandas", "pysqlite3", "sqlean"), empty=("click", "dateutil")):
    import sqlite_utils
    from sqlite_utils.migrations import Migrations

__all__ = ["Migrations", "sqlite_utils"]
