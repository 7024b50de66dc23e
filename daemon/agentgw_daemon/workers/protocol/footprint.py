"""Memory that a model takes: cells of the KV cache, weights, buffers. Pure arithmetic on what a file says of itself.

The worker decides by it how many cells it takes, the daemon whether there is room before it loads.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Final

DEFAULT_CTX_TOKENS: Final = 8192
DEFAULT_BATCH_TOKENS: Final = 256
# Bytes that all slots together may take in the KV cache, unless one request alone needs more. It is touched as the
# model is loaded, so it is resident whether anybody comes or not; what does not fit at once waits for a place.
MAX_KV_BYTES: Final = 512 << 20
MAX_CONTEXTS: Final = 2
KV_SHARE: Final = 0.25  # of the memory that is left beside the weights; the rest is for buffers and for others
# An activation is kept for some ten tensors of a layer at a time; llama.cpp reuses their memory layer by layer.
_LIVE_ACTIVATIONS: Final = 16
FLOAT_BYTES: Final = 4
_KV_BYTES: Final = 2  # keys and values are 16-bit numbers
_SMALLER_CONTEXTS: Final = ("attention.sliding_window", "attention.kv_lora_rank", "ssm.state_size", "wkv.head_size")
_COUNTED: Final = re.compile(r"\[(\d+) values\]")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """The numbers of a model that its memory depends on; zero is unknown."""

    kv_bytes_per_token: int = 0
    n_ctx_train_tokens: int = 0
    n_vocabulary: int = 0
    n_heads: int = 0
    width: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MemoryNeed:
    """Bytes that a loaded model takes at least."""

    weights: int
    context: int
    buffers: int = 0

    @property
    def total(self) -> int:
        """The bytes of all parts."""
        return self.weights + self.context + self.buffers


def cells(
    n_ctx_tokens: int, slots: int, *, bytes_per_token: int, spare_bytes: int | None, n_ctx_original_tokens: int = 0
) -> int:
    """The number of tokens all slots share: one full context at least, two at most, and no more than the bounds
    allow.

    `spare_bytes` is what is left of the memory beside the weights, None if that is unknown.
    """
    bound = MAX_KV_BYTES if spare_bytes is None else min(MAX_KV_BYTES, int(max(spare_bytes, 0) * KV_SHARE))
    most = min(n_ctx_tokens * min(slots, MAX_CONTEXTS), bound // max(bytes_per_token, 1))
    if n_ctx_tokens <= n_ctx_original_tokens:
        # llama.cpp takes more cells for a longer context and would turn to the stretched positions.
        most = min(most, n_ctx_original_tokens)
    return max(most, n_ctx_tokens)


def shape_of(metadata: Mapping[str, Any]) -> ModelShape:
    """The shape that a file's metadata tell, with arrays given as `[N values]`; never fails on nonsense.

    Nothing is claimed of the context where a window, a compression or a running state makes it smaller than the
    numbers say: to refuse what would fit is worse than to try what does not.
    """
    architecture = metadata.get("general.architecture")

    def number(key: str, *, default: int = 0) -> int:
        value = metadata.get(f"{architecture}.{key}")
        return value if isinstance(value, int) and 0 < value < 1 << 31 else default

    heads = number("attention.head_count")
    # A list, one for each layer: as if none of them shared.
    kv_heads = number("attention.head_count_kv", default=heads)
    width = number("embedding_length")
    each = width // heads if heads else 0
    entry = number("attention.key_length", default=each) + number("attention.value_length", default=each)
    smaller = any(metadata.get(f"{architecture}.{key}") for key in _SMALLER_CONTEXTS)
    return ModelShape(
        kv_bytes_per_token=0 if smaller else _KV_BYTES * number("block_count") * kv_heads * entry,
        n_ctx_train_tokens=number("context_length"),
        n_vocabulary=number("vocab_size", default=_counted(metadata.get("tokenizer.ggml.tokens"))),
        n_heads=heads,
        width=width,
    )


def need(shape: ModelShape, *, size_bytes: int, n_ctx_tokens: int, batch_tokens: int, plain: bool) -> MemoryNeed:
    """The memory a model takes at least: with one context's cells, which is where the worker goes when memory is
    short.

    `plain` attention also keeps a number for each head, cell and token of a batch.
    """
    n_ctx = n_ctx_tokens or DEFAULT_CTX_TOKENS
    if shape.n_ctx_train_tokens:
        n_ctx = min(n_ctx, shape.n_ctx_train_tokens)
    per_token = shape.n_vocabulary + _LIVE_ACTIVATIONS * shape.width + (shape.n_heads * n_ctx if plain else 0)
    return MemoryNeed(
        weights=size_bytes, context=n_ctx * shape.kv_bytes_per_token, buffers=batch_tokens * per_token * FLOAT_BYTES
    )


def _counted(text: object) -> int:
    found = _COUNTED.fullmatch(text) if isinstance(text, str) else None
    return int(found[1]) if found else 0
