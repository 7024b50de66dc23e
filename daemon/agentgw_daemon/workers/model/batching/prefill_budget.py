"""Share of a prompt that may be computed beside streams that decode, so that they keep their speed. Pure.

Everybody waits for a piece of a prompt: while it is computed a stream stands still. So each token of the streams
earns the prompts some time, as much again as it takes when no prompt is computed: whatever the pieces cost, and
however much slower a longer context makes each step, a stream keeps a little more than half its speed. What is earned
adds up to one pause at most, which is also there at once for a prompt that just came.
"""

from __future__ import annotations

from typing import Final

# The longest that a stream stands still for one piece, as far as can be foretold.
PAUSE_S: Final = 0.45
# A stream's share of its speed: half, and some more for what cannot be foretold.
KEPT_SHARE: Final = 0.58
# The least share of the time that prompts get, as a part of what streams take.
LEAST_SHARE: Final = 0.25
# Smaller pieces cost more a token: the weights are read once for each.
WORTH_A_PIECE_TOKENS: Final = 48
# Until measured: a slow machine's.
FIRST_RATE: Final = 60.0
_WEIGHT: Final = 0.25  # of the latest measurement in a running mean


class PrefillBudget:
    """Told of each batch what it held and how long it took; says what the next may hold of prompts."""

    def __init__(self) -> None:
        self._step_s: dict[int, float] = {}  # of a batch with one token each of so many streams and nothing else
        self._rate = FIRST_RATE  # prompt tokens a second
        self._moved_s = 0.0  # what it takes to swap a prompt in for a piece and out again
        self._earned_s = PAUSE_S

    def room(self, left_tokens: int = WORTH_A_PIECE_TOKENS) -> int:
        """Prompt tokens for the next batch beside streams, of so many that are left of all prompts.

        None until a piece worth its cost is earned; what is less than that is a piece all the same.
        """
        piece = min(left_tokens, WORTH_A_PIECE_TOKENS)
        spare_s = self._earned_s - self._moved_s
        if spare_s < piece / self._rate and self._earned_s < PAUSE_S:
            return 0
        # More than a pause is never earned, so that is enough for a small piece whatever it costs.
        return max(int(spare_s * self._rate), min(piece, int(PAUSE_S * self._rate)), 1)

    def note(
        self, *, streams: int, prompt_tokens: int, prompts_beside: bool, seconds: float, moved_s: float = 0.0,
        held_up: int = 0, guessed: bool = False, watched: bool = True,
    ) -> None:  # fmt: skip
        """A batch of a token each of so many `streams` and of so many `prompt_tokens` took so long.

        So many others were `held_up` by it: they stood still, for `moved_s` more to swap the prompt in and
        out. One with `guessed` tokens besides takes longer than a step, and so does one while unfinished prompts lie
        in the cells, `prompts_beside` the streams. Streams that nobody `watched` wait for no pause.
        """
        step_s = self._step_s.get(streams, seconds / 2)
        prompt_s = seconds - (step_s if streams else 0.0)
        if prompt_tokens and prompt_s > 0:
            self._rate += _WEIGHT * (prompt_tokens / prompt_s - self._rate)
        if held_up:
            self._moved_s += _WEIGHT * (moved_s - self._moved_s)
        if streams and not prompt_tokens and not guessed and (not prompts_beside or streams not in self._step_s):
            # Not while a prompt grows beside it: that is what the step is compared with.
            self._step_s[streams] = self._step_s.get(streams, seconds) * (1 - _WEIGHT) + _WEIGHT * seconds
        if not held_up and not (streams and watched):
            self._earned_s = PAUSE_S  # nobody waits
            return
        # With guesses it is a step for as many tokens as come true, which costs what it costs alone.
        worth_s = seconds if guessed else step_s if streams else 0.0
        earned_s = worth_s / KEPT_SHARE - seconds
        if not prompt_tokens:
            # Where the prompt's own length slows each step more than that, it goes on all the same.
            earned_s = max(earned_s, LEAST_SHARE * seconds)
        self._earned_s = min(self._earned_s + earned_s - moved_s, PAUSE_S)
