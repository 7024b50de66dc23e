"""The real embedder behind the real binary: vectors by RPC, the worker's life, a missing and another embedder."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.home import Home
from tests.starter import embedder_folder
from tests.workers.retrieval.embedding.tinybert import WIDTH, make_folder

pytestmark = pytest.mark.e2e

CATS = "A cat sleeps on the sofa."
KITTEN = "The kitten is napping on the couch."
TAXES = "Income tax is due in April."


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    """One installation whose worker stays."""
    with Home() as made:
        made.add_embedder()
        yield made
        assert "Traceback" not in made.log


def embed(home: Home, *texts: str) -> dict[str, Any]:
    made: dict[str, Any] = home.call("embed", texts=list(texts))
    return made


def workers(home: Home) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = home.call("daemon.status")["workers"]
    return [worker for worker in found if worker["kind"] == "retrieval"]


def likeness(one: list[float], other: list[float]) -> float:
    return sum(x * y for x, y in zip(one, other, strict=True))


def test_texts_that_mean_the_same_are_near(home: Home) -> None:
    found = embed(home, CATS, KITTEN, TAXES)
    assert (found["model"], found["dim"]) == ("all-minilm-l6-v2", 384)
    cats, kitten, taxes = found["embeddings"]
    assert all(abs(likeness(vector, vector) - 1) < 1e-4 for vector in (cats, kitten, taxes))
    assert likeness(cats, kitten) > 0.5 > 0.2 > likeness(cats, taxes)


def test_few_texts_are_answered_by_one_light_worker(home: Home) -> None:
    others = [one["pid"] for one in workers(home) if one["detail"] != "search"]
    embed(home, CATS)
    [worker] = [one for one in workers(home) if one["pid"] not in others]
    assert (worker["detail"], worker["model"], worker["slots"]) == ("search", "all-minilm-l6-v2", 1)
    assert worker["rss_bytes"] < 100e6
    assert "libtorch" not in Path(f"/proc/{worker['pid']}/maps").read_text()


def test_a_worker_that_is_killed_is_replaced_by_the_next_request(home: Home) -> None:
    first = embed(home, CATS)
    [worker] = [one for one in workers(home) if one["detail"] == "search"]
    os.kill(worker["pid"], signal.SIGKILL)
    assert embed(home, CATS) == first
    assert worker["pid"] not in [one["pid"] for one in workers(home)]


def test_many_texts_at_once_get_their_vectors_in_order(home: Home) -> None:
    texts = [f"{CATS} Number {number}." for number in range(40)]
    found = embed(home, *texts)["embeddings"]
    alone = embed(home, texts[17])["embeddings"][0]
    assert likeness(found[17], alone) > 0.999
    assert [worker["detail"] for worker in workers(home)] == ["search", "bulk"]


def test_the_embedder_is_listed_and_found_sound(home: Home) -> None:
    listed = {model["name"]: model for model in home.call("model.list")["models"]}
    assert listed["all-minilm-l6-v2"]["state"] == "available"
    findings = {one["check"]: one for one in home.call("daemon.doctor")["findings"]}
    assert findings["embedder"]["message"] == "all-minilm-l6-v2, 384 dimensions"


def test_without_an_embedder_a_pipe_gets_the_line_that_pulls_it() -> None:
    with Home() as home:
        done = home.run("call", "embed", '{"texts": ["x"]}')
        assert done.status == 4
        assert done.out == ""
        assert done.err.strip().endswith("run `agentgw pull all-minilm-l6-v2`")


def test_a_reload_goes_over_to_another_embedder_and_lets_idle_workers_go(tmp_path: Path) -> None:
    own = make_folder(tmp_path / "own")
    with Home() as home:
        home.add_embedder()
        embed(home, CATS)
        [before] = workers(home)
        home.configure(f'[rag]\nembedder = "{own}"\n[inference]\nkeep_alive_s = 0\n')
        home.ask("reload")
        found = embed(home, "hello world")
        assert (found["model"], found["dim"]) == (str(own), WIDTH)
        assert before["pid"] not in [worker["pid"] for worker in workers(home)]


def test_texts_are_embedded_behind_the_prompt_of_their_purpose(tmp_path: Path) -> None:
    own = make_folder(tmp_path / "own")
    (own / "sentence_bert_config.json").write_text('{"max_seq_length": 64}')
    with Home() as home:
        home.configure(f'[rag]\nembedder = "{own}"\nquery_prompt = "find "\ndocument_prompt = "page "\n')
        as_query = home.call("embed", texts=["world"])["embeddings"]
        as_document = home.call("embed", texts=["world"], purpose="document")["embeddings"]
        home.configure(f'[rag]\nembedder = "{own}"\n')
        home.ask("reload")
        bare = {text: home.call("embed", texts=[text])["embeddings"] for text in ("world", "find world", "page world")}
        assert (as_query, as_document) == (bare["find world"], bare["page world"])
        assert bare["world"] not in (as_query, as_document)


def test_an_embedder_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    with Home() as home:
        home.configure(f'[rag]\nembedder = "{tmp_path / "weights"}"\n')
        done = home.run("call", "embed", '{"texts": ["x"]}')
        assert done.status == 4
        assert "cannot be used" in done.err


def test_the_embedder_of_the_tests_is_the_one_of_the_catalogue() -> None:
    assert (embedder_folder() / "model.safetensors").stat().st_size == 90_868_376
