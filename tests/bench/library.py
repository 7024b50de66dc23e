"""A home with documents in it: filled, searched, looked into."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import trio

from agentgw.client import Client
from agentgw.local.connect import connect_running
from agentgw.local.environment import Environment
from agentgw.local.paths import Paths
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.documents.contents import Vectors
from agentgw_daemon.storage.documents.documents import NewDocument
from agentgw_daemon.storage.documents.finding import View, find
from agentgw_daemon.storage.documents.generations import EmbedderIdentity
from agentgw_daemon.storage.documents.selection import Where
from agentgw_daemon.storage.sqlite.library import sqlite_utils
from agentgw_daemon.storage.words.terms import terms_of
from agentgw_daemon.workers.retrieval.index.index import Index
from agentgw_daemon.workers.retrieval.index.index_file import IndexIdentity, load
from tests.bench.points import Floats
from tests.bench.setting import Setting
from tests.starter import embedder_folder

# An index of 100,000 vectors takes one to three minutes on two cores, and its file a silence after that.
_INDEXED_WITHIN_S: Final = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Chunks of a database, in the order of their numbers."""

    numbers: Sequence[int]
    sources: Sequence[str]
    headings: Sequence[str]
    texts: Sequence[str]
    vectors: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    text: str
    title_path: str = ""
    first_line: int = 1
    last_line: int = 1
    first_byte: int = 0
    last_byte: int = 0
    tokens: int = 0


class Library:
    """The documents of a setting, which gets the embedder."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._home = Path(setting.environment["AGENTGW_HOME"])
        models = self._home / "data" / "models"
        models.mkdir(mode=0o700, parents=True, exist_ok=True)
        (models / "all-minilm-l6-v2").symlink_to(embedder_folder())
        self._database = self._home / "data" / "agentgw.db"
        self._index_folder = self._home / "cache" / "index"

    def ingest(self, folder: Path) -> dict[str, Any]:
        """The result of `agentgw ingest FOLDER`; a file that was not taken ends the bench."""
        result = self.setting.result("ingest", str(folder))
        if result.get("failed_count"):
            raise SystemExit(f"bench: {result['failed']}")
        return result

    def fill(self, texts: Sequence[str], vectors: Floats, *, chunks_of_a_document: int) -> int:
        """Put documents into the database past the daemon, which must not run, and past the embedder.

        Gives the number of the first chunk; the others follow it.

        Something must have been ingested before, so that it is known which embedder the vectors are to be of.
        """
        with self._reading() as db:
            row = db.execute("SELECT id, name, dim FROM embedders").fetchone()
            first = int(db.execute("SELECT next_chunk FROM knowledge").fetchone()[0])
        trio.run(self._fill, EmbedderIdentity(id=row[0], name=row[1], dim=row[2]), texts, vectors, chunks_of_a_document)
        return first

    async def _fill(self, embedder: EmbedderIdentity, texts: Sequence[str], vectors: Floats, size: int) -> None:
        async with Database.open(self._home / "data") as database:
            for at in range(0, len(texts), size):
                part = texts[at : at + size]
                new = NewDocument(
                    source=f"/made/up/{at}.txt", sha256=hashlib.sha256(part[0].encode()).hexdigest(),
                    chunking="bench", title="", format="text", size_bytes=sum(map(len, part)),
                )  # fmt: skip
                rows = [row.astype("<f4").tobytes() for row in vectors[at : at + size]]
                pieces = [_Piece(text=text) for text in part]
                await database.documents.put(new, pieces, Vectors(embedder=embedder, rows=rows))

    def wait_indexed(self) -> None:
        """Waits until the vectors are in an index file; then stops the daemon, which notes it in the
        database before.
        """
        end = time.monotonic() + _INDEXED_WITHIN_S
        while not any(self._index_folder.glob("*.json")):
            if time.monotonic() > end:
                raise SystemExit(f"bench: no vector index after {_INDEXED_WITHIN_S} s")
            time.sleep(1)
        # The search waits until the file is written, and the note of it is in the queue before it.
        self.setting.run("search", "anything")
        self.setting.stop()

    def index(self) -> Index:
        """The daemon's index file, loaded into this process."""
        with self._reading() as db:
            name, sha256 = db.execute("SELECT file, sha256 FROM index_files").fetchone()
        said = json.loads((self._index_folder / name).with_suffix(".json").read_bytes())
        identity = IndexIdentity(key=said["key"], dim=said["dim"], embedder_id=said["embedder_id"])
        graph, generation = load(self._index_folder, name, sha256, identity)
        return Index(said["dim"], graph=graph, generation=generation)

    def stored(self) -> Stored:
        """All chunks that have vectors; the daemon must not run."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT c.n, d.source, c.title_path, c.text FROM chunks AS c"
                " JOIN documents AS d ON d.content = c.content ORDER BY c.n"
            ).fetchall()
            vectors = db.execute("SELECT vectors FROM vectors ORDER BY first_chunk").fetchall()
        made = np.frombuffer(b"".join(blob for (blob,) in vectors), dtype="<f4").reshape(len(rows), -1)
        numbers, sources, headings, texts = zip(*rows, strict=True)
        return Stored(numbers=numbers, sources=sources, headings=headings, texts=texts, vectors=made)

    def by_words(self, query: str, most: int) -> list[int]:
        """Numbers of the best chunks by BM25 alone; the daemon must not run."""
        with self._reading() as db:
            total = db.execute("SELECT count(*) FROM chunks").fetchone()[0]
            view = View(chunks=None, documents=(Where(),), total=total)
            return [match.n for match in find(sqlite_utils.Database(db), terms_of(query), most, view).matches]

    @contextmanager
    def connected(self) -> Iterator[Client]:
        """A connection to the running daemon."""
        with connect_running(Paths(Environment(self.setting.environment))) as client:
            yield client

    def worker_rss_bytes(self, role: str) -> int:
        """Resident memory of a retrieval worker."""
        found = [
            worker for worker in self.setting.status()["workers"]
            if worker["kind"] == "retrieval" and worker.get("detail") == role
        ]  # fmt: skip
        if len(found) != 1:
            raise SystemExit(f"bench: no retrieval worker in the role {role}")
        return int(found[0]["rss_bytes"])

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """The database, for the daemon lets nobody else have it: that must not run."""
        db = sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)
        try:
            yield db
        finally:
            db.close()


def search_ms(client: Client, query: str) -> float:
    """Milliseconds of a search, which must be a whole one."""
    started = time.perf_counter()
    found = client.call("document.search", query=query)
    taken = time.perf_counter() - started
    if found.get("notice") or not found["chunks"]:
        raise SystemExit(f"bench: a search was not a whole one: {found.get('notice')}")
    return taken * 1e3
