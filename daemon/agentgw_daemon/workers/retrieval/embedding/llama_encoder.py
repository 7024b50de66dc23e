"""Texts to vectors through llama.cpp: each alone in its batch, on one thread. In a worker.

Several texts in one batch are slower: without a KV cache attention spans the whole batch, and what one text must not
see of another is computed and thrown away. Several threads for one text wait for each other at every tensor, which is
dear when anything else runs; so each core gets a text of its own.
"""

from __future__ import annotations

import functools
import queue
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from agentgw_daemon.system.memory import give_back
from agentgw_daemon.workers.llama.llama import EngineError, LlamaModel, api, log
from agentgw_daemon.workers.protocol import retrieval as wire
from agentgw_daemon.workers.retrieval.embedding.mapped_memory import TABLE_BYTES, MappedTail
from agentgw_daemon.workers.retrieval.embedding.tokens import LlamaTokeniser
from agentgw_daemon.workers.retrieval.handlers import Refusal

Row = npt.NDArray[np.float32]

# llama.h's enum llama_pooling_type
_POOLING: Final = {"mean": 1, "cls": 2, "last": 3}
# Buffers of a longer text than this are given back after it: they are 130 KiB a token, new ones take some milliseconds,
# and queries are short.
_SMALL_TOKENS: Final = 24


class LlamaEncoder:
    """One embedder in memory, for so many texts at a time. `lean` keeps no buffers of long texts."""

    def __init__(self, embedder: wire.Embedder, *, at_once: int, lean: bool) -> None:
        try:
            self._model = LlamaModel(embedder.gguf)
        except EngineError as error:
            raise Refusal("model", str(error)) from error
        self.embedder: Final = embedder
        self.engine: Final = "llama.cpp"
        self.tokeniser: Final = LlamaTokeniser(self._model.vocabulary, embedder)
        if api.llama_model_n_embd_out(self._model.handle) != embedder.dim:
            raise Refusal("model", f"{embedder.gguf} has other dimensions than it should")
        self._free: queue.SimpleQueue[_Context] = queue.SimpleQueue()
        self._at_once = at_once
        for _ in range(at_once):
            self._free.put(_Context(self._model, embedder, lean=lean))
        self._threads = ThreadPoolExecutor(at_once) if at_once > 1 else None
        # One core only, for the moment.
        self.sparing = False
        self._table = MappedTail(embedder.gguf, self._model.number(TABLE_BYTES) if lean else 0)
        if lean:
            give_back()

    def close(self) -> None:
        """Free it."""
        if self._threads is not None:
            self._threads.shutdown()
        for _ in range(self._at_once):
            self._free.get().close()
        self._model.close()

    def embed(self, texts: Sequence[str], prompt: str = "") -> Row:
        """A row of unit length a text behind the prompt; zeros where the text's own tokens are unknown."""
        run = map if self._threads is None or self.sparing else self._threads.map
        return np.stack(list(run(functools.partial(self._embed, prompt), texts)))

    def _embed(self, prompt: str, text: str) -> Row:
        if not self.tokeniser.knows(text):
            return np.zeros(self.embedder.dim, np.float32)
        tokens = self.tokeniser.encode(prompt + text)
        context = self._free.get()
        try:
            return context.embed(tokens)
        finally:
            self._free.put(context)
            self._table.drop()


class _Context:
    """Context in which one text at a time is computed; made when it is needed."""

    def __init__(self, model: LlamaModel, embedder: wire.Embedder, *, lean: bool) -> None:
        self._model = model
        self._embedder = embedder
        self._lean = lean
        self._context: Any = None
        self._batch = api.llama_batch_init(embedder.max_tokens, 0, 1)

    def close(self) -> None:
        self._drop()
        api.llama_batch_free(self._batch)

    def embed(self, tokens: Sequence[int]) -> Row:
        context = self._context = self._context or self._open()
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
        row = np.ctypeslib.as_array(found, (self._embedder.dim,)).copy()
        if self._lean and len(tokens) > _SMALL_TOKENS:
            self._drop()
            give_back()
        return _unit(row)

    def _open(self) -> Any:
        params = api.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = self._embedder.max_tokens
        params.n_seq_max = 1
        params.n_threads = params.n_threads_batch = 1
        params.embeddings = True
        params.pooling_type = _POOLING[self._embedder.pooling]
        params.no_perf = True
        context = api.llama_init_from_model(self._model.handle, params)
        if not context:
            raise Refusal("model", str(log.failure("llama.cpp cannot use it")))
        return context

    def _drop(self) -> None:
        if self._context is not None:
            api.llama_free(self._context)
            self._context = None


def _unit(row: Row) -> Row:
    length = float(np.linalg.norm(row))
    if not np.isfinite(length):
        raise Refusal("model", "its vectors are no numbers")
    return row / length if length > 0 else row
