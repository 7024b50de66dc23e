"""A labelled set out of manual pages: each page without its line of NAME, which is the question that it answers.

The pages are those that Debian's packages put on the machine; of what there is, always the same are taken.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MANUALS: Final = Path("/usr/share/man")
SECTIONS: Final = ("1", "2", "3", "5", "7", "8")
# A question of two words fits a dozen pages; a page of a line says nothing, and a book would be most of the set.
_QUESTION_WORDS: Final = (4, 20)
_PAGE_CHARACTERS: Final = (800, 12_000)
# Of `git-…` and the like; a program with thousands of pages is no package of Debian's.
_MOST_ALIKE: Final = 40
_MOST_OF_A_PROGRAM: Final = 400

_COMMENT: Final = re.compile(r"""['.]\s*\\["#]|\\["#]""")
_REQUEST: Final = re.compile(r"[.']\s*([A-Za-z]+)\s*(.*)")
_ARGUMENT: Final = re.compile(r'"((?:[^"]|"")*)"|(\S+)')
_PARAGRAPHS: Final = frozenset(("PP", "P", "LP", "TP", "HP", "sp", "Pp"))
_SPACED: Final = frozenset(("B", "I", "SM", "SB"))
_JOINED: Final = frozenset(("BR", "IR", "RB", "RI", "BI", "IB"))
_SIGNS: Final = {
    "aq": "'", "cq": "'", "oq": "'", "dq": '"', "lq": '"', "rq": '"', "em": "-", "en": "-", "hy": "-", "mi": "-",
    "bu": "*", "co": "(c)", "rs": "\\", "ti": "~", "ha": "^", "ga": "`",
}  # fmt: skip
_ESCAPE: Final = re.compile(
    r"\\(?:f(?:\[[^\]]*\]|\(..|.)|s[+-]?\d+|\*(?:\[[^\]]*\]|\(..|.)|[hvwmk](?:'[^']*'|\[[^\]]*\])"
    r"|\((?P<two>..)|\[(?P<long>[^\]]*)\]|(?P<one>.))"
)
_ONE: Final = {"-": "-", "e": "\\", "\\": "\\", " ": " ", "~": " ", "0": " ", "'": "'", "`": "`", ".": "."}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page: its file's name, what it says as Markdown without the section NAME, and what that section said."""

    name: str
    text: str
    question: str


def pages(most: int, *, folder: Path = MANUALS) -> list[Page]:
    """At most so many pages in an order of no meaning, which does not change with what else is there."""
    files = [
        path for section in SECTIONS for path in (folder / f"man{section}").glob(f"*.{section}*.gz")
        if path.is_file() and not path.is_symlink()
    ]  # fmt: skip
    programs = Counter(_program(path.name) for path in files)
    files = [path for path in files if programs[_program(path.name)] <= _MOST_OF_A_PROGRAM]
    files.sort(key=lambda path: hashlib.sha256(path.name.encode("utf-8", "surrogateescape")).digest())
    return distinct((parse(path.name.removesuffix(".gz"), _read(path)) for path in files), most)


def distinct(found: Iterable[Page | None], most: int) -> list[Page]:
    """The first of these that are fit to be asked for, each question once, few of one program."""
    alike: Counter[str] = Counter()
    questions: set[str] = set()
    chosen: list[Page] = []
    for page in found:
        if len(chosen) == most:
            break
        if page is None or not _is_fit(page) or page.question.lower() in questions:
            continue
        alike[_program(page.name)] += 1
        if alike[_program(page.name)] <= _MOST_ALIKE:
            questions.add(page.question.lower())
            chosen.append(page)
    return chosen


def parse(name: str, source: str) -> Page | None:
    """A page of the macros `man`; None for another kind, and for one without a description."""
    sections = list(_sections(source.splitlines()))
    head = next((" ".join(lines) for title, lines in sections if title == "# NAME"), "")
    _, dash, question = re.sub(r"\s+", " ", head).partition(" - ")
    if not dash:
        return None
    blocks = ["\n".join((title, "", *lines)) for title, lines in sections if title != "# NAME"]
    text = re.sub(r"\n{3,}", "\n\n", "\n\n".join(blocks)).strip() + "\n"
    return Page(name=name, text=text, question=question.strip().rstrip("."))


def write(found: Iterable[Page], folder: Path) -> None:
    """A file a page, so that they can be ingested."""
    folder.mkdir(parents=True)
    for page in found:
        (folder / f"{page.name}.md").write_text(page.text, encoding="utf-8")


def page_of(source: str) -> str:
    """The name of the page that a stored document is."""
    return Path(source).name.removesuffix(".md")


def _program(name: str) -> str:
    """The word that a page's name begins with."""
    return re.split(r"[^A-Za-z0-9]", name, maxsplit=1)[0]


def _is_fit(page: Page) -> bool:
    least_words, most_words = _QUESTION_WORDS
    least, most = _PAGE_CHARACTERS
    return least_words <= len(page.question.split()) <= most_words and least <= len(page.text) <= most


def _read(path: Path) -> str:
    with gzip.open(path) as opened:
        return opened.read().decode("utf-8", "replace")


def _sections(lines: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Headings with the text below them; what stands before the first heading is set-up."""
    title, held = "", list[str]()
    defining = False
    for line in lines:
        if _COMMENT.match(line):
            continue
        request = _REQUEST.match(line)
        if request is not None and request[1] in ("de", "ig"):
            defining = True
        if defining:
            defining = line.strip() != ".."
        elif request is not None and request[1] in ("SH", "SS"):
            if title:
                yield title, held
            title, held = f"{'#' if request[1] == 'SH' else '##'} {' '.join(_arguments(request[2]))}", []
        elif title and (text := _said(line, request)) is not None:
            held.append(text)
    if title:
        yield title, held


def _said(line: str, request: re.Match[str] | None) -> str | None:
    """The text that a line puts on the page; an empty one ends a paragraph."""
    if request is None:
        return None if line.startswith((".", "'")) else plain(line).strip()
    name, arguments = request[1], _arguments(request[2])
    if name in _PARAGRAPHS:
        return ""
    if name == "IP":
        return f"\n{arguments[0]}" if arguments else ""
    if name in _SPACED:
        return " ".join(arguments)
    return "".join(arguments) if name in _JOINED else None


def _arguments(text: str) -> list[str]:
    return [plain(found[1].replace('""', '"') if found[2] is None else found[2]) for found in _ARGUMENT.finditer(text)]


def plain(text: str) -> str:
    """A text without what sets fonts and the like."""
    return _ESCAPE.sub(_sign, text)


def _sign(found: re.Match[str]) -> str:
    if found["one"] is not None:
        return _ONE.get(found["one"], "")
    return _SIGNS.get(found["two"] or found["long"] or "", "")
