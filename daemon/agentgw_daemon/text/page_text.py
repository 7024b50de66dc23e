"""Text of an HTML page, in one pass and linear time: the page may be made to hurt. Does no I/O.

Not the standard library's parser: some malformed pages cost it quadratic time. Good enough for a model to read; says
nothing about looks.
"""

from __future__ import annotations

import html
import re
from typing import Final

_TAG: Final = re.compile(r"/?([a-zA-Z][a-zA-Z0-9-]{0,30})")
# Their content is not text for readers.
_SKIPPED: Final = frozenset({"script", "style", "noscript", "template", "svg", "iframe", "object", "textarea"})
_BLOCKS_TEXT: Final = """
    address article aside blockquote br dd div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr
    li main nav ol option p pre section table title tr ul
"""
_BLOCKS: Final = frozenset(_BLOCKS_TEXT.split())
_CELLS: Final = frozenset({"td", "th"})
# No character has a number of eight digits, and html.unescape raises for one of thousands.
_NO_CHARACTER: Final = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{8,});?")
_SPACES: Final = re.compile(r"[^\S\n]+")
_LINES: Final = re.compile(r" ?\n[\s]*")


def page_text(page: str) -> str:
    """The page's text, a line a block."""
    lowered = page.lower()
    # Some characters grow when they are lowered, and then positions differ.
    if len(lowered) != len(page):
        lowered = page
    made: list[str] = []
    at = 0
    while (start := page.find("<", at)) >= 0:
        made.append(page[at:start])
        after = _after_markup(page, lowered, start, made)
        if after == start:
            # A lone "<" is text.
            made.append("<")
            after += 1
        at = after
    made.append(page[at:])
    return _tidy("".join(made))


def _after_markup(page: str, lowered: str, start: int, made: list[str]) -> int:
    """The end of the markup that begins at `start`; `start` itself when there is none. Markup that never ends takes
    the rest.
    """
    if page.startswith("<!--", start):
        return _past(page, "-->", start + 4)
    if page.startswith(("<!", "<?"), start):
        return _past(page, ">", start)
    tag = _TAG.match(page, start + 1)
    if tag is None:
        return start
    name = tag[1].lower()
    end = _past(page, ">", tag.end())
    if name in _BLOCKS:
        made.append("\n")
    elif name in _CELLS:
        made.append(" ")
    if name in _SKIPPED and page[start + 1] != "/" and not page.startswith("/>", end - 2):
        made.append(" ")
        closing = _past(lowered, f"</{name}", end)
        return _past(page, ">", closing) if closing < len(page) else closing
    return end


def _past(text: str, mark: str, start: int) -> int:
    found = text.find(mark, start)
    return len(text) if found < 0 else found + len(mark)


def _tidy(text: str) -> str:
    text = _SPACES.sub(" ", html.unescape(_NO_CHARACTER.sub("\ufffd", text)).replace("\r", "\n"))
    return _LINES.sub("\n", text).strip()
