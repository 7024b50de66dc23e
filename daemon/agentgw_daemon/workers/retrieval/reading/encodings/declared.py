"""Encodings that documents name for themselves: pages, XML, style sheets, and sources for their editors.

Gives the name as it stands there; `labels` says what it means. Does no I/O.
"""

from __future__ import annotations

import re
from typing import Final

# As far as browsers look, and what pages with a long head need.
_HEAD_BYTES: Final = 4096
_XML: Final = re.compile(
    rb"[\s\xef\xbb\xbf]{0,200}<\?xml[^>]{0,200}?\sencoding\s{0,4}=\s{0,4}[\"']\s{0,4}([A-Za-z0-9_.:-]{2,40})"
)
_COMMENT: Final = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_META: Final = re.compile(rb"<meta[\s/]([^<>]{1,1000})>?", re.IGNORECASE)
_CHARSET: Final = re.compile(rb"charset\s{0,4}=\s{0,4}[\"']?\s{0,4}([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)
_STYLE: Final = re.compile(rb"(?:\xef\xbb\xbf)?@charset\s{1,4}[\"']([A-Za-z0-9_.:-]{2,40})[\"']")
# PEP 263 and Emacs: in the first two lines; Vim: in the first or last five.
_CODING: Final = re.compile(rb"(?:-\*-[^\n]{0,200}?|^[ \t\f]{0,20}#[^\n]{0,200}?)\bcoding[:=][ \t]{0,4}([-\w.]{2,40})")
_VIM: Final = re.compile(rb"\b(?:vim?|ex):[^\n]{0,200}?\b(?:fileencoding|fenc|encoding|enc)=([-\w.]{2,40})")
_MODE_LINES: Final = 5
_MODE_BYTES: Final = 1024
# `<?xml` in EBCDIC, in which the declaration itself is written, and in letters of two bytes.
_EBCDIC: Final = b"\x4c\x6f\xa7\x94\x93"


def in_page(data: bytes) -> str:
    """The encoding that an HTML page names; empty for none."""
    if found := in_xml(data):
        return found
    head = _COMMENT.sub(b"", data[:_HEAD_BYTES])
    for meta in _META.finditer(head):
        if (charset := _CHARSET.search(meta[1])) is not None:
            return charset[1].decode("ascii")
    return ""


def in_xml(data: bytes) -> str:
    """The encoding that an XML document names; empty for none."""
    head = data[:_HEAD_BYTES]
    if head.startswith(_EBCDIC):
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
    return ""
