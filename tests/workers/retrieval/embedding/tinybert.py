"""A BERT of some kilobytes as a sentence-transformers folder, and whole wheels of it."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

WIDTH = 32
INNER = 64
LAYERS = 2
POSITIONS = 64
MAX_TOKENS = 16
MARKS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = [
    *MARKS,
    *"abcdefghijklmnopqrstuvwxyz",
    *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz"),
    "hello",
    "world",
]
MIN_COSINE = 0.999


def make_folder(folder: Path, *, seed: int = 0, **config: Any) -> Path:
    """The folder; `config` changes its config.json."""
    (folder / "1_Pooling").mkdir(parents=True)
    files: dict[str, Any] = {
        "config.json": {
            "model_type": "bert", "hidden_act": "gelu", "hidden_size": WIDTH, "intermediate_size": INNER,
            "num_hidden_layers": LAYERS, "num_attention_heads": 2, "layer_norm_eps": 1e-12, "type_vocab_size": 2,
            "max_position_embeddings": POSITIONS, "vocab_size": len(VOCABULARY), "architectures": ["BertModel"],
            **config,
        },
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
        ],
        "sentence_bert_config.json": {"max_seq_length": MAX_TOKENS, "do_lower_case": False},
        "1_Pooling/config.json": {"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": True},
        "tokenizer.json": tokenizer(),
    }  # fmt: skip
    for name, value in files.items():
        (folder / name).write_text(json.dumps(value))
    write_safetensors(folder / "model.safetensors", tensors(seed))
    return folder


def tokenizer() -> dict[str, Any]:
    """The JSON that the tokenizers library writes for an uncased BERT."""
    return {
        "version": "1.0",
        "added_tokens": [
            {"id": at, "special": True, "content": mark, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False}
            for at, mark in enumerate(MARKS)
        ],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": {token: at for at, token in enumerate(VOCABULARY)}},
    }  # fmt: skip


def tensors(seed: int) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    """Weights by the names of the transformers library."""
    random = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(VOCABULARY), WIDTH),
        "embeddings.position_embeddings.weight": (POSITIONS, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
        "embeddings.LayerNorm.weight": (WIDTH,),
        "embeddings.LayerNorm.bias": (WIDTH,),
    }
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            shapes[f"{at}.attention.{name}.weight"] = (WIDTH, WIDTH)
            shapes[f"{at}.attention.{name}.bias"] = (WIDTH,)
        shapes |= {
            f"{at}.intermediate.dense.weight": (INNER, WIDTH), f"{at}.intermediate.dense.bias": (INNER,),
            f"{at}.output.dense.weight": (WIDTH, INNER), f"{at}.output.dense.bias": (WIDTH,),
            f"{at}.attention.output.LayerNorm.weight": (WIDTH,), f"{at}.attention.output.LayerNorm.bias": (WIDTH,),
            f"{at}.output.LayerNorm.weight": (WIDTH,), f"{at}.output.LayerNorm.bias": (WIDTH,),
        }  # fmt: skip
    return {name: random.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}


def write_safetensors(path: Path, given: dict[str, np.ndarray[Any, np.dtype[np.float32]]]) -> None:
    """The format, by hand."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, array in given.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    head = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + b"".join(array.tobytes() for array in given.values()))


def make_xlm_roberta(folder: Path, letters: str) -> Path:
    """A folder of the kind that multilingual embedders are: XLM-R's tokens, and a window that only the model tells."""
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", *dict.fromkeys(letters)]
    assert len(pieces) <= len(VOCABULARY)
    make_folder(folder, model_type="xlm-roberta", architectures=["XLMRobertaModel"], pad_token_id=1, bos_token_id=0)
    (folder / "sentence_bert_config.json").unlink()
    special = {"special": True, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    mark = {"SpecialToken": {"id": "<s>", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    written = {
        "version": "1.0",
        "added_tokens": [{"id": at, "content": piece, **special} for at, piece in enumerate(pieces[:4])],
        "normalizer": {"type": "NFKC"},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "post_processor": {
            "type": "TemplateProcessing", "single": [mark[0], text, mark[1]],
            "pair": [mark[0], text, mark[1], {"Sequence": {"id": "B", "type_id": 1}}, mark[1]],
            "special_tokens": {
                name: {"id": name, "ids": [pieces.index(name)], "tokens": [name]} for name in ("<s>", "</s>")
            },
        },
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "model": {
            "type": "Unigram", "unk_id": 3, "byte_fallback": False,
            "vocab": [[piece, 0.0 if at < 4 else -5.0] for at, piece in enumerate(pieces)],
        },
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(written))
    names = {"pad": "<pad>", "unk": "<unk>", "cls": "<s>", "sep": "</s>", "bos": "<s>", "eos": "</s>"}
    said = {"tokenizer_class": "PreTrainedTokenizerFast", **{f"{name}_token": mark for name, mark in names.items()}}
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    return folder
