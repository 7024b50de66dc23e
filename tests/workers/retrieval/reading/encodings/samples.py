"""Sentences of `sentences.txt` in old encodings, and how many of them are read right, by encoding.

`python -m tests.workers.retrieval.reading.encodings.samples` prints the table of docs/knowledge.md.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agentgw_daemon.workers.retrieval.reading.decoding import decode
from agentgw_daemon.workers.retrieval.reading.values import Unreadable

_ENCODINGS: Final = {
    "de fr es pt it sv da fi": "cp1252 cp850 cp437 mac_roman",
    "pl cs sk hu ro hr": "cp1250 iso8859-2 cp852 mac_latin2",
    "tr": "cp1254 cp857 mac_turkish",
    "lt lv et": "cp1257 cp775",
    "ru bg": "cp1251 koi8-r iso8859-5 cp866 mac_cyrillic",
    "uk": "cp1251 koi8-u iso8859-5 mac_cyrillic",
    "el": "cp1253 iso8859-7 cp737 mac_greek",
    "he": "cp1255",
    "ar": "cp1256 iso8859-6",
    "th": "cp874",
    "ja": "cp932 euc_jp iso2022_jp",
    "zh": "gb18030",
    "tw": "big5hkscs",
    "ko": "cp949",
}
WIDE: Final = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")


@dataclasses.dataclass(frozen=True, slots=True)
class EncodedSample:
    """A text in an encoding: three sentences or one."""

    language: str
    encoding: str
    text: str
    whole: bool

    @property
    def data(self) -> bytes:
        """The bytes of a file with it."""
        return self.text.encode(self.encoding)

    def is_read(self) -> bool:
        """Tells whether every letter is read right without a declaration."""
        try:
            return decode(self.data).text == self.text
        except Unreadable:
            return False


def sentences() -> dict[str, list[str]]:
    """Three lines of text in each language."""
    made: dict[str, list[str]] = {}
    for line in Path(__file__).with_name("sentences.txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            made[line.strip("[]")] = lines = []
        elif not line.startswith("#"):
            lines.append(line)
    return made


def encoded() -> Iterator[EncodedSample]:
    """Every text in every encoding that its language has letters in; what is ASCII says nothing."""
    lines = sentences()
    for languages, encodings in _ENCODINGS.items():
        for language in languages.split():
            texts = [("\n".join(lines[language]) + "\n", True), *((line, False) for line in lines[language])]
            for encoding in (*encodings.split(), *WIDE):
                for text, whole in texts:
                    if not text.isascii() and _has_letters(encoding, text):
                        yield EncodedSample(language, encoding, text, whole)


def _has_letters(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def table() -> str:
    """Right ones of all, by encoding, as Markdown."""
    counts: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0, 0, 0])
    for one in encoded():
        right = one.is_read()
        for name in (one.encoding, "all"):
            counts[name][0 if one.whole else 2] += right
            counts[name][1 if one.whole else 3] += 1
    rows = [f"| {name} | {a} of {b} | {c} of {d} |" for name, (a, b, c, d) in sorted(counts.items())]
    return "\n".join(("| encoding | texts | lines |", "|---|---|---|", *rows))


if __name__ == "__main__":
    print(table())
