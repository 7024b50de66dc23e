"""CSV and its kin: records, below the names of their columns. Does no I/O."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Final

from agentgw_daemon.workers.retrieval.reading.blocks import Block, Outline, lines_of, title_of

_DELIMITERS: Final = ",;\t|"
_MAX_HEADER_CHARS: Final = 4000


def table_blocks(text: str, outline: Outline) -> Iterator[Block]:
    """The records, each kept whole though it may have many lines; the path has the columns' names."""
    records = _records(text)
    first = next(records, None)
    if first is None:
        return
    path = outline.path
    if columns := _columns(text[first[0] : min(first[1], first[0] + _MAX_HEADER_CHARS)]):
        path = (*path, title_of(", ".join(columns)))
    yield Block("heading" if columns else "lines", first[0], first[1], path, repeats=False)
    start = end = first[1]
    for at, stop, several_lines in records:
        if several_lines:
            if at > start:
                yield Block("lines", start, at, path, repeats=False)
            yield Block("whole", at, stop, path, repeats=False)
            start = stop
        end = stop
    if end > start:
        yield Block("lines", start, end, path, repeats=False)


def _records(text: str) -> Iterator[tuple[int, int, bool]]:
    """Start and end of each record: a line goes on while a quotation mark is open."""
    start, quotes, lines = 0, 0, 0
    for at, end in lines_of(text):
        quotes += text.count('"', at, end)
        lines += 1
        if quotes % 2 == 0:
            yield start, end, lines > 1
            start, quotes, lines = end, 0, 0
    if start < len(text):
        yield start, len(text), True


def _columns(record: str) -> list[str]:
    """The names in the first record; none if it looks like data."""
    line = record.strip()
    delimiter = max(_DELIMITERS, key=line.count)
    try:
        names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return []
    looks_named = names and all(names) and len(set(names)) == len(names)
    return names if looks_named and not any(name[0].isdigit() or name[0] in "-+." for name in names) else []
