"""Answers that rest on documents, end to end: the real embedder, the starter model, the real binary."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.home import Home
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.e2e

BRIEF = ("--json", "-o", "temperature=0", "-o", "max_tokens=24")
BOAT = "# The Ida\n\n## Hull\nClinker-built, 7.4 metres.\n\n## Mooring\nThe Ida lies at pier 12 in Greifswald.\n"
RENT = "The rent is due on the third working day of each month.\n"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, Path]]:
    """One installation with two documents."""
    folder = tmp_path_factory.mktemp("notes")
    (folder / "ida.md").write_text(BOAT)
    (folder / "rent.txt").write_text(RENT)
    with Home() as home:
        home.add_starter_model()
        home.add_embedder()
        done = home.run("ingest", str(folder))
        assert done.status == 0, done.err
        yield home, folder
        assert "Traceback" not in home.log


def ask(home: Home, *words: str) -> dict[str, Any]:
    child = home.start("run", *BRIEF, *words)
    out, err = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == 0, err
    made: dict[str, Any] = json.loads(out)
    return made


def test_the_default_skill_answers_from_the_nearest_piece_and_names_it(library: tuple[Home, Path]) -> None:
    home, folder = library
    result = ask(home, "Where does the Ida lie?")
    assert result["sources"][0]["source"] == str(folder / "ida.md")
    assert result["sources"][0]["lines"] == [1, 7]
    # The model's answer differs from processor to processor; its prompt does not.
    told = json.loads(home.run("run", "--json", "--dry-run", "Where does the Ida lie?").out)
    assert "The Ida lies at pier 12 in Greifswald.\n\nWhere does the Ida lie?<|im_end|>" in told["text"]
    assert result["usage"]["prompt_tokens"] == told["usage"]["prompt_tokens"]
    assert result["text"].strip()
    shown = json.loads(home.run("call", "turn.show", json.dumps({"turn_id": result["turn_id"]})).out)
    assert shown["sources"] == result["sources"] == shown["history"]["excerpts"]


def test_what_has_nothing_to_do_with_the_documents_quotes_nothing(library: tuple[Home, Path]) -> None:
    assert ask(library[0], "hello")["sources"] == []


def test_the_starter_searches_the_documents(library: tuple[Home, Path]) -> None:
    home, folder = library
    result = ask(home, "-t", "search_documents", "Search my documents for the rent")
    (call,) = result["tool_calls"]
    assert (call["tool"], call["ok"]) == ("search_documents", True)
    assert "rent" in call["arguments"]["query"]
    assert str(folder / "rent.txt") in [chunk["source"] for chunk in result["sources"]]


def test_the_tool_by_hand(library: tuple[Home, Path]) -> None:
    home, folder = library
    done = home.run("tools", "call", "search_documents", '{"query": "mooring of the boat", "k": 1}')
    assert done.status == 0
    assert done.out.startswith(f"[1] {folder}/ida.md, lines 1-7, The Ida")
    assert "The Ida lies at pier 12" in done.out


def test_a_document_of_another_skill_is_not_quoted(library: tuple[Home, Path], tmp_path: Path) -> None:
    home, _ = library
    (tmp_path / "code.md").write_text("The Ida's engine is started by the command ignite-ida --now.\n")
    assert home.run("ingest", str(tmp_path), "--skills", "code-assistant").status == 0
    sources = [chunk["source"] for chunk in ask(home, "How is the engine of the Ida started?")["sources"]]
    assert str(tmp_path / "code.md") not in sources
