"""The least a decode loop can do: llama.cpp's C functions, greedy, one sequence or several, nothing around them.

Set up with `model`, `engine` (see in_force.Engine), the rendered `prompts`, one a sequence, and `tokens`. A round
computes what the prompts share once, then the rest of each, then so many tokens of all, a batch a step: it gives the
times of each sequence's tokens.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from typing import Any

from agentgw_daemon.workers.llama.llama import api, safe_model_params
from tests.bench.measure import common_length
from tests.bench.rounds import Round, serve

_ATTENTION = {
    "auto": api.LLAMA_FLASH_ATTN_TYPE_AUTO,
    "flash": api.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    "plain": api.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}


class Loop:
    """A model with one context, made with the worker's own sizes so that only the loop differs."""

    def __init__(self, path: str, engine: dict[str, Any], sequences: int) -> None:
        self.model = api.llama_model_load_from_file(path.encode(), safe_model_params())
        self.vocabulary = api.llama_model_get_vocab(self.model)
        params = api.llama_context_default_params()
        params.n_ctx = min(api.llama_model_n_ctx_train(self.model), engine["n_ctx_tokens"]) * sequences
        params.n_batch = params.n_ubatch = self.most = engine["batch_tokens"]
        params.n_seq_max = sequences
        params.kv_unified = True
        params.n_threads, params.n_threads_batch = engine["threads"], engine["threads_batch"]
        params.flash_attn_type = _ATTENTION[engine["attention"]]
        self.context = api.llama_init_from_model(self.model, params)
        self.memory = api.llama_get_memory(self.context)
        self.sampler = api.llama_sampler_init_greedy()
        self.batch = api.llama_batch_init(self.most, 0, 1)
        self.piece = ctypes.create_string_buffer(256)

    def tokenise(self, text: bytes) -> Sequence[int]:
        tokens = (ctypes.c_int32 * (len(text) + 8))()
        count = api.llama_tokenize(self.vocabulary, text, len(text), tokens, len(tokens), False, True)
        return tokens[:count]

    def prefill(self, prompts: Sequence[Sequence[int]]) -> None:
        """Computes the prompts but their last tokens; what they share is computed once."""
        api.llama_memory_clear(self.memory, True)
        shared = common_length([prompt[:-1] for prompt in prompts])
        self.read(0, prompts[0][:shared], 0)
        for sequence in range(1, len(prompts)):
            api.llama_memory_seq_cp(self.memory, 0, sequence, 0, shared)
        for sequence, prompt in enumerate(prompts):
            self.read(sequence, prompt[shared:-1], shared)

    def round(self, prompts: Sequence[Sequence[int]], count: int) -> list[list[float]]:
        """The times at which each token of each sequence was there."""
        self.prefill(prompts)
        tokens, positions = [prompt[-1] for prompt in prompts], [len(prompt) - 1 for prompt in prompts]
        times = []
        for step in range(count):
            for sequence, token in enumerate(tokens):
                self.put(sequence, token, positions[sequence] + step, sequence, wanted=True)
            self.decode(len(tokens))
            tokens = [api.llama_sampler_sample(self.sampler, self.context, at) for at in range(len(tokens))]
            for token in tokens:
                self.spell(token)
            times.append(time.perf_counter())
        return [times] * len(prompts)

    def spell(self, token: int) -> None:
        """Makes the token's text, which nobody looks at."""
        api.llama_token_to_piece(self.vocabulary, token, self.piece, len(self.piece), 0, False)

    def read(self, sequence: int, tokens: Sequence[int], start: int) -> None:
        """Computes tokens of a sequence from the position `start` on."""
        for begin in range(0, len(tokens), self.most):
            part = tokens[begin : begin + self.most]
            for at, token in enumerate(part):
                self.put(at, token, start + begin + at, sequence, wanted=False)
            self.decode(len(part))

    def put(self, at: int, token: int, position: int, sequence: int, *, wanted: bool) -> None:
        """Sets a place of the batch; the logits of the `wanted` can be drawn from."""
        batch = self.batch
        batch.token[at], batch.pos[at], batch.logits[at] = token, position, wanted
        batch.n_seq_id[at], batch.seq_id[at][0] = 1, sequence

    def decode(self, count: int) -> None:
        """Decodes the first `count` places of the batch."""
        self.batch.n_tokens = count
        if api.llama_decode(self.context, self.batch):
            raise SystemExit("llama.cpp could not decode")


def make(setup: dict[str, Any]) -> Round:
    loop = Loop(setup["model"], setup["engine"], len(setup["prompts"]))
    prompts = [loop.tokenise(prompt.encode()) for prompt in setup["prompts"]]
    return lambda _: loop.round(prompts, setup["tokens"])


if __name__ == "__main__":
    serve(make)
