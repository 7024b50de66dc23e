"""A request as the scheduler sees it, and its slice of a batch. Values only."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence as AbcSequence


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class Sequence:
    """One request. `tokens[:done]` are computed; the first `cached` of its prompt were when it came."""

    key: int
    tokens: list[int]
    prompt_tokens: int
    arrival: int
    isolated: bool = False  # shares no batch and no cached token with anybody
    background: bool = False  # computes only while nobody in front of a screen waits
    whole: bool = False  # read when it has ended: its tokens hold up nobody's prompt, and it comes after who is read
    leaves_core: bool = False  # is computed with a thread less, so that whoever comes finds a core
    cache_scope: str = ""  # in whose name its keys and values may be saved; nobody's are not
    shared_tokens: int = 0  # so many at the start are a skill's, the same for all of its sessions
    parked: bool = False
    done: int = 0
    cached: int | None = None
    slot: int | None = None
    served: int = 0
    swapped_out: int = 0  # so many of its tokens' keys and values are outside the cells for now: all of them or none
    copied: int = 0  # of so many there is a copy outside, be they in the cells or not
    guesses: AbcSequence[int] = ()  # what may follow `tokens`, computed along where that costs nobody else anything

    @property
    def pending(self) -> int:
        """Tokens that are known and not computed."""
        return len(self.tokens) - self.done

    @property
    def in_prompt(self) -> bool:
        """Tells whether some of its prompt is still to be computed."""
        return self.done < self.prompt_tokens


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BatchSlice:
    """Tokens of one sequence in a batch, from position `start` on.

    After the `last` one there is a token to sample, and after each of the `guesses` that follow it another.
    """

    sequence: Sequence
    slot: int
    start: int
    tokens: AbcSequence[int]
    last: bool
    guesses: AbcSequence[int] = ()

    @property
    def size(self) -> int:
        """Tokens in the batch."""
        return len(self.tokens) + len(self.guesses)


def common(one: AbcSequence[int], other: AbcSequence[int], most: int) -> int:
    """Length of the start that both have, at most `most`. By halves: a loop over tokens is a hundred times slower."""
    low, high = 0, min(most, len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
