"""Excel workbooks (XLSX): the rows of each sheet below the names of its columns. Does no I/O.

By the XML itself, a row at a time: openpyxl opens what a workbook refers to, reads dates and styles into objects, and
takes ten times as long. Formulas are their stored values.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal

from agentgw_daemon.workers.retrieval.reading.blocks import BlockKind, Outline, Section, TextBuilder
from agentgw_daemon.workers.retrieval.reading.files.archive import Archive
from agentgw_daemon.workers.retrieval.reading.formats.markup.xml import hear_xml
from agentgw_daemon.workers.retrieval.reading.formats.office.parts import (
    DRAWINGS,
    drawing_text,
    links_of,
    main_part,
    office_title,
    tell_of_embedded,
)
from agentgw_daemon.workers.retrieval.reading.values import ParserNotes, Unreadable

_WORKBOOK: Final = "xl/workbook.xml"
_MOST_COLUMNS: Final = 16_384
# Of a row; a gap is a border of the table more often than a thousand empty columns.
_MOST_GAP_COLUMNS: Final = 64
_MOST_ROWS: Final = 1 << 20
_NUMBERED: Final = re.compile("_x([0-9A-Fa-f]{4})_")
_REFERENCE: Final = re.compile(r"([A-Z]{1,3})\d{1,7}")
_DATE_FORMATS: Final = frozenset({*range(14, 18), 22, *range(27, 37), *range(50, 59)})
_TIME_FORMATS: Final = frozenset({18, 19, 20, 21, 45, 46, 47})
_PERCENT_FORMATS: Final = frozenset({9, 10})
_ELAPSED_FORMATS: Final = frozenset({46})
_ELAPSED: Final = re.compile(r"\[(?:h{1,2}|m{1,2}|s{1,2})\]", re.IGNORECASE)
# As many digits as Excel knows: what is stored beyond them is noise of the computation.
_DIGITS: Final = 15
_LONG_NUMBER: Final = re.compile(r"-?\d*\.\d{4,}(?:[eE][+-]?\d{1,3})?")
_QUOTED: Final = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.')
_Shown = Literal["number", "percent", "date", "time", "elapsed"]
# Excel counts a 29th of February 1900, which there was none: days before it are one off.
_FALSE_LEAP_DAY: Final = 60
_EPOCH: Final = datetime.datetime(1899, 12, 30)
_EPOCH_1904: Final = datetime.datetime(1904, 1, 1)
_LAST_DAY: Final = 2_958_465
# Excel takes no longer format of a cell.
_MAX_CODE_CHARS: Final = 255


def sheets_sections(data: bytes, parser_notes: ParserNotes, outline: Outline) -> Iterator[Section]:
    """One section a sheet, and its comments."""
    archive = Archive(data)
    main = main_part(archive, _WORKBOOK)
    book = _Workbook()
    hear_xml(archive.read(main), book)
    links = links_of(archive, main)
    strings, styles = _Strings(), _Formats(book.since_1904)
    for link in links:
        if link.kind == "sharedStrings":
            hear_xml(archive.read(link.part), strings)
        elif link.kind == "styles":
            hear_xml(archive.read(link.part), styles)
    parts = {link.id: link.part for link in links if link.kind in ("worksheet", "chartsheet")}
    tell_of_embedded(archive, parts.values(), parser_notes)
    parser_notes.title = office_title(archive)
    for name, key in book.sheets:
        if key not in parts:
            parser_notes.notes.append(f"the sheet {name} is missing")
            continue
        outline.restart(parser_notes.title)
        builder = TextBuilder()
        path = outline.enter(1, name)
        rows, more = _Rows(strings.texts, styles), 0
        try:
            hear_xml(archive.read(parts[key]), rows)
            builder.add("heading", name, path)
            builder.add_table(rows.rows, path)
            for kind, text in _beside(archive, parts[key]):
                builder.add(kind, text, path)
                more += len(text)
        except Unreadable as error:
            parser_notes.notes.append(f"the sheet {name} was not read: it {error}")
        if rows.rows or more:
            yield builder.take()
    parser_notes.title = parser_notes.title or (book.sheets[0][0] if len(book.sheets) == 1 else "")


def _beside(archive: Archive, sheet: str) -> Iterator[tuple[BlockKind, str]]:
    """Comments of a sheet's cells, and the words of its boxes and charts."""
    for link in links_of(archive, sheet):
        if link.kind in ("comments", "threadedComment"):
            comments = _Strings("comment" if link.kind == "comments" else "threadedComment", "text")
            hear_xml(archive.read(link.part), comments)
            yield "lines", "\n".join(comments.texts)
        elif link.kind == "drawing":
            yield "lines", drawing_text(archive, link.part)
            for inner in links_of(archive, link.part):
                if inner.kind in DRAWINGS:
                    yield "lines", drawing_text(archive, inner.part)


class _Workbook:
    """Hears the sheets' names and relationships in their order, and from when days are counted."""

    def __init__(self) -> None:
        self.sheets: Final[list[tuple[str, str]]] = []
        self.since_1904 = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "sheet":
            self.sheets.append((attributes.get("name", ""), attributes.get("id", "")))
        elif tag == "workbookPr":
            self.since_1904 = attributes.get("date1904", "") in ("1", "true")

    def end(self, tag: str) -> None:
        pass

    def data(self, text: str) -> None:
        pass


class _Strings:
    """Hears texts that are elements of their own; how they are read aloud left out."""

    def __init__(self, item: str = "si", text: str = "t") -> None:
        self.texts: Final[list[str]] = []
        self._item: Final = item
        self._text: Final = frozenset({"t", text})
        self._parts: list[str] = []
        self._inside = False
        self._aloud = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._aloud += tag == "rPh"
        self._inside = tag in self._text and not self._aloud

    def end(self, tag: str) -> None:
        self._inside = False
        self._aloud -= tag == "rPh"
        if tag == self._item:
            self.texts.append(_plain("".join(self._parts)))
            self._parts.clear()

    def data(self, text: str) -> None:
        if self._inside:
            self._parts.append(text)


class _Formats:
    """Hears which styles of cells show dates, times and percentages."""

    def __init__(self, since_1904: bool) -> None:
        self._epoch: Final = _EPOCH_1904 if since_1904 else _EPOCH
        self._codes: dict[int, str] = {}
        self._styles: list[int] = []
        self._shows: dict[int, _Shown] = {}
        self._in_cells = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "numFmt":
            self._codes[_number(attributes.get("numFmtId", ""))] = attributes.get("formatCode", "")[:_MAX_CODE_CHARS]
        elif tag == "cellXfs":
            self._in_cells = True
        elif tag == "xf" and self._in_cells:
            self._styles.append(_number(attributes.get("numFmtId", "")))

    def end(self, tag: str) -> None:
        self._in_cells = self._in_cells and tag != "cellXfs"

    def data(self, text: str) -> None:
        pass

    def shown(self, value: str, style: str) -> str:
        """A number as the cell of this style shows it, as far as dates and percentages go."""
        at = _number(style)
        kind = self._styles[at] if 0 <= at < len(self._styles) else 0
        if kind not in self._shows:
            self._shows[kind] = self._shown(kind)
        shows = self._shows[kind]
        if shows == "number":
            return _rounded(value) if _LONG_NUMBER.fullmatch(value) else value
        try:
            days = float(value)
        except ValueError:
            return value
        if not math.isfinite(days):
            return value
        if shows == "percent":
            return f"{days * 100:.{_DIGITS}g}%"
        if not 0 <= days <= _LAST_DAY:
            return value
        if shows == "elapsed":
            seconds = round(days * 86_400)
            return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        if shows != "time" and days < _FALSE_LEAP_DAY and self._epoch == _EPOCH:
            days += 1
        moment = self._epoch + datetime.timedelta(days=days)
        moment = (moment + datetime.timedelta(milliseconds=500)).replace(microsecond=0)
        if shows == "time":
            return moment.time().isoformat()
        return moment.date().isoformat() if days == int(days) else moment.isoformat(sep=" ")

    def _shown(self, kind: int) -> _Shown:
        """The meaning of a number in a format."""
        written = self._codes.get(kind, "")
        code = _QUOTED.sub("", written).lower()
        if kind in _PERCENT_FORMATS or "%" in code:
            return "percent"
        if kind in _DATE_FORMATS or "y" in code or "d" in code or "mmm" in code:
            return "date"
        if kind in _ELAPSED_FORMATS or _ELAPSED.search(written):
            return "elapsed"
        return "time" if kind in _TIME_FORMATS or "h" in code or "ss" in code else "number"


def _rounded(value: str) -> str:
    """A number without the digits that nobody typed."""
    shown = f"{float(value):.{_DIGITS}g}"
    return value if "e" in shown else shown


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


class _Rows:
    """Hears a sheet: each row that is not empty as a line."""

    def __init__(self, strings: list[str], formats: _Formats) -> None:
        self.rows: Final[list[str]] = []
        self._strings: Final = strings
        self._formats: Final = formats
        self._cells: list[str] = []
        self._parts: list[str] = []
        self._kind = self._style = ""
        self._column = 0
        self._inside = self._in_formula = self._has_value = False
        self._formula: list[str] = []
        self._aloud = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._aloud += tag == "rPh"
        self._inside = tag in ("v", "t") and not self._aloud
        self._has_value |= self._inside
        self._in_formula = tag == "f"
        if tag == "c":
            self._has_value = False
            self._kind, self._style = attributes.get("t", "n"), attributes.get("s", "")
            found = _REFERENCE.fullmatch(attributes.get("r", ""))
            self._column = _column(found[1]) if found is not None else len(self._cells)
        elif tag == "row":
            self._cells.clear()

    def end(self, tag: str) -> None:
        self._inside = self._in_formula = False
        self._aloud -= tag == "rPh"
        if tag == "c":
            gap = min(self._column - len(self._cells), _MOST_GAP_COLUMNS)
            if len(self._cells) < _MOST_COLUMNS:
                self._cells += [""] * gap + [self._shown()]
            self._parts.clear()
            self._formula.clear()
        elif tag == "row":
            while self._cells and not self._cells[-1]:
                self._cells.pop()
            if self._cells:
                if len(self.rows) >= _MOST_ROWS:
                    raise Unreadable("has more rows than a sheet may have")
                self.rows.append(" | ".join(self._cells))

    def data(self, text: str) -> None:
        if self._inside:
            self._parts.append(text)
        elif self._in_formula:
            self._formula.append(text)

    def _shown(self) -> str:
        """The cell's value, or its formula where no program has computed it yet."""
        if self._formula and not self._has_value:
            return f"={_plain(''.join(self._formula))}"
        return self._value("".join(self._parts).strip())

    def _value(self, text: str) -> str:
        match self._kind:
            case "s":
                at = _number(text)
                return self._strings[at] if 0 <= at < len(self._strings) else ""
            case "b":
                return {"1": "TRUE", "0": "FALSE"}.get(text, text)
            case "n":
                return self._formats.shown(text, self._style)
            case _:
                return _plain(text)


def _plain(text: str) -> str:
    """A text in one line; what XML cannot have is written by its number."""
    return " ".join(_NUMBERED.sub(lambda found: chr(int(found[1], 16)), text).split())


def _column(letters: str) -> int:
    made = 0
    for letter in letters:
        made = made * 26 + ord(letter) - 64
    return made - 1
