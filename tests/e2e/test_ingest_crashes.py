"""The daemon is killed while it ingests: what was told to be stored is there, whole, and found."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.home import Home, until

pytestmark = pytest.mark.e2e

DOCUMENTS = 40
PARTS = 3
# A part is a chunk of its own: two of them have more tokens.
CHUNK_SIZE = 16


class Library:
    """Files that change, and every text that each of them ever had."""

    def __init__(self, folder: Path, dice: random.Random) -> None:
        self._folder = folder
        self._dice = dice
        self._texts: dict[str, list[str]] = {}
        for number in range(DOCUMENTS):
            self._write(number)

    def change(self, count: int) -> None:
        """Give some of them a new text."""
        for number in self._dice.sample(range(DOCUMENTS), count):
            self._write(number)

    def word(self, number: int) -> str:
        """The word that only this document says, as it is at this moment."""
        return self._word(number, len(self._texts[self._source(number)]) - 1, 0)

    def source_of(self, number: int) -> str:
        return self._source(number)

    def ever_said(self, source: str) -> list[list[str]]:
        """The chunks of every text that the file had."""
        return [text.split("\n\n") for text in self._texts[source]]

    def _source(self, number: int) -> str:
        return str(self._folder / f"{number:03}.txt")

    def _write(self, number: int) -> None:
        texts = self._texts.setdefault(self._source(number), [])
        parts = (f"Here is {self._word(number, len(texts), part)} said in a part." for part in range(PARTS))
        texts.append("\n\n".join(parts))
        # As editors do, so that no reader sees half of it.
        beside = self._folder.parent / "beside"
        beside.write_text(texts[-1])
        os.replace(beside, self._source(number))

    @staticmethod
    def _word(number: int, version: int, part: int) -> str:
        return f"w{number}v{version}p{part}"


def stored(home: Home) -> tuple[str, dict[str, list[str]], dict[str, Any]]:
    """SQLite's verdict on a copy of what the daemon left, the chunks of each document, and what does not fit."""
    with contextlib.closing(sqlite3.connect(home.database_copy())) as database:
        (verdict,) = database.execute("PRAGMA integrity_check").fetchone()
        chunks: dict[str, list[str]] = {}
        rows = database.execute(
            "SELECT d.source, c.text FROM documents AS d JOIN chunks AS c ON c.content = d.content ORDER BY d.n, c.n"
        )
        for source, text in rows:
            chunks.setdefault(source, []).append(text)
        wrong = {
            "contents of no document": "SELECT count(*) FROM contents WHERE n NOT IN (SELECT content FROM documents)",
            "contents that are not whole": "SELECT count(*) FROM contents AS k WHERE k.chunks !="
            " (SELECT count(*) FROM chunks AS c WHERE c.content = k.n)",
            "contents without all vectors": "SELECT count(*) FROM contents AS k WHERE k.chunks !="
            " (SELECT coalesce(sum(v.chunks), 0) FROM vectors AS v WHERE v.content = k.n)",
        }
        counts = {name: database.execute(sql).fetchone()[0] for name, sql in wrong.items()}
        return verdict, chunks, {name: count for name, count in counts.items() if count}


def end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def told_before_the_kill(home: Home, folder: Path, dice: random.Random) -> int:
    """Ingest, kill the daemon at some moment, and give how many chunks it said were stored."""
    told = 0
    pid = next(iter(home.daemons()), None)
    if pid is None:
        # The failpoint had it before it served.
        return told
    with contextlib.suppress(OSError), home.connect() as wire:
        wire.request("document.ingest", paths=[str(folder)], chunk_size=CHUNK_SIZE)
        moment = threading.Timer(dice.uniform(0, 2.0), end, [pid])
        moment.start()
        for message in wire.rest():
            told = message.get("params", message.get("result", {})).get("chunks", told)
        moment.join()
    return int(told)


def survive_kills(home: Home, rounds: int) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    home.add_embedder()
    folder = home.work / "library"
    folder.mkdir()
    library = Library(folder, dice)
    for number in range(rounds):
        # Half of the kills come at a commit, before or after it.
        at = dice.choice(["", "", "before-commit:0.05:kill", "after-commit:0.05:kill"])
        home.run("start", environ={"AGENTGW_FAIL": at})
        before = stored(home)[1]
        told = told_before_the_kill(home, folder, dice)
        until(lambda: not home.daemons(), "the daemon is gone")
        verdict, after, wrong = stored(home)
        assert (verdict, wrong) == ("ok", {}), f"round {number}"
        for source, chunks in after.items():
            assert chunks in library.ever_said(source), f"round {number}: {source} is not whole"
        written = sum(len(chunks) for source, chunks in after.items() if before.get(source) != chunks)
        assert written >= told, f"round {number}"
        check_found(home, library, after, dice)
        library.change(5)
        home.kill_daemon()
    result = home.call("document.ingest", paths=[str(folder)], chunk_size=CHUNK_SIZE)
    assert result["added"] + result["updated"] + result["unchanged"] == DOCUMENTS
    with home.connect() as wire:
        for number in range(DOCUMENTS):
            [best] = wire.call("document.search", query=library.word(number), k=1)["chunks"]
            assert best["source"] == library.source_of(number)


def check_found(home: Home, library: Library, after: dict[str, list[str]], dice: random.Random) -> None:
    """The next daemon finds what is stored."""
    home.run("start")
    with home.connect() as wire:
        for source in dice.sample(sorted(after), min(5, len(after))):
            text = dice.choice(after[source])
            found = wire.call("document.search", query=text, k=3)["chunks"]
            assert (source, text) in {(one["source"], one["text"]) for one in found}


def test_what_is_told_stored_outlives_kills_at_any_moment(home: Home) -> None:
    survive_kills(home, 4)


@pytest.mark.chaos
def test_fifty_kills_of_an_ingest(home: Home, chaos: Callable[[int], int]) -> None:
    survive_kills(home, chaos(50))
