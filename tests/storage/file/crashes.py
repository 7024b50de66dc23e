"""A program that kills writers of the database and checks what is left; the tests run it and read its report.

Importing takes longer than a round, so one process imports and forks a writer for each round. The writer tells what
was acknowledged over a pipe and is killed at a random moment or at a failpoint. Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from agentgw_daemon.events.stored_event import StoredEvent
from agentgw_daemon.observability import failpoint
from agentgw_daemon.storage.documents.selection import Filter
from agentgw_daemon.storage.file.migrations import _APPROVALS, _FIRST, MIGRATIONS, run_statements
from agentgw_daemon.storage.file.store import DatabaseFiles
from agentgw_daemon.storage.sessions.log import pack
from agentgw_daemon.storage.sessions.turns import NewTurn, TurnEnd
from agentgw_daemon.storage.sqlite.library import Migrations, sqlite_utils
from agentgw_daemon.storage.words.tables import WORDS
from agentgw_daemon.storage.words.terms import terms_of
from tests.storage.direct import Direct, run

POINTS = ("after-begin", "before-commit", "after-commit")

# The tables as a later version might change them.
LATER = Migrations("agentgw")
for _step in MIGRATIONS.pending(sqlite_utils.Database(memory=True)):
    LATER(name=_step.name)(_step.fn)
_LATER_STATEMENTS = (
    "ALTER TABLE sessions ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0",
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, session_id TEXT REFERENCES sessions (id))",
    "INSERT INTO notes (session_id) SELECT id FROM sessions",
    "CREATE INDEX notes_by_session ON notes (session_id)",
)

# The tables as they were before the index of words had its own.
BEFORE_WORDS = Migrations("agentgw")
for _step in MIGRATIONS.pending(sqlite_utils.Database(memory=True)):
    if _step.name < "018":
        BEFORE_WORDS(name=_step.name)(_step.fn)
# Documents of a version before the index of words; the last ones are what a disk makes of a row.
OLD_DOCUMENTS = (
    "INSERT INTO collections (n, name) VALUES (1, 'default')",
    "INSERT INTO contents SELECT value, 'sha' || value, 'lines', 'Title', 2 * value, 2 FROM document_numbers",
    "INSERT INTO chunks SELECT value, value / 2, 'word' || value || ' old', 'Part', 1, 1, 0, 9, 2 FROM chunk_numbers",
    "INSERT INTO documents SELECT value, 'd' || value, 1, value, '/Plan' || value || '.md', CAST(value AS BLOB), NULL,"
    " 'Title', 'text', 9, NULL, '2026', '2026' FROM document_numbers",
    "INSERT INTO members SELECT 1, value, 1 FROM document_numbers",
    "INSERT INTO chunks_fts (chunks_fts) VALUES ('rebuild')",
    "UPDATE chunks SET text = x'6f6c6400ff' WHERE n = 38",
    "UPDATE chunks SET text = 'old ' || replace(hex(zeroblob(4000)), '00', char(801, 768)) WHERE n = 39",
    "UPDATE chunks SET content = 99 WHERE n = 40",
    "UPDATE contents SET title = x'ff' WHERE n = 18",
    "UPDATE documents SET source = x'2f6f6c642eff0061' WHERE n = 17",
    "UPDATE documents SET source = '' WHERE n = 16",
)
NUMBERS = (
    "CREATE TEMP VIEW {} AS WITH RECURSIVE s (value) AS (VALUES ({}) UNION ALL SELECT value + 1 FROM s LIMIT {})"
    " SELECT value FROM s"
)


@LATER(name="999_notes")
def _second(db: sqlite_utils.Database) -> None:
    run_statements(db, "999", _LATER_STATEMENTS)


def in_child(do: Callable[[int], None]) -> tuple[int, int]:
    """Run `do` in a forked child with the writing end of a pipe; gives its pid and the reading end."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(reader)
            do(writer)
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    return pid, reader


def read_all(reader: int) -> str:
    """The text that the child managed to write."""
    with os.fdopen(reader, encoding="utf-8") as lines:
        return lines.read()


def write_turns(directory: Path, first: int, arming: str, acknowledge: int) -> None:
    """Write turns for ever, the n-th under the key n, and acknowledge each step."""
    store = DatabaseFiles(directory, "WAL")
    store.open()
    direct = Direct(store)
    failpoint.arm(arming)

    def ack(step: str, n: int) -> None:
        os.write(acknowledge, f"{step} {n}\n".encode())

    n = first
    while True:
        turn = run(direct.turns.start(NewTurn(message=f"m{n}", skill="s", model="echo", idempotency_key=str(n)))).turn
        ack("start", n)
        for seq in (1, 2):
            delta = {"text": f"{n}.{seq} ", "channel": "answer"}
            run(direct.log.append(turn.turn_id, pack([StoredEvent(seq, "turn.delta", delta)])))
            ack("append", n)
        end = TurnEnd(state="completed", finish_reason="stop", text=f"{n}.1 {n}.2 end")
        run(direct.turns.finish(turn.turn_id, end))
        ack("finish", n)
        n += 1


def kill_writers(directory: Path, rounds: int, chance: random.Random) -> dict[str, object]:
    """Kill a writer again and again, half of the time at a failpoint; raises AssertionError for anything lost."""
    next_key, acknowledged, opening_ms = 1, 0, []
    for number in range(rounds):
        arming = f"{chance.choice(POINTS)}:{chance.uniform(0.02, 0.3)}:kill" if number % 2 else ""
        pid, reader = in_child(lambda pipe, a=arming, k=next_key: write_turns(directory, k, a, pipe))  # type: ignore[misc]  # bound defaults
        if not arming:
            time.sleep(chance.uniform(0.005, 0.06))
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(status), f"round {number}: the writer ended with {status}"
        acks = [line.split() for line in read_all(reader).splitlines()]
        acknowledged += len(acks)
        steps = {step: [int(n) for s, n in acks if s == step] for step in ("start", "append", "finish")}
        began = time.perf_counter()
        store = DatabaseFiles(directory, "WAL")
        store.open()
        opening_ms.append((time.perf_counter() - began) * 1000)
        try:
            next_key = check(store, steps, next_key)
        finally:
            store.close()
    return {"rounds": rounds, "acknowledged": acknowledged, "turns": next_key - 1, "opening_ms_max": max(opening_ms)}


def check(store: DatabaseFiles, steps: dict[str, list[int]], first: int) -> int:
    """Everything acknowledged is there, nothing is there twice, nothing is half there. Gives the next free key."""
    assert store.take_recovery() is None, "a kill looked like damage"
    assert store.problems() == ()
    found = store.read(
        lambda db: db.execute(
            "SELECT CAST(t.idempotency_key AS INTEGER), t.state, (SELECT group_concat(content, '|') FROM"
            " (SELECT content FROM messages WHERE turn_id = t.id ORDER BY n)) FROM turns AS t ORDER BY t.n"
        ).fetchall()
    )
    keys = [key for key, _, _ in found]
    assert keys == list(range(1, len(keys) + 1)), "a hole, or a turn twice"
    assert len(keys) >= max(steps["start"], default=first - 1), "an acknowledged turn is lost"
    for key, state, texts in found[first - 1 :]:
        appended = steps["append"].count(key)
        if state == "completed":
            assert texts == f"m{key}|{key}.1 {key}.2 end"
            continue
        assert state == "interrupted"
        assert key == len(keys), "only the last turn can be cut off"
        assert key not in steps["finish"], "an acknowledged end is lost"
        # The log may hold one append more than was acknowledged, never one less.
        kept = [f"m{key}", f"m{key}|{key}.1 ", f"m{key}|{key}.1 {key}.2 "]
        assert texts in kept[appended : appended + 2], (texts, appended)
    # A client that got no answer asks again with the same key.
    direct = Direct(store)
    unanswered = max(steps["start"], default=first - 1) + 1
    again = run(
        direct.turns.start(NewTurn(message=f"m{unanswered}", skill="s", model="echo", idempotency_key=str(unanswered)))
    )
    assert again.created == (unanswered not in keys)
    if again.created:
        text = f"{unanswered}.1 {unanswered}.2 end"
        run(direct.turns.finish(again.turn.turn_id, TurnEnd(state="completed", text=text)))
    return max(len(keys), unanswered) + 1


def kill_migrations(directory: Path) -> dict[str, object]:
    """Kill the making of a new database, and a migration of an old one, before and behind each statement."""
    old = directory / "old"
    store = DatabaseFiles(old, "WAL")
    store.open()
    run(Direct(store).turns.start(NewTurn(message="kept", skill="s", model="echo")))
    store.close()
    shutil.rmtree(old / "backups")
    new_points = [*(f"migration-001-{n}" for n in range(len(_FIRST) + 1)), "migration-001-end"]
    next_points = [f"migration-002-{n}" for n in range(len(_APPROVALS) + 1)]
    later_points = [f"migration-999-{n}" for n in range(len(_LATER_STATEMENTS) + 1)]
    released = [step.name for step in MIGRATIONS.pending(sqlite_utils.Database(memory=True))]
    outcomes = []
    for point in new_points + next_points + later_points:
        data = directory / point
        if point in later_points:
            shutil.copytree(old, data)
        pid, reader = in_child(lambda _, d=data, p=point: migrate(d, p))  # type: ignore[misc]  # bound defaults
        _, status = os.waitpid(pid, 0)
        read_all(reader)
        assert os.WIFSIGNALED(status), f"{point} was never reached"
        versions = version_of(data)
        before = released if point in later_points else released[:1] if point in next_points else []
        assert versions == before, (point, versions)
        store = DatabaseFiles(data, "WAL", LATER)
        store.open()
        assert store.take_recovery() is None, point
        assert store.problems() == ()
        backups = 2 if point in later_points else 1 if point in next_points else 0
        notes = store.read(lambda db: db.execute("SELECT count(*) FROM notes").fetchone()[0])
        assert notes == (1 if point in later_points else 0)
        assert len(store.backups.newest_first()) == backups, "no backup before migrating"
        store.close()
        outcomes.append(point)
    return {"killed": outcomes}


def kill_words(directory: Path) -> dict[str, object]:
    """Kill the making of the index of words for old documents: its tables, and its filling."""
    old = directory / "old"
    store = DatabaseFiles(old, "WAL", BEFORE_WORDS)
    store.open()
    store.write(_put_old_documents)
    store.close()
    points = [*(f"migration-018-{n}" for n in (0, 2, len(WORDS))), "after-begin", "before-commit", "after-commit"]
    for point in points:
        data = shutil.copytree(old, directory / point)
        pid, reader = in_child(lambda _, d=data, p=point: migrate(d, p))  # type: ignore[misc]  # bound defaults
        _, status = os.waitpid(pid, 0)
        read_all(reader)
        assert os.WIFSIGNALED(status), f"{point} was never reached"
        store = DatabaseFiles(data, "WAL", LATER)
        store.open()
        assert store.take_recovery() is None, point
        assert store.problems() == (), point
        store.write(lambda db: db.execute("INSERT INTO chunks_fts (chunks_fts, rank) VALUES ('integrity-check', 1)"))
        chunks = Direct(store).chunks
        assert run(chunks.without_words()) == 0, point
        found = {query: run(chunks.by_words(terms_of(query), 100, Filter())).matches for query in ("old", "plan 7")}
        assert len(found["old"]) == 38, (point, len(found["old"]))
        assert found["plan 7"][0].n in (14, 15), point
        store.close()
    return {"killed": points}


def _put_old_documents(db: sqlite_utils.Database) -> None:
    db.execute(NUMBERS.format("document_numbers", 1, 20))
    db.execute(NUMBERS.format("chunk_numbers", 2, 39))
    for statement in OLD_DOCUMENTS:
        db.execute(statement)


def migrate(directory: Path, point: str) -> None:
    """Open with the later tables and die at a point."""
    failpoint.arm(f"{point}:1:kill")
    DatabaseFiles(directory, "WAL", LATER).open()


def version_of(directory: Path) -> list[str]:
    """The steps a database has, seen by an independent reader of a copy, after checking that nothing lies between."""
    copy = shutil.copytree(directory, directory.with_name(directory.name + "-seen"))
    db = sqlite_utils.Database(copy / "agentgw.db")
    applied = [step.name for step in LATER.applied(db)]
    tables = set(db.table_names())
    assert ("notes" in tables) == ("999_notes" in applied)
    assert ("sessions" in tables) == ("001_sessions_turns_messages" in applied)
    assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    db.close()
    return applied


def main() -> None:
    """`crashes.py commits DIRECTORY ROUNDS SEED`, `crashes.py migrations DIRECTORY` or `crashes.py words DIRECTORY`."""
    what, directory, *rest = sys.argv[1:]
    if what == "commits":
        rounds, seed = map(int, rest)
        print(json.dumps(kill_writers(Path(directory), rounds, random.Random(seed))))
    else:
        print(json.dumps((kill_words if what == "words" else kill_migrations)(Path(directory))))


if __name__ == "__main__":
    main()
