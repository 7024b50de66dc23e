"""Progress of an ingest: how far, how fast, and how long it still takes. Pure: the clock is handed in."""

from __future__ import annotations

from collections import deque
from typing import Final

from agentgw.protocol.events import DocumentProgress
from agentgw_daemon.knowledge.sources import shown

# Long enough to even out batches, short enough to follow a machine that becomes busy.
_WINDOW_S: Final = 15.0
# Before so long a share of the work, a guess of the rest says nothing.
_LEAST_SHARE: Final = 0.005


class ProgressMeter:
    """Counts. Bytes are what the time left is reckoned by: files are of all sizes."""

    def __init__(self) -> None:
        self.files_done = 0
        self.files_total = 0
        self.chunks = 0
        self.source = ""
        self._embedded = 0
        self._bytes_done = 0.0
        self._bytes_total = 0
        # When, and how many chunks had vectors then.
        self._seen: deque[tuple[float, int]] = deque()
        self._began: float | None = None

    def found(self, files: int, size_bytes: int) -> None:
        """Counts files that are to be read."""
        self.files_total += files
        self._bytes_total += size_bytes

    def passed(self, files: int = 1, size_bytes: int = 0) -> None:
        """Counts files that are done with; of what is to be read, so many bytes are that were not embedded."""
        self.files_done += files
        self._bytes_done += size_bytes

    def stored(self, chunks: int) -> None:
        """Counts chunks that are stored."""
        self.chunks += chunks

    def embedded(self, chunks: int, size_bytes: float) -> None:
        """Counts chunks that have vectors, and the bytes of the files that they stand for."""
        self._embedded += chunks
        self._bytes_done += size_bytes

    def snapshot(self, now: float) -> DocumentProgress:
        """The progress to tell at this moment, in seconds of any steady clock."""
        if self._began is None:
            self._began = now
        self._seen.append((now, self._embedded))
        while self._seen[0][0] < now - _WINDOW_S:
            self._seen.popleft()
        return DocumentProgress(
            files_done=self.files_done, files_total=self.files_total, chunks=self.chunks, rate=round(self._rate(), 1),
            eta_s=self._eta_s(now), source=shown(self.source) or None,
        )  # fmt: skip

    def _rate(self) -> float:
        (first, before), (last, after) = self._seen[0], self._seen[-1]
        return (after - before) / (last - first) if last > first else 0.0

    def _eta_s(self, now: float) -> float | None:
        if self._began is None or not self._bytes_total:
            return None
        share = min(1.0, self._bytes_done / self._bytes_total)
        if share < _LEAST_SHARE:
            return None
        return round((now - self._began) * (1 - share) / share, 1)
