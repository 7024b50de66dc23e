"""A thin typed layer over llama.cpp: context, batch and sampler. It decides nothing about requests.

A context holds the keys and values of its sequences; a batch goes through it; a sampler draws the next token.
"""

from __future__ import annotations

import ctypes
from collections import deque
from functools import partial
from typing import Any, Final

from agentgw_daemon.workers.llama.llama import EngineError, LlamaModel, api, log
from agentgw_daemon.workers.model.sampling.candidates import logits_at
from agentgw_daemon.workers.model.sampling.constraint import Constraint

# Tokens that llama.cpp's own programs look back on for the repeat penalty.
PENALTY_WINDOW_TOKENS: Final = 64
# llama.cpp takes this seed to mean "any".
_RANDOM_SEED: Final = 0xFFFFFFFF
_ABORTED: Final = 2  # llama_decode's return value
_BYTES: Final = ctypes.POINTER(ctypes.c_uint8)
_ATTENTION: Final = {
    "auto": api.LLAMA_FLASH_ATTN_TYPE_AUTO,
    "flash": api.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    "plain": api.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}


class AbortFlag:
    """Stops llama.cpp in the middle of a batch, from any thread.

    llama.cpp asks at every node of its graph, a thousand times a token: too often for Python. So its callback is
    libc's strlen on two bytes of ours: no character means go on, one means stop.
    """

    def __init__(self) -> None:
        self._bytes = ctypes.create_string_buffer(2)
        self.callback: Final = ctypes.cast(ctypes.CDLL(None).strlen, api.ggml_abort_callback)
        self.address: Final = ctypes.addressof(self._bytes)

    def set(self) -> None:
        """Stop the batch that runs now, or the next one."""
        log.muted = True
        self._bytes[0] = b"\1"

    def clear(self) -> None:
        """Let batches run again."""
        self._bytes[0] = b"\0"
        log.muted = False


class Batch:
    """Tokens for one decode step, in buffers that are reused."""

    def __init__(self, n_tokens: int, n_sequences: int = 1) -> None:
        self.handle: Final = api.llama_batch_init(n_tokens, 0, n_sequences)
        self.size = 0
        # Looked up once: each attribute of a ctypes structure makes a new pointer object.
        self._tokens, self._positions, self._wanted = self.handle.token, self.handle.pos, self.handle.logits
        self._sequences = [self.handle.seq_id[i] for i in range(n_tokens)]
        for i in range(n_tokens):
            self.handle.n_seq_id[i] = 1

    def add(self, token: int, position: int, sequence: int, *, wanted: bool) -> int:
        """Append a token; its index, to sample at if its logits are `wanted`."""
        at = self.size
        self._tokens[at] = token
        self._positions[at] = position
        self._sequences[at][0] = sequence
        self._wanted[at] = wanted
        self.size = at + 1
        return at

    def clear(self) -> None:
        """Empty it."""
        self.size = 0

    def close(self) -> None:
        """Free the buffers."""
        api.llama_batch_free(self.handle)


class Context:
    """The KV cache and compute buffers of one model: `n_cells` tokens in all, for `slots` sequences."""

    def __init__(
        self,
        model: LlamaModel,
        *,
        n_cells: int,
        n_batch_tokens: int,
        threads: tuple[int, int],
        slots: int = 1,
        attention: str = "auto",
    ) -> None:
        self.abort: Final = AbortFlag()
        self._threads = threads
        self._leaves_core = False
        params = api.llama_context_default_params()
        params.n_ctx = n_cells
        params.n_batch = params.n_ubatch = n_batch_tokens
        params.n_seq_max = slots
        # One pool of cells: sequences that start alike share them, and a batch may mix sequences freely.
        params.kv_unified = True
        params.n_threads, params.n_threads_batch = threads
        params.flash_attn_type = _ATTENTION[attention]
        params.abort_callback = self.abort.callback
        params.abort_callback_data = self.abort.address
        log.errors.clear()
        handle = api.llama_init_from_model(model.handle, params)
        if not handle:
            raise log.failure(f"llama.cpp cannot make a context of {n_cells} tokens")
        self.handle: Final = handle
        self.slots: Final = slots
        self._memory = api.llama_get_memory(handle)
        # llama.cpp rounds up to a multiple of 256.
        self.n_cells: Final = min(n_cells, int(api.llama_n_ctx_seq(handle)))

    def close(self) -> None:
        """Free it."""
        api.llama_free(self.handle)

    def synchronise(self) -> None:
        """Wait for a device that computes on its own."""
        api.llama_synchronize(self.handle)

    def set_threads(self, decoding: int, reading: int) -> None:
        """Sets the number of threads from the next batch on."""
        self._threads, self._leaves_core = (decoding, reading), False
        api.llama_set_n_threads(self.handle, decoding, reading)

    def leave_core(self, leaves: bool) -> None:
        """From the next batch on, take a thread less where there is more than one; or take all again."""
        if leaves != self._leaves_core:
            self._leaves_core = leaves
            decoding, reading = (max(n - leaves, 1) for n in self._threads)
            api.llama_set_n_threads(self.handle, decoding, reading)

    @property
    def has_memory(self) -> bool:
        """Tells whether it remembers what it computed; models that embed or denoise whole texts do not."""
        return bool(self._memory)

    def decode(self, batch: Batch) -> bool:
        """Compute the batch. False: aborted, and its sequences must be cut back. Raises EngineError."""
        batch.handle.n_tokens = batch.size
        status = api.llama_decode(self.handle, batch.handle)
        if status == 0:
            return True
        if status == _ABORTED:
            return False
        raise log.failure(f"llama.cpp could not decode ({status})")

    def keep(self, sequence: int, length: int) -> int:
        """Cut a sequence back to its first `length` tokens; how many it kept: none if it cannot be cut."""
        if length > 0 and self._memory:
            # A sliding-window cache may have forgotten the start already; what is left would be wrong.
            whole = api.llama_memory_seq_pos_min(self._memory, sequence) == 0
            if whole and api.llama_memory_seq_rm(self._memory, sequence, length, -1):
                return length
        if self._memory:
            api.llama_memory_seq_rm(self._memory, sequence, -1, -1)
        return 0

    def share(self, source: int, target: int, start: int, end: int) -> None:
        """Let `target` have the tokens at the positions from `start` to before `end` of `source`. Copies nothing."""
        api.llama_memory_seq_cp(self._memory, source, target, start, end)

    def dump(self, sequence: int) -> bytes:
        """A sequence's keys and values, for `load` in a context made alike; empty if there are none."""
        size = api.llama_state_seq_get_size(self.handle, sequence)
        data = (ctypes.c_uint8 * size)()
        written = api.llama_state_seq_get_data(self.handle, data, size, sequence) if size else 0
        return memoryview(data)[:written].tobytes()

    def load(self, sequence: int, data: bytes) -> bool:
        """Replace what a sequence holds by what `dump` gave. False: it is empty now, for want of room or of sense."""
        if api.llama_state_seq_set_data(self.handle, ctypes.cast(ctypes.c_char_p(data), _BYTES), len(data), sequence):
            return True
        log.errors.clear()
        self.keep(sequence, 0)
        return False


class Sampler:
    """Penalty, top-k, top-p, min-p, temperature, then one drawn token; temperature 0 takes the likeliest.

    With a `grammar` (GBNF), only what continues it; raises EngineError if llama.cpp cannot use it.
    """

    def __init__(
        self,
        model: LlamaModel,
        *,
        temperature: float,
        top_k: int,
        top_p: float,
        min_p: float,
        repeat_penalty: float,
        seed: int,
        grammar: str = "",
    ) -> None:
        self._constraint: Final = Constraint(model, grammar) if grammar else None
        self._chain = api.llama_sampler_chain_init(api.llama_sampler_chain_default_params())
        self._penalty: Final = repeat_penalty if repeat_penalty > 0 else 1.0
        self._recent: Final[deque[int]] = deque(maxlen=PENALTY_WINDOW_TOKENS)
        self._n_vocabulary: Final = model.n_vocabulary
        self._greedy: Final = temperature <= 0
        if temperature <= 0:
            self._add(api.llama_sampler_init_greedy())
            return
        self._add(api.llama_sampler_init_top_k(top_k))
        self._add(api.llama_sampler_init_top_p(top_p, 1))
        self._add(api.llama_sampler_init_min_p(min_p, 1))
        self._add(api.llama_sampler_init_temp(temperature))
        seed &= 0xFFFFFFFF
        self._add(api.llama_sampler_init_dist(seed if seed != _RANDOM_SEED else 0))

    def _add(self, sampler: Any) -> None:
        api.llama_sampler_chain_add(self._chain, sampler)

    def read(self, prompt: list[int]) -> None:
        """Show the sampler the prompt, whose words the repeat penalty counts too."""
        self._recent.extend(prompt[-PENALTY_WINDOW_TOKENS:])

    def sample(self, context: Context, index: int) -> int:
        """The next token after batch index `index`, once for each. Raises EngineError where the grammar leaves none."""
        logits = api.llama_get_logits_ith(context.handle, index)
        if not logits:
            raise EngineError(f"there are no logits at {index}")
        if self._penalty != 1.0:
            self._penalise(logits)
        if self._constraint is None:
            token = self._draw(context, index, logits)
        else:
            seen = logits_at(logits, self._n_vocabulary)
            token = self._constraint.draw(partial(self._draw, context, index, logits), self._chain, seen)
            self._constraint.accept(token)
        self._recent.append(token)
        return token

    def _draw(self, context: Context, index: int, logits: Any) -> int:
        """Draws without a look at the grammar."""
        if self._greedy:
            return int(logits_at(logits, self._n_vocabulary).argmax())
        return int(api.llama_sampler_sample(self._chain, context.handle, index))

    def _penalise(self, logits: Any) -> None:
        """Make the recent tokens less likely (Keskar et al. 2019, CTRL), in place.

        llama.cpp's own sampler asks of every token of the vocabulary whether it is one of them: half a millisecond.
        """
        for token in set(self._recent):
            logit = logits[token]
            logits[token] = logit * self._penalty if logit <= 0 else logit / self._penalty

    def close(self) -> None:
        """Free it and what it is made of."""
        if self._constraint is not None:
            self._constraint.close()
        api.llama_sampler_free(self._chain)
