"""Encodings that documents name for themselves: pages, XML, style sheets, and sources for editors and programs.

Gives the name as it stands there; `labels` says what it means. Does no I/O.
"""

from __future__ import annotations

import re
from typing import Final

# Browsers look at 1,024 bytes, and read a page anew where the name comes later; long heads have styles before it.
_PAGE_BYTES: Final = 64 << 10
_HEAD_BYTES: Final = 4096
_NAME: Final = rb"([A-Za-z0-9_][A-Za-z0-9_.:-]{1,40})"
_XML: Final = re.compile(
    rb"[\s\xef\xbb\xbf]{0,200}<\?xml[^>]{0,200}?\sencoding\s{0,4}=\s{0,4}[\"']\s{0,4}([A-Za-z0-9_.:-]{2,40})"
)
# Elements whose content is no page, and the one that names an encoding.
_NOT_SEEN: Final = re.compile(rb"<!--.*?(?:-->|\Z)|<(script|style)[\s>].*?(?:</\1|\Z)", re.DOTALL | re.IGNORECASE)
_META: Final = re.compile(rb"<meta[\s/]((?:[^<>\"']|\"[^\"]{0,1000}\"|'[^']{0,1000}'){1,1000})", re.IGNORECASE)
_ATTRIBUTE: Final = re.compile(
    rb"([A-Za-z-]{1,40})\s{0,4}=\s{0,4}(?:\"([^\"]{0,1000})\"|'([^']{0,1000})'|([^\s\"'>]{1,1000}))"
)
_CHARSET: Final = re.compile(rb"charset\s{0,4}=\s{0,4}[\"']?\s{0,4}" + _NAME, re.IGNORECASE)
_STYLE: Final = re.compile(rb"(?:\xef\xbb\xbf)?@charset\s{1,4}[\"']" + _NAME + rb"[\"']")
# PEP 263, Ruby and Emacs: in the first two lines; Vim: in the first or last five.
_REMARK: Final = rb"^[ \t\f]{0,20}(?:#|%|//|/\*|;|--|[.']\\\")"
_CODING: Final = re.compile(
    rb"(?:-\*-[^\n]{0,200}?|" + _REMARK + rb"[^\n]{0,200}?)(?:\b|en)coding[ \t]{0,2}[:=][ \t]{0,4}" + _NAME,
    re.IGNORECASE,
)
_VIM: Final = re.compile(rb"\b(?:vim?|ex):[^\n]{0,200}?\b(?:fileencoding|fenc|encoding|enc)=([-\w.]{2,40})")
_LOCAL: Final = re.compile(
    rb"\bLocal Variables:[^\n]{0,80}\n(?:[^\n]{0,200}\n){0,20}?[^\n]{0,20}\bcoding:[ \t]{0,9}" + _NAME
)
# Of formats that have a word for it: LaTeX, Texinfo, AsciiDoc, catalogues of translations.
_WORDS: Final = re.compile(
    rb"^[ \t]{0,9}(?:\\usepackage[ \t]{0,4}\[(?:[^\]\n]{0,80},)?[ \t]{0,4}([\w-]{2,40})[ \t]{0,4}\][ \t]{0,4}"
    rb"\{inputenc\}"
    rb"|@documentencoding[ \t]{1,9}([\w.-]{2,40})|:encoding:[ \t]{1,9}([\w.-]{2,40})"
    rb"|(?:msgstr[ \t]{1,4})?\"Content-Type:[^\"\n]{0,80}charset=([\w.-]{2,40}))",
    re.MULTILINE,
)
# Names that only LaTeX has.
_OF_LATEX: Final = {
    "ansinew": "cp1252", "applemac": "mac_roman", "macce": "mac_latin2", "utf8x": "utf-8", "utf8cjk": "utf-8",
    "cp437de": "cp437", "koi8-t": "koi8_t", "next": "",
}  # fmt: skip
_MODE_LINES: Final = 5
_MODE_BYTES: Final = 1024
_END_BYTES: Final = 3000
# `<?xml` in EBCDIC, in which the declaration itself is written, and in letters of two bytes.
EBCDIC: Final = b"\x4c\x6f\xa7\x94\x93"


def in_page(data: bytes) -> str:
    """The encoding that an HTML page names; empty for none."""
    if found := in_xml(data):
        return found
    for meta in _META.finditer(_NOT_SEEN.sub(b"", data[:_PAGE_BYTES])):
        if found := _in_meta(meta[1]):
            return found
    return ""


def _in_meta(attributes: bytes) -> str:
    """The encoding that a `<meta>` names: as such, or in its content where that is no description or the like."""
    named = {
        found[1].lower(): next((value for value in found.groups()[1:] if value is not None), b"")
        for found in _ATTRIBUTE.finditer(attributes)
    }
    charset = named.get(b"charset", b"").strip()
    if not charset and b"name" not in named and b"property" not in named:
        found = _CHARSET.search(named.get(b"content", b""))
        charset = found[1] if found is not None else b""
    return charset.removesuffix(b"/").decode("ascii", "replace")


def in_xml(data: bytes) -> str:
    """The encoding that an XML document names; empty for none."""
    head = data[:_HEAD_BYTES]
    if head.startswith(EBCDIC):
        head = head[:512].decode("cp037").encode("ascii", "replace")
    found = _XML.match(head)
    return "" if found is None else found[1].decode("ascii")


def in_text(data: bytes) -> str:
    """The encoding that a text names for whoever edits or runs it; empty for none."""
    head = data[:_MODE_BYTES]
    if (style := _STYLE.match(head)) is not None:
        return style[1].decode("ascii")
    if found := in_xml(data):
        return found
    first = head.split(b"\n", _MODE_LINES)[:_MODE_LINES]
    for line in first[:2]:
        if (coding := _CODING.search(line)) is not None:
            return coding[1].decode("ascii", "replace")
    for line in first + data[-_MODE_BYTES:].rstrip().split(b"\n")[-_MODE_LINES:]:
        if (vim := _VIM.search(line)) is not None:
            return vim[1].decode("ascii", "replace")
    if (word := _WORDS.search(data, 0, _HEAD_BYTES)) is not None:
        name = next(group for group in word.groups() if group is not None).decode("ascii", "replace")
        return _OF_LATEX.get(name, name)
    local = _LOCAL.search(data, max(0, len(data) - _END_BYTES))
    return local[1].decode("ascii", "replace") if local is not None else ""
