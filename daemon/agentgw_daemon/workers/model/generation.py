"""Text that a client sees, of token bytes: UTF-8 put together, stop strings cut, the end decided. Pure.

Feeding the same bytes in any pieces gives the same text: a character split over tokens waits for its rest, and
so does text that may be the start of a stop string.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from typing import Final


class StopStrings:
    """Finds the stop string that is complete first; of several complete at once, the longest."""

    def __init__(self, stops: Iterable[str]) -> None:
        self._stops: Final = tuple(dict.fromkeys(filter(None, stops)))
        self._held = ""

    def feed(self, text: str) -> tuple[str, bool]:
        """The text that may be shown at this point, and whether a stop string follows it."""
        if not self._stops:
            return text, False
        self._held += text
        ends = [(at + len(stop), at) for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if ends:
            shown = self._held[: min(ends)[1]]
            self._held = ""
            return shown, True
        keep = max(self._overlap(stop) for stop in self._stops)
        cut = len(self._held) - keep
        shown, self._held = self._held[:cut], self._held[cut:]
        return shown, False

    def _overlap(self, stop: str) -> int:
        """Length of the longest end of the held text that starts `stop`."""
        for length in range(min(len(stop) - 1, len(self._held)), 0, -1):
            if self._held.endswith(stop[:length]):
                return length
        return 0

    def release(self) -> str:
        """The text held back, when no more can come."""
        held, self._held = self._held, ""
        return held


class Generation:
    """One answer in the making."""

    def __init__(self, *, stops: Iterable[str] = (), max_tokens: int | None = None) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stops = StopStrings(stops)
        self._max_tokens = max_tokens
        self.tokens = 0
        self.finish_reason: str | None = "length" if max_tokens is not None and max_tokens <= 0 else None

    def add(self, piece: bytes | None) -> str:
        """Text to show for one more token; None is the model's own end. `finish_reason` is set when it was the last."""
        if piece is None:
            self.finish_reason = "stop"
            return ""
        self.tokens += 1
        shown, stopped = self._stops.feed(self._decoder.decode(piece))
        if stopped:
            self.finish_reason = "stop"
            self._decoder.reset()
        elif self._max_tokens is not None and self.tokens >= self._max_tokens:
            self.finish_reason = "length"
        return shown

    def rest(self) -> str:
        """The text still held back, once the answer has ended for whatever reason."""
        shown, stopped = self._stops.feed(self._decoder.decode(b"", final=True))
        if stopped:
            self.finish_reason = "stop"
            return shown
        return shown + self._stops.release()
