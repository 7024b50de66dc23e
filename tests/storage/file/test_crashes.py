"""kill -9, torn logs and cut migrations; see crashes.py for the program that does the killing."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentgw_daemon.storage.file.store import DatabaseFiles
from tests.patience import PATIENCE_S
from tests.root import ROOT
from tests.storage.direct import Direct, talk


def _crash(*arguments: object, timeout_s: float = 60) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.storage.file.crashes", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    assert done.returncode == 0, f"{arguments}\n{done.stderr}"
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_kills_at_any_moment_lose_nothing_acknowledged(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    report = _crash("commits", tmp_path / "data", 30, seed)
    assert report["rounds"] == 30
    assert report["acknowledged"] > 10, f"seed {seed}: {report}"


_TWENTY_COMMITS = """
import sys
from pathlib import Path
from agentgw_daemon.storage.sqlite.connection import SqliteConnection
connection = SqliteConnection(Path(sys.argv[1]))
connection.write(lambda db: db.execute("CREATE TABLE t (n)"))
for n in range(20):
    connection.write(lambda db: db.execute("INSERT INTO t VALUES (?)", (n,)))
    print("acknowledged", flush=True)
"""


# A kill cannot show this: the kernel keeps what a dead process wrote; only power loss takes it.
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_every_commit_is_synced_before_it_is_acknowledged(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-e", "trace=fsync,fdatasync,write", "-o", str(trace), sys.executable, "-c"]
    subprocess.run(
        [*command, _TWENTY_COMMITS, str(tmp_path / "t.db")], capture_output=True, timeout=PATIENCE_S, check=True
    )
    synced, acknowledged = False, 0
    for line in trace.read_text().splitlines():
        if "sync(" in line:
            synced = True
        elif '"acknowledged' in line:
            assert synced, line
            synced, acknowledged = False, acknowledged + 1
    assert acknowledged == 20


@pytest.mark.chaos
def test_a_thousand_kills_lose_nothing_acknowledged(tmp_path: Path) -> None:
    seed, rounds = random.randrange(2**32), int(os.environ.get("AGENTGW_CHAOS", "1000"))
    report = _crash("commits", tmp_path / "data", rounds, seed, timeout_s=rounds)
    print(f"seed {seed}: {report}")
    assert report["rounds"] == rounds


def test_a_migration_killed_at_any_statement_leaves_the_old_tables(tmp_path: Path) -> None:
    killed = _crash("migrations", tmp_path)["killed"]
    assert killed[-6:] == ["migration-002-4", *(f"migration-999-{n}" for n in range(5))]


def test_an_index_of_words_killed_while_it_is_made_is_whole_after_the_next_start(tmp_path: Path) -> None:
    killed = _crash("words", tmp_path)["killed"]
    assert killed[0] == "migration-018-0"
    assert killed[-3:] == ["after-begin", "before-commit", "after-commit"]


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database whose sessions are in its log alone, as a kill leaves it."""
    directory = tmp_path_factory.mktemp("log") / "data"
    store = DatabaseFiles(directory, "WAL")
    store.open()
    store.close()
    store.open()
    store.read(lambda db: db.execute("PRAGMA wal_autocheckpoint = 0").fetchone())
    for n in range(1, 61):
        talk(Direct(store), f"question {n}", f"answer {n}")
    copy = directory.with_name("crashed")
    shutil.copytree(directory, copy)
    store.close()
    return copy


def _check_prefix(data: Path, case: str) -> int:
    """Checks that the turns are 1..k without a hole, each whole but perhaps the last; gives k."""
    store = DatabaseFiles(data, "WAL")
    store.open()
    assert store.take_recovery() is None, case
    assert store.problems() == (), case
    rows = store.read(
        lambda db: db.execute(
            "SELECT t.n, t.state, (SELECT group_concat(content, '|') FROM"
            " (SELECT content FROM messages WHERE turn_id = t.id ORDER BY n)) FROM turns AS t ORDER BY t.n"
        ).fetchall()
    )
    for number, (n, state, texts) in enumerate(rows, 1):
        assert n == number, case
        if state == "completed":
            assert texts == f"question {n}|answer {n}", case
        else:
            assert (state, texts, number) == ("interrupted", f"question {n}", len(rows)), case
    store.close()
    return len(rows)


def _damage_log(crashed: Path, tmp_path: Path, count: int, seed: int) -> list[int]:
    chance = random.Random(seed)
    size = (crashed / "agentgw.db-wal").stat().st_size
    lengths = []
    for number in range(count):
        data = tmp_path / str(number)
        shutil.copytree(crashed, data)
        log, offset = data / "agentgw.db-wal", chance.randrange(size)
        if number % 2:
            os.truncate(log, offset)
        else:
            content = bytearray(log.read_bytes())
            content[offset] ^= 1 << chance.randrange(8)
            log.write_bytes(content)
        lengths.append(_check_prefix(data, f"seed {seed}, {'cut' if number % 2 else 'flip'} at {offset}"))
        shutil.rmtree(data)
    return lengths


def test_a_cut_or_flipped_log_leaves_a_prefix_without_a_hole(crashed: Path, tmp_path: Path) -> None:
    assert _check_prefix(shutil.copytree(crashed, tmp_path / "whole"), "undamaged") == 60
    lengths = _damage_log(crashed, tmp_path, 100, random.randrange(2**32))
    assert len(set(lengths)) > 20


@pytest.mark.chaos
def test_two_thousand_damaged_logs_leave_a_prefix_without_a_hole(crashed: Path, tmp_path: Path) -> None:
    assert len(_damage_log(crashed, tmp_path, 2000, random.randrange(2**32))) == 2000
