"""Keeps what people, files and tools say from being read as control tokens, in a prompt that a template makes.

Wherever a text spells one (`<|im_end|>`), a mark that no text holds is put after its first character; the rendered
prompt is split at the marks. The tokeniser reads control tokens within a fragment only, so such words reach the model
as plain text. Pure.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Union

Json = Union[str, int, float, bool, None, Sequence["Json"], Mapping[str, "Json"]]  # noqa: UP007  # it names itself

# U+FDD0 to U+FDEF are noncharacters: no text should hold one, and a content that does keeps it.
MARKS: Final = tuple(map(chr, range(0xFDD0, 0xFDF0)))
# Deeper than any tool's schema; Python's own limit is a thousand.
_MAX_DEPTH: Final = 64


class NestsTooDeeply(ValueError):
    """A message or tool holds more levels than anything sensible has."""


class Marking:
    """The control texts of one vocabulary. Those of one character are left alone."""

    def __init__(self, controls: Iterable[str]) -> None:
        # First character -> length -> texts: a vocabulary may have thousands that all begin alike.
        self._controls: Final[dict[str, dict[int, set[str]]]] = {}
        for text in controls:
            if len(text) > 1:
                self._controls.setdefault(text[0], {}).setdefault(len(text), set()).add(text)

    def mark(self, value: Json, mark: str) -> Json:
        """The value with marks in all its texts, keys included."""
        if isinstance(value, str):
            return self._mark_text(value, mark)
        if isinstance(value, Mapping):
            return {self._mark_text(key, mark): self.mark(item, mark) for key, item in value.items()}
        if isinstance(value, Sequence):
            return [self.mark(item, mark) for item in value]
        return value

    def _mark_text(self, text: str, mark: str) -> str:
        cuts = [
            at + 1
            for first, lengths in self._controls.items()
            for at in _positions(text, first)
            if any(text[at : at + length] in texts for length, texts in lengths.items())
        ]
        if not cuts:
            return text
        edges = [0, *sorted(cuts), len(text)]
        return mark.join(text[start:end] for start, end in itertools.pairwise(edges))


def texts_of(value: Json, depth: int = 0) -> Iterator[str]:
    """All texts in a value, keys included. Raises NestsTooDeeply."""
    if depth > _MAX_DEPTH:
        raise NestsTooDeeply("a message or a tool nests too deeply")
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield key
            yield from texts_of(item, depth + 1)
    elif isinstance(value, Sequence):
        for item in value:
            yield from texts_of(item, depth + 1)


def free_mark(texts: Iterable[str]) -> str | None:
    """A mark that none of the texts holds; None if they hold all."""
    free = set(MARKS)
    for text in texts:
        free -= {mark for mark in free if mark in text}
    return min(free, default=None)


def _positions(text: str, character: str) -> Iterator[int]:
    at = text.find(character)
    while at >= 0:
        yield at
        at = text.find(character, at + 1)
