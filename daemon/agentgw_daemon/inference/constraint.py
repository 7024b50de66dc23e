"""A grammar held against what a model wants to say: which token may come next.

Checking one token takes llama.cpp some 30 µs, its whole vocabulary 20 ms and more. So the token that was drawn is
checked alone, and only where it is refused the likeliest ones are, and all only where none of those is allowed.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Final

from agentgw_daemon.inference.llama import EngineError, Model, api, log

if TYPE_CHECKING:
    from agentgw_daemon.inference.context import Context

# The likeliest tokens that are checked first; what is less likely is rarely drawn.
_NEAR: Final = 1024
_MAX_MUTE: Final = 64
_NOT_UTF8: Final = frozenset((0xC0, 0xC1, *range(0xF5, 0x100)))


class Candidates:
    """A vocabulary with the logits of one position: what llama.cpp's samplers work on."""

    def __init__(self, n_vocabulary: int) -> None:
        self._tokens: Final[Any] = _tokens(n_vocabulary)
        for token in range(n_vocabulary):
            self._tokens[token].id = token
        self._ordered: Final = bytes(self._tokens)
        # A token's data are three 32-bit words: number, logit, probability.
        self._words: Final = memoryview(self._tokens).cast("B").cast("f")
        self.array: Final[Any] = api.llama_token_data_array(data=self._tokens)

    def fill(self, logits: Any, without: set[int]) -> None:
        """All tokens in order, with these logits; those of `without` are impossible."""
        size = len(self._tokens)
        ctypes.memmove(self._tokens, self._ordered, len(self._ordered))
        values = memoryview((ctypes.c_float * size).from_address(ctypes.addressof(logits.contents)))
        self._words[1::3] = values.cast("B").cast("f")
        for token in without:
            self._tokens[token].logit = -float("inf")
        self.array.size = size
        self.array.selected = -1
        self.array.sorted = False

    def apply(self, sampler: Any) -> None:
        """Let a sampler work on them."""
        api.llama_sampler_apply(sampler, ctypes.byref(self.array))

    def any_possible(self) -> bool:
        """Whether a token is left; of the first `_NEAR` at least."""
        data = self.array.data
        return any(data[at].logit > -float("inf") for at in range(self.array.size))

    @property
    def chosen(self) -> int:
        """The token that the samplers chose."""
        return int(self.array.data[self.array.selected].id)


class Constraint:
    """One answer's grammar. Raises EngineError for a text that llama.cpp cannot parse.

    llama.cpp ends the process when it is told of a token that the grammar refuses: `accept` is given only what
    `draw` gave.
    """

    def __init__(self, model: Model, grammar: str) -> None:
        log.errors.clear()
        handle = api.llama_sampler_init_grammar(model.vocabulary, grammar.encode(), b"root")
        if not handle:
            raise log.failure("llama.cpp cannot use the grammar")
        self._handle: Final = handle
        self._near: Final = api.llama_sampler_init_top_k(_NEAR)
        self._model: Final = model
        self._candidates: Final = Candidates(model.n_vocabulary)
        self._one: Final[Any] = _tokens(1)
        # Tokens that came up and that a reader would see otherwise than llama.cpp: control tokens, which spell a text
        # to it alone, and bytes that are no part of UTF-8, which it takes for beginnings of characters.
        self._mute: Final[set[int]] = set()

    def draw(self, chain: Any, context: Context, index: int) -> int:
        """The next token after batch index `index`, by the samplers of `chain`. Raises EngineError if there is none."""
        logits = api.llama_get_logits_ith(context.handle, index)
        if not logits:
            raise EngineError(f"there are no logits at {index}")
        for _ in range(_MAX_MUTE):
            token = self._draw(chain, logits)
            piece = self._model.piece(token)
            if piece is None or (piece and _NOT_UTF8.isdisjoint(piece)):
                return token
            self._mute.add(token)
        raise EngineError("the model wants to say nothing but control tokens and broken characters")

    def _draw(self, chain: Any, logits: Any) -> int:
        candidates = self._candidates
        candidates.fill(logits, self._mute)
        candidates.apply(chain)
        if self._allows(candidates.chosen):
            return candidates.chosen
        candidates.fill(logits, self._mute)
        candidates.apply(self._near)
        candidates.apply(self._handle)
        if not candidates.any_possible():
            candidates.fill(logits, self._mute)
            candidates.apply(self._handle)
        # The grammar made some of the likeliest impossible; top-k would take the order for granted.
        candidates.array.sorted = False
        candidates.apply(chain)
        if not self._allows(candidates.chosen):
            raise EngineError("no token of the model continues the answer as the schema asks")
        return candidates.chosen

    def _allows(self, token: int) -> bool:
        self._one[0].id, self._one[0].logit = token, 1.0
        array = api.llama_token_data_array(data=self._one, size=1, selected=-1, sorted=False)
        api.llama_sampler_apply(self._handle, ctypes.byref(array))
        return bool(self._one[0].logit > -float("inf"))

    def accept(self, token: int) -> None:
        """It is said now."""
        if self._model.piece(token) is not None:
            api.llama_sampler_accept(self._handle, token)

    def close(self) -> None:
        """Free it."""
        api.llama_sampler_free(self._near)
        api.llama_sampler_free(self._handle)


def _tokens(count: int) -> Any:
    return (api.llama_token_data * count)()
