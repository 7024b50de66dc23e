"""Org, AsciiDoc and LaTeX: headings, code and tables, in the file's own bytes. Does no I/O; linear in the text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from agentgw_daemon.workers.retrieval.reading.blocks import Block, Outline, lines_of, table_path

_MAX_LINE_CHARS: Final = 500

_ORG_HEADING: Final = re.compile(
    r"(\*{1,9})[ \t]+(?:(?:TODO|DONE|NEXT|WAITING|CANCELL?ED)[ \t]+)?(?:\[#[A-Z0-9]\][ \t]+)?(.+)"
)
_ORG_TAGS: Final = re.compile(r"[ \t]+:[\w@#%:]{1,80}:[ \t]*$")
_ORG_LINK: Final = re.compile(r"\[\[[^\]\n]{1,300}\](?:\[([^\]\n]{1,300})\])?\]")
_ORG_BEGIN: Final = re.compile(r"[ \t]*#\+begin_(\w{1,20})", re.IGNORECASE)
_ORG_KEYWORD: Final = re.compile(r"[ \t]*#\+title:[ \t]*(.{1,300})", re.IGNORECASE)

_ADOC_HEADING: Final = re.compile(r"(={1,6}|#{1,6})[ \t]+(\S.*)")
_ADOC_FENCE: Final = re.compile(r"(-{4,}|\.{4,}|={4,}|\*{4,}|_{4,}|\+{4,}|/{4,}|`{3,}|[|,:!]===)[ \t]*\r?\n?")
_ADOC_WHOLE: Final = "-.`|,:!+"

_LATEX_LEVELS: Final = {
    "title": 1, "part": 1, "chapter": 2, "section": 3, "subsection": 4, "subsubsection": 5, "paragraph": 6,
    "frametitle": 6,
}  # fmt: skip
_LATEX_HEADING: Final = re.compile(rf"[ \t]*\\({'|'.join(_LATEX_LEVELS)})\*?(?:\[[^\]\n]{{0,200}}\])?\{{(.{{1,300}})")
_LATEX_BEGIN: Final = re.compile(
    r"[ \t]*\\begin\{(verbatim|lstlisting|minted|tabular|longtable|table|equation|align|alltt|figure)(\*?)\}"
)
_LATEX_COMMAND: Final = re.compile(r"\\[A-Za-z]+\*?[ \t]*|[{}$]|(?<!\\)%.*")


# Of other markup: headings by their mark and their title, levels of marks that do not tell by their length, and what
# begins a stretch that is kept whole with what ends it.
_NUMBERED: Final = {f"h{level}": level for level in range(1, 7)}
_TEXINFO_LEVELS: Final = {
    "settitle": 1, "top": 1, "chapter": 2, "unnumbered": 2, "appendix": 2, "chapheading": 2, "majorheading": 2,
    "section": 3, "unnumberedsec": 3, "appendixsec": 3, "heading": 3, "subsection": 4, "unnumberedsubsec": 4,
    "appendixsubsec": 4, "subheading": 4, "subsubsection": 5, "unnumberedsubsubsec": 5, "appendixsubsubsec": 5,
    "subsubheading": 5,
}  # fmt: skip
_HEADED: Final[dict[str, tuple[re.Pattern[str], dict[str, int], dict[str, str]]]] = {
    "typst": (re.compile(r"(={1,6})[ \t]+(\S.*)"), {}, {"```": "```"}),
    "textile": (re.compile(r"(h[1-6])(?:[({\[][^\n]{0,80}?[)}\]])?[<>=]{0,2}\.[ \t]+(\S.*)"), _NUMBERED, {}),
    "wikitext": (re.compile(r"(={1,6})[ \t]*([^=\s].{0,300}?)[ \t]*\1[ \t]*\r?\n?\Z"), {}, {"{|": "|}"}),
    "pod": (re.compile(r"=(head[1-6])[ \t]+(\S.*)"), {f"head{level}": level for level in range(1, 7)}, {}),
    "texinfo": (
        re.compile(rf"@({'|'.join(_TEXINFO_LEVELS)})[ \t]+(\S.*)"), _TEXINFO_LEVELS,
        {f"@{name}": f"@end {name}" for name in ("example", "smallexample", "verbatim", "lisp", "multitable")},
    ),
}  # fmt: skip
# Lines that close a table.
_TABLES: Final = frozenset({"|===", ",===", ":===", "!===", "|}", "\\end{tabular}", "\\end{longtable}", "\\end{table}"})


def org_blocks(text: str, outline: Outline) -> Iterator[Block]:
    """The blocks of an Org document."""

    def heading(line: str) -> tuple[int, str] | None:
        found = _ORG_HEADING.match(line)
        if found is None:
            return None
        return len(found[1]), _ORG_LINK.sub(lambda link: link[1] or link[0], _ORG_TAGS.sub("", found[2]))

    def opens(line: str) -> str:
        found = _ORG_BEGIN.match(line)
        return f"#+end_{found[1].lower()}" if found is not None else ""

    yield from _blocks(text, outline, heading, opens, lambda line: line.lstrip().startswith("|"))


def org_title(text: str) -> str:
    """The title that the document gives itself."""
    found = _ORG_KEYWORD.search(text, 0, 8000)
    return found[1].strip() if found is not None else ""


def asciidoc_blocks(text: str, outline: Outline) -> Iterator[Block]:
    """The blocks of an AsciiDoc document."""

    def heading(line: str) -> tuple[int, str] | None:
        found = _ADOC_HEADING.match(line)
        return (len(found[1]), found[2]) if found is not None else None

    def opens(line: str) -> str:
        found = _ADOC_FENCE.fullmatch(line)
        return found[1] if found is not None and found[1][0] in _ADOC_WHOLE else ""

    yield from _blocks(text, outline, heading, opens, lambda _: False)


def latex_blocks(text: str, outline: Outline) -> Iterator[Block]:
    """The blocks of a LaTeX document."""

    def heading(line: str) -> tuple[int, str] | None:
        found = _LATEX_HEADING.match(line)
        if found is None:
            return None
        return _LATEX_LEVELS[found[1]], _LATEX_COMMAND.sub("", _braced(found[2]))

    def opens(line: str) -> str:
        found = _LATEX_BEGIN.match(line)
        return f"\\end{{{found[1]}{found[2]}}}" if found is not None else ""

    yield from _blocks(text, outline, heading, opens, lambda _: False)


def headed_blocks(markup: str) -> Callable[[str, Outline], Iterator[Block]]:
    """The parser of a markup that is known here by its headings and by what is printed as it stands."""
    pattern, levels, begins = _HEADED[markup]

    def heading(line: str) -> tuple[int, str] | None:
        found = pattern.match(line)
        if found is None:
            return None
        mark = found[1]
        return (levels[mark] if mark in levels else len(mark)), found[2].strip()

    def opens(line: str) -> str:
        return next((end for begin, end in begins.items() if line.startswith(begin)), "")

    def blocks(text: str, outline: Outline) -> Iterator[Block]:
        yield from _blocks(text, outline, heading, opens, lambda _: False)

    return blocks


def _braced(text: str) -> str:
    """The text up to the brace that closes one before it."""
    depth = 1
    for at, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if not depth:
            return text[:at]
    return text


def _blocks(
    text: str,
    outline: Outline,
    heading: Callable[[str], tuple[int, str] | None],
    opens: Callable[[str], str],
    is_row: Callable[[str], bool],
) -> Iterator[Block]:
    """Headings of one line; stretches up to the line that closes them, and rows one after the other, whole."""
    start = 0
    whole = False  # what began at `start` is kept whole
    closing = ""
    for at, end in lines_of(text):
        line = text[at : min(end, at + _MAX_LINE_CHARS)]
        if closing:
            if line.strip().lower().startswith(closing.lower()):
                path = table_path(text, start, end, outline.path) if closing in _TABLES else outline.path
                yield Block("whole", start, end, path)
                start, closing, whole = end, "", False
            continue
        row = is_row(line)
        found = heading(line)
        if found is not None or row != whole or (closing := opens(line)):
            if at > start:
                path = table_path(text, start, at, outline.path) if whole else outline.path
                yield Block("whole" if whole else "prose", start, at, path)
            start, whole = at, row
        if found is not None:
            yield Block("heading", at, end, outline.enter(*found))
            start, whole = end, False
    if start < len(text):
        path = table_path(text, start, len(text), outline.path) if whole else outline.path
        yield Block("whole" if whole or closing else "prose", start, len(text), path)
