"""Kinds of Markdown lines, told from as much of a line as is there. Does no I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["blank", "fence", "heading", "rule", "item", "table", "text"]

_FENCE: Final = re.compile(r"(`{3,})([^`]*)|(~{3,})(.*)")
_HEADING: Final = re.compile(r"(#{1,6})[ \t]+(?=\S)")
_RULE: Final = re.compile(r"([-*_])(?:[ \t]*\1){2,}[ \t]*")
_ITEM: Final = re.compile(r"([-*+]|\d{1,9}[.)])([ \t]+)(?=\S)")
_EMPTY_ITEM: Final = re.compile(r"[-*+]|\d{1,9}[.)]")
# Beginnings of lines that may still become something else than text.
_UNDECIDED: Final = re.compile(r"#{1,6}[ \t]*|[-*+_][-*_ \t]*|\d{1,9}[.)]?[ \t]*|`{1,2}|~{1,2}|```.*|~~~.*|\|.*")
# Deeper quotations and lists are drawn as deep as this.
MOST_DEPTH: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class LineHead:
    """The beginning of a line: its kind, and what stands before the words."""

    kind: Kind
    quotes: int = 0
    #: Blanks before the marker or the words, within the quotation.
    indent: int = 0
    #: `##`, `-`, `12.`, or of a fence the run of backticks or tildes.
    marker: str = ""
    #: From the marker's first character to the words.
    marker_columns: int = 0
    #: The rest of the line.
    rest: str = ""


def read_head(text: str, *, complete: bool) -> LineHead | None:
    """The head of a line of which this is the beginning, or with `complete` all; None where it cannot be told yet."""
    quotes = 0
    words = text.lstrip(" \t")
    # Further on a tab is a blank among others.
    body = text[: len(text) - len(words)].expandtabs(4) + words.replace("\t", " ")
    while True:
        stripped = body.lstrip(" ")
        indent = len(body) - len(stripped)
        if not stripped.startswith(">") or (indent > 3 and not quotes) or quotes >= MOST_DEPTH:
            break
        quotes += 1
        body = stripped[1:]
        if body.startswith(" "):
            body = body[1:]
        elif not body and not complete:
            return None
    if not stripped:
        return LineHead(kind="blank", quotes=quotes) if complete else None
    if not complete and _UNDECIDED.fullmatch(stripped):
        return None
    return _decided(stripped, quotes, indent)


def _decided(text: str, quotes: int, indent: int) -> LineHead:
    if found := _FENCE.fullmatch(text):
        marker, info = (found[1], found[2]) if found[1] else (found[3], found[4])
        return LineHead(kind="fence", quotes=quotes, indent=indent, marker=marker, rest=info.strip())
    if found := _HEADING.match(text):
        return LineHead(kind="heading", quotes=quotes, indent=indent, marker=found[1], rest=text[found.end() :])
    if _RULE.fullmatch(text):
        return LineHead(kind="rule", quotes=quotes, indent=indent)
    if found := _ITEM.match(text):
        # More than four blanks behind the marker belong to the words.
        columns = len(found[1]) + (len(found[2]) if len(found[2]) <= 4 else 1)
        return LineHead(
            kind="item", quotes=quotes, indent=indent, marker=found[1], marker_columns=columns,
            rest=text[found.end() :],
        )  # fmt: skip
    if _EMPTY_ITEM.fullmatch(text.rstrip()):
        marker = text.rstrip()
        return LineHead(kind="item", quotes=quotes, indent=indent, marker=marker, marker_columns=len(marker) + 1)
    if text.startswith("|"):
        return LineHead(kind="table", quotes=quotes, indent=indent, rest=text)
    return LineHead(kind="text", quotes=quotes, indent=indent, rest=text)
