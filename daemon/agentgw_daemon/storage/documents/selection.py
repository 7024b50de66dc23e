"""Filters and selections of documents as SQL. Pure, but for numbers of collections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from agentgw.protocol.records.schema import record
from agentgw_daemon.storage.columns import text_of
from agentgw_daemon.text.names import normalised

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentgw_daemon.storage.sqlite.library import sqlite_utils


@record
class Filter:
    """Documents that a search may find. Nothing given: everything.

    `skills`: what any of these skills sees, which is the documents labelled with it and those with no skill at all.
    `tags`: documents with any of these.
    """

    collection: str | None = None
    skills: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@record
class Selection:
    """Documents to list or delete; what is given must all hold.

    `sources`: any of these, or what lies below one as below a folder. `text`: a part of the source, whatever the case.
    `skills`, `tags`: labelled with any of these.
    """

    collection: str | None = None
    sources: tuple[str, ...] = ()
    text: str | None = None
    ids: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


class Where:
    """A condition on `documents AS d` and its values."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self.values: list[str | int | bytes] = []

    def add(self, part: str, *values: str | int | bytes) -> None:
        """One more thing that must hold."""
        self._parts.append(part)
        self.values.extend(values)

    def __str__(self) -> str:
        return " AND ".join(self._parts) or "true"


def name_of(source: str) -> bytes:
    """The bytes a source is known by: of a path, those of the file system."""
    try:
        return source.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        # A surrogate that stands for no byte; nothing on a disk is called so.
        return source.encode("utf-8", "replace")


def source_of(name: object) -> str:
    """The source that `name_of` made these bytes of."""
    return name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else text_of(name)


def shown(source: str) -> str:
    r"""A source as text that any wire and terminal takes: bytes that are no UTF-8 become `\xff`."""
    return shown_name(name_of(source))


def shown_name(name: bytes) -> str:
    """The name as `shown` gives it, of the bytes."""
    return name.decode("utf-8", "backslashreplace")


def labels_of(kind: Literal["skill", "tag"], values: Sequence[str]) -> tuple[str, ...]:
    """The labels as they are kept: without blanks around, once each, a skill by its normal name."""
    kept = (normalised(value) if kind == "skill" else value.strip() for value in values)
    return tuple(sorted({value for value in kept if value}))


def below_range(folder: bytes) -> tuple[bytes, bytes]:
    """The range of names that lie below a folder: from the first, to the first behind."""
    prefix = folder.rstrip(b"/") + b"/"
    return prefix, prefix[:-1] + b"0"


def visible_where(collection: int, wanted: Filter) -> Where:
    """The documents of one collection that a filter lets through."""
    where = Where()
    where.add("d.collection = ?", collection)
    skills = labels_of("skill", wanted.skills)
    if skills:
        labelled = "SELECT 1 FROM document_labels AS l WHERE l.document = d.n AND l.kind = 'skill'"
        where.add(f"(NOT EXISTS ({labelled}) OR EXISTS ({labelled} AND l.value IN ({_marks(skills)})))", *skills)
    _add_labels(where, "tag", wanted.tags)
    return where


def selection_where(db: sqlite_utils.Database, selection: Selection) -> Where:
    """The documents of a selection."""
    where = Where()
    if selection.collection is not None:
        row = db.execute("SELECT n FROM collections WHERE name = ?", (selection.collection,)).fetchone()
        where.add("d.collection = ?", -1 if row is None else row[0])
    if selection.sources:
        parts: list[str] = []
        values: list[str | bytes] = []
        for source in selection.sources:
            first, behind = below_range(name_of(source))
            parts.append(
                "d.name = ? OR d.source = ? OR (d.name >= ? AND d.name < ?) OR (d.source >= ? AND d.source < ?)"
            )
            # As a path, and as the path is shown where its bytes are no UTF-8.
            values += [name_of(source), source, first, behind, shown_name(first), shown_name(behind)]
        where.add(f"({' OR '.join(parts)})", *values)
    if selection.text:
        where.add("instr(lower(d.source), lower(?)) > 0", selection.text)
    if selection.ids:
        where.add(f"d.id IN ({_marks(selection.ids)})", *selection.ids)
    _add_labels(where, "skill", selection.skills)
    _add_labels(where, "tag", selection.tags)
    return where


def _add_labels(where: Where, kind: Literal["skill", "tag"], given: Sequence[str]) -> None:
    values = labels_of(kind, given)
    if values:
        labelled = f"SELECT 1 FROM document_labels AS l WHERE l.document = d.n AND l.kind = '{kind}'"
        where.add(f"EXISTS ({labelled} AND l.value IN ({_marks(values)}))", *values)


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
