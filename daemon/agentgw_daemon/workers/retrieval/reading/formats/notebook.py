"""Jupyter notebooks: their cells as one Markdown text, code in fences. Outputs are left out. Does no I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from agentgw_daemon.workers.retrieval.reading.blocks import Outline, Section
from agentgw_daemon.workers.retrieval.reading.characters import clean
from agentgw_daemon.workers.retrieval.reading.decoding import DecodedText
from agentgw_daemon.workers.retrieval.reading.formats.markdown import markdown_blocks
from agentgw_daemon.workers.retrieval.reading.values import Findings, Unreadable

_FENCES: Final = re.compile("^`{3,}", re.MULTILINE)


def notebook_section(data: bytes, findings: Findings, outline: Outline) -> Iterator[Section]:
    """The notebook as one section."""
    try:
        cells = json.loads(data)["cells"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Unreadable("is a damaged notebook") from error
    if not isinstance(cells, list):
        raise Unreadable("is a damaged notebook")
    text = "\n\n".join(filter(None, map(_cell, cells)))
    yield Section(DecodedText(text), markdown_blocks(text, outline))
    findings.title = outline.first


def _cell(cell: Any) -> str:
    if not isinstance(cell, dict):
        return ""
    source = cell.get("source", "")
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    if not isinstance(source, str) or not source.strip():
        return ""
    source = clean(source).strip("\n")
    if cell.get("cell_type") != "code":
        return source
    fence = max(_FENCES.findall(source), key=len, default="``") + "`"
    return f"{fence}\n{source}\n{fence}"
