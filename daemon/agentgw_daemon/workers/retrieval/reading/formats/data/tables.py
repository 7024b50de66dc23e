"""CSV and its kin: records, below the names of their columns. Does no I/O."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import Final

from agentgw_daemon.workers.retrieval.reading.blocks import Block, Outline, lines_of, title_of

_DELIMITERS: Final = ",;\t|"
_MAX_HEADER_CHARS: Final = 4000
_REMARK: Final = re.compile(r"\ufeff?(?:sep=.[ \t]*\r?$|#(?!\w+[,;\t|]))", re.MULTILINE | re.IGNORECASE)
# Names that are given twice, and columns without any, of all.
_MOST_ODD: Final = 0.5


def table_blocks(text: str, outline: Outline) -> Iterator[Block]:
    """The records, each kept whole though it may have many lines; the path has the columns' names."""
    records = _records(text)
    first = next(records, None)
    path = outline.path
    # A hint for Excel, or remarks, before the names.
    while first is not None and _REMARK.match(text, first[0]):
        yield Block("lines", first[0], first[1], path, repeats=False)
        first = next(records, None)
    if first is None:
        return
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
    # Numbers of rows have no name, and neither has what stands behind the last sign.
    named = list(dict.fromkeys(filter(None, names)))
    looks_named = bool(named) and (named == names or 1 < len(named) > _MOST_ODD * len(names))
    return named if looks_named and not any(name[0].isdigit() or name[0] in "-+." for name in named) else []
