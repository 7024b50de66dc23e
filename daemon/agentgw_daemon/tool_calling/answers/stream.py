"""A text that arrives in pieces, read as if it were all there.

A family's reader is a generator over a TextCursor: it yields events, and None when it needs more text. Every decision
depends on the text alone and never on where it was cut, so any cutting gives the same events (neighbouring pieces of
text joined). Text is passed on as soon as it cannot be the start of a marker.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Final, TypeVar

from agentgw_daemon.tool_calling.answers.events import AnswerText, ParseEvent, Reasoning

T = TypeVar("T")
# Yields events; None asks for more text.
Reading = Generator[ParseEvent | None, None, T]

# Characters that change where JSON text ends: quotes and brackets outside strings, the next quote or escape inside.
_OUTSIDE: Final = re.compile(r'["{}\[\]]')
_INSIDE: Final = re.compile(r'["\\]')


class TextCursor:
    """The text from `at` on. `closed`: no more will come."""

    def __init__(self) -> None:
        self._text = ""
        self.closed = False

    def add(self, text: str) -> None:
        """Appends text that has arrived."""
        self._text += text

    @property
    def rest(self) -> str:
        """The text that is there and not yet taken."""
        return self._text

    def take(self, length: int) -> str:
        """The next characters, which must be there."""
        taken, self._text = self._text[:length], self._text[length:]
        return taken


class StreamParser:
    """Makes events of one answer's text. `feed` it pieces, then `close` it; each gives the events that are sure."""

    def __init__(self, read: Callable[[TextCursor], Reading[None]]) -> None:
        self._stream: Final = TextCursor()
        self._reading: Final = read(self._stream)

    def feed(self, text: str) -> list[ParseEvent]:
        """The events that this piece completes."""
        if not text:
            return []
        self._stream.add(text)
        return list(self._read())

    def close(self) -> list[ParseEvent]:
        """The events that the end completes; call it once."""
        self._stream.closed = True
        return list(self._read())

    def _read(self) -> Iterator[ParseEvent]:
        for event in self._reading:
            if event is not None:
                yield event
            elif not self._stream.closed:
                return


def find_marker(stream: TextCursor, markers: Iterable[str]) -> tuple[int, str] | None:
    """The place of the first marker (of two at one place the longer), None if there is none yet."""
    found = [(at, -len(marker), marker) for marker in markers if (at := stream.rest.find(marker)) >= 0]
    if not found:
        return None
    at, _, marker = min(found)
    return at, marker


def read_text(
    stream: TextCursor, markers: tuple[str, ...], kind: type[AnswerText] | type[Reasoning] = AnswerText
) -> Reading[str | None]:
    """Pass text on until a marker, and take that. None: the text ended.

    No marker may be the start of another.
    """
    while True:
        if found := find_marker(stream, markers):
            at, marker = found
            if at:
                yield kind(text=stream.take(at))
            return stream.take(len(marker))
        held = 0 if stream.closed else overlap(stream.rest, markers)
        if len(stream.rest) > held:
            yield kind(text=stream.take(len(stream.rest) - held))
        if stream.closed:
            return None
        yield None


def overlap(text: str, markers: Iterable[str]) -> int:
    """Length of the longest end of `text` that starts a marker without completing it."""
    longest = 0
    for marker in markers:
        for length in range(min(len(marker) - 1, len(text)), longest, -1):
            if marker.startswith(text[-length:]):
                longest = length
                break
    return longest


def read_until(stream: TextCursor, markers: tuple[str, ...]) -> Reading[tuple[str, str | None]]:
    """The text before a marker and the marker, both taken; all text and None if no marker comes."""
    searched = 0
    longest = max(map(len, markers))
    while True:
        places = [(at, marker) for marker in markers if (at := stream.rest.find(marker, searched)) >= 0]
        if places:
            at, marker = min(places)
            text = stream.take(at)
            return text, stream.take(len(marker))
        if stream.closed:
            return stream.take(len(stream.rest)), None
        searched = max(len(stream.rest) - longest + 1, 0)
        yield None


def read_space(stream: TextCursor) -> Reading[str]:
    """White space, taken."""
    while True:
        rest = stream.rest
        length = len(rest) - len(rest.lstrip())
        if length < len(rest) or stream.closed:
            return stream.take(length)
        yield None


def read_choice(stream: TextCursor, literals: tuple[str, ...]) -> Reading[str | None]:
    """The literal that comes next, taken; None if something else does. No literal may be the start of another."""
    while True:
        rest = stream.rest
        for literal in literals:
            if rest.startswith(literal):
                return stream.take(len(literal))
        if stream.closed or not any(literal.startswith(rest) for literal in literals):
            return None
        yield None


def read_json(stream: TextCursor) -> Reading[str | None]:
    """The JSON object or array that comes next, by its brackets, taken; None, and nothing taken, if none ends.

    Whether it is valid JSON is not checked. Each character is looked at once, whatever the cutting.
    """
    at, depth, in_string = 0, 0, False
    while True:
        rest = stream.rest
        while found := (_INSIDE if in_string else _OUTSIDE).search(rest, at):
            at = found.end()
            match found[0]:
                case "\\":
                    at += 1  # what is escaped; it may not be there yet
                case '"':
                    in_string = not in_string
                case "{" | "[":
                    depth += 1
                case _:
                    depth -= 1
                    if depth <= 0:
                        return stream.take(at)
        at = max(at, len(rest))
        if stream.closed:
            return None
        yield None
