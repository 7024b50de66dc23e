"""Comparison of files with what is stored of them: what has to be read."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentgw_daemon.knowledge.ingest.links import is_below

if TYPE_CHECKING:
    from agentgw_daemon.knowledge.ingest.walking import FoundFile, Harvest
    from agentgw_daemon.storage.documents.documents import KnownDocument


@dataclass(frozen=True, slots=True)
class WantedLabels:
    """Labels that a document is to be stored with. Those that are None stay what they are."""

    collection: str
    chunk_tokens: int
    chunking: str
    skills: tuple[str, ...] | None
    tags: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class IngestCandidate:
    """File by its path, or a text, that is to be read. `known` is what is stored of it."""

    source: str
    known: KnownDocument | None
    path: str = ""
    root: str | None = None
    text: str | None = None
    size_bytes: int = 0
    # Of a copy that is gone tomorrow, time and size say nothing of what is called so.
    has_stamp: bool = True

    def known_sha256(self, wanted: WantedLabels) -> str:
        """The digest with which it need not be cut again; empty: whatever it is, it has to be."""
        return self.known.sha256 if self.known is not None and self.known.chunking == wanted.chunking else ""


@dataclass(slots=True)
class Comparison:
    """Files by what there is to do with them; of those that are `unchanged` some are `relabelled`."""

    changed: list[IngestCandidate]
    unchanged: int
    relabelled: list[str]


def compare(files: Sequence[FoundFile], known: Mapping[str, KnownDocument], wanted: WantedLabels) -> Comparison:
    """The work that these files need. A file of the same size and time as when it was read is not opened."""
    made = Comparison([], 0, [])
    for file in files:
        stored = known.get(file.source)
        if stored is None or not _is_same(file, stored, wanted):
            made.changed.append(
                IngestCandidate(file.source, stored, path=file.path, root=file.root, size_bytes=file.size_bytes)
            )
            continue
        made.unchanged += 1
        if labels_differ(stored, wanted):
            made.relabelled.append(file.source)
    return made


def _is_same(file: FoundFile, stored: KnownDocument, wanted: WantedLabels) -> bool:
    return (stored.mtime_ns, stored.size_bytes, stored.chunking) == (file.mtime_ns, file.size_bytes, wanted.chunking)


def labels_differ(stored: KnownDocument, wanted: WantedLabels) -> bool:
    """Tells whether the stored document has other labels than it should have."""
    return (wanted.skills is not None and stored.skills != wanted.skills) or (
        wanted.tags is not None and stored.tags != wanted.tags
    )


def left_out(found: Harvest, below: Mapping[str, tuple[str, KnownDocument]]) -> list[str]:
    """Stored sources that are there and that their folder gives no more: ignored since, or taken when links counted.

    `below` has of each, beside what is stored, the folder of the order that it is in. What was named itself, or came
    with another folder, stays, and so does what is hidden, which no folder ever gave, and what the walk did not see.
    """
    if not found.whole:
        return []
    unseen = [failure.source for failure in found.failed if failure.cannot]
    return [
        source
        for source, (root, known) in below.items()
        if (known.root is None or known.root in found.roots)
        and not any(part.startswith(".") for part in source.removeprefix(root).split("/"))
        and not any(is_below(source, folder) for folder in unseen)
    ]


def gone(sources: Sequence[str]) -> list[str]:
    """The sources whose files are there no more. Blocking. A folder that cannot be looked into says nothing of
    its files.
    """
    return [source for source in sources if _is_gone(source)]


def _is_gone(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
