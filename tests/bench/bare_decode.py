"""The least a decode loop can do: llama.cpp's C functions, one sequence, greedy, nothing around them.

`python bare_decode.py MODEL TOKENS`, the rendered prompt on standard input. Each line read after it is one round:
prefill, then TOKENS tokens; the tokens a second between the first and the last are printed.
"""

from __future__ import annotations

import ctypes
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from agentgw_daemon.inference.llama import api, physical_cores, usable_cpus
from agentgw_daemon.inference.loading import DEFAULT_BATCH_TOKENS, DEFAULT_CTX_TOKENS


class Loop:
    """A model with one context, made with the worker's own sizes so that only the loop differs."""

    def __init__(self, path: str) -> None:
        self.model = api.llama_model_load_from_file(path.encode(), api.llama_model_default_params())
        self.vocabulary = api.llama_model_get_vocab(self.model)
        params = api.llama_context_default_params()
        params.n_ctx = min(api.llama_model_n_ctx_train(self.model), DEFAULT_CTX_TOKENS)
        params.n_batch = params.n_ubatch = DEFAULT_BATCH_TOKENS
        params.n_threads, params.n_threads_batch = physical_cores(), len(usable_cpus())
        self.context = api.llama_init_from_model(self.model, params)
        self.sampler = api.llama_sampler_init_greedy()

    def tokenise(self, text: bytes) -> Sequence[int]:
        tokens = (ctypes.c_int32 * (len(text) + 8))()
        count = api.llama_tokenize(self.vocabulary, text, len(text), tokens, len(tokens), False, True)
        return tokens[:count]

    def round(self, prompt: Sequence[int], count: int) -> float:
        """Tokens a second, from the first token of the answer to the last."""
        api.llama_memory_clear(api.llama_get_memory(self.context), True)
        for start in range(0, len(prompt), DEFAULT_BATCH_TOKENS):
            self._decode(prompt[start : start + DEFAULT_BATCH_TOKENS])
        piece = ctypes.create_string_buffer(256)
        token = api.llama_sampler_sample(self.sampler, self.context, -1)
        started = time.perf_counter()
        for _ in range(count - 1):
            self._decode([token])
            token = api.llama_sampler_sample(self.sampler, self.context, -1)
            api.llama_token_to_piece(self.vocabulary, token, piece, len(piece), 0, False)
        return (count - 1) / (time.perf_counter() - started)

    def _decode(self, tokens: Sequence[int]) -> None:
        buffer: Any = (ctypes.c_int32 * len(tokens))(*tokens)
        if api.llama_decode(self.context, api.llama_batch_get_one(buffer, len(tokens))):
            raise SystemExit("llama.cpp could not decode")


def main(path: str, count: int) -> None:
    loop = Loop(path)
    prompt = loop.tokenise(json.loads(sys.stdin.readline()).encode())
    print("ready", flush=True)
    for _ in sys.stdin:
        print(loop.round(prompt, count), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
