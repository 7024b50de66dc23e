"""PDF by pypdf, page by page. Does no I/O."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Final

import pypdf
from pypdf.errors import PyPdfError

from agentgw_daemon.retrieval.reading.blocks import Outline, Section, TextBuilder
from agentgw_daemon.retrieval.reading.values import Findings, Unreadable

# An atlas has thousands; more are made up.
_MAX_PAGES: Final = 20_000
_MAX_NAMED: Final = 5


def pdf_sections(data: bytes, findings: Findings, outline: Outline) -> Iterator[Section]:
    """One section a page that has text."""
    # It warns of every irregularity, thousands in some files.
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    reader = _reader(data)
    pages = _count(reader)
    findings.title = _title(reader)
    failed: list[int] = []
    empty = 0
    for number in range(1, pages + 1):
        try:
            text = reader.pages[number - 1].extract_text()
        except (MemoryError, RecursionError):
            raise
        except Exception:  # noqa: BLE001  # a broken page can make pypdf raise anything; the others may be well
            failed.append(number)
            continue
        builder = TextBuilder()
        outline.restart(findings.title, f"page {number}")
        builder.add("prose", text, outline.path)
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
