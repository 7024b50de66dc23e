"""Words as the full-text index has them, the same of a stored text and of a query. Pure.

Written alike is what a reader takes for alike: case, accents, width, ligatures, ß and ss, Ł and L, digits of any
script, the letters that Arabic and Persian keyboards have twice, the nasals of Hindi. Scripts that write without spaces
give overlapping pieces of two or three characters, one at each place, so that what stands in the middle of a sentence
is found without knowing where its words end.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

# The index was made by these rules and by this Unicode: with others it is made anew.
VERSION: Final = f"3-{unicodedata.unidata_version}"

# Letters that Unicode takes for letters of their own, and readers for variants; marks that are typed as ASCII.
_SPELLED: Final = {
    "ł": "l", "ø": "o", "œ": "oe", "æ": "ae", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ŧ": "t", "ı": "i", "ȷ": "j",
    "\u0649": "\u064a", "\u06cc": "\u064a", "\u06a9": "\u0643", "\u0629": "\u0647", "\u0671": "\u0627",
    "\u0901": "\u0902", "\u093c": "",
    "’": "'", "‘": "'", "ʼ": "'", "ʻ": "'", "“": '"', "”": '"', "„": '"', "‐": "-", "–": "-", "—": "-", "−": "-",
    "ـ": "",
}  # fmt: skip
# Accents of Latin, Greek and Cyrillic, vowel points of Hebrew and Arabic, variation selectors. Marks of other scripts
# make other letters (か and が) or are the vowels of a word.
_ACCENTS: Final = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u1ab0-\u1aff\u1dc0-\u1dff"
    "\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f]"
)
# Han, kana, Hangul (whose endings stick to the words): most words have one or two characters.
_PAIRS: Final = re.compile(
    "[\u3005-\u3007\u3040-\u30ff\u3100-\u312f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U0001b000-\U0001b16f\U00020000-\U000323af]"
)
# Thai, Lao, Burmese, Khmer, the scripts of Tai languages, Javanese, Balinese: most have three or more, vowels and tones
# counted.
_TRIPLES: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\u1b00-\u1b7f\ua980-\ua9ff\uaa60-\uaadf]"
)
# Before a consonant a nasal without its vowel is written as a dot as well.
_NASAL: Final = re.compile("[\u0919\u091e\u0923\u0928\u092e]\u094d(?=[\u0915-\u0939])")
# Of a paragraph's number, with a space that may be one that does not break.
_SECTION: Final = re.compile(r"§{1,2}\s{0,2}(?=\d)")
# Kinds of characters: of a word, of a script without spaces, not seen, between words.
_WORD: Final = "w"
_PAIR: Final = "p"
_TRIPLE: Final = "t"
_JOINER: Final = "j"
_GAP: Final = " "
_RUNS: Final = re.compile(f"{_WORD}[{_WORD}{_JOINER}]*|{_PAIR}[{_PAIR}{_JOINER}]*|{_TRIPLE}[{_TRIPLE}{_JOINER}]*")
_PIECE: Final = {_PAIR: 2, _TRIPLE: 3}
# Gaps between words in a text of ASCII alone: split in a fifth of the time.
_PARTED: Final = str.maketrans({chr(code): " " for code in range(128) if not chr(code).isalnum()})
# A word with the signs before or behind it that make it another one: `--all`, `.bashrc`, `$HOME`, `§12`, `c++`, `c#`.
_BEFORE: Final = re.compile(r"([-_:.$@#/\\%&~§]{1,2})([^\W_]+)")
_BEHIND: Final = re.compile(r"\+\+?|[#%]")
# Signs of ASCII among these, which the index's tokeniser has to be told to leave in a word.
SIGNS: Final = r"-_:.$@#/\%&~+"
# `MyReport2` is also found as its parts.
_PARTS: Final = re.compile(r"[^\W\d_]?[^\W\d_A-Z]+|[A-Z]+(?![a-z])|\d+")
# Letters as they are typed where a keyboard lacks them, and the same the other way round: a name is seldom proof-read.
_TYPED: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})
_UNTYPED: Final = re.compile(r"(?<![aeiouq])([aou])e(?=[^\W\d_])")
# No name of a file has more words; what came without one may be called anything.
_MOST_JOINED: Final = 64


class _Plain(dict[int, str]):
    """Replacement of each character of a decomposed text, found out when it is first met."""

    def __missing__(self, code: int) -> str:
        made = self[code] = _plain(chr(code))
        return made


class _Kinds(dict[int, str]):
    """Kind of each character, found out when it is first met."""

    def __missing__(self, code: int) -> str:
        made = self[code] = _kind(chr(code))
        return made


def _plain(char: str) -> str:
    if _ACCENTS.match(char) or unicodedata.category(char) == "Cf":
        return ""
    digit = unicodedata.decimal(char, None)
    return str(digit) if digit is not None else _SPELLED.get(char, char)


def _kind(char: str) -> str:
    # Halves of wide characters have their script's number only when they are whole.
    whole = unicodedata.normalize("NFKC", char)[0]
    kind = unicodedata.category(char)
    if kind == "Cf" or _ACCENTS.match(char):
        return _JOINER if kind != "Lm" else _WORD
    if kind[0] not in "LNM":
        return _GAP
    return _PAIR if _PAIRS.match(whole) else _TRIPLE if _TRIPLES.match(whole) else _WORD


_PLAIN: Final = _Plain()
_KINDS: Final = _Kinds()


def fold(text: str) -> str:
    """The text without all that makes no other word of a word."""
    if text.isascii():
        return text.lower()
    spread = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return unicodedata.normalize("NFC", with_sections(_NASAL.sub("\u0902", spread.translate(_PLAIN))))


def with_sections(text: str) -> str:
    """The text with the sign of a paragraph beside its number: `§ 12` and `§12` are one."""
    return _SECTION.sub("§", text)


def tokens(text: str) -> list[str]:
    """The words of a text, folded, in their order; of scripts without spaces the piece that begins at each place."""
    return parted(fold(text))


def parted(seen: str) -> list[str]:
    """The words of a text that is folded already."""
    if seen.isascii():
        return seen.translate(_PARTED).split()
    made: list[str] = []
    for word, size in runs(seen):
        made += pieces_of(word, size)
    return made


def pieces_of(word: str, size: int) -> list[str]:
    """A word as it is where the size is 0, or what begins at each place of one that is several words."""
    return [word[at : at + size] for at in range(len(word))] if size else [word]


def runs(text: str) -> Iterator[tuple[str, int]]:
    """The words of a folded text, whole, each with how long its pieces are: 0 for one of a script with spaces."""
    for run in _RUNS.finditer(text.translate(_KINDS)):
        yield text[run.start() : run.end()], _PIECE.get(run[0][0], 0)


def are_joined(before: str, after: str) -> bool:
    """Tells whether two characters that stand beside each other are of one word; of scripts without spaces none are."""
    return all(char == "_" or (char != "" and _KINDS[ord(char)] == _WORD) for char in (before, after))


def marked(text: str) -> list[str]:
    """The words of a text with the signs that stand directly before or behind them."""
    seen = fold(text)
    made: list[str] = []
    for found in _BEFORE.finditer(seen):
        signs, word = found.groups()
        # One sign alone where they differ, and none that is between two words.
        sign = signs if signs[0] == signs[-1] else signs[-1]
        at = found.start(2) - len(sign)
        if not at or not seen[at - 1].isalnum():
            made.append(sign + word)
    for found in _BEHIND.finditer(seen):
        start = end = found.start()
        while start and seen[start - 1].isalnum():
            start -= 1
        if start < end:
            made.append(seen[start : found.end()])
    return made


def name_of_source(source: str) -> str:
    """The last part of a path or an address."""
    return source.rstrip("/").rpartition("/")[2] or source


def name_tokens(source: str) -> list[str]:
    """The words of a file's name, the parts of those that are written together, neighbours together, and `ue` for `ü`
    and the other way round.
    """
    name = name_of_source(source)
    whole = tokens(name)
    parts = tokens(" ".join(_PARTS.findall(name)))
    made = whole if parts == whole else [*whole, *parts]
    few = [part for part in parts[:_MOST_JOINED] if _KINDS[ord(part[0])] == _WORD]
    others = [*map(str.__add__, few, few[1:])]
    if not name.isascii():
        others += tokens(unicodedata.normalize("NFC", name).lower().translate(_TYPED))[:_MOST_JOINED]
    others += _UNTYPED.sub(r"\1", " ".join(few)).split()
    known = set(made)
    return [*made, *(other for other in dict.fromkeys(others) if other not in known)]


def words_of(text: str) -> Iterator[tuple[str, int, int]]:
    """Each of the `tokens` with where it begins and ends in the text as it is written."""
    for run in _RUNS.finditer(text.translate(_KINDS)):
        start, end = run.span()
        size = _PIECE.get(run[0][0])
        if size is None:
            for token in tokens(text[start:end]):
                yield token, start, end
            continue
        letters = list(_letters(text, start, end))
        for at in range(len(letters)):
            some = letters[at : at + size]
            yield fold("".join(letter for letter, _, _ in some)), some[0][1], some[-1][2]


def _letters(text: str, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    """The characters between, each with the marks behind it that become one with it."""
    at = start
    while at < end:
        # Folded one by one: a stranger's text may have thousands of marks on one character.
        behind, one = at + 1, fold(text[at])
        while behind < end and len(more := fold(one + text[behind])) <= 1:
            behind, one = behind + 1, more
        yield text[at:behind], at, behind
        at = behind
