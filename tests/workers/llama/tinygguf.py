"""Makes small GGUF files that llama.cpp really loads, and broken ones that it must never see.

`chain_model` is a language model whose answer is known: its next token depends on the last token only. One layer
adds nothing (zero weights), a token's embedding is one-hot, and the output matrix holds the successor.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
_FORMS = {
    U8: "<B",
    I8: "<b",
    U16: "<H",
    I16: "<h",
    U32: "<I",
    I32: "<i",
    F32: "<f",
    BOOL: "<?",
    U64: "<Q",
    I64: "<q",
    F64: "<d",
}
_NORMAL, _CONTROL = 1, 3
START, END = "<|im_start|>", "<|im_end|>"

CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Tokens of a model that answers them in this order; one letter is cut in two.
SCRIPT: list[bytes | str] = ["He", b"\xc3", b"\xb6", " y"]


@dataclass
class Tensor:
    """One tensor; `offset` is where it is said to be, by default where it is."""

    name: str
    shape: Sequence[int]
    data: bytes = b""
    kind: int = 0
    offset: int | None = None


@dataclass
class Gguf:
    """The parts of a file; the counts may lie."""

    metadata: list[tuple[str, int, Any]] = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)
    magic: bytes = b"GGUF"
    version: int = 3
    n_keys: int | None = None
    n_tensors: int | None = None
    alignment: int = 32

    def encode(self) -> bytes:
        """The file's bytes."""
        parts = [self.magic, struct.pack("<I", self.version)]
        parts.append(struct.pack("<QQ", _or(self.n_tensors, len(self.tensors)), _or(self.n_keys, len(self.metadata))))
        for key, kind, value in self.metadata:
            parts += [string(key), struct.pack("<I", kind), _value(kind, value)]
        data = b""
        for tensor in self.tensors:
            data += bytes(-len(data) % self.alignment)
            parts += [string(tensor.name), struct.pack("<I", len(tensor.shape))]
            parts += [struct.pack("<Q", dimension) for dimension in tensor.shape]
            parts.append(struct.pack("<IQ", tensor.kind, _or(tensor.offset, len(data))))
            data += tensor.data
        header = b"".join(parts)
        return header + bytes(-len(header) % self.alignment) + data


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def string(text: str | bytes) -> bytes:
    """A GGUF string."""
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw


def _value(kind: int, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value  # written as it is: how a test lies
    if kind == STRING:
        return string(value)
    if kind == ARRAY:
        of, items = value
        return struct.pack("<IQ", of, len(items)) + b"".join(_value(of, item) for item in items)
    return struct.pack(_FORMS[kind], value)


def byte_letters() -> list[str]:
    """GPT-2's printable letter for each byte."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = (chr(0x100 + n) for n in range(256))
    return [chr(byte) if byte in plain else next(others) for byte in range(256)]


def small(**changes: Any) -> Gguf:
    """A well-formed file with one tensor, for changing one thing about it."""
    made = Gguf(
        metadata=[("general.architecture", STRING, "llama"), ("llama.block_count", U32, 1)],
        tensors=[Tensor("token_embd.weight", (32, 4), bytes(512))],
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def chain_model(
    path: Path,
    script: Sequence[bytes | str],
    *,
    template: str | None = CHATML,
    endless: bool = False,
    sharpness: float = 1.0,
    n_ctx_train: int = 4096,
    n_ff: int = 32,
    add_bos: bool = False,
    noise: int | None = None,
    metadata: Mapping[str, tuple[int, Any]] | None = None,
) -> Path:
    """A model at `path` that answers anything with the pieces of `script`, each a token, then ends or starts over.

    Every byte is a token of its own, so a prompt has as many tokens as bytes (and one a control token). The last
    prompt token must not be in the script. A lower `sharpness` makes other tokens likelier: 0.1 is nearly even.
    `noise` seeds random weights instead: nonsense that depends on every token before, by far margins.
    """
    letters = byte_letters()
    pieces = ["".join(letters[byte] for byte in (p.encode() if isinstance(p, str) else p)) for p in script]
    assert len(set(pieces)) == len(pieces), "a token has one successor only"
    tokens = [*letters, START, END, *dict.fromkeys(piece for piece in pieces if piece not in letters)]
    ids = {token: at for at, token in enumerate(tokens)}
    steps = [ids[piece] for piece in pieces]
    successor = dict.fromkeys(range(len(tokens)), steps[0])
    successor |= dict(zip(steps, [*steps[1:], steps[0] if endless else ids[END]], strict=True))
    width = (len(tokens) + 31) // 32 * 32
    model = Gguf(
        metadata=[
            ("general.architecture", STRING, "llama"),
            ("general.name", STRING, "chain"),
            ("llama.block_count", U32, 1),
            ("llama.context_length", U32, n_ctx_train),
            ("llama.embedding_length", U32, width),
            ("llama.feed_forward_length", U32, n_ff),
            ("llama.attention.head_count", U32, 1),
            ("llama.attention.head_count_kv", U32, 1),
            ("llama.attention.key_length", U32, 32),
            ("llama.attention.value_length", U32, 32),
            ("llama.attention.layer_norm_rms_epsilon", F32, 1e-5),
            ("llama.rope.dimension_count", U32, 32),
            ("tokenizer.ggml.model", STRING, "gpt2"),
            ("tokenizer.ggml.pre", STRING, "gpt-2"),
            ("tokenizer.ggml.tokens", ARRAY, (STRING, tokens)),
            ("tokenizer.ggml.token_type", ARRAY, (I32, [_CONTROL if t in (START, END) else _NORMAL for t in tokens])),
            ("tokenizer.ggml.merges", ARRAY, (STRING, [f"{letters[0]} {letters[1]}"])),
            ("tokenizer.ggml.bos_token_id", U32, ids[START]),
            ("tokenizer.ggml.eos_token_id", U32, ids[END]),
            ("tokenizer.ggml.add_bos_token", BOOL, add_bos),
        ],
        tensors=_weights(width, len(tokens), n_ff, successor, sharpness),
    )
    if noise is not None:
        _randomise(model.tensors, noise)
    if template is not None:
        model.metadata.append(("tokenizer.chat_template", STRING, template))
    for key, (kind, value) in (metadata or {}).items():
        model.metadata = [entry for entry in model.metadata if entry[0] != key] + [(key, kind, value)]
    path.write_bytes(model.encode())
    return path


def _randomise(tensors: list[Tensor], seed: int) -> None:
    draw = random.Random(seed)
    for tensor in tensors:
        if "norm" not in tensor.name and tensor.name != "token_embd.weight":
            n = len(tensor.data) // 4
            tensor.data = struct.pack(f"<{n}f", *(draw.gauss(0, 0.1) for _ in range(n)))


def _weights(width: int, n_tokens: int, n_ff: int, successor: dict[int, int], sharpness: float) -> list[Tensor]:
    ones = struct.pack(f"<{width}f", *[1.0] * width)
    one, sharp = struct.pack("<f", 1.0), struct.pack("<f", sharpness)
    embedding, output = bytearray(4 * width * n_tokens), bytearray(4 * width * n_tokens)
    for token, following in successor.items():
        at = 4 * (token * width + token)
        embedding[at : at + 4] = one
        at = 4 * (following * width + token)
        output[at : at + 4] = sharp

    def zeros(name: str, *shape: int) -> Tensor:
        return Tensor(f"blk.0.{name}.weight", shape, bytes(4 * shape[0] * shape[1]))

    return [
        Tensor("token_embd.weight", (width, n_tokens), bytes(embedding)),
        Tensor("output_norm.weight", (width,), ones),
        Tensor("output.weight", (width, n_tokens), bytes(output)),
        Tensor("blk.0.attn_norm.weight", (width,), ones),
        zeros("attn_q", width, 32),
        zeros("attn_k", width, 32),
        zeros("attn_v", width, 32),
        zeros("attn_output", 32, width),
        Tensor("blk.0.ffn_norm.weight", (width,), ones),
        zeros("ffn_gate", width, n_ff),
        zeros("ffn_up", width, n_ff),
        zeros("ffn_down", n_ff, width),
    ]
