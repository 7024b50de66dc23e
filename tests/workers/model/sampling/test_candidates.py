"""Candidates that samplers are given."""

from __future__ import annotations

import ctypes

import numpy as np

from agentgw_daemon.workers.llama.llama import api
from agentgw_daemon.workers.model.sampling.candidates import Candidates, logits_at


def test_samplers_choose_among_all_tokens_until_they_are_filled_anew() -> None:
    candidates, greedy, few = Candidates(300), api.llama_sampler_init_greedy(), api.llama_sampler_init_top_k(3)
    logits = np.arange(300, dtype=np.float32)
    for best in (17, 299, 0):
        logits[best] = 1000 + best
        candidates.fill(logits)
        candidates.apply(few)
        candidates.apply(greedy)
        assert candidates.chosen == best
        logits[best] = -np.inf
    for sampler in (greedy, few):
        api.llama_sampler_free(sampler)


def test_whether_any_is_left_is_asked_of_those_that_are_left() -> None:
    candidates, few = Candidates(300), api.llama_sampler_init_top_k(3)
    logits = np.full(300, -np.inf, np.float32)
    candidates.fill(logits)
    candidates.apply(few)
    assert not candidates.any_possible()
    logits[7] = 0
    candidates.fill(logits)
    candidates.apply(few)
    assert candidates.any_possible()
    api.llama_sampler_free(few)


def test_logits_are_looked_at_where_they_lie() -> None:
    values = (ctypes.c_float * 3)(1, 2, 3)
    seen = logits_at(ctypes.cast(values, ctypes.POINTER(ctypes.c_float)), 3)
    values[1] = 5
    seen[2] = 7
    assert (seen.tolist(), list(values)) == ([1, 5, 7], [1, 5, 7])
