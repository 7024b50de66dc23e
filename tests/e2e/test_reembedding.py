"""Another embedder in the configuration: what was stored is embedded anew while it is searched, restarts included."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from agentgw_daemon.models.embedders import CONVERSION_FILE, INFO_FILE
from tests.e2e.home import Home, until
from tests.starter import embedder_folder

pytestmark = pytest.mark.e2e

TOPICS = ("bees", "bread", "boats", "bicycles", "birds", "bridges", "books", "bells", "bears", "bottles")


def other_embedder(folder: Path) -> Path:
    """The same weights used in another way, which is another embedder: its vectors are others."""
    made = folder / "other"
    shutil.copytree(embedder_folder(), made, ignore=shutil.ignore_patterns(CONVERSION_FILE, INFO_FILE))
    pooling = made / "1_Pooling" / "config.json"
    said = json.loads(pooling.read_text())
    said.update(pooling_mode_cls_token=True, pooling_mode_mean_tokens=False)
    pooling.write_text(json.dumps(said))
    return made


def ids(home: Home) -> set[str]:
    """The identities of what made the vectors."""
    with contextlib.closing(sqlite3.connect(home.database_copy())) as database:
        rows = database.execute("SELECT b.id FROM vectors AS v JOIN embedders AS b ON b.n = v.embedder").fetchall()
    return {row[0] for row in rows}


def vectors(home: Home) -> dict[str, int]:
    """The number of chunks that have vectors, by the name of what made them."""
    with contextlib.closing(sqlite3.connect(home.database_copy())) as database:
        return dict(
            database.execute(
                "SELECT b.name, sum(v.chunks) FROM vectors AS v JOIN embedders AS b ON b.n = v.embedder GROUP BY b.name"
            ).fetchall()
        )


def test_another_document_prompt_embeds_anew_and_search_never_stops(home: Home) -> None:
    home.add_embedder()
    for number, topic in enumerate(TOPICS):
        (home.work / f"{number}.txt").write_text(f"Note {number} is about {topic} and nothing else.\n")
    home.ask("ingest", str(home.work), "-q")
    first = ids(home)
    home.configure('[rag]\nquery_prompt = "query: "\ndocument_prompt = "passage: "\n')
    home.ask("reload")
    found = home.call("document.search", query="bees", k=1)
    assert "bees" in found["chunks"][0]["text"]
    until(lambda: ids(home) != first and len(ids(home)) == 1, "every chunk has a new vector and no old one")
    again = home.call("document.search", query="bees", k=1)["chunks"][0]
    assert "bees" in again["text"]
    assert "similarity" in again


def test_documents_are_found_before_while_and_after_they_are_embedded_anew(home: Home) -> None:
    home.add_embedder()
    for number, topic in enumerate(TOPICS * 4):
        (home.work / f"{number}.txt").write_text(f"Note {number} is about {topic} and nothing else.\n")
    home.ask("ingest", str(home.work), "-q")
    assert vectors(home) == {"all-minilm-l6-v2": 40}
    other = other_embedder(home.root)
    home.configure(f'[rag]\nembedder = "{other}"\n')
    home.ask("reload")
    # Whatever the moment is: with old vectors, with new ones, after a kill in between.
    for _ in range(2):
        best = home.call("document.search", query="bees", k=1)["chunks"][0]
        assert "bees" in best["text"]
        home.kill_daemon()
    home.daemon()
    until(lambda: vectors(home) == {str(other): 40}, "every chunk has a new vector and no old one")
    assert "reembedding" not in home.call("daemon.status")
    assert "bridges" in home.call("document.search", query="bridges", k=1)["chunks"][0]["text"]
