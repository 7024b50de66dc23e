"""Rate and cost of search where there are 100,000 chunks."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from agentgw_daemon.workers.retrieval.index.index import Index
from tests.bench.chromas import Answered, Chroma
from tests.bench.figure import Figure
from tests.bench.library import Library, search_ms
from tests.bench.measure import interleave, wall_s
from tests.bench.points import Floats, Numbers, chatter, clustered, nearest, recall
from tests.bench.setting import Setting, shown
from tests.starter import embedder_folder

CHUNKS: Final = 100_000
DIM: Final = 384
CHUNK_WORDS: Final = 100
CHUNKS_OF_A_DOCUMENT: Final = 100
QUERY_WORDS: Final = 6
QUERIES: Final = 200
VECTOR_QUERIES: Final = 500
K: Final = 10
ROUNDS: Final = 3
# Number that a search asks the index for, to have enough to join with what was found by words.
DEPTH: Final = 50
MANY: Final = f"{CHUNKS:,} chunks"


def search(setting: Setting) -> Iterator[Figure]:
    """Whole searches, then the index alone, of the same documents."""
    setting.stop()
    with setting.variant() as one:
        library = Library(one)
        vectors = clustered(CHUNKS, DIM, seed=0)
        first = _filled(library, one, vectors)
        yield from _cold(one)
        yield from _warm(library, one)
        one.stop()
        yield from _index_alone(library.index(), first, vectors, one.directory)


SEARCH: Final[dict[str, Callable[[Setting], Iterator[Figure]]]] = {"search": search}


def _filled(library: Library, setting: Setting, vectors: Floats) -> int:
    """The documents are stored and indexed; gives the number of the first chunk."""
    note = setting.directory / "note.txt"
    note.write_text("The embedder has to be known before vectors can be stored.\n")
    library.ingest(note)
    setting.stop()
    texts = chatter(CHUNKS, CHUNK_WORDS, seed=0, known=_english())
    first = library.fill(texts, vectors, chunks_of_a_document=CHUNKS_OF_A_DOCUMENT)
    setting.run("search", "anything")
    library.wait_indexed()
    return first


def _english() -> Sequence[str]:
    """The embedder's own words, the common ones first: a query of made-up ones is three times as many tokens."""
    vocabulary = (embedder_folder() / "vocab.txt").read_text("utf-8").split("\n")
    return [word for word in vocabulary if word.isascii() and word.isalpha() and word.islower() and len(word) > 1]


def _cold(setting: Setting) -> Iterator[Figure]:
    words = ("search", *chatter(1, QUERY_WORDS, seed=1, known=_english()))

    def first() -> float:
        setting.stop()
        started = time.perf_counter()
        found = setting.result(*words)
        taken = time.perf_counter() - started
        if found.get("notice") or not found["chunks"]:
            raise SystemExit(f"bench: the first search was not a whole one: {found.get('notice')}")
        return taken

    samples = [first() for _ in range(setting.few(5))]
    yield Figure(
        case="search", what=f"first search among {MANY}, no daemon and no worker", unit="s",
        command=shown(["agentgw", *words]), measured=statistics.median(samples), at="most", target=2, samples=samples,
    )  # fmt: skip


def _warm(library: Library, setting: Setting) -> Iterator[Figure]:
    queries = chatter(QUERIES, QUERY_WORDS, seed=2, known=_english())
    with library.connected() as client:
        # The first few fill caches of the file system's and the processor's.
        samples = [search_ms(client, query) for query in queries + queries][QUERIES:]
    yield Figure(
        case="search", what=f"warm search among {MANY} over a kept connection, p50", unit="ms",
        command=f"document.search, {QUERIES} queries of {QUERY_WORDS} words", measured=statistics.median(samples),
        at="most", target=15, samples=samples,
    )  # fmt: skip
    yield Figure(
        case="search", what="the same, p95", unit="ms", command="document.search",
        measured=statistics.quantiles(samples, n=20)[-1],
    )  # fmt: skip
    nothing = [sys.executable, "-I", "-S", "-c", "pass"]
    asked = iter(queries)

    def whole() -> float:
        return wall_s([setting.agentgw, "search", next(asked)], setting.environment) * 1e3

    yield Figure.compared(
        "search", "the same as a whole process", ("agentgw search QUERY", shown(nothing)),
        interleave((whole, lambda: wall_s(nothing, setting.environment) * 1e3), min(QUERIES, setting.rounds * 5)),
        unit="ms",
    )  # fmt: skip
    yield Figure(
        case="search", what=f"resident memory of the search worker, {MANY}", unit="MB", command="VmRSS",
        measured=library.worker_rss_bytes("search") / 1e6, at="most", target=250,
    )  # fmt: skip


def _index_alone(index: Index, first: int, vectors: Floats, folder: Path) -> Iterator[Figure]:
    """The daemon's index file in this process, asked with vectors; chromadb with the same ones beside it."""
    queries = clustered(VECTOR_QUERIES, DIM, seed=1)
    exact = nearest(vectors, queries, K)

    def ours(k: int) -> Answered:
        found, taken = [], []
        for query in queries:
            started = time.perf_counter()
            labels, _ = index.search(query, k)
            taken.append((time.perf_counter() - started) * 1e3)
            found.append((labels - first).tolist()[:K])
        return Answered(found=found, p50_ms=statistics.median(taken), rss_bytes=0)

    ours(K)
    command = f"Index.search of the daemon's index file, {VECTOR_QUERIES} vectors, k {K}"
    rounds = [ours(K) for _ in range(ROUNDS)]
    yield Figure(
        case="search", what=f"index part among {MANY} of {DIM}, p50", unit="ms", command=command,
        measured=statistics.median(one.p50_ms for one in rounds), at="most", target=1,
        samples=[one.p50_ms for one in rounds],
    )  # fmt: skip
    yield Figure(
        case="search", what=f"its recall@{K} against exact search", unit="", command=command,
        measured=recall(rounds[0].found, exact), target=0.98,
    )  # fmt: skip
    yield Figure(
        case="search", what=f"the same with k {DEPTH}, as a search asks, p50", unit="ms", command=command,
        measured=statistics.median(ours(DEPTH).p50_ms for _ in range(ROUNDS)),
    )  # fmt: skip
    yield from _beside_chroma(lambda: ours(K), vectors, queries, exact, folder)


def _beside_chroma(
    ours: Callable[[], Answered], vectors: Floats, queries: Floats, exact: Numbers, folder: Path
) -> Iterator[Figure]:
    with Chroma(vectors, folder) as chroma:
        pairs = [(ours().p50_ms, chroma.ask(queries, K)) for _ in range(ROUNDS)]
    samples = [[one for one, _ in pairs], [other.p50_ms for _, other in pairs]]
    theirs = pairs[0][1]
    whose = f"chromadb's query, in memory, {VECTOR_QUERIES} vectors, k {K}"
    yield Figure.compared(
        "search", "index part, p50, against chromadb", (f"Index.search, k {K}", whose), samples, unit="ms"
    )
    yield Figure(
        case="search", what=f"chromadb's recall@{K}", unit="", command=whose, measured=recall(theirs.found, exact)
    )
    yield Figure(
        case="search", what="chromadb's process, without an embedder and without texts", unit="MB", command="VmRSS",
        measured=theirs.rss_bytes / 1e6,
    )  # fmt: skip
