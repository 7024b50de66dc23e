"""Text to words as BERT's uncased tokeniser has them, before they are cut into pieces of the vocabulary.

What llama.cpp's own tokeniser does differently is done here first, so that both engines see the same tokens: control
characters go, accents go, letters become small, every punctuation mark and ideograph is a word of its own, and a word
of more than 100 characters is unknown. The rules are those of BertNormalizer and BertPreTokenizer of the tokenizers
library. Runs in a worker; standard library only.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# A longer one is not cut into pieces; the library's max_input_chars_per_word.
MAX_WORD: Final = 100
# The marks that a text may name; with the others of the vocabulary they are words like any.
SPECIAL: Final = re.compile(r"(\[(?:PAD|UNK|CLS|SEP|MASK)\])")
_IDEOGRAPHS: Final = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


class _Table(dict[int, str]):
    """Replacement of each character, found out when it is first met."""

    def __missing__(self, code: int) -> str:
        made = self[code] = _spelled(chr(code))
        return made


def _spelled(char: str) -> str:
    if char in " \t\n\r":
        return " "
    if char == "\ufffd" or unicodedata.category(char) in ("Cc", "Cf", "Co", "Cs"):
        return ""
    if char.isspace():
        return " "
    spread = any(first <= ord(char) <= last for first, last in _IDEOGRAPHS)
    plain = (c for c in unicodedata.normalize("NFD", char) if unicodedata.category(c) != "Mn")
    # One by one: Python knows a final sigma where it sees the end of a word, the library does not.
    text = "".join(f" {c} " if _is_punctuation(c) else c.lower() for c in plain)
    return f" {text} " if spread else text


def _is_punctuation(char: str) -> bool:
    return (char.isascii() and char.isprintable() and not char.isalnum() and char != " ") or unicodedata.category(
        char
    ).startswith("P")


_TABLE: Final = _Table()


def words(text: str) -> list[str]:
    """The words of a text without special marks in it (`SPECIAL`)."""
    return text.translate(_TABLE).split()


def is_whole(word: str) -> bool:
    """Tells whether llama.cpp cuts the word into the same pieces as the library.

    Not one that is too long, which is unknown there, and not one with marks that are no accents, as Indic scripts have
    them, which llama.cpp drops.
    """
    if len(word) > MAX_WORD:
        return False
    return word.isascii() or all(unicodedata.category(char)[0] != "M" for char in word)
