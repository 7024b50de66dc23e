"""The part of a chunk that shows why it was found, its words marked. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from agentgw_daemon.storage.documents.folding import Term, words_of

MARK: Final = ("«", "»")
LENGTH: Final = 240  # characters: three lines of a terminal
_BEFORE_SHARE: Final = 4  # a quarter of these lies before the first word that is marked
_NEAR: Final = 30  # so far off a space is looked for, where a word would be cut

Span = tuple[int, int]


def snippet(text: str, terms: Sequence[Term], length: int = LENGTH) -> str:
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


def _marks(text: str, terms: Sequence[Term]) -> list[Span]:
    """The places of the terms' words, in order and apart."""
    whole = {word for term in terms if not term.inside for word in term.words}
    beginnings = tuple(term.words[-1] for term in terms if term.beginning)
    found = [
        (start, end)
        for word, start, end in words_of(text)
        if word in whole or (beginnings and word.startswith(beginnings))
    ]
    for term in terms:
        at = text.find(term.text) if term.inside else -1
        while at >= 0:
            found.append((at, at + len(term.text)))
            at = text.find(term.text, at + len(term.text))
    apart: list[Span] = []
    for start, end in sorted(found):
        if apart and start < apart[-1][1]:
            apart[-1] = (apart[-1][0], max(end, apart[-1][1]))
        else:
            apart.append((start, end))
    return apart


def _start(text: str, marks: Sequence[Span], length: int) -> int:
    """The place to begin so that the most different words are shown."""
    if len(text) <= length:
        return 0
    best, most = 0, 0
    for at, (start, _) in enumerate(marks):
        begin = max(0, start - length // _BEFORE_SHARE)
        words = {text[one[0] : one[1]].lower() for one in marks[at:] if one[1] <= begin + length}
        if len(words) > most:
            best, most = begin, len(words)
    return min(best, len(text) - length)


def _next_space(text: str, start: int, end: int) -> int:
    """The place behind the next space, so that no word is cut; where there is none soon, the place as it is."""
    at = text.find(" ", start - 1, min(start + _NEAR, end))
    return start if at < 0 else at + 1


def _last_space(text: str, start: int, end: int) -> int:
    at = text.rfind(" ", max(start, end - _NEAR), end + 1)
    return end if at < 0 else at


def _marked(text: str, marks: Sequence[Span], start: int, end: int) -> str:
    parts, at = [], start
    for first, behind in marks:
        parts += [text[at:first], MARK[0], text[first:behind], MARK[1]]
        at = behind
    return "".join([*parts, text[at:end]])
