"""The least that makes vectors of texts: `SentenceTransformer.encode` over all of them at once, at a batch size.

Set up with the embedder's `folder`. A round is given `texts` and a `batch` size, and gives its seconds; where it is
asked for `vectors`, these.
"""

from __future__ import annotations

import os
import time
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

from sentence_transformers import SentenceTransformer

from tests.bench.rounds import Round, serve


def make(setup: dict[str, Any]) -> Round:
    model = SentenceTransformer(setup["folder"], device="cpu")
    model.encode(["warm"], show_progress_bar=False)

    def encode(given: Any) -> object:
        started = time.perf_counter()
        made = model.encode(
            given["texts"], batch_size=given["batch"], normalize_embeddings=True, show_progress_bar=False
        )
        return made.tolist() if given.get("vectors") else time.perf_counter() - started

    return encode


if __name__ == "__main__":
    serve(make)
