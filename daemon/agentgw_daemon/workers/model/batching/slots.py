"""Content of each slot's keys and values, and the place for a prompt where the least of it is computed again.

A prompt's start is looked for in three places: in an idle slot, which then goes on with it; in any slot, which then
shares it; among the saved states, which are loaded. Knows nothing of llama.cpp: what is done goes through `Memory`.
"""

from __future__ import annotations

import dataclasses
from typing import Final, Protocol

from agentgw_daemon.workers.model.batching.sequence import Sequence, common

# Fewer tokens than these are computed again rather than kept in a slot of their own, loaded or waited for.
WORTH_KEEPING_TOKENS: Final = 64


class Memory(Protocol):
    """The keys and values of the slots, and states that were saved of them."""

    def keep(self, slot: int, length: int) -> int:
        """Cut a slot back to its first `length` tokens; how many it kept: none if it cannot be cut."""

    def share(self, source: int, target: int, length: int) -> None:
        """Give the empty slot `target` the first `length` tokens of `source`."""

    def restorable(self, tokens: list[int]) -> int:
        """The number of tokens at the start of these that are saved."""

    def restore(self, slot: int, tokens: list[int], length: int) -> int:
        """Load the first `length` of `tokens` into the empty slot; how many came, fewer where a file is damaged."""

    def swap_out(self, slot: int, start: int, end: int) -> bool:
        """Keep the tokens from `start` to `end` with those swapped out before; empty the slot. False: nothing was."""

    def swap_in(self, slot: int) -> bool:
        """Put into the empty slot all that was swapped out of it. False: it has to be computed again."""

    def forget_swapped_out(self, slot: int) -> None:
        """Forgets what was swapped out of a slot: it is not needed any more."""

    def save(self, sequence: Sequence) -> bool:
        """Save what a sequence has computed. False: it must be kept in its slot to be of use."""


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class Slot:
    """One sequence in the KV cache."""

    number: int
    cache: list[int] = dataclasses.field(default_factory=list)  # what an idle slot holds
    sequence: Sequence | None = None
    used: int = 0
    saved: bool = False

    @property
    def length(self) -> int:
        """Tokens it holds."""
        if self.sequence is None:
            return len(self.cache)
        return 0 if self.sequence.swapped_out else self.sequence.done

    def common(self, prompt: list[int]) -> int:
        """The number of tokens of the prompt that it holds; never the last, whose logits are needed."""
        return common(self.sequence.tokens if self.sequence else self.cache, prompt, min(self.length, len(prompt) - 1))


class SlotPool:
    """The slots `numbers` that share `n_cells` tokens of memory."""

    def __init__(self, memory: Memory, numbers: range, n_cells: int) -> None:
        self._memory: Final = memory
        self._slots: Final = [Slot(number=number) for number in numbers]
        self.n_cells: Final = n_cells

    @property
    def sequences(self) -> list[Sequence]:
        """The sequences that have a slot."""
        return [slot.sequence for slot in self._slots if slot.sequence]

    @property
    def has_idle(self) -> bool:
        """Tells whether there is a slot for one more."""
        return any(slot.sequence is None for slot in self._slots)

    def longest(self, prompt: list[int]) -> int:
        """The most tokens of the prompt that are computed already."""
        return max(self._memory.restorable(prompt), *(slot.common(prompt) for slot in self._slots))

    def enter(self, sequence: Sequence, *, afresh: bool = False) -> None:
        """Give the sequence an idle slot, with as much of its tokens as are computed already; none `afresh`."""
        if afresh:
            slot = next(slot for slot in self._slots if slot.sequence is None)
            found = self._cut(slot, 0)
        else:
            slot, found = self._choose(sequence.tokens)
        slot.sequence, slot.cache, slot.saved = sequence, [], False
        sequence.slot, sequence.done = slot.number, found
        # One that comes back has computed what it computes again now.
        sequence.cached = min(found, sequence.prompt_tokens) if sequence.cached is None else min(found, sequence.cached)
        self._let_go()

    def leave(self, sequence: Sequence, clock: int, *, forget: bool = False) -> None:
        """Frees the slot of a sequence; what it computed stays there for those who start alike, unless told
        to `forget`.
        """
        slot = next(slot for slot in self._slots if slot.sequence is sequence)
        if sequence.swapped_out:
            sequence.done = sequence.swapped_out = 0
        self.forget_swapped_out(sequence)
        slot.cache, slot.used = sequence.tokens[: sequence.done], clock
        slot.saved = not forget and self._memory.save(sequence)
        slot.sequence = sequence.slot = None
        if forget:
            self._cut(slot, 0)

    def revert(self, sequence: Sequence, length: int) -> None:
        """Cut a running sequence back to what is certain."""
        assert sequence.slot is not None
        sequence.done = self._memory.keep(sequence.slot, length)
        if sequence.done < sequence.copied:
            self.forget_swapped_out(sequence)
        if sequence.cached is not None:
            sequence.cached = min(sequence.cached, sequence.done)

    def swap_out(self, sequence: Sequence) -> None:
        """Take a sequence's tokens out of the cells, where they slow every step of those who decode meanwhile."""
        assert sequence.slot is not None
        if self._memory.swap_out(sequence.slot, sequence.copied, sequence.done):
            sequence.swapped_out = sequence.copied = sequence.done

    def swap_in(self, sequence: Sequence) -> None:
        """Put the sequence's swapped-out cells back into its slot."""
        assert sequence.slot is not None
        if sequence.swapped_out and not self._memory.swap_in(sequence.slot):
            self.revert(sequence, 0)
        sequence.swapped_out = 0

    def forget_swapped_out(self, sequence: Sequence) -> None:
        """Forgets what was swapped out of a sequence: it is not needed any more."""
        if sequence.copied and sequence.slot is not None:
            self._memory.forget_swapped_out(sequence.slot)
            sequence.copied = 0

    def make_room(self, more_tokens: int) -> bool:
        """Empty idle slots, those used longest ago first, until so many more tokens fit. False: they do not.

        Shared tokens are counted once a slot: more than they take, never less.
        """
        needed = sum(slot.length for slot in self._slots) + more_tokens
        for slot in sorted(self._idle(), key=lambda slot: slot.used):
            if needed <= self.n_cells:
                break
            needed -= slot.length
            self._cut(slot, 0)
        return needed <= self.n_cells

    def _idle(self, but: Slot | None = None) -> list[Slot]:
        return [slot for slot in self._slots if slot.sequence is None and slot is not but]

    def _let_go(self) -> None:
        """Empty the idle slots that can be restored: every cell in use slows each step of those who decode."""
        for slot in self._idle():
            if slot.saved and slot.cache:
                self._cut(slot, 0)

    def _choose(self, prompt: list[int]) -> tuple[Slot, int]:
        """An idle slot, and how much of the prompt it holds now."""
        best = max(self._slots, key=lambda slot: (slot.common(prompt), slot.sequence is None, -slot.number))
        length = best.common(prompt)
        restorable = min(self._memory.restorable(prompt), len(prompt) - 1)
        if restorable >= length + WORTH_KEEPING_TOKENS:
            target = self._empty(self._idle())
            self.make_room(restorable)
            return target, self._memory.restore(target.number, prompt, restorable)
        others = self._idle(but=best)
        worth_keeping = best.length - length >= WORTH_KEEPING_TOKENS and not best.saved
        if length and best.sequence is None and not (worth_keeping and others):
            return best, self._cut(best, length)
        target = self._empty(others if length else self._idle())
        if length:
            self._memory.share(best.number, target.number, length)
        return target, length

    def _empty(self, slots: list[Slot]) -> Slot:
        """The one used longest ago, emptied; before that, one that holds nothing."""
        slot = min(slots, key=lambda slot: (bool(slot.cache), slot.used, slot.number))
        self._cut(slot, 0)
        return slot

    def _cut(self, slot: Slot, length: int) -> int:
        if length != len(slot.cache) or length == 0:
            length = self._memory.keep(slot.number, length)
        del slot.cache[length:]
        return length
