"""A grammar held against what a model wants to say: which token may come next.

Checking one token takes llama.cpp some 30 µs, its whole vocabulary 20 ms and more. So the token that was drawn is
checked alone, and only where it is refused the likeliest ones are, and all only where none of those is allowed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from agentgw_daemon.workers.llama.llama import EngineError, LlamaModel, api, log
from agentgw_daemon.workers.model.sampling.candidates import Candidates, Logits

# The likeliest tokens that are checked first; what is less likely is rarely drawn.
_NEAR: Final = 1024
_MAX_MUTE: Final = 64
_NOT_UTF8: Final = frozenset((0xC0, 0xC1, *range(0xF5, 0x100)))


class Constraint:
    """One answer's grammar. Raises EngineError for a text that llama.cpp cannot parse.

    llama.cpp ends the process when it is told of a token that the grammar refuses: `accept` is given only what
    `draw` gave.
    """

    def __init__(self, model: LlamaModel, grammar: str) -> None:
        log.errors.clear()
        handle = api.llama_sampler_init_grammar(model.vocabulary, grammar.encode(), b"root")
        if not handle:
            raise log.failure("llama.cpp cannot use the grammar")
        self._handle: Final = handle
        self._near: Final = api.llama_sampler_init_top_k(_NEAR)
        self._model: Final = model
        self._candidates: Final = Candidates(model.n_vocabulary)
        self._one: Final[Any] = (api.llama_token_data * 1)()
        # Tokens that came up and that a reader would see otherwise than llama.cpp: control tokens, which spell a text
        # to it alone, and bytes that are no part of UTF-8, which it takes for beginnings of characters.
        self._mute: Final[set[int]] = set()

    def draw(self, free: Callable[[], int], chain: Any, logits: Logits) -> int:
        """The next token, drawn by the samplers of `chain`, which `free` draws with unconstrained.

        Raises EngineError if there is none. Makes tokens impossible in `logits`.
        """
        for token in self._mute:
            logits[token] = -np.inf
        for _ in range(_MAX_MUTE):
            token = self._draw(free, chain, logits)
            piece = self._model.piece(token)
            if piece is None or (piece and _NOT_UTF8.isdisjoint(piece)):
                return token
            self._mute.add(token)
            logits[token] = -np.inf
        raise EngineError("the model wants to say nothing but control tokens and broken characters")

    def _draw(self, free: Callable[[], int], chain: Any, logits: Logits) -> int:
        token = free()
        if self._allows(token):
            return token
        candidates = self._candidates
        candidates.fill(logits)
        candidates.apply(self._near)
        candidates.apply(self._handle)
        if not candidates.any_possible():
            candidates.fill(logits)
            candidates.apply(self._handle)
        # The grammar made some of the likeliest impossible; top-k would take the order for granted.
        candidates.apply(chain, sort=True)
        if not self._allows(candidates.chosen):
            raise EngineError("no token of the model continues the answer as the schema asks")
        return candidates.chosen

    def _allows(self, token: int) -> bool:
        self._one[0].id, self._one[0].logit = token, 1.0
        array = api.llama_token_data_array(data=self._one, size=1, selected=-1, sorted=False)
        api.llama_sampler_apply(self._handle, ctypes.byref(array))
        return bool(self._one[0].logit > -float("inf"))

    def accept(self, token: int) -> None:
        """Takes a token as said."""
        if self._model.piece(token) is not None:
            api.llama_sampler_accept(self._handle, token)

    def close(self) -> None:
        """Free it."""
        api.llama_sampler_free(self._near)
        api.llama_sampler_free(self._handle)
