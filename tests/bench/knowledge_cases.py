"""Rate of taking documents in, and quality of what is found, with manual pages."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from agentgw.client import Client
from agentgw_daemon.knowledge.texts import embedded_text
from tests.bench import manuals
from tests.bench.baseline import Baseline
from tests.bench.chromas import Chroma
from tests.bench.figure import Figure, Skipped
from tests.bench.library import Library, Stored, search_ms
from tests.bench.manuals import Page
from tests.bench.measure import wall_s
from tests.bench.plain_words import by_bm25
from tests.bench.points import Floats, nearest
from tests.bench.setting import Setting
from tests.bench.texts import prose
from tests.starter import embedder_folder

BATCHES: Final = (8, 16, 32, 64, 128)
TRIED_TEXTS: Final = 160
INGESTED_PAGES: Final = 40
# More than are embedded without torch.
NOTES: Final = 400
# A worker that loads grows by more than so much in so long.
SETTLED_BYTES: Final = 1 << 20
SETTLE_S: Final = 4
# Chunks of a round whose vectors are compared.
COMPARED: Final = 64
FILES: Final = 2_000
PAGES: Final = 600
HITS_AT: Final = 5
# A request takes at most so many texts on the path of queries.
TEXTS_AT_ONCE: Final = 16


def ingest(setting: Setting) -> Iterator[Figure]:
    """Chunks a second of whole `agentgw ingest` runs against a bare loop over the same texts."""
    rounds = setting.few(8)
    pages = _pages(rounds * INGESTED_PAGES)
    ours, theirs, alike, batch = [], [], [], 0
    bare_loop = {"folder": str(embedder_folder())}
    with setting.variant() as one, Baseline("bare_encode", bare_loop) as bare:
        library = Library(one)
        for at in range(rounds):
            folder = one.directory / f"part{at}"
            manuals.write(pages[at * INGESTED_PAGES : (at + 1) * INGESTED_PAGES], folder)
            _load_embedder(library, folder.with_name(f"notes{at}"))
            taken = wall_s([one.agentgw, "ingest", str(folder)], one.environment)
            one.stop()
            stored = library.stored()
            rows = [row for row, source in enumerate(stored.sources) if Path(source).parent == folder]
            texts = [embedded_text(stored.headings[row], stored.texts[row]) for row in rows]
            if not batch:
                first = texts
                batch = _best_batch(bare, texts[:TRIED_TEXTS])
            ours.append(len(texts) / taken)
            theirs.append(len(texts) / bare.ask({"texts": texts, "batch": batch}))
            bare_vectors = bare.ask({"texts": texts[:COMPARED], "batch": batch, "vectors": True})
            alike.append(float((stored.vectors[rows[:COMPARED]] * np.array(bare_vectors)).sum(axis=1).min()))
    commands = (
        f"agentgw ingest FOLDER, {INGESTED_PAGES} manual pages",
        f"SentenceTransformer.encode, batches of {batch}",
    )
    yield Figure.compared(
        "ingest", "chunks a second of `agentgw ingest`, against a bare loop, models loaded", commands, (ours, theirs),
        unit="1/s", target=1,
    )  # fmt: skip
    yield Figure(
        case="ingest", what=f"least cosine of {rounds * COMPARED} of its vectors to those of the loop", unit="",
        command=commands[0], measured=min(alike), target=0.999, samples=alike,
    )  # fmt: skip
    yield _from_cold(setting, pages[:INGESTED_PAGES], first, batch, commands)


def reingest(setting: Setting) -> Iterator[Figure]:
    """A folder again in which nothing has changed."""
    with setting.variant() as one:
        library, folder = Library(one), one.directory / "notes"
        folder.mkdir()
        for number in range(FILES):
            (folder / f"{number:04}.txt").write_text(f"Note {number}. {prose(12, seed=number)}\n")
        added = library.ingest(folder)["added"]
        unchanged = library.ingest(folder)["unchanged"]
        if (added, unchanged) != (FILES, FILES):
            raise SystemExit(f"bench: of {FILES} files {added} were added, then {unchanged} were unchanged")
        command = [one.agentgw, "ingest", str(folder)]
        samples = [wall_s(command, one.environment) for _ in range(setting.rounds)]
    yield Figure(
        case="reingest", what=f"{FILES:,} unchanged files again, whole `agentgw ingest`", unit="s",
        command="agentgw ingest FOLDER", measured=statistics.median(samples), at="most", target=2, samples=samples,
    )  # fmt: skip


def quality(setting: Setting) -> Iterator[Figure]:
    """The share of pages that are among the first five for their one-line description, by each way of looking."""
    pages = _pages(PAGES)
    with setting.variant() as one:
        library, folder = Library(one), one.directory / "pages"
        manuals.write(pages, folder)
        library.ingest(folder)
        questions = [page.question for page in pages]
        with library.connected() as client:
            hybrid = [_asked(client, question) for question in questions]
            asked = embeddings(client, questions)
            taken = [search_ms(client, question) for question in questions]
        one.stop()
        stored = library.stored()
        with Chroma(stored.vectors, one.directory) as chroma:
            orders = {
                "vectors alone": nearest(stored.vectors, asked, HITS_AT).tolist(),
                "BM25 alone": [library.by_words(question, HITS_AT) for question in questions],
                "chromadb": chroma.ask(asked, HITS_AT).found,
            }
    yield Figure(
        case="quality", what=f"warm search among {len(stored.texts):,} chunks over a kept connection, p50", unit="ms",
        command=f"document.search, {len(questions)} descriptions of manual pages", at="most", target=15,
        measured=statistics.median(taken), samples=taken,
    )  # fmt: skip
    orders["BM25 alone"] = _rows(stored, orders["BM25 alone"])
    texts = [embedded_text(heading, text) for heading, text in zip(stored.headings, stored.texts, strict=True)]
    orders["FTS5's bm25"] = by_bm25(texts, questions, HITS_AT)
    names = [page.name for page in pages]
    ours = hit_rate(names, hybrid)
    for whose, rows in orders.items():
        theirs = hit_rate(names, [[manuals.page_of(stored.sources[row]) for row in some] for some in rows])
        yield Figure(
            case="quality", what=f"hit@{HITS_AT} of hybrid search against {whose}", unit="", ratio=ours / theirs,
            command=f"{len(pages)} manual pages by their descriptions, {len(stored.texts):,} chunks",
            baseline_command=whose, measured=ours, baseline=theirs, target=1,
        )  # fmt: skip


def hit_rate(wanted: Sequence[str], found: Iterable[Sequence[str]]) -> float:
    """The share of questions that found what they are about."""
    return sum(one in some for one, some in zip(wanted, found, strict=True)) / len(wanted)


KNOWLEDGE: Final[dict[str, Callable[[Setting], Iterator[Figure]]]] = {
    "ingest": ingest,
    "reingest": reingest,
    "quality": quality,
}


def _pages(wanted: int) -> list[Page]:
    found = manuals.pages(wanted)
    if len(found) < wanted:
        raise Skipped(f"{wanted} manual pages are wanted below {manuals.MANUALS}, {len(found)} are there")
    return found


def _best_batch(bare: Baseline, texts: Sequence[str]) -> int:
    return min(BATCHES, key=lambda size: float(bare.ask({"texts": texts, "batch": size})))


def _from_cold(
    setting: Setting, pages: Sequence[Page], texts: Sequence[str], batch: int, commands: tuple[str, str]
) -> Figure:
    """The same with everything still to be started: no daemon and no worker, no process for the loop."""
    manuals.write(pages, setting.directory / "cold")
    ours, theirs, bare_loop = [], [], {"folder": str(embedder_folder())}
    for _ in range(setting.few(2)):
        with setting.variant() as fresh:
            Library(fresh)
            taken = wall_s([fresh.agentgw, "ingest", str(setting.directory / "cold")], fresh.environment)
        ours.append(len(texts) / taken)
        started = time.perf_counter()
        with Baseline("bare_encode", bare_loop) as bare:
            bare.ask({"texts": texts, "batch": batch})
        theirs.append(len(texts) / (time.perf_counter() - started))
    return Figure.compared("ingest", "the same from cold, imports included", commands, (ours, theirs), unit="1/s")


def _load_embedder(library: Library, folder: Path) -> None:
    """Short notes, so many that the worker loads what it has for many texts; until it has."""
    folder.mkdir()
    for number in range(NOTES):
        (folder / f"{number}.txt").write_text(f"{folder.name} {number}: {prose(4, seed=number)}\n")
    library.ingest(folder)
    before, now = 0, library.worker_rss_bytes("bulk")
    while now - before > SETTLED_BYTES:
        time.sleep(SETTLE_S)
        before, now = now, library.worker_rss_bytes("bulk")


def _asked(client: Client, question: str) -> list[str]:
    chunks = client.call("document.search", query=question, k=HITS_AT)["chunks"]
    return [manuals.page_of(chunk["source"]) for chunk in chunks]


def embeddings(client: Client, texts: Sequence[str]) -> Floats:
    """A row a text, asked for from the daemon."""
    rows = []
    for at in range(0, len(texts), TEXTS_AT_ONCE):
        rows += client.call("embed", texts=texts[at : at + TEXTS_AT_ONCE])["embeddings"]
    return np.array(rows, dtype=np.float32)


def _rows(stored: Stored, numbers: Iterable[Sequence[int]]) -> list[list[int]]:
    """Chunks by their places among all."""
    places = {number: row for row, number in enumerate(stored.numbers)}
    return [[places[number] for number in some] for some in numbers]
