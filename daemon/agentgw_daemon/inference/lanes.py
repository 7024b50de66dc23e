"""Where the slots' keys and values lie: all in one context, but those of a request that must be alone.

That one has a context of its own, made when it is first needed: its cells are always the same ones, so the same
tokens are added up in the same order and the same seed draws the same text, whatever the others do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from agentgw_daemon.inference.context import Batch, Context
from agentgw_daemon.inference.slots import Piece


class Lanes:
    """The slots of `context`, numbered as its sequences are, and one more beyond them. The memory of `slots.Slots`."""

    def __init__(self, context: Context, make_apart: Callable[[], Context], *, batch_tokens: int) -> None:
        self._context: Final = context
        self._make_apart: Final = make_apart
        self._apart: Context | None = None
        self._batch: Final = Batch(batch_tokens)

    def open_apart(self) -> None:
        """Make the context of those who must be alone. Raises EngineError."""
        if self._context.slots > 1 and self._apart is None:
            self._apart = self._make_apart()

    def context(self, slot: int) -> Context:
        """Where a slot lies."""
        return self._context if slot < self._context.slots or self._apart is None else self._apart

    def keep(self, slot: int, length: int) -> int:
        """See slots.Memory."""
        return self.context(slot).keep(slot if slot < self._context.slots else 0, length)

    def share(self, source: int, target: int, length: int) -> None:
        """See slots.Memory."""
        self._context.share(source, target, length)

    def decode(self, pieces: Sequence[Piece]) -> dict[int, int] | None:
        """Compute pieces that lie in one context: the batch index to sample at for each task's key.

        None: aborted. Raises EngineError.
        """
        batch, indices = self._batch, {}
        batch.clear()
        for piece in pieces:
            sequence = piece.slot if piece.slot < self._context.slots else 0
            end = piece.start + len(piece.tokens) - 1
            for position, token in enumerate(piece.tokens, piece.start):
                at = batch.add(token, position, sequence, wanted=piece.last and position == end)
            if piece.last:
                indices[piece.task.key] = at
        return indices if self.context(pieces[0].slot).decode(batch) else None

    def close(self) -> None:
        """Free everything."""
        self._batch.close()
        self._context.close()
        if self._apart is not None:
            self._apart.close()
