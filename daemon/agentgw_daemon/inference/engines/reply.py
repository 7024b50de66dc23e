"""One answer of an endpoint in the making: texts in their channels, calls, bounds, and how it ended. Pure.

What an endpoint promises is held to on this side: so many tokens, so many bytes, an answer or the reason why there is
none. An answer that is cut here ended for its length.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from agentgw.protocol.types import Channel, FinishReason, Usage
from agentgw_daemon.inference.engine import TextDelta
from agentgw_daemon.inference.engines.call_pieces import CallPieces
from agentgw_daemon.inference.engines.chunks import CallPiece, ChunkContent
from agentgw_daemon.tool_calling.answers.events import AnswerText, Malformed, ModelToolCall, ParseEvent, Reasoning
from agentgw_daemon.tool_calling.answers.json_answer import json_parser
from agentgw_daemon.tool_calling.formats import PLAIN

# No vocabulary has text whose tokens are that long on average. A delta is a token or more.
_MOST_TOKEN_BYTES: Final = 16


class NoAnswer(Exception):
    """The answer ended and is none. `words` are the endpoint's or the model's."""

    def __init__(self, what: str, *, words: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.words = words
        self.hint = hint


class Reply:
    """Reply of an endpoint up to here. `take` its pieces; `close` when it has ended."""

    def __init__(self, *, max_bytes: int, max_tokens: int | None = None, json: bool = False) -> None:
        self._max_tokens: Final = max_tokens
        self._bytes_left = max_bytes
        self._parser: Final = json_parser() if json else PLAIN.parser()
        self._calls: Final = CallPieces()
        self._called = False
        self._answered = False
        self._thought = False
        self._refusal: list[str] = []
        # Of the answer and its calls, and of reasoning: some endpoints count it apart.
        self._deltas: dict[Channel, int] = {"answer": 0, "reasoning": 0}
        self._bytes: dict[Channel, int] = {"answer": 0, "reasoning": 0}
        self.finish_reason: FinishReason | None = None
        self.usage: Usage | None = None
        # A bound is reached: nothing more is taken.
        self.full = False

    @property
    def pieces(self) -> int:
        """Deltas that said something: at most as many as there were tokens."""
        return sum(self._deltas.values())

    def take(self, piece: ChunkContent) -> Iterator[TextDelta]:
        """Take a piece; gives its text. Raises NoAnswer when it ends without an end, after what it says besides."""
        self.usage = piece.usage or self.usage
        self._count(piece)
        for channel, text in piece.texts:
            if not self.full and (kept := self._within(channel, text)):
                yield from self._heard(channel, kept)
        self._calls.add(self._within_bounds(piece.calls))
        if piece.refusal and not self.full and (words := self._within("answer", piece.refusal)):
            self._refusal.append(words)
        if not self.full:
            self.finish_reason = piece.finish_reason or self.finish_reason
        if piece.failure:
            raise self._refused() or NoAnswer(
                f"the endpoint ended the answer with the reason {piece.failure[:80]!r}",
                hint="ask in other words" if "filter" in piece.failure.lower() else "",
            )

    def close(self) -> Iterator[TextDelta | ModelToolCall | Malformed]:
        """End the reply; gives text and calls that the end completes. Raises NoAnswer when nothing was said."""
        yield from self._said(self._parser.close())
        if (refused := self._refused()) is not None:
            raise refused
        yield from self._calls.complete(cut=self.finish_reason == "length")
        if self._answered or self._called:
            return
        what = "nothing but reasoning came" if self._thought else "the endpoint ended the answer without a word"
        if self.finish_reason == "length":
            raise NoAnswer(f"{what}: it was cut at the limit of tokens", hint="raise max_tokens")
        raise NoAnswer(what)

    def _refused(self) -> NoAnswer | None:
        return NoAnswer("the model refused", words="".join(self._refusal)) if self._refusal else None

    def _count(self, piece: ChunkContent) -> None:
        channels: set[Channel] = {channel for channel, text in piece.texts if text}
        if piece.refusal or any(call.name or call.arguments for call in piece.calls):
            channels.add("answer")
        for channel in channels:
            if self._max_tokens is not None and self._deltas[channel] >= self._max_tokens:
                self._fill()
                return
            self._deltas[channel] += 1

    def _within(self, channel: Channel, text: str) -> str:
        """The part of a text that its bounds allow."""
        raw = text.encode("utf-8", "surrogatepass")
        left = self._bytes_left
        if self._max_tokens is not None:
            left = min(left, self._max_tokens * _MOST_TOKEN_BYTES - self._bytes[channel])
        if len(raw) > left:
            self._fill()
            raw = raw[:left]
            text = raw.decode("utf-8", "ignore")
        self._bytes_left -= len(raw)
        self._bytes[channel] += len(raw)
        return text

    def _fill(self) -> None:
        self.full = True
        self.finish_reason = "length"

    def _within_bounds(self, calls: Iterable[CallPiece]) -> Iterator[CallPiece]:
        for piece in calls:
            if self.full:
                return
            self._called = True
            arguments = self._within("answer", piece.name + piece.arguments)[len(piece.name) :]
            yield dataclasses.replace(piece, arguments=arguments)

    def _heard(self, channel: Channel, text: str) -> Iterator[TextDelta]:
        if channel == "answer":
            yield from self._said(self._parser.feed(text))
        else:
            self._thought = True
            yield TextDelta(texts=(text,), channel="reasoning")

    def _said(self, events: Sequence[ParseEvent]) -> Iterator[TextDelta]:
        for event in events:
            match event:
                case AnswerText(text=text):
                    self._answered = self._answered or not text.isspace()
                    yield TextDelta(texts=(text,))
                case Reasoning(text=text):
                    self._thought = True
                    yield TextDelta(texts=(text,), channel="reasoning")
