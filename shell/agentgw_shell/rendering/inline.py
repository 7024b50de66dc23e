"""Emphasis, code and links within a block, as text streams: pieces are given as soon as nothing can change them.

A piece ends at a blank or beside an East Asian character where every mark before it has found its partner. A mark that
has found none within `MOST_HELD` characters is text: so a lone asterisk holds nothing back for long, and what is given
depends on the text alone, not on how it came. Does no I/O.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

from agentgw.protocol.visible import harmless
from agentgw_shell.rendering.cells import is_wide
from agentgw_shell.rendering.spans import BOLD, CODE, DIM, ITALIC, PLAIN, STRUCK, UNDERLINED, Span, joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token

# Four lines of a terminal: more than people emphasise, less than would be missed.
MOST_HELD: Final = 320
_MARKS: Final = re.compile(r"[`*_~\[<]")
# Marks that can be part of nothing: among letters, between blanks, brackets with no address behind them.
_INERT: Final = re.compile(r"(?<=\w)_(?=\w)|(?<!\S)[*_~<]+(?!\S)|(?<!~)~(?!~)|\[[^\[\]]*\](?!\()|\w<")
_OPENING: Final = re.compile(r"(\*{1,2}|_{1,2}|~~|`+)(?=\S)")
_OPENS: Final = {"strong_open": BOLD, "em_open": ITALIC, "s_open": STRUCK, "link_open": UNDERLINED}
_CLOSES: Final = ("strong_close", "em_close", "s_close", "link_close")


class InlineStream:
    """The text of one block, from its source to spans."""

    def __init__(self, style: str = PLAIN) -> None:
        self._style = style
        self._held = ""
        # Up to here no place to cut was found.
        self._seen = 0
        self._marks = 0

    def feed(self, text: str) -> list[Span]:
        """Takes more text; gives what is certain with it."""
        given: list[Span] = []
        self._held += text
        place = self._seen
        while place < len(self._held):
            one = self._held[place]
            if one in " \n" or (one >= "\u1100" and is_wide(one)):
                cut = place + (one not in " \n")
                if self._is_whole(self._held[:cut]) or cut >= MOST_HELD:
                    given += self._give(cut)
                    place = 0 if one in " \n" else -1
            elif place >= MOST_HELD * 2:
                given += self._give(place)
                place = -1
            place += 1
        self._seen = place
        return given

    def end(self) -> list[Span]:
        """Gives what is left, as it is."""
        return self._give(len(self._held))

    def likely(self) -> list[Span]:
        """Gives what is held as it would look if open marks were closed now, without a word that may go on."""
        return self._likely(self._cut())

    def settle(self) -> list[Span]:
        """Gives what `likely` gives, for good."""
        cut = self._cut()
        spans = self._likely(cut)
        self._give(cut)
        return spans

    def _cut(self) -> int:
        return max((place + 1 for place, one in enumerate(self._held) if one in " \n" or is_wide(one)), default=0)

    def _likely(self, cut: int) -> list[Span]:
        held = self._held[:cut].rstrip()
        spans = styled(held + _closing(held), self._style) if held else []
        # The blank ends the last word.
        return [*spans, (PLAIN, " ")] if cut else []

    def _is_whole(self, text: str) -> bool:
        marks = len(_MARKS.findall(text))
        if not marks:
            return True
        # Only another mark can be the partner that was missing.
        if marks == self._marks:
            return False
        self._marks = marks
        left = "".join(token.content for token in _tokens(text) if token.type == "text")
        return not _MARKS.search(_INERT.sub("", left))

    def _give(self, cut: int) -> list[Span]:
        text, self._held = self._held[:cut], self._held[cut:]
        self._seen = self._marks = 0
        return styled(text, self._style)


def styled(text: str, style: str = PLAIN) -> list[Span]:
    """The text of a whole block, or of a part that stands for itself, as spans."""
    if not _MARKS.search(text) and "&" not in text and "\\" not in text:
        return [(style, text)] if text else []
    spans: list[Span] = []
    open_styles = [style]
    address = ""
    for token in _tokens(text):
        kind = token.type
        if kind in _OPENS:
            open_styles.append(_OPENS[kind])
            address = str(token.attrs.get("href", "")) if kind == "link_open" else address
            label = len(spans)
        elif kind in _CLOSES:
            open_styles.pop()
            if kind == "link_close" and address:
                shown = "".join(part for _, part in spans[label:])
                if shown != address and address != f"mailto:{shown}":
                    # Where it leads is part of what is read.
                    spans.append((joined(*open_styles, DIM), f" ({harmless(address)})"))
        elif kind == "code_inline":
            spans.append((joined(*open_styles, CODE), harmless(token.content)))
        elif kind in ("softbreak", "hardbreak"):
            spans.append((PLAIN, "\n"))
        elif kind == "image":
            spans.append((joined(*open_styles, DIM), harmless(f"[{token.content}] ({token.attrs.get('src', '')})")))
        else:
            spans.append((joined(*open_styles), harmless(token.content)))
    blank = text[: len(text) - len(text.lstrip(" \n"))]
    return [(style, blank), *spans] if blank and not _leads_blank(spans) else spans


def _leads_blank(spans: Sequence[Span]) -> bool:
    return bool(spans) and spans[0][1][:1] in (" ", "\n")


def _closing(text: str) -> str:
    """The marks that would close those open at the end of the text."""
    if not _MARKS.search(text):
        return ""
    left = " ".join(token.content for token in _tokens(text) if token.type == "text")
    opened = _OPENING.findall(_INERT.sub("", left))
    code = next((mark for mark in opened if mark.startswith("`")), "")
    return str(code) or "".join(reversed(opened))


def _tokens(text: str) -> Sequence[Token]:
    return _parser().parseInline(text)[0].children or ()


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("strikethrough")
