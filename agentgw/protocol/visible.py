"""Characters that are not seen as themselves, and text with them escaped: one table for prompts, traces and listings.

An answer keeps its characters: `harmless` escapes only what moves the cursor or turns text around, so an emoji made of
several code points stays one. Text by which somebody decides, or that stands in a line of ours, goes through `escaped`:
nothing in it is invisible afterwards. Does no I/O.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

# Characters that a terminal acts on, and those that reorder text or end a line for some readers. Tab and newline are in
# no table.
_ACTING: Final = (
    (0x0000, 0x0008), (0x000B, 0x001F), (0x007F, 0x009F),  # C0, DEL, C1
    (0x061C, 0x061C), (0x200E, 0x200F), (0x202A, 0x202E), (0x2066, 0x206F),  # marks of direction
    (0x2028, 0x2029),  # separators of lines and paragraphs
)  # fmt: skip
# Drawn as nothing or as a blank: Default_Ignorable_Code_Point of Unicode 16 (DerivedCoreProperties.txt), the blanks
# among letters and symbols, and joiners that fonts leave out.
_UNDRAWN: Final = (
    (0x00AD, 0x00AD), (0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x200B, 0x200D),
    (0x2060, 0x2065), (0x2800, 0x2800), (0x2D7F, 0x2D7F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFC), (0x1107F, 0x1107F), (0x13430, 0x13442), (0x16FE4, 0x16FE4),
    (0x1BCA0, 0x1BCA3), (0x1D159, 0x1D159), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
# Longer runs of blanks push what follows out of sight; code is indented by less.
MOST_BLANKS: Final = 8
MOST_INDENT: Final = 32

_acting: dict[int, str] | None = None
_undrawn: frozenset[str] | None = None


def harmless(text: str) -> str:
    """The text with the characters escaped that move the cursor, reorder what is read or end a line unasked."""
    global _acting
    if text.isascii() and text.isprintable():
        return text
    if _acting is None:
        _acting = {code: _escape(chr(code)) for first, last in _ACTING for code in range(first, last + 1)}
    return text.translate(_acting)


def is_seen(one: str) -> bool:
    """Tells whether the character is drawn as itself. Of the blanks only the space is.

    Python's own data says no for controls, formats, private use, surrogates, odd spaces and what it does not know.
    """
    global _undrawn
    if _undrawn is None:
        _undrawn = frozenset(chr(code) for first, last in _UNDRAWN for code in range(first, last + 1))
    return one.isprintable() and one not in _undrawn


def escaped(text: str, *, lines: bool = False, distinct: bool = False) -> str:
    r"""The text with every character escaped that is not seen, and long runs of blanks as `\x20{300}`.

    On one line, unless `lines` leaves line ends, tabs and indentation. With `distinct` a backslash is doubled, so that
    `\x1b` written out and the character itself look different; for text that is escaped already, or is JSON, leave it.
    """
    if text.isascii() and text.isprintable() and "  " not in text and not (distinct and "\\" in text):
        return text
    blanks = f"[ \t]{{{MOST_INDENT + 1},}}|[^ -~\n\t]" if lines else f" {{{MOST_BLANKS + 1},}}|[^ -~]"
    return re.sub(rf"{blanks}|\\" if distinct else blanks, _shown, text)


def pattern() -> str:
    """The table as the inside of a character class for `re`: what is acted on and what is not drawn."""
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in sorted((*_ACTING, *_UNDRAWN)))


def _shown(found: re.Match[str]) -> str:
    text = found[0]
    if text == "\\":
        return "\\\\"
    if len(text) > 1:
        return re.sub(" +|\t+", _counted, text)
    return text if is_seen(text) else _escape(text)


def _counted(run: re.Match[str]) -> str:
    return f"{_escape(run[0][0])}{{{len(run[0])}}}"


def _escape(one: str) -> str:
    code = ord(one)
    if one in "\n\t":
        return "\\n" if one == "\n" else "\\t"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
