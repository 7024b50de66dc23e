"""Choice of the tokens that go through the model next, and of their slots: continuous batching as plain logic.

Knows nothing of llama.cpp and has no clock: what is done to keys and values goes through `slots.Memory`, how long a
batch took is told. The rules:

- A batch takes one token of every stream that decodes, and as much of the prompts as `prefill_budget` allows beside
them.
- Long prompts are computed in batches of their own and are out of the cells between two of them: each cell in use slows
  every step of the streams, and so does each token of a stream that comes to lie behind them.
- Nobody sees the tokens of an answer that is read when it is `whole`: beside such streams alone, prompts are computed
  at once.
- Requests get slots in order of arrival, those of people before whole ones, and those before ones in the background.
  While anybody's request can go on, those in the background stand still and keep their slots. Their prompts are
  computed in small pieces.
- One that would compute what another is computing right now waits for it.
- When memory runs out, idle slots are emptied; then the request that came last goes back into the queue, one in the
  background first. Nothing of it is lost but time.
- A request that must be `isolated` shares nothing: its batches hold its tokens only, in pieces of one size, and its
  keys and values lie in a memory of their own, so that what others do cannot change a number.

A sequence's tokens that are in no batch's result yet are simply computed again: after `revert` nothing else is to do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from agentgw_daemon.workers.model.batching.prefill_budget import PrefillBudget
from agentgw_daemon.workers.model.batching.sequence import BatchSlice, Sequence, common
from agentgw_daemon.workers.model.batching.slots import WORTH_KEEPING_TOKENS, Memory, SlotPool

# Cells that a request that begins or comes back must find free beyond its own tokens, so that it is not sent away again
# soon.
MARGIN_TOKENS: Final = 128
# To take so many out of the cells and put them back takes ten milliseconds; there they slow each step by two or three.
LONG_PROMPT_TOKENS: Final = 512
# Of prompts in the background, in one batch: whoever comes has it stopped, and it is computed again.
BACKGROUND_PIECE_TOKENS: Final = 64


class Scheduler:
    """Scheduler of at most `at_once` requests of people and as many in the background, in slots that share `n_cells`
    tokens.

    With one slot, a model that cannot share, there is nobody to be isolated from: that slot, emptied, serves those
    too. `batch_tokens` is at least `at_once`; the caller sees to it that no sequence ever has more than `n_cells`
    tokens.
    """

    def __init__(self, memory: Memory, *, at_once: int, n_slots: int, n_cells: int, batch_tokens: int) -> None:
        self._shared: Final = SlotPool(memory, range(n_slots), n_cells)
        self._isolated: Final = SlotPool(memory, range(n_slots, n_slots + 1), n_cells) if n_slots > 1 else self._shared
        self._at_once: Final = at_once
        self._batch_tokens: Final = batch_tokens
        self._prefill_budget: Final = PrefillBudget()
        self._waiting: list[Sequence] = []
        self._clock = 0
        self._arrivals = 0
        self._isolated_was_last = False
        self._held_up = 0  # streams that stand still for the batch that was planned last
        self._stood_still = False  # for the one that was computed last

    @property
    def waiting(self) -> tuple[Sequence, ...]:
        """The sequences without a slot, the next one first."""
        return tuple(self._waiting)

    def submit(
        self,
        key: int,
        prompt: list[int],
        *,
        isolated: bool = False,
        background: bool = False,
        whole: bool = False,
        leaves_core: bool = False,
        cache_scope: str = "",
        shared_tokens: int = 0,
    ) -> Sequence:
        """A request arrives; its prompt has at least one token."""
        self._arrivals += 1
        sequence = Sequence(
            key=key, tokens=list(prompt), prompt_tokens=len(prompt), arrival=self._arrivals, isolated=isolated,
            background=background, whole=whole, leaves_core=leaves_core, cache_scope=cache_scope,
            shared_tokens=shared_tokens,
        )  # fmt: skip
        self._queue(sequence)
        return sequence

    def leave(self, sequence: Sequence, *, forget: bool = False) -> None:
        """Takes a sequence out that is answered. Its slot keeps what it computed for those who start alike,
        unless told to `forget`.
        """
        if sequence.slot is None:
            self._waiting.remove(sequence)
        else:
            is_isolated = sequence.isolated and self._isolated is not self._shared
            self._pool(sequence).leave(sequence, self._clock, forget=forget or is_isolated)

    def next_batch(self) -> tuple[BatchSlice, ...]:
        """The slices to compute next; empty when everybody is parked or has nothing to compute."""
        self._clock += 1
        self._admit()
        while True:
            batch = self._plan()
            if self._isolated_was_last and self._isolated is not self._shared:
                return batch
            if self._shared.make_room(sum(one.size + one.sequence.swapped_out for one in batch)):
                return self._brought_back(batch)
            self._send_back(max(self._shared.sequences, key=lambda sequence: (sequence.background, sequence.arrival)))

    def computed(self, batch: Iterable[BatchSlice]) -> None:
        """The batch went through; then `took` is told. Guesses do not count until they are `confirm`ed."""
        for batch_slice in batch:
            batch_slice.sequence.done += len(batch_slice.tokens)
            if batch_slice.last:
                self._pool(batch_slice.sequence).forget_swapped_out(batch_slice.sequence)
            elif self._held_up:
                # Streams are slowed by every cell in use.
                self._shared.swap_out(batch_slice.sequence)
        self._stood_still = self._held_up > 0

    def took(self, batch: Collection[BatchSlice], seconds: float, *, moved_s: float = 0.0) -> None:
        """Computing it took so long; planning it, moving keys and values included, so much more."""
        tokens = [len(batch_slice.tokens) for batch_slice in batch]
        decoding = [batch_slice for batch_slice in batch if len(batch_slice.tokens) == 1 and batch_slice.last]
        streams = len(decoding)
        # One that is swapped out, or has not begun, slows nobody.
        beside = any(sequence.pending > 1 and sequence.done > sequence.swapped_out for sequence in self._running())
        self._prefill_budget.note(
            streams=streams, held_up=self._held_up, prompt_tokens=sum(tokens) - streams, seconds=seconds,
            moved_s=moved_s, prompts_beside=beside, guessed=any(batch_slice.guesses for batch_slice in batch),
            watched=any(not batch_slice.sequence.whole for batch_slice in decoding),
        )  # fmt: skip

    def confirm(self, batch_slice: BatchSlice, right: int) -> None:
        """The first so many guesses of a piece have come true, which makes them computed; the others go."""
        sequence = batch_slice.sequence
        sequence.done += right
        if right < len(batch_slice.guesses):
            self._pool(sequence).revert(sequence, sequence.done)

    def revert(self, batch: Iterable[BatchSlice]) -> None:
        """Takes back a batch that was stopped in the middle: some of its keys and values may be there, none
        can be relied on.
        """
        for batch_slice in batch:
            self._pool(batch_slice.sequence).revert(batch_slice.sequence, batch_slice.sequence.done)

    def _brought_back(self, batch: tuple[BatchSlice, ...]) -> tuple[BatchSlice, ...]:
        """The batch with what was swapped out in its place again; planned anew where that failed."""
        back = [batch_slice.sequence for batch_slice in batch if batch_slice.sequence.swapped_out]
        for sequence in back:
            self._shared.swap_in(sequence)
        return batch if all(sequence.done for sequence in back) else tuple(self._plan())

    def _queue(self, sequence: Sequence) -> None:
        self._waiting.append(sequence)
        self._waiting.sort(key=lambda sequence: (sequence.background, sequence.whole, sequence.arrival))

    def _pool(self, sequence: Sequence) -> SlotPool:
        return self._isolated if sequence.isolated else self._shared

    def _running(self) -> list[Sequence]:
        return (
            self._shared.sequences
            if self._isolated is self._shared
            else self._shared.sequences + self._isolated.sequences
        )

    def _plan(self) -> tuple[BatchSlice, ...]:
        self._held_up = 0
        ready = [sequence for sequence in self._running() if not sequence.parked and sequence.pending]
        ready = [sequence for sequence in ready if not sequence.background] or ready
        isolated = [sequence for sequence in ready if sequence.isolated]
        others = [sequence for sequence in ready if not sequence.isolated]
        self._isolated_was_last = bool(isolated) and not (others and self._isolated_was_last)
        if self._isolated_was_last:
            return (self._slice(isolated[0], self._batch_tokens),)
        return tuple(self._mix(others))

    def _mix(self, ready: list[Sequence]) -> Iterable[BatchSlice]:
        streams = [sequence for sequence in ready if sequence.pending == 1]
        prompts = sorted((sequence for sequence in ready if sequence.pending > 1), key=lambda sequence: sequence.served)
        room = self._batch_tokens - len(streams)
        if prompts and prompts[0].background:
            room = min(room, BACKGROUND_PIECE_TOKENS)
        if prompts and any(not sequence.whole for sequence in streams):
            left = sum(sequence.pending for sequence in prompts)
            room = 0 if self._stood_still else min(room, self._prefill_budget.room(left))
            if room and prompts[0].prompt_tokens >= LONG_PROMPT_TOKENS:
                self._held_up, streams, prompts = len(streams), [], prompts[:1]
        # A guess pays where nobody else is in the batch, be it that a prompt waits for its next piece.
        guessed = len(streams) == 1 and (room <= 0 or not prompts)
        for sequence in streams:
            yield self._slice(sequence, 1, guessed=guessed)
        for sequence in prompts:
            if room <= 0:
                return
            batch_slice = self._slice(sequence, room)
            room -= batch_slice.size
            yield batch_slice

    def _slice(self, sequence: Sequence, room: int, *, guessed: bool = False) -> BatchSlice:
        assert sequence.slot is not None
        sequence.served = self._clock
        tokens = sequence.tokens[sequence.done : sequence.done + room]
        last = len(tokens) == sequence.pending
        guesses = tuple(sequence.guesses[: self._batch_tokens - 1]) if guessed else ()
        return BatchSlice(
            sequence=sequence, slot=sequence.slot, start=sequence.done, tokens=tokens, last=last, guesses=guesses
        )

    def _admit(self) -> None:
        """Slots to those who wait. Who waits for a slot or for cells holds up all behind who need the same."""
        held_up: set[bool] = set()
        for sequence in tuple(self._waiting):
            is_isolated = sequence.isolated and self._isolated is not self._shared
            if is_isolated in held_up:
                continue
            if not self._fits(sequence):
                held_up.add(is_isolated)
            elif sequence.isolated or not self._is_being_computed(sequence):
                self._waiting.remove(sequence)
                self._pool(sequence).enter(sequence, afresh=sequence.isolated)

    def _fits(self, sequence: Sequence) -> bool:
        caches = self._pool(sequence)
        if not sequence.background:
            for other in sorted(caches.sequences, key=lambda other: -other.arrival):
                # A memory too small for both, or a single slot: the one in the background makes way.
                if other.background and not other.isolated and not self._has_room(caches, sequence):
                    self._send_back(other)
        return self._has_room(caches, sequence)

    def _has_room(self, caches: SlotPool, sequence: Sequence) -> bool:
        running = caches.sequences
        if not running:
            return True
        alike = sum(other.background == sequence.background for other in running)
        margin = min(MARGIN_TOKENS, caches.n_cells // (4 * self._at_once))
        # A prompt that is still to be computed is reckoned whole.
        tokens = sum(len(other.tokens) + margin for other in (*running, sequence))
        return caches.has_idle and alike < self._at_once and tokens <= caches.n_cells

    def _send_back(self, sequence: Sequence) -> None:
        """Puts a sequence into the queue again, in its order of arrival, with all that it has drawn."""
        self._pool(sequence).leave(sequence, self._clock)
        sequence.done = 0
        self._queue(sequence)

    def _is_being_computed(self, sequence: Sequence) -> bool:
        """Tells whether the start of its prompt is in work for somebody else, and worth waiting for."""
        # Nobody waits for one in the background, which may stand still.
        others = [one for one in self._shared.sequences if one.in_prompt and one.background <= sequence.background]
        if not others:
            return False
        most = len(sequence.tokens) - 1
        promised = max(common(other.tokens, sequence.tokens, min(most, other.prompt_tokens)) for other in others)
        return promised >= WORTH_KEEPING_TOKENS + self._shared.longest(sequence.tokens)
