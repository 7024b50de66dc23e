"""The scheduler against a memory and a model made of lists: no clock, no llama.cpp."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence as AbcSequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentgw_daemon.workers.model.batching.scheduler import BACKGROUND_PIECE_TOKENS, Scheduler
from agentgw_daemon.workers.model.batching.sequence import BatchSlice, Sequence, common
from agentgw_daemon.workers.model.batching.slots import WORTH_KEEPING_TOKENS
from tests.workers.model.batching.limits import MOST_STEPS

ENDLESS = 10_000
# Seconds that a machine takes for a batch, and for each token in it.
BATCH_S, TOKEN_S = 0.010, 0.005


class Cell:
    """One token's place; slots that share it hold the same object."""

    def __init__(self, token: int) -> None:
        self.token = token


class Lists:
    """The memory: a list of cells a slot. Can be told to lose a slot when it is cut, as some models must."""

    def __init__(self, *, cuts: bool = True, saves: bool = False) -> None:
        self.slots: dict[int, list[Cell]] = {}
        self.saved: list[list[int]] = []
        self.swapped_out: dict[int, list[int]] = {}
        self.loses = False
        self.moved_tokens = 0
        self._cuts = cuts
        self._saves = saves

    def keep(self, slot: int, length: int) -> int:
        cells = self.slots.setdefault(slot, [])
        kept = length if self._cuts and length <= len(cells) else 0
        del cells[kept:]
        return kept

    def share(self, source: int, target: int, length: int) -> None:
        assert not self.slots.get(target), "the target was not emptied"
        assert length <= len(self.slots[source])
        self.slots[target] = self.slots[source][:length]

    def restorable(self, tokens: list[int]) -> int:
        return max((common(saved, tokens, len(saved)) for saved in self.saved), default=0)

    def restore(self, slot: int, tokens: list[int], length: int) -> int:
        assert not self.slots.get(slot), "the slot was not emptied"
        assert length < len(tokens), "nothing is left to compute"
        self.slots[slot] = [Cell(token) for token in tokens[:length]]
        return length

    def save(self, sequence: Sequence) -> bool:
        assert sequence.slot is not None
        if self._saves and sequence.cache_scope:
            self.saved.append(self.text(sequence.slot)[: sequence.done])
        return self._saves and bool(sequence.cache_scope)

    def swap_out(self, slot: int, start: int, end: int) -> bool:
        cells, kept = self.slots[slot], self.swapped_out.setdefault(slot, [])
        assert len(cells) == end
        assert len(kept) == start, "something was swapped out twice, or not at all"
        kept += [cell.token for cell in cells[start:end]]
        self.moved_tokens += end - start
        self.slots[slot] = []
        return True

    def swap_in(self, slot: int) -> bool:
        assert not self.slots[slot], "the slot was not emptied"
        self.slots[slot] = [Cell(token) for token in self.swapped_out[slot]]
        self.moved_tokens += len(self.swapped_out[slot])
        return not self.loses

    def forget_swapped_out(self, slot: int) -> None:
        self.swapped_out.pop(slot, None)

    def write(self, batch: AbcSequence[BatchSlice]) -> None:
        for piece in batch:
            cells = self.slots.setdefault(piece.slot, [])
            assert len(cells) == piece.start, "a token was left out or computed twice"
            cells += map(Cell, [*piece.tokens, *piece.guesses])

    def text(self, slot: int) -> list[int]:
        return [cell.token for cell in self.slots[slot]]

    def used(self, slots: range) -> int:
        return len({cell for slot in slots for cell in self.slots.get(slot, [])})


def successor(tokens: AbcSequence[int]) -> int:
    """The model: what follows depends on every token before."""
    return hash(tuple(tokens)) % 997


def isolated(prompt: AbcSequence[int], n: int) -> list[int]:
    tokens = list(prompt)
    for _ in range(n):
        tokens.append(successor(tokens))
    return tokens


@dataclasses.dataclass
class Rig:
    """Slots with their memory, driven step by step."""

    at_once: int = 4
    n_cells: int = 100_000
    batch_tokens: int = 256
    cuts: bool = True
    saves: bool = False
    move_s: float = 0.0  # a token

    def __post_init__(self) -> None:
        self.memory = Lists(cuts=self.cuts, saves=self.saves)
        self.n_slots = 2 * self.at_once if self.cuts else 1
        self.slots = Scheduler(
            self.memory, at_once=self.at_once, n_slots=self.n_slots, n_cells=self.n_cells,
            batch_tokens=self.batch_tokens,
        )  # fmt: skip
        self.wanted: dict[Sequence, int] = {}
        self.prompts: dict[Sequence, list[int]] = {}
        self.order: list[Sequence] = []
        self.seconds = 0.0
        self._key = self._steps = 0

    def submit(
        self,
        prompt: AbcSequence[int],
        n: int = ENDLESS,
        *,
        recompute: bool = False,
        background: bool = False,
        whole: bool = False,
        cache_scope: str = "",
    ) -> Sequence:
        self._key += 1
        sequence = self.slots.submit(
            self._key, list(prompt), isolated=recompute, background=background, whole=whole, cache_scope=cache_scope
        )
        self.wanted[sequence], self.prompts[sequence] = min(n, self.n_cells - len(prompt)), list(prompt)
        return sequence

    def batch(self) -> tuple[BatchSlice, ...]:
        batch = self.slots.next_batch()
        slots = [piece.slot for piece in batch]
        assert len(set(slots)) == len(slots), "a slot was given twice"
        assert sum(piece.size for piece in batch) <= self.batch_tokens
        assert all(piece.tokens for piece in batch)
        assert len(batch) == 1 or not any(piece.sequence.isolated for piece in batch)
        assert len({piece.sequence.background for piece in batch}) <= 1
        return batch

    def step(self, *, abort: bool = False) -> tuple[BatchSlice, ...]:
        self._steps += 1
        assert self._steps < MOST_STEPS, "what is waited for does not come"
        batch = self.batch()
        self.order += [piece.sequence for piece in batch if piece.sequence not in self.order]
        self.memory.write(batch)
        assert self.memory.used(range(self.n_slots)) <= self.n_cells
        if abort:
            self.slots.revert(batch)
            return batch
        seconds = BATCH_S + TOKEN_S * sum(piece.size for piece in batch)
        self.slots.computed(batch)
        moved_s, self.memory.moved_tokens = self.memory.moved_tokens * self.move_s, 0
        self.slots.took(batch, seconds, moved_s=moved_s)
        self.seconds += seconds + moved_s
        for piece in batch:
            if piece.last:
                self.draw(piece)
        return batch

    def draw(self, piece: BatchSlice) -> None:
        sequence, right = piece.sequence, 0
        end = sequence.prompt_tokens + self.wanted[sequence]
        while len(sequence.tokens) < end:
            sequence.tokens.append(successor(sequence.tokens))
            if (
                right == len(piece.guesses)
                or sequence.tokens[-1] != piece.guesses[right]
                or len(sequence.tokens) == end
            ):
                break
            right += 1
        self.slots.confirm(piece, right)
        assert self.memory.text(piece.slot) == sequence.tokens[: sequence.done]
        if sequence.pending == 0 or len(sequence.tokens) == end:
            self.finish(sequence)

    def finish(self, sequence: Sequence) -> None:
        n = len(sequence.tokens) - sequence.prompt_tokens
        assert sequence.tokens == isolated(self.prompts[sequence], n)
        if sequence.isolated:
            assert sequence.cached == 0
        self.slots.leave(sequence)
        del self.wanted[sequence]

    def finish_all(self) -> None:
        while self.wanted:
            assert self.step(), "somebody waits and nobody is served"


WORDS = st.lists(st.integers(0, 3), min_size=1, max_size=6)
# Few different starts, so that prompts share them.
PROMPTS = st.builds(lambda start, rest: [7, 8, 9] * 40 * start + rest, st.sampled_from([0, 1, 2, 3, 3, 8]), WORDS)
ACTIONS = st.one_of(
    st.tuples(st.just("submit"), PROMPTS, st.integers(0, 12), st.booleans(), st.booleans(), st.sampled_from(["", "a"])),
    st.tuples(st.sampled_from(["step", "step", "abort"])),
    st.tuples(st.sampled_from(["cancel", "park", "unpark"]), st.integers(0, 9)),
    st.tuples(st.just("guess"), st.integers(0, 9), st.integers(0, 5), st.booleans()),
)


@settings(max_examples=300, deadline=None)
@given(
    at_once=st.integers(1, 5),
    batch_tokens=st.sampled_from([10, 64, 256]),
    n_cells=st.sampled_from([1000, 1400, 5000]),
    cuts=st.booleans(),
    saves=st.booleans(),
    actions=st.lists(ACTIONS, max_size=60),
)
def test_whatever_happens_each_stream_gets_the_tokens_it_gets_alone(
    at_once: int, batch_tokens: int, n_cells: int, cuts: bool, saves: bool, actions: list[tuple[object, ...]]
) -> None:
    # A memory that cannot be cut cannot be shared: it has one slot.
    rig = Rig(
        at_once=at_once if cuts else 1, batch_tokens=batch_tokens, n_cells=n_cells, cuts=cuts, saves=saves and cuts
    )  # fmt: skip
    for action in actions:
        there = list(rig.wanted)
        match action:
            case ("submit", list(prompt), int(n), bool(recompute), bool(background), str(cache_scope)):
                rig.submit(prompt, n, recompute=recompute, background=background, cache_scope=cache_scope)
            case ("step",):
                rig.step()
            case ("abort",):
                rig.step(abort=True)
            case ("cancel", int(at)) if there:
                sequence = there[at % len(there)]
                rig.slots.leave(sequence)
                del rig.wanted[sequence]
            case ("park" | "unpark" as what, int(at)) if there:
                there[at % len(there)].parked = what == "park"
            case ("guess", int(at), int(n), bool(right)) if there and cuts:
                guessed(there[at % len(there)], n, right, rig.n_cells)
    for sequence in rig.wanted:
        sequence.parked = False
    for _ in range(4000):
        if not rig.wanted:
            break
        assert rig.step(), "somebody waits and nobody is served"
        for sequence in rig.wanted:
            sequence.guesses = ()
    assert not rig.wanted


def guessed(sequence: Sequence, n: int, right: bool, n_cells: int) -> None:
    """Guess what a sequence draws next, rightly or with one mistake."""
    if not sequence.isolated and sequence.pending <= 1:
        future = isolated(sequence.tokens, n)[len(sequence.tokens) :]
        sequence.guesses = tuple(future if right else [*future[:-1], 998])[: max(n_cells - len(sequence.tokens), 0)]


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)), st.integers(0, 9))
def test_common_is_the_length_of_the_shared_start(one: list[int], other: list[int], most: int) -> None:
    expected = 0
    while expected < min(most, len(one), len(other)) and one[expected] == other[expected]:
        expected += 1
    assert common(one, other, most) == expected


@pytest.mark.parametrize("move_s", [0.0, 20e-6, 60e-6])
def test_a_stream_beside_a_long_prompt_keeps_half_its_speed_and_pauses_less_than_a_second(move_s: float) -> None:
    rig = Rig(move_s=move_s)
    stream = rig.submit([1, 2, 3])
    for _ in range(20):
        rig.step()
    started, before = rig.seconds, len(stream.tokens)
    long = rig.submit([5] * 4000, 1)
    pauses, last = [], rig.seconds
    while long in rig.wanted:
        if stream in [piece.sequence for piece in rig.step()]:
            pauses.append(rig.seconds - last)
            last = rig.seconds
    took, drawn = rig.seconds - started, len(stream.tokens) - before
    assert drawn * (BATCH_S + TOKEN_S) >= took / 2
    assert max(pauses) < 1
    assert took < (3 if move_s < 50e-6 else 4) * 4000 * TOKEN_S, "the prompt gets the rest of the time"


def test_a_long_prompt_is_out_of_the_cells_while_streams_decode() -> None:
    rig = Rig()
    stream = rig.submit([1, 2, 3])
    for _ in range(20):
        rig.step()
    long = rig.submit([5] * 3000, 1)
    while long.done < 1000:
        rig.step()
    done = long.done
    while long.done == done:
        assert rig.memory.used(range(8)) == stream.done
        rig.step()
    while long in rig.wanted:
        rig.step()
    assert long.cached == 0
    assert not rig.memory.swapped_out, "it is given back when the prompt is read"


def test_a_prompt_that_is_lost_aside_is_computed_again() -> None:
    rig = Rig()
    rig.submit([1, 2, 3], 1000)
    for _ in range(20):
        rig.step()
    long = rig.submit([5] * 1500, 1)
    while not long.swapped_out:
        rig.step()
    rig.memory.loses = True
    while long.swapped_out:
        rig.step()
    assert long.done < 600
    rig.memory.loses = False
    while long in rig.wanted:
        rig.step()


def test_one_that_is_cancelled_while_aside_leaves_nothing() -> None:
    rig = Rig()
    rig.submit([1, 2, 3])
    for _ in range(20):
        rig.step()
    long = rig.submit([5] * 1500, 1)
    while not long.swapped_out:
        rig.step()
    rig.slots.leave(long)
    del rig.wanted[long]
    assert not rig.memory.swapped_out
    again = rig.submit([5] * 1500, 1)
    rig.step()
    assert again.cached == 0


def test_a_short_prompt_beside_a_stream_is_computed_at_once() -> None:
    rig = Rig()
    rig.submit([1, 2, 3])
    for _ in range(20):
        rig.step()
    short = rig.submit([5] * 24, 3)
    rig.step()
    assert short.done == 24


def prompts_beside(rig: Rig, *, whole: bool) -> int:
    """Batches until a prompt is read that comes beside three streams after many others did."""
    streams = [rig.submit([number], whole=whole) for number in range(3)]
    for _ in range(10):
        rig.step()
    for number in range(20):
        rig.submit([9, number] * 20, n=1, whole=whole)
        rig.step()
    late = rig.submit([8] * 40, n=2, whole=whole)
    batches = 0
    while late.in_prompt:
        rig.step()
        batches += 1
    for stream in streams:
        rig.slots.leave(stream)
    return batches


def test_streams_that_nobody_watches_hold_no_prompt_back() -> None:
    assert prompts_beside(Rig(), whole=True) == 1
    assert prompts_beside(Rig(), whole=False) > 5


def test_prompts_beside_unwatched_streams_are_no_debt_of_the_next_stream() -> None:
    rig = Rig(at_once=5)
    rig.submit([1], whole=True)
    rig.step()
    for number in range(50):
        rig.submit([9, number] * 100, n=1, whole=True)
        rig.step()
    rig.submit([2])
    rig.step()
    prompt = rig.submit([3] * 40)
    assert any(piece.sequence is prompt for piece in rig.step())


def test_who_is_read_as_it_is_written_gets_a_slot_before_whole_answers() -> None:
    rig = Rig(at_once=1)
    rig.submit([1], n=2, whole=True)
    rig.step()
    ahead, person = rig.submit([2], n=2, whole=True), rig.submit([3], n=2)
    rig.finish_all()
    assert rig.order[1:] == [person, ahead]


def test_a_prompt_alone_takes_whole_batches() -> None:
    rig = Rig()
    rig.submit([5] * 600, 1)
    assert [len(rig.step()[0].tokens) for _ in range(3)] == [256, 256, 88]


def test_prompts_take_turns() -> None:
    rig = Rig()
    sequences = [rig.submit([n] * 2000, 1) for n in range(3)]
    assert [rig.step()[0].sequence for _ in range(6)] == sequences * 2


def test_requests_get_slots_in_order_of_arrival() -> None:
    rig = Rig(at_once=2)
    sequences = [rig.submit([n], 3) for n in range(8)]
    while rig.wanted:
        rig.step()
    assert rig.order == sequences


def test_the_next_turn_computes_only_what_is_new_and_in_place() -> None:
    rig = Rig()
    first = rig.submit(range(500), 10)
    while rig.wanted:
        rig.step()
    second = rig.submit([*first.tokens, 1, 2, 3], 1)
    (piece,) = rig.step()
    assert (second.cached, piece.slot) == (509, 0), "the last token drawn was never computed"


def test_a_shared_start_is_copied_where_the_rest_of_the_cache_is_worth_keeping() -> None:
    rig = Rig()
    system = list(range(300))
    rig.submit([*system, *[1] * WORTH_KEEPING_TOKENS], 1)
    rig.step(), rig.step()
    other = rig.submit([*system, 2, 2], 1)
    (piece,) = rig.step()
    assert (other.cached, piece.slot) == (300, 1)
    assert len(rig.memory.slots[0]) == 300 + WORTH_KEEPING_TOKENS
    assert rig.memory.used(range(4)) == 300 + WORTH_KEEPING_TOKENS + 2


def test_a_start_is_shared_with_a_stream_that_runs() -> None:
    rig = Rig()
    rig.submit(range(300))
    rig.step(), rig.step()
    other = rig.submit([*range(200), 1, 1])
    rig.step()
    assert other.cached == 200


def test_requests_that_come_together_compute_their_common_start_once() -> None:
    rig = Rig()
    sequences = [rig.submit([*range(1000), n], 2) for n in range(4)]
    computed = 0
    while rig.wanted:
        computed += sum(len(piece.tokens) for piece in rig.step())
    assert [sequence.cached for sequence in sequences] == [0, 1000, 1000, 1000]
    assert computed == 1000 + 4 * 2


def test_who_waits_for_another_goes_on_when_that_one_is_cancelled() -> None:
    rig = Rig()
    first, second = rig.submit(range(1000), 1), rig.submit(range(1000), 1)
    rig.step()
    assert second.slot is None
    rig.slots.leave(first)
    rig.step()
    assert second.cached == 256


def test_the_slot_used_longest_ago_is_given_away_first() -> None:
    rig = Rig(at_once=2)
    for n in (1, 2, 3, 4, 1):
        rig.submit([n] * 200, 1)
        rig.finish_all()
    assert [rig.memory.text(slot)[0] for slot in range(4)] == [1, 2, 3, 4]
    rig.submit([9] * 200, 1)
    rig.step()
    assert [rig.memory.text(slot)[0] for slot in range(4)] == [1, 9, 3, 4]


def test_a_request_waits_for_cells_and_idle_caches_make_room_for_it() -> None:
    rig = Rig(n_cells=500)
    rig.submit([1] * 200, 1)
    rig.finish_all()
    rig.submit([2] * 250, 50)
    late = rig.submit([3] * 250, 50)
    rig.step()
    assert late.slot is None, "both together do not fit"
    assert rig.slots.waiting == (late,)
    rig.finish_all()
    assert not rig.memory.slots[0], "the oldest cache made room"


def test_when_cells_run_out_the_latest_goes_back_into_the_queue_and_loses_nothing() -> None:
    rig = Rig(n_cells=1000)
    first, second = rig.submit([1] * 300, 500), rig.submit([2] * 300, 300)
    rig.step()
    while second not in rig.slots.waiting:
        rig.step()
    drawn = len(second.tokens)
    assert first.slot is not None
    rig.finish_all()
    assert drawn < len(second.tokens) == 600
    assert second.cached == 0, "computed twice is not cached"


def test_who_was_answered_is_saved_and_leaves_the_memory_to_others() -> None:
    rig = Rig(saves=True)
    first = rig.submit([1] * 300, 10, cache_scope="one")
    rig.finish_all()
    second = rig.submit([2] * 300, 10, cache_scope="two")
    rig.step()
    assert rig.memory.text(first.slot or 0) == []
    rig.finish_all()
    again = rig.submit([*first.tokens, 5, 6], 1, cache_scope="one")
    rig.step()
    assert again.cached == 309
    assert second.cached == 0


def test_what_nobody_saves_stays_in_its_slot() -> None:
    rig = Rig(saves=True)
    rig.submit([1] * 300, 10)
    rig.finish_all()
    rig.submit([2] * 300, 10, cache_scope="two")
    rig.step()
    assert len(rig.memory.text(0)) == 309


def test_a_request_in_the_background_stands_still_while_somebody_else_can_go_on() -> None:
    rig = Rig()
    job = rig.submit([1] * 10, background=True)
    for _ in range(5):
        rig.step()
    drawn, slot = len(job.tokens), job.slot
    rig.submit([2] * 600, 20)
    while len(rig.wanted) > 1:
        assert [piece.sequence.background for piece in rig.step()] == [False]
    assert (len(job.tokens), job.slot) == (drawn, slot), "it is parked with all it has"
    assert [piece.sequence for piece in rig.step()] == [job]


def test_those_in_the_background_leave_all_slots_to_people() -> None:
    rig = Rig(at_once=2)
    for n in range(4):
        rig.submit([n], 50, background=True)
    rig.step()
    people = [rig.submit([10 + n], 50) for n in range(2)]
    assert {piece.sequence for piece in rig.step()} == set(people)


def test_with_a_single_slot_one_in_the_background_makes_way_and_comes_back() -> None:
    rig = Rig(at_once=1, cuts=False)
    job = rig.submit([1] * 10, 20, background=True)
    rig.step(), rig.step()
    person = rig.submit([2] * 10, 5)
    rig.step()
    assert (job.slot, person.slot) == (None, 0)
    rig.finish_all()


def test_nobody_waits_for_what_somebody_in_the_background_computes() -> None:
    rig = Rig()
    rig.submit(range(1000), 1, background=True)
    rig.step()
    person = rig.submit(range(1000), 1)
    rig.step()
    assert person.cached == BACKGROUND_PIECE_TOKENS


def test_prompts_in_the_background_are_computed_in_small_pieces() -> None:
    rig = Rig(batch_tokens=256)
    rig.submit([1] * 150, 1, background=True)
    assert [sum(piece.size for piece in rig.step()) for _ in range(3)] == [64, 64, 22]
    rig = Rig(batch_tokens=256)
    rig.submit([1] * 150, 1)
    assert [sum(piece.size for piece in rig.step())] == [150]


def test_guesses_that_come_true_are_not_computed_again() -> None:
    rig = Rig()
    sequence = rig.submit([1, 2, 3], 20)
    rig.step()
    sequence.guesses = tuple(isolated(sequence.tokens, 4)[len(sequence.tokens) :])
    before = sequence.done
    (piece,) = rig.step()
    assert (piece.size, sequence.done - before) == (5, 5)


def test_a_wrong_guess_costs_nothing_but_its_cells() -> None:
    rig = Rig()
    sequence = rig.submit([1, 2, 3], 20)
    rig.step()
    sequence.guesses = (998, 998)
    before = sequence.done
    rig.step()
    assert sequence.done - before == 1
    sequence.guesses = ()
    rig.finish_all()


def test_nobody_guesses_while_others_compute() -> None:
    rig = Rig()
    sequence, _ = rig.submit([1, 2, 3]), rig.submit([4])
    rig.step()
    sequence.guesses = (1, 2)
    assert not any(piece.guesses for piece in rig.step())


def test_a_lone_stream_guesses_while_a_prompt_waits_for_its_turn() -> None:
    rig = Rig()
    sequence, _ = rig.submit([1, 2, 3]), rig.submit([7] * 3_000)
    batches = []
    for _ in range(60):
        sequence.guesses = tuple(isolated(sequence.tokens, 2)[len(sequence.tokens) :])
        batches.append(rig.step())
    of_the_stream = [batch for batch in batches if batch[0].sequence is sequence and batch[0].start >= 3]
    assert len(of_the_stream) > 20
    assert all(len(batch) == 1 and len(batch[0].guesses) == 2 for batch in of_the_stream)


def test_one_that_must_be_alone_shares_no_batch_and_lets_others_have_every_second() -> None:
    rig = Rig()
    stream = rig.submit([1])
    rig.step()
    lone = rig.submit([1] * 600, 4, recompute=True)
    steps = [rig.step() for _ in range(12)]
    assert [batch[0].sequence for batch in steps] == [lone, stream] * 6
    assert [len(batch[0].tokens) for batch in steps[::2]] == [256, 256, 88, 1, 1, 1]


def test_parked_streams_take_no_part_and_keep_their_place() -> None:
    rig = Rig()
    parked, other = rig.submit([1]), rig.submit([2])
    rig.step()
    parked.parked = True
    assert [piece.sequence for piece in rig.step()] == [other]
    other.parked = True
    assert rig.step() == ()
    parked.parked = False
    assert [piece.sequence for piece in rig.step()] == [parked]


def test_after_a_stopped_batch_the_same_tokens_are_computed_again() -> None:
    rig = Rig()
    rig.submit([1] * 300)
    stopped = rig.step(abort=True)
    assert rig.memory.text(0) == []
    assert [piece.tokens for piece in rig.step()] == [piece.tokens for piece in stopped]
