"""PDF by pypdf, page by page, below its bookmarks. Does no I/O."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Final

import pypdf
from pypdf.errors import PyPdfError
from pypdf.generic import Destination

from agentgw_daemon.workers.retrieval.reading.blocks import Outline, Path, Section, TextBuilder
from agentgw_daemon.workers.retrieval.reading.values import Findings, Unreadable

# An atlas has thousands; more are made up.
_MAX_PAGES: Final = 20_000
_MAX_BOOKMARKS: Final = 20_000
_MAX_NAMED: Final = 5


def pdf_sections(data: bytes, findings: Findings, outline: Outline) -> Iterator[Section]:
    """One section a page that has text."""
    # It warns of every irregularity, thousands in some files.
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    reader = _reader(data)
    pages = _count(reader)
    findings.title = _title(reader)
    outline.restart(findings.title)
    bookmarks = _bookmarks(reader)
    failed: list[int] = []
    empty = 0
    for number in range(1, pages + 1):
        path = _entered(outline, bookmarks.get(number, []))
        try:
            text = reader.pages[number - 1].extract_text()
        except (MemoryError, RecursionError):
            raise
        except Exception:  # noqa: BLE001  # a broken page can make pypdf raise anything; the others may be well
            failed.append(number)
            continue
        builder = TextBuilder()
        builder.add("prose", text, (*path, f"page {number}"))
        section = builder.take()
        empty += not section.text.text
        yield section
    if failed and len(failed) == pages:
        raise Unreadable("is damaged: none of its pages can be read")
    if empty + len(failed) == pages:
        raise Unreadable("has no text, only pictures of it")
    if failed:
        named = ", ".join(map(str, failed[:_MAX_NAMED])) + (", …" if len(failed) > _MAX_NAMED else "")
        findings.notes.append(f"{len(failed)} of {pages} pages cannot be read ({named})")


def _bookmarks(reader: pypdf.PdfReader) -> dict[int, list[tuple[int, str]]]:
    """The bookmarks by page, from 1: levels and titles of what begins there."""
    made: dict[int, list[tuple[int, str]]] = {}
    try:
        waiting: list[tuple[object, int]] = [(one, 1) for one in reversed(reader.outline)]
        for _ in range(_MAX_BOOKMARKS):
            if not waiting:
                break
            one, level = waiting.pop()
            if isinstance(one, list):
                waiting += [(inner, level + 1) for inner in reversed(one)]
            elif isinstance(one, Destination):
                page = reader.get_destination_page_number(one)
                if page is not None and page >= 0:
                    made.setdefault(page + 1, []).append((level, str(one.title or "")))
    except (MemoryError, RecursionError):
        raise
    except Exception:  # noqa: BLE001  # as with pages: the text may be well without them
        return {}
    return made


def _entered(outline: Outline, begun: list[tuple[int, str]]) -> Path:
    """The titles above a page on which these begin; of several, those that they have in common."""
    paths = [outline.enter(level, title) for level, title in begun] or [outline.path]
    shortest = min(map(len, paths))
    same = next((at for at in range(shortest) if len({path[at] for path in paths}) > 1), shortest)
    return paths[0][:same]


def _reader(data: bytes) -> pypdf.PdfReader:
    try:
        reader = pypdf.PdfReader(io.BytesIO(data), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("is encrypted: it needs a password")
    except Unreadable:
        raise
    except NotImplementedError as error:
        raise Unreadable("is encrypted in a way that is not known here") from error
    except (PyPdfError, ValueError, TypeError, KeyError, IndexError, AttributeError, OSError) as error:
        raise Unreadable("is a damaged PDF") from error
    return reader


def _count(reader: pypdf.PdfReader) -> int:
    try:
        pages = len(reader.pages)
    except (PyPdfError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise Unreadable("is a damaged PDF: its list of pages is broken") from error
    if pages > _MAX_PAGES:
        raise Unreadable(f"has {pages:,} pages; up to {_MAX_PAGES:,} are read")
    if not pages:
        raise Unreadable("is a damaged PDF: it has no pages")
    return pages


def _title(reader: pypdf.PdfReader) -> str:
    try:
        found = reader.metadata
        return str((found.title if found is not None else "") or "").strip()
    except (PyPdfError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        return ""
