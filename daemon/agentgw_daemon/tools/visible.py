"""Text made safe to look at before a decision (TRUST E6). Does no I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def visible(text: str) -> str:
    r"""The text with every character escaped that is not seen as itself; line ends and tabs stay.

    Stricter than what a terminal is shown elsewhere: beside C0, C1 and the marks that reorder text also zero-width
    characters, tags and odd spaces, because somebody decides by what is seen. A backslash before an escape is
    doubled, so that `\x1b` written out and ESC itself look different.
    """
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    return "".join(map(_shown, text))


def visible_line(text: str) -> str:
    """Like `visible`, on one line."""
    return visible(text).replace("\t", "\\t").replace("\n", "\\n")


def visible_json(value: Mapping[str, Any]) -> str:
    """The exact arguments as JSON on one line, escaped."""
    # JSON's own escapes are ASCII already and must not be escaped twice: nothing else non-printable is left in it.
    text = json.dumps(value, ensure_ascii=False)
    return "".join(one if one.isprintable() else _escape(one) for one in text)


def _shown(one: str) -> str:
    if one == "\\":
        return "\\\\"
    return one if one.isprintable() or one in "\n\t" else _escape(one)


def _escape(one: str) -> str:
    code = ord(one)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
