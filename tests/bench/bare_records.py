"""The engine's own rate on many records, prompts included: the bare loop with slots that are filled again.

Set up with `model`, `engine` (see in_force.Engine), the rendered `prompts`, one a record, `slots` and `tokens`. What
all prompts share is computed once, before any clock. A round answers all records, greedily, as many at once as there
are slots: a batch holds a token of each that decodes and the rest of the prompts of those that came. It gives the
records a second.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from agentgw_daemon.workers.llama.llama import api
from tests.bench.bare_decode import Loop
from tests.bench.measure import common_length
from tests.bench.rounds import Round, serve


class Records:
    """Records that are answered by the slots of a loop; what they share lies in a sequence of its own."""

    def __init__(self, setup: dict[str, Any]) -> None:
        self._slots: int = setup["slots"]
        self._most: int = setup["tokens"]
        self._loop = Loop(setup["model"], setup["engine"], self._slots + 1)
        self._prompts = [self._loop.tokenise(prompt.encode()) for prompt in setup["prompts"]]
        self._shared = common_length([prompt[:-1] for prompt in self._prompts])
        self._loop.read(self._slots, self._prompts[0][: self._shared], 0)

    def round(self) -> float:
        """Records a second, from the first prompt to the last answer."""
        started = time.perf_counter()
        waiting = list(reversed(self._prompts))
        free = list(range(self._slots))
        # By slot: the tokens to compute next, the position of the first of them, and how many were drawn.
        running: dict[int, tuple[Sequence[int], int, int]] = {}
        while waiting or running:
            while waiting and free:
                running[self._begun(free.pop())] = (waiting.pop()[self._shared :], self._shared, 0)
            for slot, token in self._step(running).items():
                tokens, position, count = running[slot]
                ended = bool(api.llama_vocab_is_eog(self._loop.vocabulary, token))
                if ended or count + 1 == self._most:
                    del running[slot]
                    free.append(slot)
                else:
                    running[slot] = ([token], position + len(tokens), count + 1)
        return len(self._prompts) / (time.perf_counter() - started)

    def _begun(self, slot: int) -> int:
        """The slot, with nothing in it but what all records share."""
        memory = self._loop.memory
        api.llama_memory_seq_rm(memory, slot, -1, -1)
        api.llama_memory_seq_cp(memory, self._slots, slot, 0, self._shared)
        return slot

    def _step(self, running: dict[int, tuple[Sequence[int], int, int]]) -> dict[int, int]:
        """One batch; the token that comes next in each slot."""
        at, last = 0, {}
        for slot, (tokens, position, _) in running.items():
            for offset, token in enumerate(tokens):
                final = offset == len(tokens) - 1
                self._loop.put(at, token, position + offset, slot, wanted=final)
                if final:
                    last[slot] = at
                at += 1
        self._loop.decode(at)
        drawn = {}
        for slot, index in last.items():
            drawn[slot] = token = api.llama_sampler_sample(self._loop.sampler, self._loop.context, index)
            self._loop.spell(token)
        return drawn


def make(setup: dict[str, Any]) -> Round:
    records = Records(setup)
    return lambda _: records.round()


if __name__ == "__main__":
    serve(make)
