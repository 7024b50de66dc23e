"""Code of an answer with colours. Bounded: the text is a stranger's, and some expressions of lexers are slow on it."""

from __future__ import annotations

from functools import cache
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pygments.formatters.html import HtmlFormatter
    from pygments.lexer import Lexer

_MOST_CHARS: Final = 16_000
_MOST_LINE_CHARS: Final = 1000
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


def highlighted(code: str, language: str) -> str:
    """Code as HTML, with spans where its language is known."""
    name = _LANGUAGES.get(language.lower())
    if name is None or len(code) > _MOST_CHARS or any(len(line) > _MOST_LINE_CHARS for line in code.splitlines()):
        return escape(code)
    from pygments import highlight

    return str(highlight(code, _lexer(name), _formatter()))


@cache
def _lexer(name: str) -> Lexer:
    from pygments.lexers import get_lexer_by_name

    # Blank lines at both ends are the answer's.
    return get_lexer_by_name(name, stripnl=False)


@cache
def _formatter() -> HtmlFormatter[str]:
    from pygments.formatters.html import HtmlFormatter

    return HtmlFormatter(nowrap=True, classprefix=_PREFIX)
