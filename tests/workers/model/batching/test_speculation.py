"""Guesses: where they come from, and when they are worth making."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.workers.model.batching.speculation import FIRST_GUESSES, MATCH_TOKENS, MOST_GUESSES, Gain, Lookup
from tests.workers.model.batching.limits import MOST_STEPS


@given(st.lists(st.integers(0, 2), max_size=60), st.integers(1, 8))
def test_a_guess_is_what_followed_the_last_time(tokens: list[int], most: int) -> None:
    read: list[int] = []
    lookup = Lookup(read)
    for at in range(len(tokens) + 1):
        ends = [
            end for end in range(MATCH_TOKENS, at) if tokens[end - MATCH_TOKENS : end] == tokens[:at][-MATCH_TOKENS:]
        ]
        expected = tokens[ends[-1] : at][:most] if ends and at > MATCH_TOKENS else []
        assert lookup.guess(most) == expected
        read += tokens[at : at + 1]


def test_guessing_begins_once_there_is_something_to_compare_with() -> None:
    gain = Gain()
    assert gain.most() == 0
    gain.note(guesses=0, right=0, seconds=0.01)
    assert gain.most() == FIRST_GUESSES


def test_guesses_that_come_true_grow_to_a_bound() -> None:
    gain = Gain()
    gain.note(guesses=0, right=0, seconds=0.01)
    for _ in range(5):
        most = gain.most()
        gain.note(guesses=most, right=most, seconds=0.012)
    assert gain.most() == MOST_GUESSES


def test_guesses_that_cost_more_than_they_gain_stop_for_longer_each_time() -> None:
    gain = Gain()
    gain.note(guesses=0, right=0, seconds=0.01)
    rests = []
    for _ in range(5):
        rest = 0
        while not (most := gain.most()):
            assert rest < MOST_STEPS
            rest += 1
        rests.append(rest)
        gain.note(guesses=most, right=0, seconds=0.02)
    assert rests[1] > rests[0]
    assert rests == sorted(rests)


def test_a_guess_that_pays_is_made_again_at_once() -> None:
    gain = Gain()
    gain.note(guesses=0, right=0, seconds=0.01)
    gain.note(guesses=4, right=2, seconds=0.02)
    assert gain.most() == 2
