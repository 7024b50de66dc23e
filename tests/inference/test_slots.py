"""The scheduler against a memory and a model made of lists: no clock, no llama.cpp."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from agentgw_daemon.inference.slots import BESIDE_TOKENS, WORTH_KEEPING_TOKENS, Piece, Slots, Task, common

ENDLESS = 10_000


class Cell:
    """One token's place; slots that share it hold the same object."""

    def __init__(self, token: int) -> None:
        self.token = token


class Lists:
    """The memory: a list of cells a slot. Can be told to lose a slot when it is cut, as some models must."""

    def __init__(self, *, cuts: bool = True) -> None:
        self.slots: dict[int, list[Cell]] = {}
        self._cuts = cuts

    def keep(self, slot: int, length: int) -> int:
        cells = self.slots.setdefault(slot, [])
        kept = length if self._cuts and length <= len(cells) else 0
        del cells[kept:]
        return kept

    def share(self, source: int, target: int, length: int) -> None:
        assert not self.slots.get(target), "the target was not emptied"
        assert length <= len(self.slots[source])
        self.slots[target] = self.slots[source][:length]

    def write(self, batch: Sequence[Piece]) -> None:
        for piece in batch:
            cells = self.slots.setdefault(piece.slot, [])
            assert len(cells) == piece.start, "a token was left out or computed twice"
            cells += map(Cell, piece.tokens)

    def text(self, slot: int) -> list[int]:
        return [cell.token for cell in self.slots[slot]]

    def used(self, slots: range) -> int:
        return len({cell for slot in slots for cell in self.slots.get(slot, [])})


def successor(tokens: Sequence[int]) -> int:
    """The model: what follows depends on every token before."""
    return hash(tuple(tokens)) % 997


def alone(prompt: Sequence[int], n: int) -> list[int]:
    tokens = list(prompt)
    for _ in range(n):
        tokens.append(successor(tokens))
    return tokens


@dataclasses.dataclass
class Rig:
    """Slots with their memory, driven step by step."""

    n_slots: int = 4
    n_cells: int = 100_000
    batch_tokens: int = 256
    cuts: bool = True

    def __post_init__(self) -> None:
        self.memory = Lists(cuts=self.cuts)
        self.slots = Slots(self.memory, n_slots=self.n_slots, n_cells=self.n_cells, batch_tokens=self.batch_tokens)
        self.wanted: dict[Task, int] = {}
        self.prompts: dict[Task, list[int]] = {}
        self.order: list[Task] = []
        self._key = 0

    def submit(self, prompt: Sequence[int], n: int = ENDLESS, *, fresh: bool = False) -> Task:
        self._key += 1
        most = min(len(prompt) + n, self.n_cells)
        task = self.slots.submit(self._key, list(prompt), most_tokens=most, alone=fresh)
        self.wanted[task], self.prompts[task] = n, list(prompt)
        return task

    def batch(self) -> tuple[Piece, ...]:
        batch = self.slots.next_batch()
        slots = [piece.slot for piece in batch]
        assert len(set(slots)) == len(slots), "a slot was given twice"
        assert sum(len(piece.tokens) for piece in batch) <= self.batch_tokens
        assert all(piece.tokens for piece in batch)
        assert len(batch) == 1 or not any(piece.task.alone for piece in batch)
        return batch

    def step(self, *, abort: bool = False) -> tuple[Piece, ...]:
        batch = self.batch()
        self.order += [piece.task for piece in batch if piece.task not in self.order]
        self.memory.write(batch)
        assert self.memory.used(range(self.n_slots)) <= self.n_cells
        if abort:
            self.slots.revert(batch)
            return batch
        self.slots.computed(batch)
        for piece in batch:
            task = piece.task
            text = self.memory.text(piece.slot)
            assert text == task.tokens[: task.done]
            assert piece.last == (len(text) == len(task.tokens))
            if piece.last:
                if len(task.tokens) < task.prompt_tokens + self.wanted[task]:
                    task.tokens.append(successor(text))
                if task.pending == 0 or len(task.tokens) == task.prompt_tokens + self.wanted[task]:
                    self.finish(task)
        return batch

    def finish(self, task: Task) -> None:
        n = len(task.tokens) - task.prompt_tokens
        assert task.tokens == alone(self.prompts[task], n)
        if task.alone:
            assert task.cached == 0
        self.slots.leave(task)
        del self.wanted[task]


WORDS = st.lists(st.integers(0, 3), min_size=1, max_size=6)
# Few different starts, so that prompts share them.
PROMPTS = st.builds(lambda start, rest: [7, 8, 9] * 40 * start + rest, st.integers(0, 3), WORDS)
ACTIONS = st.one_of(
    st.tuples(st.just("submit"), PROMPTS, st.integers(0, 12), st.booleans()),
    st.tuples(st.sampled_from(["step", "step", "abort"])),
    st.tuples(st.sampled_from(["cancel", "park", "unpark"]), st.integers(0, 9)),
)


@settings(max_examples=300, deadline=None)
@given(
    n_slots=st.integers(1, 5),
    batch_tokens=st.sampled_from([10, 64, 256]),
    n_cells=st.sampled_from([400, 700, 5000]),
    cuts=st.booleans(),
    actions=st.lists(ACTIONS, max_size=60),
)
def test_whatever_happens_each_stream_gets_the_tokens_it_gets_alone(
    n_slots: int, batch_tokens: int, n_cells: int, cuts: bool, actions: list[tuple[object, ...]]
) -> None:
    # A memory that cannot be cut cannot be shared: it has one slot.
    rig = Rig(n_slots=n_slots if cuts else 1, batch_tokens=batch_tokens, n_cells=n_cells, cuts=cuts)
    for action in actions:
        there = list(rig.wanted)
        match action:
            case ("submit", list(prompt), int(n), bool(fresh)):
                rig.submit(prompt, n, fresh=fresh)
            case ("step",):
                rig.step()
            case ("abort",):
                rig.step(abort=True)
            case ("cancel", int(at)) if there:
                task = there[at % len(there)]
                rig.slots.leave(task)
                del rig.wanted[task]
            case ("park" | "unpark" as what, int(at)) if there:
                there[at % len(there)].parked = what == "park"
    for task in rig.wanted:
        task.parked = False
    for _ in range(4000):
        if not rig.wanted:
            break
        assert rig.step(), "somebody waits and nobody is served"
    assert not rig.wanted


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)), st.integers(0, 9))
def test_common_is_the_length_of_the_shared_start(one: list[int], other: list[int], most: int) -> None:
    expected = 0
    while expected < min(most, len(one), len(other)) and one[expected] == other[expected]:
        expected += 1
    assert common(one, other, most) == expected


def test_a_long_prompt_never_holds_a_stream_up_for_more_than_one_small_piece() -> None:
    rig = Rig()
    stream = rig.submit([1, 2, 3])
    rig.step()
    long = rig.submit([5] * 4000, 1)
    while long in rig.wanted:
        batch = rig.step()
        assert stream in [piece.task for piece in batch]
        assert sum(len(piece.tokens) for piece in batch) <= BESIDE_TOKENS + 1


def test_a_prompt_alone_takes_whole_batches() -> None:
    rig = Rig()
    rig.submit([5] * 600, 1)
    assert [len(rig.step()[0].tokens) for _ in range(3)] == [256, 256, 88]


def test_prompts_take_turns() -> None:
    rig = Rig()
    tasks = [rig.submit([n] * 2000, 1) for n in range(3)]
    assert [rig.step()[0].task for _ in range(6)] == tasks * 2


def test_requests_get_slots_in_order_of_arrival() -> None:
    rig = Rig(n_slots=2)
    tasks = [rig.submit([n], 3) for n in range(8)]
    while rig.wanted:
        rig.step()
    assert rig.order == tasks


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
    tasks = [rig.submit([*range(1000), n], 2) for n in range(4)]
    computed = 0
    while rig.wanted:
        computed += sum(len(piece.tokens) for piece in rig.step())
    assert [task.cached for task in tasks] == [0, 1000, 1000, 1000]
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
    rig = Rig(n_slots=3)
    for n in (1, 2, 3, 1):
        rig.submit([n] * 200, 1)
        while rig.wanted:
            rig.step()
    assert [rig.memory.text(slot)[0] for slot in range(3)] == [1, 2, 3]
    rig.submit([9] * 200, 1)
    rig.step()
    assert [rig.memory.text(slot)[0] for slot in range(3)] == [1, 9, 3]


def test_a_request_waits_for_cells_and_idle_caches_make_room_for_it() -> None:
    rig = Rig(n_cells=500)
    rig.submit([1] * 200, 1)
    while rig.wanted:
        rig.step()
    rig.submit([2] * 250, 50)
    late = rig.submit([3] * 250, 50)
    rig.step()
    assert late.slot is None, "both together might not fit"
    while rig.wanted:
        rig.step()
    assert not rig.memory.slots[0], "the oldest cache made room"


def test_one_that_must_be_alone_shares_no_batch_and_lets_others_have_every_second() -> None:
    rig = Rig()
    stream = rig.submit([1])
    rig.step()
    lone = rig.submit([1] * 600, 4, fresh=True)
    steps = [rig.step() for _ in range(12)]
    assert [batch[0].task for batch in steps] == [lone, stream] * 6
    assert [len(batch[0].tokens) for batch in steps[::2]] == [256, 256, 88, 1, 1, 1]


def test_parked_streams_take_no_part_and_keep_their_place() -> None:
    rig = Rig()
    parked, other = rig.submit([1]), rig.submit([2])
    rig.step()
    parked.parked = True
    assert [piece.task for piece in rig.step()] == [other]
    other.parked = True
    assert rig.step() == ()
    parked.parked = False
    assert [piece.task for piece in rig.step()] == [parked]


def test_after_a_stopped_batch_the_same_tokens_are_computed_again() -> None:
    rig = Rig()
    rig.submit([1] * 300)
    stopped = rig.step(abort=True)
    assert rig.memory.text(0) == []
    assert [piece.tokens for piece in rig.step()] == [piece.tokens for piece in stopped]
