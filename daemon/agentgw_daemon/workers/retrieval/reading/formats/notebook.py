"""Jupyter notebooks of all versions: their cells as one Markdown text, code in fences. Outputs are left out.

The first to third format have their cells in worksheets, a cell's text under other names, and cells that are headings.
Does no I/O.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from agentgw_daemon.workers.retrieval.reading.blocks import Outline, Section
from agentgw_daemon.workers.retrieval.reading.characters import clean
from agentgw_daemon.workers.retrieval.reading.decoding import DecodedText
from agentgw_daemon.workers.retrieval.reading.formats.markup.markdown import markdown_blocks
from agentgw_daemon.workers.retrieval.reading.values import ParserNotes, Unreadable

_FENCES: Final = re.compile("^`{3,}", re.MULTILINE)
# The names that a cell's text has had, the newest first.
_SOURCES: Final = ("source", "input", "code", "text")
_MAX_LEVEL: Final = 6


def notebook_section(data: bytes, parser_notes: ParserNotes, outline: Outline) -> Iterator[Section]:
    """The notebook as one section."""
    if not data.strip():
        return
    try:
        notebook = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unreadable("is a damaged notebook") from error
    cells = _cells(notebook)
    if cells is None:
        raise Unreadable("is a damaged notebook")
    text = "\n\n".join(filter(None, map(_cell, cells)))
    yield Section(DecodedText(text), markdown_blocks(text, outline))
    parser_notes.title = outline.first or _name(notebook)


def _cells(notebook: Any) -> list[Any] | None:
    """The cells of all worksheets; None for what is no notebook."""
    if not isinstance(notebook, dict):
        return None
    if isinstance(cells := notebook.get("cells"), list):
        return cells
    worksheets = notebook.get("worksheets")
    if not isinstance(worksheets, list):
        return None
    made: list[Any] = []
    for sheet in worksheets:
        if isinstance(sheet, dict) and isinstance(cells := sheet.get("cells"), list):
            made += cells
    return made


def _name(notebook: Any) -> str:
    metadata = notebook.get("metadata")
    names = [metadata.get(key) for key in ("title", "name")] if isinstance(metadata, dict) else []
    return next((clean(name) for name in names if isinstance(name, str)), "")


def _cell(cell: Any) -> str:
    if not isinstance(cell, dict):
        return ""
    source = next((cell[name] for name in _SOURCES if cell.get(name)), "")
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    if not isinstance(source, str) or not source.strip():
        return ""
    source = clean(source).strip("\n")
    match cell.get("cell_type"):
        case "code":
            fence = max(_FENCES.findall(source), key=len, default="``") + "`"
            return f"{fence}\n{source}\n{fence}"
        case "heading":
            level = cell.get("level")
            marks = "#" * (min(level, _MAX_LEVEL) if isinstance(level, int) and level > 0 else 1)
            return f"{marks} {' '.join(source.split())}"
        case _:
            return source
