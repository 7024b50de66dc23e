"""Share of a prompt beside streams, with machines whose speed is known."""

from __future__ import annotations

import pytest

from agentgw_daemon.workers.model.batching.prefill_budget import (
    FIRST_RATE,
    KEPT_SHARE,
    PAUSE_S,
    WORTH_A_PIECE_TOKENS,
    PrefillBudget,
)
from tests.workers.model.batching.limits import MOST_STEPS


def steps_until_room(budget: PrefillBudget, step_s: float, left_tokens: int = WORTH_A_PIECE_TOKENS) -> int:
    """Steps of a stream beside a prompt until the next piece of that is earned."""
    for steps in range(MOST_STEPS):
        if budget.room(left_tokens):
            return steps
        budget.note(streams=1, prompt_tokens=0, prompts_beside=True, seconds=step_s)
    raise AssertionError("no piece is earned")


@pytest.mark.parametrize("token_s", [0.002, 0.005, 0.05, 0.5])
@pytest.mark.parametrize("step_s", [0.005, 0.015, 0.2])
@pytest.mark.parametrize("slower", [0.0, 0.2])
def test_a_stream_keeps_half_its_speed_on_any_machine(token_s: float, step_s: float, slower: float) -> None:
    budget = PrefillBudget()
    for _ in range(30):
        # The stream's own prompt, then the stream.
        budget.note(streams=0, prompt_tokens=10, prompts_beside=False, seconds=10 * token_s)
        budget.note(streams=1, prompt_tokens=0, prompts_beside=False, seconds=step_s)
    left, took, drawn, longest = 2000, 0.0, 0, 0.0
    while left > 0:
        assert took < 10_000, "the prompt stands still"
        piece = min(budget.room(), left)
        left -= piece
        # Each step beside the growing prompt is a little slower.
        seconds = step_s * (1 + slower * (2000 - left) / 2000) + token_s * piece
        budget.note(streams=1, prompt_tokens=piece, prompts_beside=left > 0, seconds=seconds)
        took, drawn, longest = took + seconds, drawn + 1, max(longest, seconds)
    # The pause that a new prompt may make is not earned yet.
    assert drawn * step_s >= (took - PAUSE_S) / 2
    assert longest < 1


def test_a_prompt_that_slows_every_step_still_gets_its_share() -> None:
    budget = PrefillBudget()
    budget.note(streams=1, prompt_tokens=0, prompts_beside=False, seconds=0.01)
    steps = pieces = 0
    while pieces < 50 and steps < 50 * 100:
        piece = budget.room()
        pieces += bool(piece)
        budget.note(streams=1, prompt_tokens=piece, prompts_beside=True, seconds=0.1 + 0.005 * piece)
        steps += 1
    assert steps < 50 * 100


def test_a_prompt_without_streams_leaves_a_whole_pause_for_the_next_piece() -> None:
    budget = PrefillBudget()
    for _ in range(3):
        budget.note(streams=0, prompt_tokens=100, prompts_beside=True, seconds=1.0)
    assert budget.room() == int(PAUSE_S * (FIRST_RATE + 40 * (1 - 0.75**3)))


def test_what_is_earned_does_not_add_up_to_more_than_one_pause() -> None:
    budget = PrefillBudget()
    for _ in range(1000):
        budget.note(streams=2, prompt_tokens=0, prompts_beside=False, seconds=0.01)
    assert budget.room() == int(PAUSE_S * FIRST_RATE)


def test_pieces_too_small_to_be_worth_it_are_waited_for() -> None:
    budget = PrefillBudget()
    budget.note(streams=1, prompt_tokens=0, prompts_beside=False, seconds=0.015)
    budget.note(streams=1, prompt_tokens=24, prompts_beside=True, seconds=0.4)
    assert steps_until_room(budget, 0.015) > 10


def test_a_short_prompt_waits_only_for_what_it_costs_itself() -> None:
    def waited(left_tokens: int) -> int:
        budget = PrefillBudget()
        budget.note(streams=1, prompt_tokens=0, prompts_beside=False, seconds=0.015)
        budget.note(streams=1, prompt_tokens=24, prompts_beside=True, seconds=0.4)
        steps = steps_until_room(budget, 0.015, left_tokens)
        assert budget.room(left_tokens) >= min(left_tokens, 24)
        return steps

    assert 0 < waited(8) < waited(24) < waited(48)


def test_guesses_do_not_pass_for_what_a_step_takes() -> None:
    def earned(*, guessed: bool) -> int:
        """Steps until the next piece, after one of a whole pause."""
        budget = PrefillBudget()
        for _ in range(10):
            budget.note(streams=1, prompt_tokens=0, prompts_beside=False, seconds=0.02)
        for _ in range(50):
            budget.note(
                streams=1, prompt_tokens=0, prompts_beside=False, seconds=0.06 if guessed else 0.02, guessed=guessed
            )
        budget.note(streams=0, held_up=1, prompt_tokens=50, prompts_beside=True, seconds=PAUSE_S)
        return steps_until_room(budget, 0.02)

    assert earned(guessed=True) == earned(guessed=False) > 10


def test_a_stream_that_guesses_keeps_its_part_of_the_time() -> None:
    budget = PrefillBudget()
    for _ in range(10):
        budget.note(streams=1, prompt_tokens=0, prompts_beside=False, seconds=0.02)
        budget.note(streams=0, prompt_tokens=100, prompts_beside=False, seconds=1.0)
    streamed = read = 0.0
    while read < 10:
        assert streamed < 100 * 10, "the prompt stands still"
        if piece := budget.room():
            budget.note(streams=0, held_up=1, prompt_tokens=piece, prompts_beside=False, seconds=0.01 * piece)
            read += 0.01 * piece
        else:
            budget.note(streams=1, prompt_tokens=0, prompts_beside=False, seconds=0.06, guessed=True)
            streamed += 0.06
    assert streamed / (streamed + read) == pytest.approx(KEPT_SHARE, abs=0.03)
