"""SQL from a model reads one database and does nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import trio

from agentgw_daemon.tools.builtins.query_sqlite import QUERY_SQLITE
from agentgw_daemon.tools.processes.query_child import MAX_ROWS
from agentgw_daemon.tools.tool import MAX_CONTENT_BYTES, ToolContext
from tests.patience import PATIENCE_S
from tests.tools.calling import call, content, failure

pytestmark = pytest.mark.anyio


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def db(root: Path, context: ToolContext) -> Iterator[str]:
    """A database; whatever was asked of it, no file has changed and none has appeared."""
    with closing(sqlite3.connect(root / "my 100%?.db")) as connection:
        connection.executescript(
            "CREATE TABLE people (name TEXT, age INTEGER, photo BLOB);"
            "INSERT INTO people VALUES ('Ada', 36, x'0102'), ('Émile', 7, NULL);"
            "CREATE VIEW old AS SELECT * FROM people WHERE age > 30;"
            "CREATE VIEW evil AS SELECT load_extension('x');"
            "CREATE VIRTUAL TABLE notes USING fts5(body); INSERT INTO notes VALUES ('hello world');"
            "CREATE VIRTUAL TABLE more USING fts4(body); INSERT INTO more VALUES ('hello world');"
        )
    before = everything(root.parent)
    yield "my 100%?.db"
    assert everything(root.parent) == before


async def test_rows_come_as_json_with_their_columns(context: ToolContext, db: str) -> None:
    result = await call(QUERY_SQLITE, context, path=db, sql="SELECT name, age, photo FROM people ORDER BY age DESC")
    assert (result.ok, result.untrusted) == (True, True)
    assert result.content == '["name", "age", "photo"]\n["Ada", 36, "<2 bytes>"]\n["Émile", 7, null]'
    assert await content(QUERY_SQLITE, context, path=db, sql="SELECT 1 WHERE 0") == '["1"]\n[no rows]'


@pytest.mark.parametrize(
    ("sql", "params", "answer"),
    [
        ("SELECT age FROM people WHERE name = ?", ["Ada"], "[36]"),
        ("SELECT upper(name) || length(name) FROM old", [], '["ADA3"]'),
        ("SELECT count(*) FROM sqlite_master WHERE type = 'view'", [], "[2]"),
        (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT sum(i) FROM n",
            [],
            "[15]",
        ),
        ("SELECT highlight(notes, 0, '<', '>') FROM notes WHERE notes MATCH 'world'", [], '["hello <world>"]'),
        ("SELECT body FROM more WHERE more MATCH 'world'", [], '["hello world"]'),
        ("SELECT value FROM json_each('[7]')", [], "[7]"),
    ],
)
async def test_reading_works(context: ToolContext, db: str, sql: str, params: list[str], answer: str) -> None:
    assert (await content(QUERY_SQLITE, context, path=db, sql=sql, params=params)).splitlines()[1] == answer


@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH 'new.db' AS x", "ATTACH ':memory:' AS x", "DETACH main", "VACUUM", "VACUUM INTO 'copy.db'",
        "PRAGMA query_only = 0", "PRAGMA journal_mode", "PRAGMA writable_schema = 1", "PRAGMA data_version = 1",
        "SELECT * FROM pragma_database_list", "CREATE TEMP TABLE t (a)", "CREATE TABLE t (a)",
        "CREATE TEMP VIEW v AS SELECT 1",
        "CREATE TEMP TRIGGER g AFTER INSERT ON people BEGIN SELECT 1; END", "BEGIN", "SAVEPOINT s", "COMMIT",
        "INSERT INTO people VALUES ('x', 1, NULL)", "UPDATE people SET age = 1", "DELETE FROM people",
        "DROP TABLE people", "ALTER TABLE people RENAME TO x", "REINDEX", "ANALYZE",
        "INSERT INTO notes(notes) VALUES ('rebuild')", "SELECT load_extension('x')", "SELECT * FROM evil",
        "SELECT fts3_tokenizer('simple')", "SELECT fts3_tokenizer('x', x'00')", "SELECT zeroblob(1)",
        "SELECT randomblob(100000000)", "SELECT optimize(more) FROM more", "SELECT sqlite_log(1, 'x')",
        "SELECT 1; SELECT 2", "", "-- nothing", "SELECT writefile('x', 'y')", "SELECT readfile('/etc/passwd')",
        "CREATE VIRTUAL TABLE v USING fts5(a)", "SELECT * FROM sqlite_dbpage",
        "UPDATE sqlite_master SET sql = ''", "DELETE FROM sqlite_master",
        "INSERT INTO sqlite_master VALUES (1, 1, 1, 1, 1)",
    ],
)  # fmt: skip
async def test_everything_but_reading_is_denied(context: ToolContext, db: str, sql: str) -> None:
    assert (await failure(QUERY_SQLITE, context, path=db, sql=sql)).startswith("sql: ")


@pytest.mark.parametrize(
    "sql",
    [
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n ORDER BY -i",
        "WITH RECURSIVE n(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM n) SELECT s FROM n WHERE length(s) < 0",
        "SELECT printf('%.*c', 3000000, 'x') || printf('%.*c', 3000000, 'x')",
        "SELECT length(replace(hex(printf('%.*c', 2000000, 'x')), '78', printf('%.*c', 4000, 'y')))",
        # One call of one function, which SQLite's own deadline does not reach: the process is ended.
        "SELECT instr(printf('%.*c', 4000000, 'x'), printf('%.*c', 2000000, 'x') || 'y')",
    ],
)
async def test_what_would_take_for_ever_or_everything_is_ended(context: ToolContext, db: str, sql: str) -> None:
    with trio.fail_after(PATIENCE_S):
        assert (await failure(QUERY_SQLITE, context, path=db, sql=sql)).startswith("sql: ")


async def test_a_query_that_ran_out_of_time_says_so(context: ToolContext, db: str) -> None:
    sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 2"
    assert "interrupted after 1.5 s" in await failure(QUERY_SQLITE, context, path=db, sql=sql)


async def test_rows_cells_and_bytes_are_bounded(context: ToolContext, db: str) -> None:
    series = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000)"
    lines = (await content(QUERY_SQLITE, context, path=db, sql=f"{series} SELECT i FROM n")).splitlines()
    assert len(lines) == MAX_ROWS + 2
    assert lines[-1].startswith("[more than")
    wide = await content(QUERY_SQLITE, context, path=db, sql=f"{series} SELECT printf('%.*c', 5000, 'x') FROM n")
    assert "(5000 characters)" in wide
    assert len(wide) < MAX_CONTENT_BYTES + 1000


async def test_numbers_that_sqlite_cannot_hold_are_a_failure(context: ToolContext, db: str) -> None:
    assert "sql: " in await failure(QUERY_SQLITE, context, path=db, sql="SELECT ?", params=[2**63])


async def test_what_is_no_database_of_the_users_is_refused(context: ToolContext, root: Path, db: str) -> None:
    assert "not an SQLite database" in await failure(QUERY_SQLITE, context, path="../secret.txt", sql="SELECT 1")
    said = await failure(QUERY_SQLITE, context, path=".agentgw/data/agentgw.db", sql="SELECT 1")
    assert "no tool may touch it" in said
    assert "no such file" in await failure(QUERY_SQLITE, context, path="gone.db", sql="SELECT 1")


async def test_a_damaged_database_is_a_failure(context: ToolContext, root: Path) -> None:
    (root / "bad.db").write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 40)
    assert (await failure(QUERY_SQLITE, context, path="bad.db", sql="SELECT * FROM sqlite_master")).startswith("sql: ")


@pytest.mark.parametrize("open_elsewhere", [False, True])
async def test_a_wal_database_is_read_without_a_trace(context: ToolContext, root: Path, open_elsewhere: bool) -> None:
    with closing(sqlite3.connect(root / "wal.db", isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE t (a)")
        writer.execute("INSERT INTO t VALUES (42)")
        if not open_elsewhere:
            writer.close()
        before = set(everything(root))
        assert await content(QUERY_SQLITE, context, path="wal.db", sql="SELECT a FROM t") == '["a"]\n[42]'
        assert set(everything(root)) == before


async def test_a_wal_that_a_crash_left_is_not_touched(context: ToolContext, root: Path) -> None:
    with closing(sqlite3.connect(root / "wal.db", isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE t (a)")
        for name in ("wal.db", "wal.db-wal"):
            (root / f"crashed-{name}").write_bytes((root / name).read_bytes())
    assert "crashed" in await failure(QUERY_SQLITE, context, path="crashed-wal.db", sql="SELECT 1")
