"""Report on the documents of one ingest. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from agentgw.protocol.calls.documents import IngestFailure, IngestNote, IngestResult
from agentgw.transport.framing import encode
from agentgw_daemon.knowledge.sources import shown

# Four lists of this size, escaped, fit one frame of the wire.
_LISTED_BYTES: Final = 96 << 10
_REASON_CHARACTERS: Final = 300


class _ListedNames:
    """A list that is cut where it becomes too long; the count goes on."""

    def __init__(self) -> None:
        self.count = 0
        self.listed: list[str] = []
        self._bytes = 0

    def add(self, name: str, about: str = "") -> bool:
        """Adds a name; tells whether it is listed, with what is said about it."""
        self.count += 1
        self._bytes += len(encode((name, about)))
        if self._bytes > _LISTED_BYTES:
            return False
        self.listed.append(name)
        return True


class IngestReport:
    """Counts and lists, for the result."""

    def __init__(self) -> None:
        self.skipped = 0
        self._documents = {"added": 0, "updated": 0, "unchanged": 0}
        self._chunks = 0
        self._failed = _ListedNames()
        self._reasons: list[str] = []
        self._noted = _ListedNames()
        self._notes: list[str] = []
        self._vanished = _ListedNames()
        self._removed = _ListedNames()

    @property
    def stored(self) -> int:
        """The number of documents that were written."""
        return self._documents["added"] + self._documents["updated"]

    def count(self, state: Literal["added", "updated", "unchanged"], chunks: int = 0, documents: int = 1) -> None:
        """Count documents of this state, and the chunks that were written for them."""
        self._documents[state] += documents
        self._chunks += chunks

    def fail(self, source: str, reason: str) -> None:
        """Note a document that could not be read or stored."""
        reason = _one_line(reason)
        if self._failed.add(shown(source), reason):
            self._reasons.append(reason)

    def note(self, source: str, note: str) -> None:
        """Note a document that is stored, but not all of it as it stands."""
        note = _one_line(note)
        if self._noted.add(shown(source), note):
            self._notes.append(note)

    def gone(self, sources: Iterable[str], *, removed: bool) -> None:
        """Count documents whose files are gone."""
        names = self._removed if removed else self._vanished
        for source in sources:
            names.add(shown(source))

    def result(self) -> IngestResult:
        """The report as the result of the ingest."""
        failed = zip(self._failed.listed, self._reasons, strict=True)
        return IngestResult(
            added=self._documents["added"], updated=self._documents["updated"], unchanged=self._documents["unchanged"],
            chunks=self._chunks, failed=tuple(IngestFailure(source=source, reason=reason) for source, reason in failed),
            failed_count=self._failed.count, notes_count=self._noted.count,
            notes=tuple(
                IngestNote(source=source, note=note)
                for source, note in zip(self._noted.listed, self._notes, strict=True)
            ), vanished=tuple(self._vanished.listed),
            vanished_count=self._vanished.count, removed=tuple(self._removed.listed),
            removed_count=self._removed.count, skipped=self.skipped,
        )  # fmt: skip


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_REASON_CHARACTERS]
