"""Texts to vectors through sentence-transformers, as its own folder says. In a worker; importing takes seconds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

# Nothing is fetched: the folder has all there is, or the model cannot be used.
os.environ["HF_HUB_OFFLINE"] = "1"
# Its own threads would fight with torch's for the cores.
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import torch
from sentence_transformers import SentenceTransformer

from agentgw_daemon.inference.llama import physical_cores
from agentgw_daemon.retrieval import wire
from agentgw_daemon.retrieval.table import Refusal

# Measured with tests/bench/embedding.py: sorted by length, small batches stay in the cache and have little padding.
_BATCH_TEXTS: Final = 16


class TorchEncoder:
    """One embedder in memory."""

    def __init__(self, embedder: wire.Embedder) -> None:
        self.embedder: Final = embedder
        torch.set_num_threads(physical_cores())
        try:
            self._model = SentenceTransformer(
                embedder.folder, device="cpu", local_files_only=True, trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )  # fmt: skip
        except (OSError, ValueError, KeyError, RuntimeError, ImportError, AttributeError) as error:
            raise Refusal("model", f"sentence-transformers cannot load it: {_line(error)}") from error
        self._model.max_seq_length = embedder.max_tokens

    def close(self) -> None:
        """Garbage collection frees it."""

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """A row of unit length a text."""
        found = self._model.encode(
            [text.encode("utf-8", "replace").decode("utf-8") for text in texts], batch_size=_BATCH_TEXTS,
            show_progress_bar=False, convert_to_numpy=True, normalize_embeddings=True,
        )  # fmt: skip
        return np.asarray(found, np.float32)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
