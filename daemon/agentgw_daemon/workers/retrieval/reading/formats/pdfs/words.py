"""Words of a PDF as their writer meant them: broken ones joined, letters of one meaning folded. Pure."""

from __future__ import annotations

import collections
import re
import unicodedata
from collections.abc import Sequence
from typing import Final

# PDFium's mark for a hyphen at the end of a line, and what it leaves as it stands.
_BROKEN: Final = re.compile("(?<![^\\W_])([^\\W_]{1,60})(?:\ufffe|[-\u00ad\u2010]\r?\n)([^\\W_]{1,60})")
_WORD: Final = re.compile(r"[^\W\d_]{2,}(?:-[^\W\d_]{2,})*")
# After a hyphen that stands for a word's second part ("Ein- und Ausgang", "two- or threefold").
_CONJUNCTION_WORDS: Final = "and or to und oder bis bzw et ou y e o of en och eller og"
_CONJUNCTIONS: Final = frozenset(_CONJUNCTION_WORDS.split())
# Words that make others with a hyphen before a whole word.
_FIRST_WORDS: Final = "all first full high long low mid one open part second short so"
_FIRST_PARTS: Final = frozenset(_FIRST_WORDS.split())
# The same before almost any word, but for an ending.
_ALWAYS_FIRST_WORDS: Final = "cross ex half non self semi three two well"
_ALWAYS_FIRST_PARTS: Final = frozenset(_ALWAYS_FIRST_WORDS.split())
_ENDINGS: Final = ("ness", "ish", "ing", "ment", "ful")
_SHORTEST_PART: Final = 3
# Blocks of letters that stand for others: ligatures, forms by place, wide and narrow ones, in a font's style, radicals.
_COMPATIBLE: Final = re.compile(
    "[\u2e80-\u2fdf\uf900-\ufaff\ufb00-\ufb4f\ufb50-\ufdff\ufe70-\ufefc\uff01-\uffee\U0001d400-\U0001d7ff\U0002f800-\U0002fa1f]+"
)
_ALONE: Final = re.compile("[\u0300-\u036f]")
_NOT_SHOWN: Final = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ufffe\uffff]")


def folded(text: str) -> str:
    """The text with ligatures and the like as the letters that they stand for."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _COMPATIBLE.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    return unicodedata.normalize("NFC", text) if _ALONE.search(text) else text


class Vocabulary:
    """Words of a document, by which its broken words are judged."""

    def __init__(self) -> None:
        self._count: collections.Counter[str] = collections.Counter()

    def learn(self, text: str) -> None:
        """Counts the words that are not broken."""
        for whole in _WORD.findall(_BROKEN.sub(" ", text)):
            word = whole.casefold()
            self._count[word] += 1
            if "-" in word:
                self._count.update(word.split("-"))

    def mended(self, text: str) -> str:
        """The text with its broken words joined, where the joined word is one."""
        at, made = 0, []
        while (found := _BROKEN.search(text, at)) is not None:
            made += [text[at : found.end(1)], self._between(found[1], found[2])]
            at = found.start(2)
        return _NOT_SHOWN.sub("", "".join([*made, text[at:]]))

    def _between(self, left: str, right: str) -> str:
        """The characters between the parts of a broken word: none where they are one word."""
        first, second = left.casefold(), right.casefold()
        joined, parted = self._count[first + second], self._count[f"{first}-{second}"]
        if joined or parted:
            return "" if joined >= parted else "-"
        if second in _CONJUNCTIONS:
            return "- "
        if not (left.isalpha() and right.isalpha()) or len(left) == 1:
            return "-"
        if right[0].isupper() and not left.isupper():
            return "-"
        if first in _ALWAYS_FIRST_PARTS and len(second) > _SHORTEST_PART and not second.startswith(_ENDINGS):
            return "-"
        compound = self._count[second] and len(second) >= _SHORTEST_PART
        if compound and (first in _FIRST_PARTS or (self._count[first] and len(first) >= _SHORTEST_PART)):
            return "-"
        return ""


def share_unreadable(text: str) -> float:
    """The share of the characters that are none: of private use, controls, unknown."""
    # Most characters of a page are the same few, so that each is asked about once.
    counted = collections.Counter(text)
    shown = {one: number for one, number in counted.items() if not one.isspace() and one != "\ufffe"}
    wrong = sum(
        number
        for one, number in shown.items()
        if unicodedata.category(one) in ("Co", "Cn", "Cc", "Cs") or one == "\ufffd"
    )
    return wrong / max(1, sum(shown.values()))


def vocabulary_of(texts: Sequence[str]) -> Vocabulary:
    """The words of these texts; none are needed where no word is broken."""
    made = Vocabulary()
    if any(_BROKEN.search(text) for text in texts):
        for text in texts:
            made.learn(text)
    return made
