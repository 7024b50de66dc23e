"""Words as the full-text index sees them, so that what it found can be counted and marked in the text. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from agentgw.protocol.schema import record
from agentgw_daemon.storage.sessions.search import WITHOUT_SPACES, quoted, to_terms

# Letters and digits, as FTS5's unicode61 has it: an underscore parts words.
_WORD: Final = re.compile(r"[^\W_]+")
# Between folded words stand two spaces, so that neighbours do not share one and each can be counted.
_GAP: Final = "  "
# The gaps between words, as `_WORD` has it, in a text of ASCII alone: split in a fifth of the time.
_PARTED: Final = str.maketrans({chr(code): " " for code in range(128) if not chr(code).isalnum()})


@record
class Term:
    """A word or phrase of a query. `inside`: looked for in the text itself, for its script writes without spaces."""

    text: str
    words: tuple[str, ...]
    beginning: bool = False
    inside: bool = False

    @property
    def match(self) -> str:
        """The words as an FTS5 expression, in which no character of them is syntax."""
        return quoted(self.text)

    @property
    def counted(self) -> str:
        """The pattern to count in the `folded` words of a text; of one that is `inside`, in the text itself."""
        return self.text if self.inside else f" {_GAP.join(self.words)}{'' if self.beginning else ' '}"


def terms_of(query: str) -> tuple[Term, ...]:
    """The terms of what a user typed, each once; what holds no letter and no digit is left out."""
    made: dict[str, Term] = {}
    for text in to_terms(query):
        inside = WITHOUT_SPACES.search(text) is not None
        words = tuple(word for word, _, _ in words_of(text))
        if inside:
            made.setdefault(text, Term(text=text, words=words, inside=True))
        elif words:
            beginning = quoted(text).endswith('"*')
            made.setdefault(f"{_GAP.join(words)}{beginning}", Term(text=text, words=words, beginning=beginning))
    return tuple(made.values())


def words_of(text: str) -> Iterator[tuple[str, int, int]]:
    """Each word, folded, with where it begins and ends in the text."""
    for found in _WORD.finditer(text):
        yield fold(found.group()), found.start(), found.end()


def fold(text: str) -> str:
    """The text without case and accents."""
    if text.isascii():
        return text.lower()
    parts = unicodedata.normalize("NFD", text.lower())
    return unicodedata.normalize("NFC", "".join(part for part in parts if not unicodedata.combining(part)))


def folded(text: str) -> str:
    """The words of a text, folded, in which a term's `counted` can be counted."""
    words = text.lower().translate(_PARTED).split() if text.isascii() else _WORD.findall(fold(text))
    return f" {_GAP.join(words)} "
