"""Manual pages in the languages of `man` and `mdoc`: sections, paragraphs, examples; titled `name(section)`. No I/O.

A page that is formatted already, its bold letters struck twice, is read as plain text. Nothing is run or opened: of
macros that a page defines the names alone are passed over, and a page that only names another says so.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from agentgw_daemon.workers.retrieval.reading.blocks import Outline, Section, TextBuilder
from agentgw_daemon.workers.retrieval.reading.characters import clean
from agentgw_daemon.workers.retrieval.reading.decoding import decode
from agentgw_daemon.workers.retrieval.reading.encodings.declared import in_text
from agentgw_daemon.workers.retrieval.reading.formats.plain import plain_blocks
from agentgw_daemon.workers.retrieval.reading.values import ParserNotes, Unreadable

_REQUEST: Final = re.compile(r"^[.'][ \t]*([A-Za-z0-9%\\\"]{1,16})[ \t]*(.*)$")
_ARGUMENT: Final = re.compile(r'"((?:[^"]|"")*)"?|(\S+)')
_ESCAPE: Final = re.compile(
    r"""\\(?:
      (?P<comment>["#].*)
    | f(?:\[[^\]]{0,80}\]|\(..|.)                                    # fonts
    | s(?:\[[^\]]{0,80}\]|[+-]?\(..|[+-]?'[^']{0,200}'|[+-]?\d{1,2})         # sizes
    | [hvwblLoDXAxzZRSHN]'[^']{0,200}'                                # moves and lines
    | (?P<string>\*(?:\[[^\]]{0,80}\]|\(..|.)) | n[+-]?(?:\[[^\]]{0,80}\]|\(..|.) | [mMkFgVYO](?:\[[^\]]{0,80}\]|\(..|.)
    | \[(?P<long>[^\]]{0,80})\] | \((?P<short>..) | (?P<one>.)
    )""",
    re.VERBOSE,
)
_GLYPHS: Final = {
    "em": "—", "en": "–", "hy": "-", "mi": "−", "bu": "•", "co": "©", "rg": "®", "tm": "™", "lq": "“", "rq": "”",
    "oq": "‘", "cq": "’", "aq": "'", "dq": '"', "ga": "`", "ha": "^", "ti": "~", "rs": "\\", "sl": "/", "ba": "|",
    "at": "@", "sh": "#", "Do": "$", "Eu": "€", "->": "→", "<-": "←", ">=": "≥", "<=": "≤", "!=": "≠", "mu": "×",
    "+-": "±", "de": "°", "ss": "ß", "'e": "é", "`e": "è", "'a": "á", "`a": "à", ":a": "ä", ":o": "ö", ":u": "ü",
    ":A": "Ä", ":O": "Ö", ":U": "Ü", "'o": "ó", "'u": "ú", "'i": "í", "~n": "ñ", ",c": "ç", "oA": "Å", "oa": "å",
    "/o": "ø", "/O": "Ø", "ae": "æ", "AE": "Æ", "lB": "[", "rB": "]", "lC": "{", "rC": "}", "la": "⟨", "ra": "⟩",
    "R": "®", "Tm": "™", "Lq": "“", "Rq": "”", "ff": "ff", "fi": "fi", "fl": "fl", "Fi": "ffi", "Fl": "ffl", "oe": "œ",
    "OE": "Œ", "IJ": "IJ", "ij": "ij", "/l": "ł", "/L": "Ł", "-D": "Đ", "Sd": "ð", "TP": "Þ", "Tp": "þ", ".i": "ı",
    "Fo": "«", "Fc": "»", "fo": "‹", "fc": "›", "Bq": "„", "bq": "‚", "r!": "¡", "r?": "¿", "sc": "§", "ps": "¶",
    "dg": "†", "dd": "‡", "pc": "·", "md": "·", "OK": "✓", "12": "½", "14": "¼", "34": "¾", "S1": "¹", "S2": "²",
    "S3": "³", "Po": "£", "Ye": "¥", "ct": "¢", "Cs": "¤", "pl": "+", "eq": "=", "**": "∗", "no": "¬", "if": "∞",
    "sr": "√", "su": "∑", "fm": "′", "sd": "″", "uA": "⇑", "dA": "⇓", "ua": "↑", "da": "↓", "rA": "⇒", "lA": "⇐",
    "<>": "↔", "~=": "≅", "~~": "≈", "==": "≡", "di": "÷", "tmu": "×", "es": "∅", "mo": "∈", "%0": "‰", "or": "|",
    "bv": "|", "ul": "_", "Of": "ª", "Om": "º", "lh": "☜", "rh": "☞", "sq": "□", "ci": "○",
}  # fmt: skip
# Before a letter: what it has above or below.
_ACCENTS: Final = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", ":": "\u0308", "~": "\u0303", ",": "\u0327", "v": "\u030c",
    "o": "\u030a",
}  # fmt: skip
_GREEK: Final = dict(
    zip(
        "abgdezyhiklmncoprstufxqwABGDEZYHIKLMNCOPRSTUFXQW",
        "αβγδεζηθικλμνξοπρστυφχψωΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ",
        strict=True,
    )
)
_ONES: Final = {"-": "-", "e": "\\", "\\": "\\", "~": " ", " ": " ", "0": " ", "'": "’", "`": "‘", "t": "\t", ".": "."}
_UNICODE: Final = re.compile(r"u([0-9A-Fa-f]{4,6})")
_PARAGRAPH_NAMES: Final = "PP P LP HP sp br Pp Lp RS RE IP TP TQ It Bl El Bd Ed D1 Dl Nd"
_PARAGRAPHS: Final = frozenset(_PARAGRAPH_NAMES.split())
_SECTIONS: Final = {"SH": 1, "Sh": 1, "SS": 2, "Ss": 2}
_FONTS: Final = frozenset({"B", "I", "SB", "SM", "R"})
_ALTERNATING: Final = frozenset({"BR", "RB", "BI", "IB", "IR", "RI"})
_LITERAL: Final = {"nf": True, "EX": True, "fi": False, "EE": False, "Bd": True, "Ed": False}
_DEFINITIONS: Final = frozenset({"de", "de1", "ig", "am", "dei"})
# Of mdoc: macros whose arguments are text, some with a sign around.
_SIGNS: Final = {
    "Fl": ("-", ""), "Op": ("[", "]"), "Pq": ("(", ")"), "Qq": ('"', '"'), "Dq": ("“", "”"), "Sq": ("‘", "’"),
    "Bq": ("[", "]"), "Aq": ("<", ">"), "Brq": ("{", "}"),
}  # fmt: skip
_CALLABLE_NAMES: Final = """
    Ar Cm Dv Em Er Ev Fa Fn Ft Fd In Ic Li Nm No Ns Ot Pa Sy Ta Tn Ux Va Vt Xr Ql Bx Nx Ox Fx At St Lk Mt Ms Sm Ad An
    Fl Op Pq Qq Dq Sq Bq Aq Brq Cd
"""
_CALLABLE: Final = frozenset(_CALLABLE_NAMES.split())
_CLOSING: Final = frozenset(".,:;)]?!")
_POINTER: Final = re.compile(r"\A(?:[.']\\\".*\n|\s)*\.so[ \t]+(\S{1,200})\s*\Z")
_HEADER: Final = re.compile(r"\A\s*(\S{1,60}\(\d\w{0,9}\))\s.{0,300}?\s\1\s*$", re.MULTILINE)
_NAME_LINE: Final = re.compile(
    r"^NAME[ \t]*\r?\n(?:[ \t]*\r?\n)?[ \t]+(\S[^\n]{0,199}?)[ \t]+(?:--?|[–—])[ \t]", re.MULTILINE
)
_OVERSTRUCK: Final = re.compile(".\b")


def man_section(data: bytes, parser_notes: ParserNotes, outline: Outline) -> Iterator[Section]:
    """The page as one section."""
    page = decode(data, in_text(data))
    text = clean(page.text.replace("\r\n", "\n"))
    if (other := _POINTER.match(text)) is not None:
        raise Unreadable(f"only names another page, {other[1]}")
    if page.note:
        parser_notes.notes.append(page.note)
    builder = TextBuilder()
    if "\b" in text:
        parser_notes.title = shown_title(text)
        outline.restart(parser_notes.title)
        text = _OVERSTRUCK.sub("", text)
        for block in plain_blocks(text, outline):
            builder.add(block.kind, text[block.start : block.end], block.path)
        yield builder.take()
        return
    writer = _ManWriter(builder, outline)
    writer.write(text)
    parser_notes.title = writer.title or outline.first
    yield builder.take()


def shown_title(text: str) -> str:
    """The title of a manual page as a terminal shows it: `ls(1)`, or its name; empty for another text."""
    head = _OVERSTRUCK.sub("", text[:4000])
    if (found := _HEADER.match(head)) is not None:
        return found[1].lower() if found[1].upper() == found[1] else found[1]
    found = _NAME_LINE.search(head)
    return found[1].split(",")[0].strip() if found is not None else ""


class _ManWriter:
    def __init__(self, builder: TextBuilder, outline: Outline) -> None:
        self._builder: Final = builder
        self._outline: Final = outline
        self._lines: list[str] = []
        self._literal = False
        self._table = 0  # 1: its options and formats; 2: its rows
        self._rows: list[str] = []
        self._ends = ""  # the line that ends a definition
        self._name = ""
        self.title = ""

    def write(self, text: str) -> None:
        lines = iter(text.split("\n"))
        for first in lines:
            parts = [first]
            while parts[-1].endswith("\\") and not parts[-1].endswith("\\\\"):
                parts[-1] = parts[-1][:-1]
                parts.append(next(lines, ""))
            line = "".join(parts)
            if self._ends:
                # A section ends a definition too, whose end is missing.
                ended = "".join(line.split()) == self._ends or line.startswith((".SH", ".Sh"))
                self._ends = "" if ended else self._ends
                if ended and line.startswith(".S"):
                    self._request(line[1:3], line[3:])
            elif self._table:
                self._in_table(line)
            elif (request := _REQUEST.match(line)) is not None:
                self._request(request[1], request[2])
            elif line.startswith((".", "'")) and len(line) < 3:
                continue
            elif not line.strip() and not self._literal:
                self._flush()
            else:
                self._lines.append(_plain(line))
        self._end_table()
        self._flush()

    def _request(self, name: str, rest: str) -> None:
        if name.startswith("\\"):
            return
        if name in _DEFINITIONS:
            words = rest.split()
            self._ends = "." + (words[1] if len(words) > 1 else ".")
        elif name in ("TH", "Dt"):
            words = _arguments(rest)
            if words and not self.title:
                section = f"({words[1]})" if len(words) > 1 and words[1] else ""
                shown = words[0].lower() if words[0].isupper() else words[0]
                self.title = f"{shown}{section}"
                self._outline.restart(self.title)
        elif name in _SECTIONS:
            self._flush()
            self._literal = False
            title = " ".join(_arguments(rest))
            self._builder.add("heading", title, self._outline.enter(_SECTIONS[name], title))
        elif name == "TS":
            self._flush()
            self._table = 1
        else:
            self._text(name, rest)

    def _text(self, name: str, rest: str) -> None:
        if name in _PARAGRAPHS or name in _LITERAL:
            self._flush()
            self._literal = _LITERAL.get(name, self._literal)
        words = _arguments(rest)
        if name in _ALTERNATING:
            self._lines.append("".join(words))
        elif name in _FONTS or name in ("UR", "MT"):
            self._lines.append(" ".join(words))
        elif name in ("IP", "It") and words and not words[0].startswith("-width"):
            shown = words[:1] if name == "IP" else [_called(words)]
            self._lines.append(shown[0])
        elif name in ("OP", "SY"):
            self._lines.append(f"[{' '.join(words)}]" if name == "OP" else " ".join(words))
        elif name in _CALLABLE:
            if name == "Nm":
                self._name = self._name or (words[0] if words else "")
                words = words or [self._name]
            self._lines.append(_called([name, *words]))
        elif name == "Nd":
            self._lines.append("- " + " ".join(words))

    def _in_table(self, line: str) -> None:
        if line.startswith(".TE"):
            self._end_table()
        elif self._table == 1:
            self._table = 2 if line.rstrip().endswith(".") else 1
        elif not line.startswith(".") and line.strip("_=\t ") and line.strip() not in ("T}", "T{"):
            cells = [_plain(cell).removeprefix("T{").removesuffix("T}").strip() for cell in line.split("\t")]
            self._rows.append(" | ".join(filter(None, cells)))

    def _end_table(self) -> None:
        rows, self._rows, self._table = self._rows, [], 0
        if rows:
            self._builder.add_table(rows, self._outline.path)

    def _flush(self) -> None:
        lines, self._lines = self._lines, []
        if self._literal:
            self._builder.add("whole", "\n".join(lines), self._outline.path)
        else:
            self._builder.add("prose", "\n".join(filter(str.strip, lines)), self._outline.path)


def _arguments(rest: str) -> list[str]:
    rest = re.sub(r'\\".*', "", rest)
    return [
        _plain(found[1].replace('""', '"') if found[1] is not None else found[2]) for found in _ARGUMENT.finditer(rest)
    ]


def _called(words: list[str]) -> str:
    """The text of mdoc's macros within a line."""
    made: list[str] = []
    closing: list[str] = []
    glue = False
    refers = 0  # 1: to the page that is named next; 2: its section is next
    for word in words:
        if refers == 2 and word[:1].isalnum():
            made[-1] += f"({word})"
            refers = 0
            continue
        refers = 1 if word == "Xr" else 2 * (refers == 1)
        if word in _SIGNS and word != "Fl":
            made.append((made.pop() if glue and made else "") + _SIGNS[word][0])
            closing.append(_SIGNS[word][1])
            glue = True
        elif word == "Fl":
            made.append((made.pop() if glue and made else "") + "-")
            glue = True
        elif word == "Ns":
            glue = True
        elif word in _CALLABLE:
            continue
        elif made and (glue or word in _CLOSING):
            made[-1] += word
            glue = False
        else:
            made.append(word)
    return " ".join(made) + "".join(reversed(closing))


def _plain(text: str) -> str:
    """The text without its escapes."""
    return _ESCAPE.sub(_glyph, text) if "\\" in text else text


def _glyph(found: re.Match[str]) -> str:
    name = found["long"] or found["short"]
    if found["string"]:
        name = found["string"][1:].strip("[]").lstrip("(")
        return _GLYPHS.get(name, "")
    if name is not None:
        if (number := _UNICODE.match(name)) is not None and int(number[1], 16) < 0x110000:
            return chr(int(number[1], 16))
        return _GLYPHS.get(name) or _letter(name)
    return _ONES.get(found["one"], "") if found["one"] is not None else ""


def _letter(name: str) -> str:
    """The letter that a glyph's name of two signs makes; empty for another."""
    if len(name) != 2:
        return ""
    if name[0] == "*":
        return _GREEK.get(name[1], "")
    made = unicodedata.normalize("NFC", name[1] + _ACCENTS.get(name[0], ""))
    return made if len(made) == 1 and made != name[1] else ""
