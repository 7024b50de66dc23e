"""A program that stores documents for ever, with an index that follows and is saved all the time; tests kill it.

It prints a line for each document that was acknowledged.
"""

from __future__ import annotations

import sys
from pathlib import Path

import trio

from agentgw_daemon.knowledge.search import following
from agentgw_daemon.observability import failpoint
from agentgw_daemon.storage.documents.selection import Selection
from tests.knowledge.library import library
from tests.retrieval.fakeworker import fake_settings


async def store(folder: Path, first: int) -> None:
    """Documents from this number on; every tenth one goes again."""
    following._QUIET_S, following._CHANGES_WORTH_A_FILE = 0.0, 1  # type: ignore[misc]  # this process's alone
    async with library(folder, fake_settings("--small")) as documents:
        await documents.found("anything")
        n = first
        while True:
            await documents.put(f"/{n}", f"paper {n} unique{n}", f"other {n} second{n}")
            print(f"put {n}", flush=True)
            if n % 10 == 9:
                await documents.database.documents.remove(Selection(sources=(f"/{n}",)))
                print(f"removed {n}", flush=True)
            n += 1


def main() -> None:
    """`kills.py FOLDER FIRST [FAILPOINTS]`."""
    folder, first, *points = sys.argv[1:]
    failpoint.arm(",".join(points))
    trio.run(store, Path(folder), int(first))


if __name__ == "__main__":
    main()
