"""Changes of files that have settled: each state of a file is told once, after the file stayed still. Does no I/O.

A state is inode, size and time: what is moved within a folder is no change, what is written again is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agentgw.protocol.records.schema import record

# States of files that are gone are remembered too, for files come back (a volume, a move), but not without end.
_MOST_REMEMBERED: Final = 50_000


@record
class FileState:
    """The state of one file."""

    inode: int
    size: int
    mtime_ns: int


@record
class Settled:
    """Files with changes that have settled; `again_s` after which another look is due, None when nothing moves."""

    paths: tuple[str, ...] = ()
    stamps: frozenset[FileState] = frozenset()
    again_s: float | None = None


class Settling:
    """Follows what one job watches. `handled` None: it begins now, and what is there already is no change."""

    def __init__(self, settle_s: float, handled: frozenset[FileState] | None) -> None:
        self._settle_s = settle_s
        self._handled = handled
        self._moving: dict[str, tuple[FileState, float]] = {}
        self._present: frozenset[FileState] = frozenset()

    @property
    def handled(self) -> frozenset[FileState]:
        """The states that need no run any more, to be stored."""
        return self._handled or frozenset()

    def look(self, files: Mapping[str, FileState], now_s: float) -> Settled:
        """The files that have settled, of all that are there at this time; told again until they are `taken`.

        `now_s` is of the clock that stands still while the machine sleeps: nothing settles in its sleep.
        """
        self._present = frozenset(files.values())
        if self._handled is None:
            self._handled = self._present
        fresh = {path: stamp for path, stamp in files.items() if stamp not in self._handled}
        self._moving = {path: self._since(path, stamp, now_s) for path, stamp in fresh.items()}
        still = {path: stamp for path, (stamp, since) in self._moving.items() if now_s - since >= self._settle_s}
        waits = [since + self._settle_s - now_s for path, (_, since) in self._moving.items() if path not in still]
        return Settled(
            paths=tuple(sorted(still)), stamps=frozenset(still.values()), again_s=min(waits) if waits else None
        )

    def taken(self, stamps: frozenset[FileState]) -> None:
        """Note that these states of files have had their run."""
        remembered = self.handled | stamps
        if len(remembered) > _MOST_REMEMBERED:
            remembered = stamps | (self.handled & self._present)
        self._handled = remembered

    def _since(self, path: str, stamp: FileState, now_s: float) -> tuple[FileState, float]:
        known = self._moving.get(path)
        return known if known is not None and known[0] == stamp else (stamp, now_s)
