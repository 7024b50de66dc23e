"""Chunks a second, in this process: sentence-transformers as it comes, our engines for many texts, beside each other.

`python -m tests.bench.embedding [--texts N] [--rounds N]` prints one JSON object: the best round of each, the processor
time of it, which says more on a machine that others use too, and the ratio of what is used to the best bare loop.

The bare loop is `SentenceTransformer.encode` over all texts at once, which sorts them by length, at each batch size;
`torch` and `llama.cpp` are the encoders of the worker's role `bulk`, given batches as the daemon sends them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from sentence_transformers import SentenceTransformer

from agentgw_daemon.models.embedders import CONVERSION_FILE
from agentgw_daemon.retrieval.batching import BATCH_TEXTS
from agentgw_daemon.workers.llama.llama import physical_cores
from agentgw_daemon.workers.protocol import retrieval as wire
from agentgw_daemon.workers.retrieval.embedding.encoders import Encoder
from agentgw_daemon.workers.retrieval.embedding.llama_encoder import LlamaEncoder
from agentgw_daemon.workers.retrieval.embedding.torch_encoder import TorchEncoder
from tests.bench.texts import prose
from tests.starter import embedder_folder
from tests.workers.retrieval.embedding.tinybert import MIN_COSINE

BARE_BATCHES: Final = (8, 16, 32, 64, 128)
# Of words: about 100 tokens on average, as chunks of documents have them.
SHORTEST, LONGEST = 20, 170


def texts_of(count: int) -> list[str]:
    """Chunks of many lengths."""
    return [prose(SHORTEST + (number * 37) % (LONGEST - SHORTEST), seed=number) for number in range(count)]


def in_batches(encoder: Encoder, texts: Sequence[str]) -> np.ndarray:
    """The vectors, computed in batches as the worker gets them."""
    return np.concatenate([encoder.embed(texts[at : at + BATCH_TEXTS]) for at in range(0, len(texts), BATCH_TEXTS)])


def cases(texts: Sequence[str]) -> dict[str, Callable[[], np.ndarray]]:
    """The measurements by name."""
    folder = embedder_folder()
    bare = SentenceTransformer(str(folder), device="cpu")
    embedder = wire.Embedder(
        name="bench", id="", dim=384, max_tokens=256, folder=str(folder), gguf=str(folder / CONVERSION_FILE),
        bert_words=True,
    )  # fmt: skip
    torch = TorchEncoder(replace(embedder, gguf=""))
    llama = LlamaEncoder(embedder, at_once=physical_cores(), lean=False)

    def loop(batch: int) -> Callable[[], np.ndarray]:
        return lambda: np.asarray(
            bare.encode(list(texts), batch_size=batch, normalize_embeddings=True, show_progress_bar=False)
        )

    return {
        **{f"bare {batch}": loop(batch) for batch in BARE_BATCHES},
        "torch": lambda: in_batches(torch, texts),
        "llama.cpp": lambda: in_batches(llama, texts),
    }


def measure(count: int, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Chunks a second and milliseconds of processor time a chunk, of each case in its best round.

    Rounds are interleaved, so that all meet the same machine.
    """
    texts = texts_of(count)
    best: dict[str, float] = {}
    least: dict[str, float] = {}
    reference: np.ndarray | None = None
    made = cases(texts)
    for _ in range(rounds):
        for name, run in made.items():
            started, spent = time.perf_counter(), time.process_time()
            vectors = run()
            cpu_ms = round((time.process_time() - spent) / count * 1000, 1)
            rate = count / (time.perf_counter() - started)
            reference = vectors if reference is None else reference
            cosine = float((vectors * reference).sum(axis=1).min())
            if cosine < MIN_COSINE:
                raise SystemExit(f"bench: {name} gives other vectors, cosine {cosine:.6f}")
            best[name] = max(best.get(name, 0.0), round(rate, 1))
            least[name] = min(least.get(name, cpu_ms), cpu_ms)
    return best, least


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    best, least = measure(given.texts, given.rounds)
    bare = max(best[f"bare {batch}"] for batch in BARE_BATCHES)
    ratio = round(best["torch"] / bare, 3)
    print(json.dumps({"chunks_per_s": best, "cpu_ms_per_chunk": least, "ratio_to_best_bare": ratio}))


if __name__ == "__main__":
    main()
