"""Keys and values that may not be on disk, or have no place there, kept in memory while there is room. Pure.

They are of requests that belong to no session: the next one of a program that sends the whole conversation each time
begins with the one before, and all of a skill begin alike.
"""

from __future__ import annotations

from typing import Final

from agentgw_daemon.workers.model.batching.sequence import common

# Some thousand tokens of a small model. Beside the KV cache itself this is little.
LIMIT_BYTES: Final = 64 << 20


class RamPrefixCache:
    """States by their tokens; those used longest ago go first."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes: Final = limit_bytes
        self._states: list[tuple[list[int], bytes]] = []

    def match(self, tokens: list[int]) -> int:
        """The number of tokens at the start of these that are kept."""
        return max((common(known, tokens, len(tokens)) for known, _ in self._states), default=0)

    def load(self, tokens: list[int]) -> bytes:
        """The state that `match` is about; of it, the caller keeps what he has the tokens of. One must be there."""
        best = max(self._states, key=lambda one: common(one[0], tokens, len(tokens)))
        self._states.remove(best)
        self._states.append(best)
        return best[1]

    def save(self, tokens: list[int], state: bytes) -> bool:
        """Keep a prefix. False: it is larger than the whole cache."""
        if not state or len(state) > self._limit_bytes:
            return False
        # The prefix that it begins with is not needed twice.
        self._states = [one for one in self._states if tokens[: len(one[0])] != one[0]]
        self._states.append((tokens, state))
        while sum(len(kept) for _, kept in self._states) > self._limit_bytes:
            del self._states[0]
        return True
