"""GGUF conversion of a BERT model: the same weights for llama.cpp, which answers in milliseconds without torch.

Tensor and key names are those of llama.cpp's `bert` architecture (src/llama-arch.cpp). Runs in a worker.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from agentgw_daemon.workers.retrieval.embedding import gguf_writer
from agentgw_daemon.workers.retrieval.embedding.gguf_writer import TensorKind
from agentgw_daemon.workers.retrieval.embedding.mapped_memory import TABLE_BYTES
from agentgw_daemon.workers.retrieval.embedding.safetensors import BadWeights, Weights, WeightTensor

# Tensors of a layer in llama.cpp's words and in those of the transformers library.
_LAYER: Final = {
    "attn_q": "attention.self.query",
    "attn_k": "attention.self.key",
    "attn_v": "attention.self.value",
    "attn_output": "attention.output.dense",
    "attn_output_norm": "attention.output.LayerNorm",
    "ffn_up": "intermediate.dense",
    "ffn_down": "output.dense",
    "layer_output_norm": "output.LayerNorm",
}
# In 8 bits these cost the vectors most: min. cosine to the original's 0.9992 and 0.9994, against 0.9997 for each other
# one; as they are, all together 0.9996 with 30 MB, where 16 bits for everything are 0.999999 with 46 MB.
_SENSITIVE: Final = frozenset({"attn_v", "ffn_up"})
_POOLING: Final = {"mean": 1, "cls": 2}
_NORMAL, _UNKNOWN, _CONTROL = 1, 2, 3  # llama.h's LLAMA_TOKEN_TYPE_*
_MAX_LAYERS: Final = 512


def make(
    folder: Path, target: Path, *, weights: Weights, config: dict[str, Any], pooling: str, max_tokens: int
) -> None:
    """Write the conversion of the model in `folder`, for texts of at most so many tokens.

    Raises BadWeights where its tensors are not what `config` says.
    """
    width, layers, heads = (int(config[key]) for key in ("hidden_size", "num_hidden_layers", "num_attention_heads"))
    if not 0 < layers <= _MAX_LAYERS:
        raise BadWeights(f"has {layers} layers")
    tokens = _tokens(folder, int(config["vocab_size"]))
    metadata: dict[str, gguf_writer.MetadataValue] = {
        "general.architecture": "bert",
        "general.type": "model",
        "general.name": folder.name,
        "general.file_type": gguf_writer.MOSTLY_Q8_0,
        "bert.block_count": layers,
        "bert.context_length": max_tokens,
        "bert.embedding_length": width,
        "bert.feed_forward_length": int(config["intermediate_size"]),
        "bert.attention.head_count": heads,
        "bert.attention.layer_norm_epsilon": float(config["layer_norm_eps"]),
        "bert.attention.causal": False,
        "bert.pooling_type": _POOLING[pooling],
        TABLE_BYTES: gguf_writer.size("q8_0", (len(tokens), width)),
        **_vocabulary(tokens),
    }
    gguf_writer.write(target, metadata, list(_tensors(weights, layers, max_tokens)))


def _tensors(weights: Weights, layers: int, max_tokens: int) -> Iterator[tuple[str, TensorKind, WeightTensor]]:
    prefix = "bert." if "bert.embeddings.word_embeddings.weight" in weights else ""
    embeddings = f"{prefix}embeddings"
    yield "position_embd.weight", "f32", weights.get(f"{embeddings}.position_embeddings.weight")[:max_tokens]
    yield "token_types.weight", "f32", weights.get(f"{embeddings}.token_type_embeddings.weight")
    for part in ("weight", "bias"):
        yield f"token_embd_norm.{part}", "f32", weights.get(f"{embeddings}.LayerNorm.{part}")
    for layer in range(layers):
        for ours, theirs in _LAYER.items():
            matrix = weights.get(f"{prefix}encoder.layer.{layer}.{theirs}.weight")
            kind: TensorKind = "f32" if matrix.ndim == 1 else "f16" if ours in _SENSITIVE else "q8_0"
            yield f"blk.{layer}.{ours}.weight", kind, matrix
            bias = weights.get(f"{prefix}encoder.layer.{layer}.{theirs}.bias")
            yield f"blk.{layer}.{ours}.bias", "f32", bias
    # The last one, so that it can be told from what every text needs: see `mapped_memory`.
    yield "token_embd.weight", "q8_0", weights.get(f"{embeddings}.word_embeddings.weight")


def _tokens(folder: Path, count: int) -> list[str]:
    """The vocabulary by number, with placeholders where the model has room for more."""
    text = (folder / "tokenizer.json").read_text("utf-8")
    numbers: dict[str, int] = json.loads(text)["model"]["vocab"]
    tokens = [f"[unused-{number}]" for number in range(count)]
    for token, number in numbers.items():
        if 0 <= number < count:
            tokens[number] = token
    return tokens


def _vocabulary(tokens: Sequence[str]) -> dict[str, gguf_writer.MetadataValue]:
    """WordPiece as llama.cpp has it: a word's first piece starts with ▁, its others with nothing."""
    special = {
        token: tokens.index(token) for token in ("[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]") if token in tokens
    }
    kinds = [_UNKNOWN if t == "[UNK]" else _CONTROL if t in special else _NORMAL for t in tokens]
    spelled = [
        token if kind != _NORMAL else token[2:] if token.startswith("##") else f"▁{token}"
        for token, kind in zip(tokens, kinds, strict=True)
    ]
    named = {
        "unknown_token_id": "[UNK]", "seperator_token_id": "[SEP]", "padding_token_id": "[PAD]",
        "cls_token_id": "[CLS]", "bos_token_id": "[CLS]", "eos_token_id": "[SEP]", "mask_token_id": "[MASK]",
    }  # fmt: skip
    return {
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.token_type_count": 2,
        "tokenizer.ggml.tokens": spelled,
        "tokenizer.ggml.token_type": kinds,
        **{f"tokenizer.ggml.{key}": special[token] for key, token in named.items() if token in special},
    }
