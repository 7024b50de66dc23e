"""The reply to one request to an endpoint, and the patience with it. Does no I/O."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import trio

from agentgw_daemon.inference.engine import GenerationRequest, TextDelta
from agentgw_daemon.inference.engines.chunks import ChunkContent
from agentgw_daemon.inference.engines.endpoint_http import Patience
from agentgw_daemon.inference.engines.reply import Reply

# Events without words are signs of life, of thoughts that are not shown; but not for ever.
_MOST_WORDLESS: Final = 4


class TimedReply(Reply):
    """The reply to a request, and how long was waited for what.

    Only waiting counts: while nobody takes what was said, an endpoint cannot be heard.
    """

    def __init__(self, request: GenerationRequest, max_bytes: int) -> None:
        super().__init__(
            max_bytes=max_bytes, max_tokens=request.options.max_tokens, json=request.schema is not None
        )  # fmt: skip
        self.first_at = 0.0
        # For an event, for words, for what comes after the end of the answer.
        self._silent_s = 0.0
        self._wordless_s = 0.0
        self._lingering_s = 0.0
        # The endpoint said that this was all.
        self.done = False
        # So is it when the usage comes by itself after the end.
        self.told = False

    @property
    def complete(self) -> bool:
        """Tells whether the answer has its end."""
        return self.done or self.finish_reason is not None

    def take(self, piece: ChunkContent) -> Iterator[TextDelta]:
        """See Reply."""
        self._silent_s = 0.0
        self.told = self.finish_reason is not None and piece.usage is not None and piece.finish_reason is None
        before = self.pieces
        yield from super().take(piece)
        if self.pieces > before:
            self._wordless_s = self._lingering_s = 0.0
            self.first_at = self.first_at or trio.current_time()

    def waited(self, seconds: float) -> None:
        """Counts seconds that were waited for more bytes, before they are taken."""
        self._silent_s += seconds
        self._wordless_s += seconds
        self._lingering_s += seconds if self.complete else 0.0

    def patience_left_s(self, patience: Patience) -> float:
        """The seconds to wait for more bytes."""
        left = min(patience.silence_s - self._silent_s, _MOST_WORDLESS * patience.silence_s - self._wordless_s)
        return max(min(left, patience.usage_s - self._lingering_s) if self.complete else left, 0.0)
