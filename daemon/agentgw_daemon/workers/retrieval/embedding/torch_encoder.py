"""Texts to vectors through sentence-transformers, as its own folder says. In a worker; importing takes seconds."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Final, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

# Nothing is fetched: the folder has all there is, or the model cannot be used.
os.environ["HF_HUB_OFFLINE"] = "1"
# Its own threads would fight with torch's for the cores.
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import torch
from sentence_transformers import SentenceTransformer

from agentgw_daemon.workers.llama.llama import physical_cores
from agentgw_daemon.workers.protocol import retrieval as wire
from agentgw_daemon.workers.retrieval.embedding.tokens import can_judge
from agentgw_daemon.workers.retrieval.handlers import Refusal

# Sorted by length, small batches stay in the cache, have little padding and end together on all cores: a whole ingest
# was 0.86 times as fast as the best loop of one batch after another with 16, 1.03 with 4 and 1.12 with 2.
_BATCH_TEXTS: Final = 2


P = ParamSpec("P")
R = TypeVar("R")


class TorchEncoder:
    """One embedder in memory."""

    def __init__(self, embedder: wire.Embedder) -> None:
        self.embedder: Final = embedder
        self.engine: Final = "torch"
        try:
            self._model = SentenceTransformer(
                embedder.folder, device="cpu", local_files_only=True, trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )  # fmt: skip
        except (OSError, ValueError, KeyError, RuntimeError, ImportError, AttributeError) as error:
            raise Refusal("model", f"sentence-transformers cannot load it: {_line(error)}") from error
        self._model.max_seq_length = embedder.max_tokens
        # Tokenisers are one for all threads and change while they are used.
        self._lock = lock = threading.RLock()
        # A tokeniser that spells what it lacks has no such token.
        self._unknown: int | None = getattr(self._model.tokenizer, "unk_token_id", None)
        for name in ("preprocess", "tokenize"):
            if hasattr(self._model, name):
                setattr(self._model, name, _one_at_a_time(getattr(self._model, name), lock))
        # Each core has a batch of its own: threads that share one wait for each other at every layer.
        self._threads = ThreadPoolExecutor(physical_cores(), initializer=torch.set_num_threads, initargs=(1,))

    def close(self) -> None:
        """Garbage collection frees the rest."""
        self._threads.shutdown()

    def embed(self, texts: Sequence[str], prompt: str = "") -> npt.NDArray[np.float32]:
        """A row of unit length a text behind the prompt; zeros where the text's own tokens are unknown. A lone
        surrogate is a question mark.
        """
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        order = sorted((at for at in range(len(texts)) if self._knows(clean[at])), key=lambda at: -len(clean[at]))
        batches = [order[at : at + _BATCH_TEXTS] for at in range(0, len(order), _BATCH_TEXTS)]
        made = np.zeros((len(texts), self.embedder.dim), np.float32)
        for batch, rows in zip(
            batches,
            self._threads.map(
                functools.partial(self._embed, prompt), ([clean[at] for at in batch] for batch in batches)
            ),
            strict=True,
        ):
            made[batch] = rows
        return made

    def _knows(self, text: str) -> bool:
        if self._unknown is None:
            return True
        with self._lock:
            return can_judge(text, self._tokens, self._unknown)

    def _tokens(self, text: str) -> list[int]:
        options = {"add_special_tokens": False, "truncation": True, "max_length": self.embedder.max_tokens}
        tokens: list[int] = self._model.tokenizer(text, **options)["input_ids"]
        return tokens

    def _embed(self, prompt: str, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        # Always given, for without one the folder's `default_prompt_name` counts; and given apart from the texts, as
        # some poolings leave the prompt's tokens out.
        found = self._model.encode(
            list(texts), prompt=prompt, batch_size=_BATCH_TEXTS, show_progress_bar=False, convert_to_numpy=True,
            normalize_embeddings=True,
        )  # fmt: skip
        return np.asarray(found, np.float32)


def _one_at_a_time(method: Callable[P, R], lock: AbstractContextManager[object]) -> Callable[P, R]:
    @functools.wraps(method)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with lock:
            return method(*args, **kwargs)

    return run


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
