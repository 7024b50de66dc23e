"""Memory of the slots' keys and values: all in one context, but those of a request that must be isolated.

That one has a context of its own while there is such a request: its cells are always the same ones, so the same
tokens are added up in the same order and the same seed draws the same text, whatever the others do.

The context has one sequence more than slots: a part of a slot's tokens is copied there to be saved or loaded, because
llama.cpp saves and loads whole sequences.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AbcSequence
from typing import Final

from agentgw_daemon.workers.model.batching.sequence import BatchSlice, Sequence
from agentgw_daemon.workers.model.batching.slots import WORTH_KEEPING_TOKENS
from agentgw_daemon.workers.model.kv.disk_cache import DiskPrefixCache
from agentgw_daemon.workers.model.kv.ram_cache import RamPrefixCache
from agentgw_daemon.workers.model.sampling.context import Batch, Context

# The supervisor gives a worker that is told to stop two seconds; what is not written then is computed again.
_CLOSE_TIMEOUT_S: Final = 1.0
# Saved at once; a quarter of what may wait for the disk.
_PIECE_BYTES: Final = 64 << 20


class KvMemory:
    """The slots of `context` and one more beyond them. The memory of `scheduler.Scheduler`.

    `disk_cache` None: nothing is saved on disk. `token_bytes` is what a token takes of the cache, about.
    """

    def __init__(
        self,
        context: Context,
        make_isolated: Callable[[], Context],
        *,
        n_slots: int,
        batch_tokens: int,
        disk_cache: DiskPrefixCache | None = None,
        token_bytes: int = 1,
    ) -> None:
        self._context: Final = context
        self._make_isolated: Final = make_isolated
        self._isolated: Context | None = None
        self._n_slots: Final = n_slots
        self._scratch: Final = n_slots  # the sequence after the slots' own
        self._disk_cache: Final = disk_cache
        self._ram_cache: Final = RamPrefixCache()
        self._swapped_out: Final[dict[int, list[tuple[int, int, bytes]]]] = {}
        self._piece_tokens: Final = max(_PIECE_BYTES // token_bytes, 1)
        self._batch: Final = Batch(batch_tokens)

    @property
    def has_isolated(self) -> bool:
        """Tells whether one that must be isolated has a context of its own."""
        return self._n_slots > 1

    def open_isolated(self) -> None:
        """Make the context of those who must be isolated. Raises EngineError."""
        if self.has_isolated and self._isolated is None:
            self._isolated = self._make_isolated()

    def close_isolated(self) -> None:
        """Give its memory back: it is as large as a whole context."""
        if self._isolated is not None:
            self._isolated.close()
            self._isolated = None

    def context(self, slot: int) -> Context:
        """The context in which a slot lies."""
        return self._context if slot < self._n_slots or self._isolated is None else self._isolated

    def keep(self, slot: int, length: int) -> int:
        """See slots.Memory."""
        return self.context(slot).keep(slot if slot < self._n_slots else 0, length)

    def share(self, source: int, target: int, length: int) -> None:
        """See slots.Memory."""
        self._context.share(source, target, 0, length)

    def restorable(self, tokens: list[int]) -> int:
        """See slots.Memory."""
        return max(
            self._ram_cache.match(tokens), self._disk_cache.match(tokens, len(tokens)) if self._disk_cache else 0
        )

    def restore(self, slot: int, tokens: list[int], length: int) -> int:
        """See slots.Memory."""
        if self._ram_cache.match(tokens) >= length:
            return length if self._put(slot, self._ram_cache.load(tokens), 0, length) else 0
        restored = 0
        for part in self._disk_cache.load(tokens, length) if self._disk_cache else ():
            end = min(part.end, length)
            if not self._put(slot, part.payload, part.start, end):
                break
            restored = end
        return restored

    def swap_out(self, slot: int, start: int, end: int) -> bool:
        """See slots.Memory."""
        part = self._range(slot, start, end)
        if not part:
            return False
        self._swapped_out.setdefault(slot, []).append((start, end, part))
        self._context.keep(slot, 0)
        return True

    def swap_in(self, slot: int) -> bool:
        """See slots.Memory."""
        return all(self._put(slot, part, start, end) for start, end, part in self._swapped_out[slot])

    def forget_swapped_out(self, slot: int) -> None:
        """See slots.Memory."""
        self._swapped_out.pop(slot, None)

    def save(self, sequence: Sequence) -> bool:
        """See slots.Memory. What a skill's sessions share is saved in nobody's name, and once.

        Of many whole answers in nobody's name none is gone on with: what the next one shares lies in the slot.
        """
        if sequence.isolated or sequence.slot is None or not self.has_isolated or sequence.done < WORTH_KEEPING_TOKENS:
            return False
        tokens = sequence.tokens[: sequence.done]
        if self._disk_cache is None or not sequence.cache_scope:
            return not sequence.whole and self._ram_cache.save(tokens, self._context.dump(sequence.slot))
        if sequence.shared_tokens and not self._save("shared", sequence.slot, tokens[: sequence.shared_tokens]):
            return False
        return self._save(sequence.cache_scope, sequence.slot, tokens)

    def _put(self, slot: int, state: bytes, start: int, end: int) -> bool:
        """Give a slot the positions from `start` to `end` of a saved sequence."""
        if not self._context.load(self._scratch, state):
            return False
        self._context.share(self._scratch, slot, start, end)
        self._context.keep(self._scratch, 0)
        return True

    def _range(self, slot: int, start: int, end: int) -> bytes:
        """The state of a slot's positions from `start` to `end`."""
        self._context.share(slot, self._scratch, start, end)
        state = self._context.dump(self._scratch)
        self._context.keep(self._scratch, 0)
        return state

    def _save(self, cache_scope: str, slot: int, tokens: list[int]) -> bool:
        assert self._disk_cache is not None
        start = self._disk_cache.covered(tokens)
        while start < len(tokens):
            end = min(start + self._piece_tokens, len(tokens))
            if not self._disk_cache.save(cache_scope, tokens[:end], start, self._range(slot, start, end)):
                return False
            start = end
        return True

    def decode(self, slices: AbcSequence[BatchSlice]) -> dict[int, int] | None:
        """Compute slices that lie in one context: the batch index to sample at for each sequence's key.

        The indices of its guesses follow. None: aborted. Raises EngineError.
        """
        batch, indices = self._batch, {}
        batch.clear()
        for batch_slice in slices:
            sequence = batch_slice.slot if batch_slice.slot < self._n_slots else 0
            end = batch_slice.start + len(batch_slice.tokens) - 1
            for position, token in enumerate(batch_slice.tokens, batch_slice.start):
                at = batch.add(token, position, sequence, wanted=batch_slice.last and position == end)
            if batch_slice.last:
                indices[batch_slice.sequence.key] = at
            for position, token in enumerate(batch_slice.guesses, end + 1):
                batch.add(token, position, sequence, wanted=True)
        context = self.context(slices[0].slot)
        context.leave_core(all(batch_slice.sequence.leaves_core for batch_slice in slices))
        return indices if context.decode(batch) else None

    def flush(self) -> None:
        """Wait, within bounds, until what is to be saved is written. From any thread."""
        if self._disk_cache is not None:
            self._disk_cache.flush(_CLOSE_TIMEOUT_S)

    def close(self) -> None:
        """Free everything; what waits to be saved is saved first, within bounds."""
        if self._disk_cache is not None:
            self._disk_cache.close(_CLOSE_TIMEOUT_S)
        self._batch.close()
        self._context.close()
        self.close_isolated()
