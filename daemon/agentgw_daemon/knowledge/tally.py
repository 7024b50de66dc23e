"""What became of the documents of one ingest. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from agentgw.ingests import IngestFailure, IngestResult
from agentgw_daemon.knowledge.sources import shown

# Three lists of this size, escaped, fit one frame of the wire.
_LISTED_BYTES: Final = 96 << 10
_REASON_CHARACTERS: Final = 300


class _Names:
    """A list that is cut where it becomes too long; the count goes on."""

    def __init__(self) -> None:
        self.count = 0
        self.listed: list[str] = []
        self._bytes = 0

    def add(self, name: str, also_bytes: int = 0) -> bool:
        """Whether the name is listed."""
        self.count += 1
        self._bytes += len(name.encode()) + also_bytes
        if self._bytes > _LISTED_BYTES:
            return False
        self.listed.append(name)
        return True


class Tally:
    """Counts and lists, for the result."""

    def __init__(self) -> None:
        self.skipped = 0
        self._documents = {"added": 0, "updated": 0, "unchanged": 0}
        self._chunks = 0
        self._failed = _Names()
        self._reasons: list[str] = []
        self._vanished = _Names()
        self._removed = _Names()

    @property
    def stored(self) -> int:
        """Documents that were written."""
        return self._documents["added"] + self._documents["updated"]

    def count(self, state: Literal["added", "updated", "unchanged"], chunks: int = 0, documents: int = 1) -> None:
        """Documents of this state; so many chunks were written for them."""
        self._documents[state] += documents
        self._chunks += chunks

    def fail(self, source: str, reason: str) -> None:
        """A document that could not be read or stored."""
        reason = " ".join(reason.split())[:_REASON_CHARACTERS]
        if self._failed.add(shown(source), len(reason.encode())):
            self._reasons.append(reason)

    def gone(self, sources: Iterable[str], *, removed: bool) -> None:
        """Documents whose files are gone."""
        names = self._removed if removed else self._vanished
        for source in sources:
            names.add(shown(source))

    def result(self) -> IngestResult:
        """All of it."""
        failed = zip(self._failed.listed, self._reasons, strict=True)
        return IngestResult(
            added=self._documents["added"], updated=self._documents["updated"], unchanged=self._documents["unchanged"],
            chunks=self._chunks, failed=tuple(IngestFailure(source=source, reason=reason) for source, reason in failed),
            failed_count=self._failed.count, vanished=tuple(self._vanished.listed),
            vanished_count=self._vanished.count, removed=tuple(self._removed.listed),
            removed_count=self._removed.count, skipped=self.skipped,
        )  # fmt: skip
