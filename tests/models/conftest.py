"""A model hub, a models folder, and a GGUF small enough to be sent often."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models.hubserver import Hub, running_hub
from tests.workers.llama.tinygguf import STRING, U32, Tensor, small


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A model hub on this machine, empty."""
    with running_hub() as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The models folder."""
    return tmp_path / "models"


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
