"""The part of a chunk that shows why it was found, its words marked. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from agentgw_daemon.storage.words.folding import words_of
from agentgw_daemon.storage.words.terms import Term, Terms

MARK: Final = ("«", "»")
LENGTH: Final = 240  # characters: three lines of a terminal
_BEFORE_SHARE: Final = 4  # a quarter of these lies before the first word that is marked
_NEAR: Final = 30  # so far off a space is looked for, where a word would be cut

CharacterRange = tuple[int, int]


def snippet(text: str, terms: Terms, length: int = LENGTH) -> str:
    """About so many characters around most of the terms; the beginning when none of them occurs."""
    marks = _marks(text, terms)
    start = _start(text, marks, length)
    end = min(len(text), start + length)
    if start:
        start = _next_space(text, start, end)
    if end < len(text):
        end = _last_space(text, start, end)
    shown = _marked(text, [mark for mark in marks if start <= mark[0] and mark[1] <= end], start, end)
    return f"{'…' if start else ''}{shown.strip()}{'…' if end < len(text) else ''}"


def _marks(text: str, terms: Terms) -> list[CharacterRange]:
    """The places of the words of whole terms, and of names with their signs, in order and apart."""
    words = list(words_of(text))
    places: dict[str, list[int]] = {}
    for at, (word, _, _) in enumerate(words):
        places.setdefault(word, []).append(at)
    found = [words[at][1:] for term in terms.terms for at in _places(term, words, places)]
    for name in terms.names:
        at = text.find(name.text)
        while at >= 0:
            found.append((at, at + len(name.text)))
            at = text.find(name.text, at + len(name.text))
    apart: list[CharacterRange] = []
    for start, end in sorted(found):
        if apart and start < apart[-1][1]:
            apart[-1] = (apart[-1][0], max(end, apart[-1][1]))
        else:
            apart.append((start, end))
    return apart


def _places(term: Term, words: Sequence[tuple[str, int, int]], places: dict[str, list[int]]) -> Iterator[int]:
    """The words of each place where the whole term is."""
    *before, last = term.words
    beginnings = [at for at, (word, _, _) in enumerate(words) if word.startswith(last)] if term.beginning else None
    first = places.get(before[0], []) if before else places.get(last, []) if beginnings is None else beginnings
    size = len(term.words)
    for start in first:
        span = [word for word, _, _ in words[start : start + size]]
        ends_well = len(span) == size and (span[-1].startswith(last) if term.beginning else span[-1] == last)
        if ends_well and span[:-1] == before:
            yield from range(start, start + size)


def _start(text: str, marks: Sequence[CharacterRange], length: int) -> int:
    """The place to begin so that the most different words are shown."""
    if len(text) <= length:
        return 0
    best, most, behind = 0, 0, 0
    words = [text[start:end].lower() for start, end in marks]
    shown: Counter[str] = Counter()
    for at, (start, _) in enumerate(marks):
        begin = max(0, start - length // _BEFORE_SHARE)
        behind = max(behind, at)
        while behind < len(marks) and marks[behind][1] <= begin + length:
            shown[words[behind]] += 1
            behind += 1
        if len(shown) > most:
            best, most = begin, len(shown)
        if at < behind:
            shown[words[at]] -= 1
            shown += Counter()  # without what is shown no more
    return min(best, len(text) - length)


def _next_space(text: str, start: int, end: int) -> int:
    """The place behind the next space, so that no word is cut; where there is none soon, the place as it is."""
    at = text.find(" ", start - 1, min(start + _NEAR, end))
    return start if at < 0 else at + 1


def _last_space(text: str, start: int, end: int) -> int:
    at = text.rfind(" ", max(start, end - _NEAR), end + 1)
    return end if at < 0 else at


def _marked(text: str, marks: Sequence[CharacterRange], start: int, end: int) -> str:
    parts, at = [], start
    for first, behind in marks:
        parts += [text[at:first], MARK[0], text[first:behind], MARK[1]]
        at = behind
    return "".join([*parts, text[at:end]])
