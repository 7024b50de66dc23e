"""The same vectors in chromadb, in memory, as it comes but for the cosine; it has no embedder and no telemetry here.

Set up with `vectors`, a file of numpy's. A round is given `queries`, another such file,
and `k`: it gives what was found, the best first, the milliseconds of each query, and the process's resident bytes.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
from chromadb.config import Settings

from tests.bench.rounds import Round, serve


def make(setup: dict[str, Any]) -> Round:
    client = chromadb.EphemeralClient(Settings(anonymized_telemetry=False))
    collection = client.create_collection("bench", embedding_function=None, configuration={"hnsw": {"space": "cosine"}})
    vectors = np.load(setup["vectors"])
    step = client.get_max_batch_size()
    for at in range(0, len(vectors), step):
        part = vectors[at : at + step]
        collection.add(ids=[str(at + number) for number in range(len(part))], embeddings=part)

    def query(given: Any) -> dict[str, Any]:
        found, taken = [], []
        for one in np.load(given["queries"]):
            started = time.perf_counter()
            answer = collection.query(query_embeddings=[one], n_results=given["k"], include=["distances"])
            taken.append((time.perf_counter() - started) * 1e3)
            found.append([int(name) for name in answer["ids"][0]])
        return {"found": found, "ms": taken, "rss_bytes": _resident_bytes()}

    return query


def _resident_bytes() -> int:
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    serve(make)
