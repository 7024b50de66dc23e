"""Whenever the daemon dies while documents are stored, every acknowledged chunk is found afterwards."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agentgw_daemon.storage.documents.selection import Filter
from agentgw_daemon.storage.words.terms import terms_of
from agentgw_daemon.workers.protocol.index import IndexFound, IndexSearch
from tests.knowledge.library import STORED_BY, Library, library
from tests.retrieval.fakeworker import fake_settings, packed
from tests.root import ROOT

pytestmark = pytest.mark.anyio


def _kill(folder: Path, first: int, chance: random.Random, number: int) -> list[str]:
    """Run the program, kill it after a random number of acknowledgements or at a failpoint; what it acknowledged."""
    arming = [f"{chance.choice(['after-begin', 'before-commit', 'after-commit'])}:0.1:kill"] if number % 2 else []
    command = [sys.executable, "-m", "tests.knowledge.ingest.kills", str(folder), str(first), *arming]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        lines, enough = [], chance.randrange(1, 60)
        for line in program.stdout:
            lines.append(line)
            if not arming and len(lines) >= enough:
                break
            if len(lines) == 60:
                break
        os.kill(program.pid, signal.SIGKILL)
        # Lines that it said before it died were acknowledged, too.
        return [*lines, *(line for line in program.stdout if line.endswith("\n"))]


async def _check(documents: Library, kept: set[int], perhaps: int) -> set[int]:
    """Checks that all of these are found, by words and by vector, and nothing else but perhaps one more."""
    assert await documents.database.check() == ()
    held = set()
    for n in [*kept, perhaps]:
        # The words alone: meaning is counted below.
        words = (f"unique{n}", f"second{n}")
        found = [await documents.database.chunks.by_words(terms_of(word), 2, Filter()) for word in words]
        there = [len(one.matches) for one in found]
        assert there == [1, 1] or (n == perhaps and there == [0, 0]), f"{n} is lost"
        if any(there):
            held.add(n)
    for n in random.sample(sorted(held), min(3, len(held))):
        assert f"paper {n} unique{n}" in await documents.found(f"unique{n}")
    follower = documents.knowledge._indexing._follower("default", STORED_BY)
    request = IndexSearch(key=follower.key, k=1, vector=packed("paper"))
    found = await documents.retrieval.index(request, IndexFound)
    assert found.live == 2 * len(held), "the index holds what the database holds"
    return held


async def _rounds(folder: Path, count: int, seed: int) -> int:
    chance = random.Random(seed)
    kept: set[int] = set()
    first = acknowledged = 0
    for number in range(count):
        lines = _kill(folder, first, chance, number)
        acknowledged += len(lines)
        puts = [int(line.split()[1]) for line in lines if line.startswith("put")]
        gone = {int(line.split()[1]) for line in lines if line.startswith("removed")}
        last = max(puts, default=first - 1)
        # A removal that was not acknowledged may have happened.
        unsure = {last} if last % 10 == 9 and last not in gone and last in puts else set()
        kept |= set(puts) - gone - unsure
        async with library(folder, fake_settings("--small")) as documents:
            if unsure:
                kept = await _check(documents, kept, last)
                first = last + 1
            else:
                kept = await _check(documents, kept, last + 1)
                first = last + 2 if last + 1 in kept else last + 1
    return acknowledged


async def test_kills_while_documents_are_stored_lose_nothing_acknowledged(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    assert await _rounds(tmp_path, 6, seed) > 6, f"seed {seed}"


@pytest.mark.chaos
async def test_fifty_kills_while_documents_are_stored_lose_nothing_acknowledged(tmp_path: Path) -> None:
    seed, rounds = random.randrange(2**32), max(1, round(50 * float(os.environ.get("AGENTGW_CHAOS", "1"))))
    print(f"seed {seed}: {await _rounds(tmp_path, rounds, seed)} acknowledged")
