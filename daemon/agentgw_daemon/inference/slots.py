"""Which tokens go through the model next, and in which slot: continuous batching as plain logic.

Knows nothing of llama.cpp: what is done to a slot's keys and values goes through `Memory`. The rules:

- A batch takes one token of every stream that decodes, then pieces of prompts. Beside streams the pieces are small,
  so that a long prompt never holds a stream up for longer than one small piece.
- Requests get slots in order of arrival. One that would compute what another is computing right now waits for it.
- A new prompt goes where most of it is computed already, or shares that start with another slot.
- A request that must be `alone` shares nothing: its batches hold its tokens only, in pieces of one size, and its
  keys and values lie in a memory of their own, so that what others do cannot change a number.

A task's tokens that are in no batch's result yet are simply computed again: after `revert` nothing else is to do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

# A prompt's piece while streams run: at 200 tokens a second they wait for it 0.6 s.
BESIDE_TOKENS: Final = 128
# Fewer tokens than these are computed again rather than kept in a slot of their own or waited for.
WORTH_KEEPING_TOKENS: Final = 64


class Memory(Protocol):
    """The keys and values of the slots."""

    def keep(self, slot: int, length: int) -> int:
        """Cut a slot back to its first `length` tokens; how many it kept: none if it cannot be cut."""

    def share(self, source: int, target: int, length: int) -> None:
        """Give the empty slot `target` the first `length` tokens of `source`."""


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class Task:
    """One request. `tokens[:done]` are computed; the first `cached` of them were when it came."""

    key: int
    tokens: list[int]
    prompt_tokens: int
    most_tokens: int  # as many as it may ever have in its slot
    alone: bool
    parked: bool = False
    done: int = 0
    cached: int = 0
    slot: int | None = None
    served: int = 0

    @property
    def pending(self) -> int:
        """Tokens that are known and not computed."""
        return len(self.tokens) - self.done

    @property
    def in_prompt(self) -> bool:
        """Whether some of its prompt is still to be computed."""
        return self.done < self.prompt_tokens


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Tokens of one task in a batch, from position `start` on. After the `last` one there is a token to sample."""

    task: Task
    slot: int
    start: int
    tokens: Sequence[int]
    last: bool


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class _Slot:
    number: int
    cache: list[int] = dataclasses.field(default_factory=list)  # what an idle slot holds
    task: Task | None = None
    used: int = 0

    @property
    def length(self) -> int:
        return self.task.done if self.task else len(self.cache)

    def common(self, prompt: list[int]) -> int:
        """How many tokens of the prompt it holds; never the last, whose logits are needed."""
        return common(self.task.tokens if self.task else self.cache, prompt, min(self.length, len(prompt) - 1))


def common(one: list[int], other: list[int], most: int) -> int:
    """Length of the start that both have, at most `most`. By halves: a loop over tokens is a hundred times slower."""
    low, high = 0, min(most, len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


class Slots:
    """`n_slots` slots that share `n_cells` tokens of memory, and one more for those who must be alone.

    With one slot there is nobody to be alone from: that slot, emptied, serves them too. `batch_tokens` is at least
    `n_slots`; the caller sees to it that `most_tokens` of a task never exceeds `n_cells`.
    """

    def __init__(self, memory: Memory, *, n_slots: int, n_cells: int, batch_tokens: int) -> None:
        self._memory: Final = memory
        self._shared: Final = [_Slot(number=number) for number in range(n_slots)]
        self._apart: Final = _Slot(number=n_slots) if n_slots > 1 else self._shared[0]
        self._n_cells: Final = n_cells
        self._batch_tokens: Final = batch_tokens
        self._waiting: list[Task] = []
        self._clock = 0
        self._apart_was_last = False

    @property
    def tasks(self) -> list[Task]:
        """All that have not left, in no order that matters."""
        return self._running() + self._waiting

    def submit(self, key: int, prompt: list[int], *, most_tokens: int, alone: bool = False) -> Task:
        """A request arrives; its prompt has at least one token."""
        task = Task(
            key=key, tokens=list(prompt), prompt_tokens=len(prompt), most_tokens=most_tokens, alone=alone
        )  # fmt: skip
        self._waiting.append(task)
        return task

    def leave(self, task: Task, *, forget: bool = False) -> None:
        """It is answered. Its slot keeps what it computed for those who start alike, unless told to `forget`."""
        if task.slot is None:
            self._waiting.remove(task)
            return
        slot = self._slot(task.slot)
        slot.cache, slot.task, slot.used = task.tokens[: task.done], None, self._clock
        task.slot = None
        if forget:
            self._cut(slot, 0)

    def next_batch(self) -> tuple[Piece, ...]:
        """What to compute now; empty when everybody is parked or has nothing to compute."""
        self._clock += 1
        self._admit()
        ready = [task for task in self._running() if not task.parked and task.pending]
        alone = [task for task in ready if task.alone]
        others = [task for task in ready if not task.alone]
        self._apart_was_last = bool(alone) and not (others and self._apart_was_last)
        batch = (self._piece(alone[0], self._batch_tokens),) if self._apart_was_last else tuple(self._mix(others))
        self._make_room(batch)
        return batch

    def computed(self, batch: Iterable[Piece]) -> None:
        """The batch went through."""
        for piece in batch:
            piece.task.done += len(piece.tokens)

    def revert(self, batch: Iterable[Piece]) -> None:
        """It was stopped in the middle: some of its keys and values may be there, none can be relied on."""
        for piece in batch:
            kept = self._memory.keep(piece.slot, piece.task.done)
            piece.task.done = kept
            piece.task.cached = min(piece.task.cached, kept)

    def _running(self) -> list[Task]:
        slots = self._shared if self._apart is self._shared[0] else [*self._shared, self._apart]
        return [slot.task for slot in slots if slot.task]

    def _slot(self, number: int) -> _Slot:
        return self._apart if number == self._apart.number else self._shared[number]

    def _mix(self, ready: list[Task]) -> Iterable[Piece]:
        streams = [task for task in ready if task.pending == 1]
        room = self._batch_tokens - len(streams)
        if streams:
            room = min(room, BESIDE_TOKENS)
        for task in streams:
            yield self._piece(task, 1)
        for task in sorted((task for task in ready if task.pending > 1), key=lambda task: task.served):
            if room <= 0:
                return
            piece = self._piece(task, room)
            room -= len(piece.tokens)
            yield piece

    def _piece(self, task: Task, room: int) -> Piece:
        assert task.slot is not None
        task.served = self._clock
        tokens = task.tokens[task.done : task.done + room]
        last = len(tokens) == task.pending
        return Piece(task=task, slot=task.slot, start=task.done, tokens=tokens, last=last)

    def _admit(self) -> None:
        """Slots to those who wait. Who waits for a slot or for cells holds up all behind who need the same."""
        held_up: set[_Slot | None] = set()
        for task in tuple(self._waiting):
            kind = self._apart if task.alone else None
            if self._apart is self._shared[0]:
                kind = None
            if kind in held_up:
                continue
            if not self._fits(task):
                held_up.add(kind)
            elif task.alone or not self._is_being_computed(task):
                self._waiting.remove(task)
                self._enter(task)

    def _fits(self, task: Task) -> bool:
        if task.alone:
            return self._apart.task is None
        running = [slot.task for slot in self._shared if slot.task]
        reserved = sum(other.most_tokens for other in running)
        return len(running) < len(self._shared) and reserved + task.most_tokens <= self._n_cells

    def _is_being_computed(self, task: Task) -> bool:
        """Whether the start of its prompt is in work for somebody else, and worth waiting for."""
        others = [slot.task for slot in self._shared if slot.task and slot.task.in_prompt]
        if not others:
            return False
        most = len(task.tokens) - 1
        promised = max(common(other.tokens, task.tokens, min(most, other.prompt_tokens)) for other in others)
        return promised >= WORTH_KEEPING_TOKENS + max(slot.common(task.tokens) for slot in self._shared)

    def _enter(self, task: Task) -> None:
        if task.alone:
            slot = self._apart
            task.cached = self._cut(slot, 0)
        else:
            slot, task.cached = self._choose(task.tokens)
        slot.task, slot.cache = task, []
        task.slot, task.done = slot.number, task.cached

    def _choose(self, prompt: list[int]) -> tuple[_Slot, int]:
        """An idle slot, and how much of the prompt it holds now."""
        best = max(self._shared, key=lambda slot: (slot.common(prompt), slot.task is None, -slot.number))
        length = best.common(prompt)
        idle = [slot for slot in self._shared if slot.task is None]
        others = [slot for slot in idle if slot is not best]
        worth_keeping = best.length - length >= WORTH_KEEPING_TOKENS
        if length and best.task is None and not (worth_keeping and others):
            return best, self._cut(best, length)
        # The one used longest ago; before that, one that holds nothing.
        target = min(others if length else idle, key=lambda slot: (bool(slot.cache), slot.used, slot.number))
        self._cut(target, 0)
        if length:
            self._memory.share(best.number, target.number, length)
        return target, length

    def _cut(self, slot: _Slot, length: int) -> int:
        if length != len(slot.cache) or length == 0:
            length = self._memory.keep(slot.number, length)
        del slot.cache[length:]
        return length

    def _make_room(self, batch: tuple[Piece, ...]) -> None:
        """Empty idle slots, those used longest ago first, until the batch fits.

        Shared tokens are counted once a slot: more than they take, never less. Running tasks always fit.
        """
        if self._apart_was_last and self._apart is not self._shared[0]:
            return
        needed = sum(slot.length for slot in self._shared) + sum(len(piece.tokens) for piece in batch)
        for slot in sorted(self._shared, key=lambda slot: slot.used):
            if needed <= self._n_cells:
                return
            if slot.task is None:
                needed -= slot.length
                self._cut(slot, 0)
