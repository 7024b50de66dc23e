"""Colours of code, a line at a time: what a line looks like depends on it and the lines before. Does no I/O."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from pygments.lexer import ExtendedRegexLexer, Lexer, LexerContext, RegexLexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Token
from pygments.util import ClassNotFound

from agentgw_shell.rendering.spans import PLAIN, Line, Span, line_of

# The first that holds the token's type counts. Sixteen colours, which every terminal has and every theme sets.
_COLOURS: Final = (
    (Token.Comment, "90"),
    (Token.Keyword, "35"),
    (Token.Operator.Word, "35"),
    (Token.Name.Function, "34"),
    (Token.Name.Class, "34"),
    (Token.Name.Tag, "34"),
    (Token.Name.Decorator, "34"),
    (Token.Literal.String, "32"),
    (Token.Literal.Number, "36"),
    (Token.Generic.Deleted, "31"),
    (Token.Generic.Inserted, "32"),
    (Token.Generic.Subheading, "36"),
)
_METHOD: Final = "get_tokens_unprocessed"
_COMMENT: Final = "90"
# Longer lines are data rather than code, and a pattern may take its time over them.
_LONGEST_LINE: Final = 1000
# Colours cost five bytes each way; a line of nothing but short coloured words is shown plain instead.
_MOST_STYLED: Final = 0.17


class Highlighter:
    """Colours the lines of one code block."""

    def __init__(self, language: str) -> None:
        self._lexer = _lexer(language.lower())
        self._stack: list[str] = ["root"]
        # Lexers that go through their text in a way of their own cannot be stopped at a line's end.
        self._carries = getattr(type(self._lexer), _METHOD, None) is RegexLexer.get_tokens_unprocessed
        # In a comment of C's kind, which a lexer looks for as a whole.
        self._in_comment = False

    def line(self, text: str) -> Line:
        """The next line, coloured."""
        if self._lexer is None or len(text) > _LONGEST_LINE or not text.strip():
            return line_of([(PLAIN, text)])
        spans: list[Span] = []
        if self._in_comment:
            end = text.find("*/")
            if end < 0:
                return line_of([(_COMMENT, text)])
            spans.append((_COMMENT, text[: end + 2]))
            text = text[end + 2 :]
            self._in_comment = False
        spans += self._coloured(text)
        line = line_of(spans)
        changes = sum(1 for style, _ in line if style)
        size = sum(len(part) for _, part in line)
        return line if changes <= max(2, size * _MOST_STYLED) else line_of([(PLAIN, "".join(part for _, part in line))])

    def _coloured(self, text: str) -> list[Span]:
        spans: list[Span] = []
        place, slash = 0, -1
        for kind, value in self._tokens(text + "\n"):
            style = _style(kind)
            if kind in Token.Operator or kind in Token.Error or kind in Token.Punctuation:
                slash = place if value.startswith("/*") else slash
                if value.startswith("*") and text[place - 1 : place + 1] == "/*":
                    slash = place - 1
            elif kind in Token.Comment and value.startswith("/*") and "*/" not in value:
                slash = place
            if slash >= 0:
                self._in_comment = True
                return [*_upto(spans, slash), (_COMMENT, text[slash:])]
            spans.append((style, value))
            place += len(value)
        return _upto(spans, len(text))

    def _tokens(self, text: str) -> list[tuple[object, str]]:
        lexer = self._lexer
        assert lexer is not None
        if self._carries:
            context = LexerContext(text, 0, stack=list(self._stack))
            try:
                found = [
                    (kind, str(value))
                    for _, kind, value in ExtendedRegexLexer.get_tokens_unprocessed(lexer, context=context)
                ]
            except (TypeError, AttributeError, KeyError, IndexError):
                # A rule of this lexer wants to be called otherwise: its lines stand for themselves.
                self._carries = False
            else:
                self._stack = context.stack
                if "".join(value for _, value in found) == text:
                    return found
                self._carries = False
        found = [(kind, str(value)) for _, kind, value in lexer.get_tokens_unprocessed(text)]
        return found if "".join(value for _, value in found) == text else [(Token.Text, text)]


def _upto(spans: list[Span], size: int) -> list[Span]:
    made: list[Span] = []
    for style, text in spans:
        made.append((style, text[:size]))
        size -= len(text)
        if size <= 0:
            break
    return made


@cache
def _style(kind: object) -> str:
    return next((colour for parent, colour in _COLOURS if kind in parent), PLAIN)


@cache
def _lexer(language: str) -> Lexer | None:
    if not re.fullmatch(r"[a-z0-9+#._-]{1,30}", language):
        return None
    try:
        return get_lexer_by_name(language)
    except ClassNotFound:
        return None
