"""Texts with stretches replaced by what they stand for, such that places in the file stay known. Does no I/O."""

from __future__ import annotations

import bisect
import dataclasses
import html
import re
import unicodedata
from collections.abc import Callable
from typing import Final

from agentgw_daemon.workers.retrieval.reading.decoding import DecodedText

# Colours, moves of the cursor and titles of windows (ECMA-48), as programs write them for a terminal.
_TERMINAL: Final = re.compile(
    r"\x1b(?:\[[0-?]{0,60}[ -/]{0,4}[@-~]|\][^\x07\x1b\n]{0,2000}(?:\x07|\x1b\\)|[PX^_][^\x1b\n]{0,2000}\x1b\\"
    r"|[ -/]{1,2}[0-~]|[0-Z\\^-~])"
)
_REFERENCE: Final = re.compile(r"&(?:#[xX][0-9a-fA-F]{1,6}|#\d{1,7}|[A-Za-z][A-Za-z0-9]{1,31});")
# A space that does not break, a place where a word may.
_UNSEEN: Final = {"\xa0": "\xa0", "\xad": "", "\u200b": ""}
_HOLE: Final = re.compile("\0{8,}")
_COMBINING: Final = {
    '"': "\u0308", "'": "\u0301", "`": "\u0300", "^": "\u0302", "~": "\u0303", "=": "\u0304", ".": "\u0307",
    "c": "\u0327", "v": "\u030c", "H": "\u030b", "u": "\u0306", "k": "\u0328", "r": "\u030a", "d": "\u0323",
    "b": "\u0331",
}  # fmt: skip
_LETTERS: Final = {
    "ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "aa": "å", "AA": "Å", "o": "ø", "O": "Ø", "l": "ł", "L": "Ł",
    "i": "ı", "j": "ȷ", "dh": "ð", "DH": "Ð", "dj": "đ", "DJ": "Đ", "th": "þ", "TH": "Þ", "ng": "ŋ", "NG": "Ŋ",
}  # fmt: skip
# A letter with its accent, a letter of its own, a sign that would be a command, a place where a word may be broken.
# What is printed as it stands is passed over.
_OF_LATEX: Final = re.compile(
    r"""\\begin\{((?:[vV]erbatim|lstlisting|minted)\*?)\}.*?(?:\\end\{\1\}|\Z)
    | \\verb(?P<ends>[^A-Za-z\s*])[^\n]{0,500}?(?:(?P=ends)|$)
    | \\\\
    | (?P<outer>\{)?
      \\(?:(?P<accent>["'`^~=.])[ \t]{0,2}
          (?:\{[ ]?(?P<in>\\[ij]|[A-Za-z])[ ]?\}|(?P<bare>\\[ij](?![A-Za-z])[ ]?|[A-Za-z]))
        |(?P<named>[cvHukrdb])(?:[ ]{0,2}\{[ ]?(?P<inside>\\[ij]|[A-Za-z])[ ]?\}|[ ]{1,2}(?P<behind>[A-Za-z]))
        |(?P<letter>ss|ae|AE|oe|OE|aa|AA|o|O|l|L|i|j|dh|DH|dj|DJ|th|TH|ng|NG)(?![A-Za-z])(?:\{\}|[ ](?=[A-Za-z]))?
        |(?P<sign>[_%&\#$-]))
      (?(outer)\})""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
# Braces that keep the capitals of a title.
_KEPT_CAPITALS: Final = re.compile(r"(?<![\\\w])\{([A-Za-z]{1,40})\}(?=[A-Za-z])")


@dataclasses.dataclass(frozen=True, slots=True)
class _Splices:
    """Places of the stretches, in what they were made of and in what was made, each with its end."""

    whole: DecodedText
    old: tuple[tuple[int, int], ...]
    new: tuple[tuple[int, int], ...]

    def size(self, start: int, end: int) -> int:
        """The number of the file's bytes that these characters are."""
        return self.whole.size(self.before(start), self.before(end))

    def before(self, at: int) -> int:
        """The place that this one was made of."""
        number = bisect.bisect_right(self.new, (at, len(self.whole.text) + 1)) - 1
        if number < 0:
            return at
        (_, made), (begun, ended) = self.new[number], self.old[number]
        return begun if at < made else ended + at - made


def replaced(text: DecodedText, pattern: re.Pattern[str], by: Callable[[re.Match[str]], str]) -> DecodedText:
    """The text with what the pattern finds replaced."""
    parts: list[str] = []
    old: list[tuple[int, int]] = []
    new: list[tuple[int, int]] = []
    at = length = 0
    for found in pattern.finditer(text.text):
        made = by(found)
        if made == found[0]:
            continue
        parts += [text.text[at : found.start()], made]
        length += found.start() - at
        old.append(found.span())
        new.append((length, length + len(made)))
        length, at = length + len(made), found.end()
    if not old:
        return text
    made = "".join([*parts, text.text[at:]])
    splices = _Splices(text, tuple(old), tuple(new))
    # What is gone from the beginning is before the text.
    offset = text.offset + text.size(0, splices.before(0))
    return dataclasses.replace(text, text=made, offset=offset, places=None, spliced=splices)


def without_terminal_codes(text: DecodedText) -> DecodedText:
    """The text without what colours it, which would stick to its words."""
    return replaced(text, _TERMINAL, lambda _: "") if "\x1b" in text.text else text


def without_holes(text: DecodedText) -> DecodedText:
    """The text with a space for many zeros in a row, as a crash leaves them."""
    return replaced(text, _HOLE, lambda _: " ") if "\0" in text.text else text


def without_references(text: DecodedText) -> DecodedText:
    """The text of markup that takes letters by HTML's names and numbers with these as they are shown."""
    return replaced(text, _REFERENCE, _referred) if "&" in text.text else text


def _referred(found: re.Match[str]) -> str:
    made = html.unescape(found[0])
    if made in _UNSEEN:
        return _UNSEEN[made]
    # What would be markup stays written out.
    return made if len(made) == 1 and made not in "<>&\"'`*_#|" and made.isprintable() else found[0]


def with_accents(text: DecodedText, *, catalogue: bool = False) -> DecodedText:
    """The text of LaTeX, or of a catalogue for it, with the letters that commands stand for."""
    if "\\" in text.text:
        text = replaced(text, _OF_LATEX, _letter)
    return replaced(text, _KEPT_CAPITALS, lambda found: found[1]) if catalogue else text


def _letter(found: re.Match[str]) -> str:
    if letter := found["letter"]:
        return _LETTERS[letter]
    if sign := found["sign"]:
        return found[0] if found["outer"] else sign.replace("-", "")
    accent, base = found["accent"] or found["named"], found["in"] or found["bare"] or found["inside"] or found["behind"]
    if accent is None or base is None:
        return found[0]
    made = unicodedata.normalize("NFC", base.strip().removeprefix("\\") + _COMBINING[accent])
    # What no language has is another command.
    return made if len(made) == 1 else found[0]
