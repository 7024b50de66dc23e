"""Code of an answer with colours. Bounded: the text is a stranger's, and some expressions of lexers are slow on it."""

from __future__ import annotations

import time
from functools import cache
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pygments.formatters.html import HtmlFormatter
    from pygments.lexer import Lexer
    from pygments.token import _TokenType

_MOST_CHARS: Final = 16_000
_MOST_LINE_CHARS: Final = 1000
# Several times what usual code of that length takes, of the processor, however busy it is. Java's expression for a
# method's head looks to the end of the text for each word of it: that would be fifteen seconds.
_MOST_S: Final = 0.2
_LOOK_EVERY: Final = 16
# Languages by the names that models give to them. Others are shown without colours: each lexer is code of its own.
_LANGUAGES: Final = {
    "bash": "bash", "c": "c", "c++": "cpp", "cpp": "cpp", "css": "css", "diff": "diff", "go": "go", "html": "html",
    "ini": "ini", "java": "java", "javascript": "javascript", "js": "javascript", "json": "json", "jsx": "javascript",
    "kotlin": "kotlin", "lua": "lua", "makefile": "make", "php": "php", "py": "python", "python": "python",
    "python3": "python", "rb": "ruby", "ruby": "ruby", "rs": "rust", "rust": "rust", "sh": "bash", "shell": "bash",
    "sql": "sql", "swift": "swift", "toml": "toml", "ts": "typescript", "tsx": "typescript",
    "typescript": "typescript", "xml": "xml", "yaml": "yaml", "yml": "yaml", "zsh": "bash",
}  # fmt: skip
# Classes of tokens are Pygments' own with this before them.
_PREFIX: Final = "t-"


def highlighted(code: str, language: str, clock: Callable[[], float] = time.thread_time) -> str:
    """Code as HTML, with spans where its language is known, as far as the time suffices."""
    name = _LANGUAGES.get(language.lower())
    if name is None or len(code) > _MOST_CHARS or any(len(line) > _MOST_LINE_CHARS for line in code.splitlines()):
        return escape(code)
    made = StringIO()
    _formatter().format(_tokens(code, _lexer(name), clock), made)
    return made.getvalue()


def _tokens(code: str, lexer: Lexer, clock: Callable[[], float]) -> Iterator[tuple[_TokenType, str]]:
    from pygments.token import Text

    ends = clock() + _MOST_S
    for number, (at, kind, text) in enumerate(lexer.get_tokens_unprocessed(code)):
        # A look at this clock takes as long as some tokens.
        if number % _LOOK_EVERY == 0 and clock() > ends:
            yield Text, code[at:]
            return
        yield kind, text


@cache
def _lexer(name: str) -> Lexer:
    from pygments.lexers import get_lexer_by_name

    return get_lexer_by_name(name)


@cache
def _formatter() -> HtmlFormatter[str]:
    from pygments.formatters.html import HtmlFormatter

    return HtmlFormatter(nowrap=True, classprefix=_PREFIX)
