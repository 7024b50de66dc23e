"""Markdown by markdown-it's block rules, of which only those run that take linear time. Does no I/O.

Lists and quotations are not taken apart: what is in them are paragraphs, and their rules cost most on hostile input.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from agentgw_daemon.workers.retrieval.reading.blocks import Block, Outline, table_path

_RULES: Final = ["code", "fence", "html_block", "hr", "heading", "lheading"]
# Characters that markdown-it takes for the end of a line.
_LINE_END: Final = re.compile(r"\r\n?|\n")
_TABLE_RULE: Final = re.compile(r"[\r\n][ \t>]{0,12}\|?[ \t]{0,9}:?-{1,80}:?[ \t]{0,9}[|\r\n]")
_MARKS: Final = re.compile(r"[*_`]{1,3}|!?\[([^\]\n]{0,80})\]\([^)\n]{0,200}\)")
_FRONT_MATTER: Final = re.compile(r"\A---[ \t]*\r?\n")
_FRONT_MATTER_END: Final = re.compile(r"^(?:---|\.\.\.)[ \t]*\r?$\n?", re.MULTILINE)
_FRONT_MATTER_CHARS: Final = 16_384
_TITLE_LINE: Final = re.compile(r"^title[ \t]*:[ \t]*(.{1,200})$", re.MULTILINE)


def markdown_blocks(text: str, outline: Outline) -> Iterator[Block]:
    """The blocks of a document."""
    front = _front_matter(text)
    if front:
        yield Block("whole", 0, front, outline.path)
    parser = MarkdownIt("zero", {"html": True}).enable(_RULES)
    parser.core.ruler.enableOnly(["normalize", "block"])
    starts = [front, *(found.end() for found in _LINE_END.finditer(text, front)), len(text)]
    if starts[-1] == starts[-2] and len(starts) > 2:
        starts.pop()
    at = front
    for token, content in _leaves(parser.parse(text[front:])):
        first, last = token.map or (0, 0)
        start, end = starts[min(first, len(starts) - 1)], starts[min(last, len(starts) - 1)]
        if text[at:start].strip():
            # A block that no rule names (a link's definition): nothing of a document is left out.
            yield Block("prose", at, start, outline.path)
        if token.type == "heading_open":
            yield Block("heading", start, end, outline.enter(int(token.tag[1:]), _MARKS.sub(r"\1", content[:400])))
        elif token.type == "paragraph_open" and not _TABLE_RULE.search(text, start, min(end, start + 4000)):
            yield Block("prose", start, end, outline.path)
        elif token.type == "paragraph_open":
            yield Block("whole", start, end, table_path(text, start, end, outline.path))
        elif token.type != "hr":
            yield Block("whole", start, end, outline.path)
        else:
            yield Block("lines", start, end, outline.path)
        at = max(at, end)
    if text[at:].strip():
        yield Block("prose", at, len(text), outline.path)


def _leaves(tokens: list[Token]) -> Iterator[tuple[Token, str]]:
    """Each block with its text, a heading's without marks."""
    for token, following in pairwise([*tokens, Token("end", "", 0)]):
        if token.map is not None and token.type != "inline":
            yield token, following.content


def _front_matter(text: str) -> int:
    """The end of the YAML between two lines of `---` at the top; 0 without any."""
    opening = _FRONT_MATTER.match(text)
    if opening is None:
        return 0
    closing = _FRONT_MATTER_END.search(text, opening.end(), opening.end() + _FRONT_MATTER_CHARS)
    return closing.end() if closing is not None else 0


def front_matter_title(text: str) -> str:
    """The title that the YAML at the top gives, if there is any."""
    found = _TITLE_LINE.search(text, 0, _front_matter(text))
    return found[1].strip().strip("\"'") if found is not None else ""
