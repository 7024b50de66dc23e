"""Models small enough to be sent often, each in one GGUF file or in several."""

from __future__ import annotations

import random

from tests.workers.llama.splitgguf import split
from tests.workers.llama.tinygguf import STRING, U32, Tensor, small


def gguf(seed: int = 1, *, rows: int = 2048, template: bool = True, architecture: str = "llama") -> bytes:
    """A well-formed GGUF of 128 bytes a row; another seed, other bytes."""
    data = random.Random(seed).randbytes(128 * rows)
    metadata = [
        ("general.architecture", STRING, architecture),
        ("general.name", STRING, f"tiny {seed}"),
        (f"{architecture}.context_length", U32, 2048),
        (f"{architecture}.block_count", U32, 1),
    ]
    if template:
        metadata.append(("tokenizer.chat_template", STRING, "{{ messages }}"))
    return small(metadata=metadata, tensors=[Tensor("token_embd.weight", (32, rows), data)]).encode()


def shards(seed: int = 1, *, count: int = 3, rows: int = 512) -> list[bytes]:
    """A well-formed model in several files, each of more than 128 bytes a row."""
    draw = random.Random(seed)
    metadata = [
        ("general.architecture", STRING, "llama"),
        ("general.name", STRING, f"split {seed}"),
        ("llama.context_length", U32, 2048),
        ("llama.block_count", U32, 1),
        ("tokenizer.chat_template", STRING, "{{ messages }}"),
    ]
    tensors = [Tensor(f"t{number}", (32, rows), draw.randbytes(128 * rows)) for number in range(count)]
    return split(small(metadata=metadata, tensors=tensors).encode(), count)


def shard_names(prefix: str, count: int = 3) -> list[str]:
    """The names of the files of a split model."""
    return [f"{prefix}-{number:05d}-of-{count:05d}.gguf" for number in range(1, count + 1)]
