"""Guessing what comes next from what was there before: prompt lookup, and whether it pays. Pure.

Where an answer repeats its prompt (a summary, a correction, a rewriting), the tokens after the last few have often been
seen together already. Such a guess is computed in the same batch as the token before it; those that are then
really drawn are for free. Nothing is drawn that would not have been drawn without guesses.
"""

from __future__ import annotations

from typing import Final

# So many equal tokens in a row are taken for a repetition; fewer are chance.
MATCH_TOKENS: Final = 3
MOST_GUESSES: Final = 16
FIRST_GUESSES: Final = 4
# After guessing has cost more than it gained, so many steps go without, twice as many each time again.
FIRST_REST: Final = 8
MOST_REST: Final = 512
_WEIGHT: Final = 0.3  # of the latest measurement in a running mean


class Lookup:
    """The places where each few tokens in a row were seen last."""

    def __init__(self, tokens: list[int]) -> None:
        self._tokens: Final = tokens
        self._ends: dict[tuple[int, ...], int] = {}
        self._seen = 0

    def guess(self, most: int) -> list[int]:
        """The tokens that followed when the last ones of the list were there before; empty when they were not."""
        tokens, size = self._tokens, MATCH_TOKENS
        # All but the last few, which would find themselves.
        for end in range(max(self._seen, size), len(tokens)):
            self._ends[tuple(tokens[end - size : end])] = end
        self._seen = len(tokens)
        at = self._ends.get(tuple(tokens[-size:])) if len(tokens) > size else None
        return tokens[at : at + most] if at is not None else []


class Gain:
    """Gain of guessing, by the clock: how many guesses to make with the next step."""

    def __init__(self) -> None:
        self._plain_s = 0.0  # seconds a token without guesses
        self._guessed_s = 0.0  # and with
        self._most = FIRST_GUESSES
        self._rest = 0
        self._last_rest = FIRST_REST // 2

    def most(self) -> int:
        """Guesses worth making now."""
        if self._rest:
            self._rest -= 1
            return 0
        # A step without any comes first, to have something to compare with.
        return self._most if self._plain_s else 0

    def note(self, *, guesses: int, right: int, seconds: float) -> None:
        """A step with so many guesses, of which so many were right, took so long."""
        if not guesses:
            self._plain_s = seconds if not self._plain_s else self._plain_s + _WEIGHT * (seconds - self._plain_s)
            return
        a_token_s = seconds / (right + 1)
        self._guessed_s = (
            a_token_s if not self._guessed_s else self._guessed_s + _WEIGHT * (a_token_s - self._guessed_s)
        )
        self._most = min(2 * self._most, MOST_GUESSES) if right == guesses else max(right, 2)
        if self._guessed_s > self._plain_s:
            self._last_rest = min(2 * self._last_rest, MOST_REST)
            self._rest, self._guessed_s = self._last_rest, 0.0
        else:
            self._last_rest = FIRST_REST // 2
