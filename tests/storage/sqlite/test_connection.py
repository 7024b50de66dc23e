from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentgw.protocol.errors import StorageUnavailable
from agentgw_daemon.observability import failpoint
from agentgw_daemon.storage.sqlite.connection import DatabaseDamaged, SqliteConnection, has_wal_reset_bug
from tests.patience import PATIENCE_S


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[SqliteConnection]:
    opened = SqliteConnection(tmp_path / "test.db")
    opened.write(lambda db: db.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT UNIQUE)"))
    yield opened
    opened.close()


@pytest.fixture
def _disarm() -> Iterator[None]:
    yield
    failpoint.arm("")


def _insert(connection: SqliteConnection, text: str) -> None:
    connection.write(lambda db: db.execute("INSERT INTO t (text) VALUES (?)", (text,)))


def _texts(connection: SqliteConnection) -> list[str]:
    return connection.read(lambda db: [row[0] for row in db.execute("SELECT text FROM t ORDER BY n")])


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 0), True),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 52, 0), False),
        ((4, 0, 0), False),
    ],
)
def test_versions_with_the_wal_reset_bug_are_known(version: tuple[int, ...], affected: bool) -> None:
    assert has_wal_reset_bug(version) is affected


def test_every_commit_is_synced_and_foreign_keys_are_enforced(connection: SqliteConnection) -> None:
    def pragma(name: str) -> object:
        return connection.read(lambda db: db.execute(f"PRAGMA {name}").fetchone()[0])

    assert [pragma(name) for name in ("journal_mode", "synchronous", "foreign_keys")] == ["wal", 2, 1]


def test_a_transaction_that_raises_writes_nothing(connection: SqliteConnection) -> None:
    def do(db: object) -> None:
        connection.db.execute("INSERT INTO t (text) VALUES ('half')")
        raise LookupError

    with pytest.raises(LookupError):
        connection.write(do)
    _insert(connection, "next")
    assert _texts(connection) == ["next"]


def test_a_broken_constraint_is_our_mistake_and_not_the_disks(connection: SqliteConnection) -> None:
    _insert(connection, "once")
    with pytest.raises(sqlite3.IntegrityError):
        _insert(connection, "once")
    assert _texts(connection) == ["once"]


@pytest.mark.usefixtures("_disarm")
@pytest.mark.parametrize(("point", "kept"), [("after-begin", False), ("before-commit", False), ("after-commit", True)])
def test_a_full_disk_at_any_point_of_a_commit_loses_nothing_acknowledged(
    connection: SqliteConnection, point: str, kept: bool
) -> None:
    _insert(connection, "before")
    failpoint.arm(f"{point}:1:enospc")
    with pytest.raises(StorageUnavailable, match="No space left"):
        _insert(connection, "during")
    failpoint.arm("")
    _insert(connection, "after")
    assert _texts(connection) == (["before", "during", "after"] if kept else ["before", "after"])


def test_a_full_database_refuses_writes_reads_on_and_recovers(connection: SqliteConnection) -> None:
    _insert(connection, "first")
    pages = connection.read(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    connection.read(lambda db: db.execute(f"PRAGMA max_page_count = {pages + 2}").fetchone())
    acknowledged = ["first"]

    def fill() -> None:
        for n in range(100):
            _insert(connection, f"{n} " + "x" * 3000)
            acknowledged.append(f"{n} " + "x" * 3000)

    with pytest.raises(StorageUnavailable, match="full") as caught:
        fill()
    assert caught.value.data["reason"] == "database or disk is full"
    assert _texts(connection) == acknowledged
    connection.read(lambda db: db.execute("PRAGMA max_page_count = 1000000").fetchone())
    _insert(connection, "last")
    assert _texts(connection) == [*acknowledged, "last"]


_FILE_SIZE_LIMIT = """
import resource, signal, sys
from pathlib import Path
from agentgw.protocol.errors import StorageUnavailable
from agentgw_daemon.storage.sqlite.connection import SqliteConnection
connection = SqliteConnection(Path(sys.argv[1]))
connection.write(lambda db: db.execute("CREATE TABLE t (text TEXT)"))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
kept = 0
for cycle in range(5):
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000 * (cycle + 1), resource.RLIM_INFINITY))
    try:
        while True:
            connection.write(lambda db: db.execute("INSERT INTO t VALUES (?)", ("x" * 2000,)))
            kept += 1
    except StorageUnavailable:
        pass
    assert connection.read(lambda db: db.execute("SELECT count(*) FROM t").fetchone()[0]) == kept, cycle
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
connection.write(lambda db: db.execute("INSERT INTO t VALUES ('last')"))
assert connection.problems() == ()
connection.close()
again = SqliteConnection(Path(sys.argv[1]))
print(kept, again.read(lambda db: db.execute("SELECT count(*) FROM t").fetchone()[0]) - 1)
again.close()
"""


def test_a_disk_that_really_refuses_bytes_loses_nothing_and_recovers(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FILE_SIZE_LIMIT, str(tmp_path / "t.db")],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    acknowledged, found = map(int, done.stdout.split())
    assert acknowledged == found > 50


def test_a_file_that_is_no_database_is_damage(tmp_path: Path) -> None:
    (tmp_path / "test.db").write_bytes(os.urandom(8192))
    with pytest.raises(DatabaseDamaged):
        SqliteConnection(tmp_path / "test.db")


def test_a_database_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable):
        SqliteConnection(tmp_path / "no such directory" / "test.db")


_SECOND = """
import sqlite3, sys
from pathlib import Path
from agentgw_daemon.storage.sqlite.connection import SqliteConnection
def plain(path):
    sqlite3.connect(path, timeout=0).execute("SELECT * FROM t")
for opening in (plain, lambda path: SqliteConnection(Path(path))):
    try:
        opening(sys.argv[1])
    except Exception as error:
        print(error, getattr(error, "hint", ""))
"""


def test_a_second_connection_is_refused(connection: SqliteConnection, tmp_path: Path) -> None:
    other = subprocess.run(
        [sys.executable, "-c", _SECOND, str(tmp_path / "test.db")], capture_output=True, text=True, timeout=PATIENCE_S
    )
    plain, ours = other.stdout.splitlines()
    assert "database is locked" in plain
    assert "locked" in ours
    assert "another program has agentgw.db open" in ours
    _insert(connection, "the first goes on")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_one_descriptor_of_the_database_is_open(connection: SqliteConnection, tmp_path: Path) -> None:
    _insert(connection, "x")
    database = str(tmp_path / "test.db")
    assert [os.readlink(fd) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()].count(database) == 1


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_the_files_are_private_whatever_the_umask(tmp_path: Path, umask: int, mode: str) -> None:
    before = os.umask(umask)
    try:
        opened = SqliteConnection(tmp_path / "test.db", mode)  # type: ignore[arg-type]  # a parameter of the test
        opened.write(lambda db: db.execute("CREATE TABLE t (n)"))
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    opened.close()
    assert "test.db" in modes
    assert set(modes.values()) == {0o600}


def test_a_database_left_open_to_others_is_closed_to_them(tmp_path: Path) -> None:
    SqliteConnection(tmp_path / "test.db").close()
    (tmp_path / "test.db").chmod(0o644)
    SqliteConnection(tmp_path / "test.db").close()
    assert stat.S_IMODE((tmp_path / "test.db").stat().st_mode) == 0o600
