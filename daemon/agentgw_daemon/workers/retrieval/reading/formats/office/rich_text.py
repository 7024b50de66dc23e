"""Rich text (RTF): paragraphs, headings by their outline levels, tables. Does no I/O; linear in the text.

A reader of its own: striprtf gives one string without headings, and its patterns run over the whole text many times.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Final

from agentgw_daemon.workers.retrieval.reading.blocks import Outline, Section, TextBuilder
from agentgw_daemon.workers.retrieval.reading.formats.office.symbols import symbol_at
from agentgw_daemon.workers.retrieval.reading.values import ParserNotes, Unreadable

_TOKEN: Final = re.compile(
    rb"\\([A-Za-z]{1,32})(-?\d{1,20})? ?|\\'([0-9A-Fa-f]{2})|\\([^A-Za-z])|([{}])|[\r\n]+|([^\\{}\r\n]+)", re.DOTALL
)
# Groups that are no text: tables of fonts and styles, pictures, fields' codes, what newer programs know.
_SKIPPED_NAMES: Final = """
    fonttbl colortbl stylesheet listtable listoverridetable revtbl rsidtbl generator pict object objdata themedata
    colorschememapping datastore latentstyles xmlnstbl fldinst filetbl bkmkstart bkmkend pntext pnseclvl mmathPr
    datafield template operator company manager category keywords comment subject author doccomm shpinst sp
    listtext nonshppict xe rxe tc tcn
"""
_SKIPPED: Final = frozenset(word.encode() for word in _SKIPPED_NAMES.split())
# The same that must be read although a program may pass over them.
_KEPT: Final = frozenset({b"shptxt", b"footnote", b"annotation", b"atrfstart"})
_NOTES: Final = frozenset({b"footnote", b"annotation"})
_CHARACTERS: Final = {
    b"tab": "\t", b"line": "\n", b"lquote": "‘", b"rquote": "’", b"ldblquote": "“", b"rdblquote": "”",
    b"bullet": "•", b"endash": "–", b"emdash": "—", b"emspace": " ", b"enspace": " ", b"qmspace": " ",
}  # fmt: skip
_SYMBOLS: Final = {b"~": " ", b"_": "-", b"-": "", b"\\": "\\", b"{": "{", b"}": "}", b"\n": "\n", b"\r": "\n"}
_CODE_PAGES: Final = {b"ansi": "cp1252", b"mac": "mac_roman", b"pc": "cp437", b"pca": "cp850"}
_CHARSETS: Final = {
    0: "cp1252", 77: "mac_roman", 128: "cp932", 129: "cp949", 134: "gb18030", 136: "big5hkscs", 161: "cp1253",
    162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874",
    238: "cp1250",
}  # fmt: skip
# Of Python's; what is above has a number of its own.
_LAST_CODE_PAGE: Final = 1361
_SYMBOLS_CHARSET: Final = 2
_MOST_DEPTH: Final = 10_000
_LONE: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def rich_text_sections(data: bytes, parser_notes: ParserNotes, outline: Outline) -> Iterator[Section]:
    """The document as one section."""
    builder = TextBuilder()
    reader = _RichTextReader(builder, outline)
    reader.read(data[max(0, data.find(b"{")) :])
    parser_notes.title = reader.title or outline.first
    yield builder.take()


class _Group:
    """Settings that hold up to the closing brace."""

    __slots__ = ("after_unicode", "destination", "encoding", "hidden", "level", "skipped")

    def __init__(self, outer: _Group | None = None) -> None:
        self.skipped: bool = outer.skipped if outer is not None else False
        self.hidden: frozenset[bytes] = outer.hidden if outer is not None else frozenset()
        self.encoding: str = outer.encoding if outer is not None else ""
        self.after_unicode: int = outer.after_unicode if outer is not None else 1
        self.destination: bytes = outer.destination if outer is not None else b""
        self.level: int = outer.level if outer is not None else 0


# Of no code page: letters of other scripts and signs at the places of ASCII.
_SYMBOL: Final = "symbol"


class _RichTextReader:
    def __init__(self, builder: TextBuilder, outline: Outline) -> None:
        self._builder: Final = builder
        self._outline: Final = outline
        self._groups = [_Group()]
        self._code_page = "cp1252"
        self._fonts: dict[int, str] = {}
        self._font = -1
        self._levels: dict[int, int] = {}
        self._style = 0
        self._text: list[str] = []
        self._bytes = bytearray()  # of one encoding, a letter of which may have two
        self._to_skip = 0
        self._starred = False
        self._cells: list[str] = []
        self._rows: list[str] = []
        self._in_table = False
        self._title: list[str] = []
        self.title = ""

    def read(self, data: bytes) -> None:
        """Reads all of it. Raises Unreadable for what is nested without end."""
        at = 0
        while (token := _TOKEN.match(data, at)) is not None:
            at = token.end()
            word, number, coded, symbol, brace, plain = token.groups()
            if word is not None:
                value = int(number) if number is not None else None
                if word == b"bin" and value is not None:
                    at += max(0, value)
                else:
                    self._word(word, value)
            elif coded is not None:
                self._coded(bytes.fromhex(coded.decode()))
            elif brace is not None:
                self._brace(brace)
            elif symbol is not None:
                self._symbol(symbol)
            elif plain is not None:
                self._coded(plain)
        self._paragraph()
        self._end_table()
        self.title = " ".join("".join(self._title).split())

    def _brace(self, brace: bytes) -> None:
        self._decode()
        self._starred = False
        self._to_skip = 0
        if brace == b"{":
            if len(self._groups) > _MOST_DEPTH:
                raise Unreadable("is nested too deeply")
            self._groups.append(_Group(self._groups[-1]))
        elif len(self._groups) > 1:
            ended = self._groups.pop()
            if ended.destination in _NOTES and ended.destination != self._groups[-1].destination:
                self._text.append(" ")

    def _symbol(self, symbol: bytes) -> None:
        if symbol == b"*":
            self._starred = True
        else:
            self._put(_SYMBOLS.get(symbol, ""))

    def _word(self, word: bytes, value: int | None) -> None:
        group = self._groups[-1]
        if word in _SKIPPED or (self._starred and word not in _KEPT):
            self._decode()
            group.skipped, group.destination = True, word
        elif word == b"shptxt":
            # Words in a box, in the middle of what says how it looks.
            group.skipped, group.destination = False, b""
        self._starred = False
        if self._fonts_and_styles(group, word, value) or group.skipped:
            return
        match word:
            case b"par" | b"sect" | b"page":
                self._paragraph()
            case b"pard":
                self._style, group.level, self._in_table = 0, 0, False
            case b"intbl":
                self._in_table = True
            case b"cell" | b"nestcell":
                self._cells.append(" ".join(self._taken().split()))
            case b"row" | b"nestrow":
                if self._cells:
                    self._rows.append(" | ".join(self._cells))
                self._cells.clear()
            case b"s":
                self._style = value or 0
            case b"outlinelevel":
                group.level = (value or 0) + 1 if (value or 0) < 9 else 0
            case b"u" if value is not None:
                self._decode()
                self._put(chr(value & 0xFFFF))
                self._to_skip = group.after_unicode
            case b"uc":
                group.after_unicode = min(max(value or 0, 0), 16)
            case b"deleted" | b"v":
                self._decode()
                group.hidden = group.hidden - {word} if value == 0 else group.hidden | {word}
            case b"plain":
                self._decode()
                group.hidden, group.encoding = frozenset(), ""
            case b"title":
                group.destination = b"title"
            case b"info":
                group.destination = b"info"
            case b"footnote" | b"annotation":
                self._text.append(" ")
                group.destination = word
            case _ if word in _CHARACTERS:
                self._put(_CHARACTERS[word])

    def _fonts_and_styles(self, group: _Group, word: bytes, value: int | None) -> bool:
        """Takes words about code pages, and those in the tables of fonts and styles; tells whether it was one."""
        if word in _CODE_PAGES:
            self._code_page = _CODE_PAGES[word]
        elif word == b"ansicpg" and value is not None:
            self._code_page = _encoding_of(value) or self._code_page
        elif word in (b"f", b"af") and value is not None:
            self._decode()
            self._font = value
            group.encoding = self._fonts.get(value, "") if group.destination != b"fonttbl" else ""
        elif word == b"fcharset" and group.destination == b"fonttbl":
            self._fonts[self._font] = _SYMBOL if value == _SYMBOLS_CHARSET else _CHARSETS.get(value or 0, "")
        elif group.destination == b"stylesheet":
            if word == b"s":
                self._style = value or 0
            elif word == b"outlinelevel" and 0 <= (value or 0) < 9:
                self._levels[self._style] = (value or 0) + 1
        else:
            return False
        return True

    def _coded(self, data: bytes) -> None:
        if self._to_skip:
            # Bytes that stand for a letter where Unicode is not known.
            skipped = min(self._to_skip, len(data))
            self._to_skip -= skipped
            data = data[skipped:]
        if not self._groups[-1].skipped and not self._groups[-1].hidden:
            self._bytes += data

    def _decode(self) -> None:
        if self._bytes:
            encoding = self._groups[-1].encoding or self._code_page
            if encoding == _SYMBOL:
                self._store("".join(map(symbol_at, self._bytes)))
            else:
                self._store(self._bytes.decode(encoding, "replace"))
            self._bytes.clear()

    def _put(self, text: str) -> None:
        self._decode()
        if not self._groups[-1].skipped and not self._groups[-1].hidden:
            self._store(text)

    def _store(self, text: str) -> None:
        match self._groups[-1].destination:
            case b"title":
                self._title.append(text)
            case b"info":
                pass
            case _:
                self._text.append(text)

    def _taken(self) -> str:
        self._decode()
        text = "".join(self._text)
        self._text.clear()
        return _LONE.sub(lambda pair: pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le"), text)

    def _paragraph(self) -> None:
        self._decode()
        if self._in_table:
            self._text.append(" ")
            return
        text = self._taken().strip()
        self._end_table()
        if not text:
            return
        level = self._groups[-1].level or self._levels.get(self._style, 0)
        if level:
            self._builder.add("heading", text, self._outline.enter(level, text))
        else:
            self._builder.add("prose", text, self._outline.path)

    def _end_table(self) -> None:
        rows, self._rows = self._rows, []
        self._builder.add_table(rows, self._outline.path)


def _encoding_of(code_page: int) -> str:
    """Python's codec for a code page; empty without one."""
    if code_page == 65001:
        return "utf-8"
    # Each name that Python is asked for is looked for on the disk, and kept.
    if not 0 < code_page <= _LAST_CODE_PAGE:
        return ""
    try:
        return codecs.lookup(f"cp{code_page}").name
    except LookupError:
        return ""
