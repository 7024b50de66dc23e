"""Texts to vectors through llama.cpp: one sequence at a time, which no text pays for another's length. In a worker.

Several sequences in one batch are slower: without a KV cache attention spans the whole batch, and what one sequence
must not see of another is computed and thrown away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from agentgw_daemon.inference.llama import EngineError, Model, api, log
from agentgw_daemon.inference.memory import give_back
from agentgw_daemon.retrieval import wire
from agentgw_daemon.retrieval.table import Refusal
from agentgw_daemon.retrieval.tokens import LlamaTokeniser

# llama.h's enum llama_pooling_type
_POOLING: Final = {"mean": 1, "cls": 2, "last": 3}
# Buffers of a longer text than this are given back after it: they are 130 KiB a token, and queries are short.
_SMALL_TOKENS: Final = 64


class LlamaEncoder:
    """One embedder in memory. `lean` keeps no buffers of long texts."""

    def __init__(self, embedder: wire.Embedder, *, threads: int, lean: bool) -> None:
        try:
            self._model = Model(embedder.gguf)
        except EngineError as error:
            raise Refusal("model", str(error)) from error
        self.embedder: Final = embedder
        self.tokeniser: Final = LlamaTokeniser(self._model.vocabulary, embedder)
        self._threads = threads
        self._lean = lean
        self._context: Any = None
        if api.llama_model_n_embd_out(self._model.handle) != embedder.dim:
            raise Refusal("model", f"{embedder.gguf} has other dimensions than it should")
        self._batch = api.llama_batch_init(embedder.max_tokens, 0, 1)

    def close(self) -> None:
        """Free it."""
        self._drop_context()
        api.llama_batch_free(self._batch)
        self._model.close()

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """A row of unit length a text."""
        made = np.empty((len(texts), self.embedder.dim), np.float32)
        for row, text in enumerate(texts):
            made[row] = self._embed(self.tokeniser.encode(text))
        return made

    def _embed(self, tokens: Sequence[int]) -> npt.NDArray[np.float32]:
        context = self._context = self._context or self._open_context()
        batch = self._batch
        for at, token in enumerate(tokens):
            batch.token[at], batch.pos[at], batch.logits[at] = token, at, 1
            batch.n_seq_id[at], batch.seq_id[at][0] = 1, 0
        batch.n_tokens = len(tokens)
        memory = api.llama_get_memory(context)
        if memory:
            api.llama_memory_clear(memory, True)
        status = api.llama_decode(context, batch) if memory else api.llama_encode(context, batch)
        if status != 0:
            raise Refusal("model", str(log.failure("llama.cpp cannot embed the text")))
        found = api.llama_get_embeddings_seq(context, 0)
        if not found:
            raise Refusal("model", "llama.cpp gives no vectors of it")
        row = np.ctypeslib.as_array(found, (self.embedder.dim,)).copy()
        if self._lean and len(tokens) > _SMALL_TOKENS:
            self._drop_context()
            give_back()
        return _unit(row)

    def _open_context(self) -> Any:
        params = api.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = self.embedder.max_tokens
        params.n_seq_max = 1
        params.n_threads = params.n_threads_batch = self._threads
        params.embeddings = True
        params.pooling_type = _POOLING[self.embedder.pooling]
        params.no_perf = True
        context = api.llama_init_from_model(self._model.handle, params)
        if not context:
            raise Refusal("model", str(log.failure("llama.cpp cannot use it")))
        return context

    def _drop_context(self) -> None:
        if self._context is not None:
            api.llama_free(self._context)
            self._context = None


def _unit(row: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    length = float(np.linalg.norm(row))
    if not np.isfinite(length):
        raise Refusal("model", "its vectors are no numbers")
    return row / length if length > 0 else row
