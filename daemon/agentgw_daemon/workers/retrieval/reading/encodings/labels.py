"""Codecs of Python for the names that documents give encodings, as browsers take them. Does no I/O."""

from __future__ import annotations

import codecs
import re
from typing import Final

import webencodings

# A label of the web means what most pages with it are in, which has all of the letters that it names, and more.
_WIDER: Final = {
    "shift_jis": "cp932", "euc-kr": "cp949", "gbk": "gb18030", "big5": "big5hkscs", "macintosh": "mac_roman",
    "x-mac-cyrillic": "mac_cyrillic", "windows-874": "cp874", "iso-8859-8-i": "iso8859_8",
    "iso-2022-jp": "iso2022_jp_ext", "utf-16le": "utf_16_le", "utf-16be": "utf_16_be",
}  # fmt: skip
# The same of names that only Python has.
_WIDER_STILL: Final = {
    "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949", "shift_jis": "cp932", "big5": "big5hkscs",
    "iso8859-1": "cp1252", "iso8859-9": "cp1254", "ascii": "cp1252", "utf-8-sig": "utf-8", "utf-32": "utf-32-be",
}  # fmt: skip
# Names that neither browsers nor Python know, and that mail and feeds have.
_ELSEWHERE: Final = {
    "x-mac-ce": "mac_latin2", "x-mac-centraleurroman": "mac_latin2", "x-mac-greek": "mac_greek",
    "x-mac-turkish": "mac_turkish", "x-mac-icelandic": "mac_iceland", "x-mac-japanese": "cp932",
    "cp-850": "cp850", "ms-ansi": "cp1252", "ansi": "cp1252", "ansi_x3.110-1983": "cp1252",
    "unicode-1-1-utf-7": "utf_7", "csunicode11utf7": "utf_7", "iso-2022-kr": "iso2022_kr", "csiso2022kr": "iso2022_kr",
    "iso-2022-jp-ms": "iso2022_jp_ext", "cp50220": "iso2022_jp_ext", "hz-gb-2312": "hz", "euc-cn": "gb18030",
    "iso-10646-ucs-2": "utf_16_be", "iso-10646-ucs-4": "utf_32_be", "ucs-2": "utf_16_be", "ucs-4": "utf_32_be",
    "utf8mb4": "utf_8", "utf-8-unix": "utf_8", "utf-8-emacs": "utf_8", "unicode": "utf_16_le",
    "unicodefeff": "utf_16_le", "unicodefffe": "utf_16_be", "csunicode": "utf_16_le", "jis": "iso2022_jp_ext",
    "euc": "euc_jp", "x-euc": "euc_jp", "koi8": "koi8_r",
}  # fmt: skip
# The same names with other signs and without some: `win-1251`, `dos866`, `iso-latin-1`, or a number alone.
_SPELLED: Final = (
    (re.compile(r"(?:x-)?(?:windows|win|cp|ibm|dos|ms|pc|codepage)?[-_ ]?(\d{3,5})"), r"cp\1"),
    (re.compile(r"(?:x-)?(?:iso-)?latin[-_ ]?(\d{1,2})"), r"latin\1"),
    (re.compile(r"(?:x-)?iso[-_ ]?8859[-_ ]?(\d{1,2})"), r"iso-8859-\1"),
    (re.compile(r"utf[-_ ]?(8|16|32)[-_ ]?(le|be)?"), r"utf-\1\2"),
)
# Of an editor: the ends of lines are none of the encoding's business.
_LINE_ENDS: Final = re.compile(r"-(?:unix|dos|mac|with-signature|sig)\Z")
# Python's codecs of text that stand for a notation, not for letters.
_NO_LETTERS: Final = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "charmap"})
_MOST_CHARS: Final = 60


def codec_named(label: str) -> str:
    """The name of Python's codec for a declared encoding; empty for one that is none."""
    label = label.strip(" \t\r\n\f\"'").lower().replace("\0", "")[:_MOST_CHARS]
    label = label.strip(";, ")
    if found := _codec(label) or _codec(_LINE_ENDS.sub("", label)):
        return found
    spelled = (form.sub(name, label) for form, name in _SPELLED if form.fullmatch(label))
    return next(filter(None, map(_codec, spelled)), "")


def _codec(label: str) -> str:
    web = webencodings.lookup(label)
    # Browsers have more names than Python, which has more encodings than they do.
    name = _ELSEWHERE.get(label) or (label if web is None else _WIDER.get(web.name, web.name))
    try:
        found = codecs.lookup(name).name
        # Codecs that turn bytes to bytes refuse text.
        "".encode(found)
    except (LookupError, ValueError):
        return ""
    return "" if found.replace("-", "_") in _NO_LETTERS else _WIDER_STILL.get(found, found)
