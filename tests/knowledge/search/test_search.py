from __future__ import annotations

import dataclasses
import os
import random
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from agentgw.protocol.errors import ModelUnavailable, NotFound
from agentgw_daemon.knowledge.search import following
from agentgw_daemon.storage.documents.contents import Vectors
from agentgw_daemon.storage.documents.generations import EmbedderIdentity
from agentgw_daemon.storage.documents.selection import Selection
from agentgw_daemon.workers.protocol import retrieval as wire
from tests.knowledge.library import STORED_BY, Library, find_fake, library
from tests.patience import PATIENCE_S
from tests.polling import until
from tests.retrieval.fakeworker import EMBEDDER, fake_settings, packed

pytestmark = pytest.mark.anyio


@pytest.fixture
async def documents(tmp_path: Path) -> AsyncIterator[Library]:
    async with library(tmp_path) as made:
        yield made


async def test_a_chunk_comes_with_where_it_is_and_why_it_was_found(documents: Library) -> None:
    stored = await documents.put(
        "/notes/rent.md", "Some words before.", "The rent is due on the first Monday of a month."
    )
    (first, *_) = await documents.knowledge.search("when is the rent due?", k=1)
    assert first.document_id == stored.document_id
    assert (first.source, first.lines) == ("/notes/rent.md", (2, 2))
    assert first.snippet == "The «rent» is «due» on the first Monday of a month."
    assert 0.5 < first.score < 1
    assert first.also_in is None


async def test_what_shares_no_word_is_still_found_by_its_vector(documents: Library) -> None:
    await documents.put("/a", "alpha beta", "gamma delta")
    assert set(await documents.found("alpha")) == {"alpha beta", "gamma delta"}
    assert (await documents.found("delta"))[0] == "gamma delta"


async def test_as_many_as_asked_for_and_by_default_the_settings_number(documents: Library) -> None:
    await documents.put("/a", *(f"word number {n}" for n in range(20)))
    assert len(await documents.found("word")) == 5
    assert len(await documents.found("word", k=12)) == 12
    assert len(await documents.found("word", k=100)) == 20


async def test_what_was_just_acknowledged_is_found_and_what_was_removed_is_not(documents: Library) -> None:
    for n in range(10):
        await documents.put(f"/{n}", f"letter {n} unique{n}")
        assert (await documents.found(f"unique{n}"))[0] == f"letter {n} unique{n}"
    await documents.database.documents.remove(Selection(sources=("/3",)))
    assert "letter 3 unique3" not in await documents.found("unique3", k=50)


async def test_the_same_text_in_many_documents_is_given_once_with_its_sources(documents: Library) -> None:
    licence = "Permission is hereby granted, free of charge"
    for n in range(60):
        await documents.put(f"/src/{n:02}.c", licence, f"code of file {n}")
    await documents.put("/src/LICENSE", licence)
    await documents.put("/src/COPY", licence)
    (first, *others) = await documents.knowledge.search("permission granted free charge", k=10)
    assert first.text == licence
    assert first.also_in is not None
    assert {first.source, *first.also_in} >= {"/src/LICENSE", "/src/COPY"}
    assert len(others) == 9
    assert licence not in {chunk.text for chunk in others}


async def test_filters_are_exact_however_little_they_let_through(documents: Library) -> None:
    chance = random.Random(4)
    words = [f"word{n}" for n in range(30)]
    for n in range(120):
        fields: dict[str, object] = {"tags": ("rare",) if n % 40 == 0 else ("common",)}
        if n % 3 == 0:
            fields["skills"] = ("code_assistant",)
        if n % 4 == 0:
            fields["collection"] = "work"
        await documents.put(f"/{n}", f"text {n} {' '.join(chance.choices(words, k=8))}", **fields)

    async def numbers(**fields: object) -> set[int]:
        return {int(text.split()[1]) for text in await documents.found("word1 word2 word3", k=100, **fields)}

    assert await numbers(tags=["rare"]) == {0, 40, 80}
    assert await numbers(collection="work") == set(range(0, 120, 4))
    assert await numbers(skills=["other"]) == {n for n in range(120) if n % 3}
    assert len(await numbers(skills=["code-assistant"])) == 100
    assert await numbers(skills=["other"], tags=["rare"]) == {40, 80}
    assert await numbers(collection="work", skills=["other"], tags=["rare"]) == {40, 80}
    assert await numbers(tags=["none"]) == set()


async def test_a_phrase_in_quotes_is_demanded(documents: Library) -> None:
    await documents.put("/a", "the fine manual", "a manual that is fine", "fine things")
    assert await documents.found('"fine manual" things') == ["the fine manual"]
    found = await documents.knowledge.find("“manual fine”")
    assert found.chunks == ()
    assert found.notice == 'no document has the phrase "manual fine"'


async def test_a_phrase_that_few_have_is_asked_for_once(documents: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    await documents.put("/a", "the fine manual", *(f"manual {n} that is fine" for n in range(60)))
    asked = 0
    ask = documents.knowledge._ask

    async def counting(*given: Any) -> Any:
        nonlocal asked
        asked += 1
        return await ask(*given)

    monkeypatch.setattr(documents.knowledge, "_ask", counting)
    assert await documents.found('"fine manual"') == ["the fine manual"]
    assert asked == 1
    assert len(await documents.found("manual", k=61)) == 61


async def test_a_query_without_a_word_of_the_documents_says_so(documents: Library) -> None:
    await documents.put("/a", "alpha beta", "gamma delta")
    found = await documents.knowledge.find("alphabet")
    assert found.notice is not None
    assert "no document has a word of the query" in found.notice
    assert all(chunk.score < 1 for chunk in found.chunks)


async def test_the_very_string_comes_before_all_else(documents: Library) -> None:
    names = ["HashKnownHosts", "4711-AB/2026", "C++17", "--no-verify", "ERR_X509", "192.168.0.1", "foo_bar", ".bashrc"]
    noise = ["hash known hosts and", "hashknownhosts", "verify that there is no", "c 17", "192.168.0.10", "foo bar"]
    await documents.put("/a", *(f"{text} in one of the lines" for text in [*noise, *names]))
    for name in names:
        assert (await documents.found(f"what is {name}?"))[0] == f"{name} in one of the lines"


async def test_files_are_found_by_their_names_also_the_second_copy(documents: Library) -> None:
    await documents.put("/home/me/Invoice_4711.pdf", "some text")
    await documents.put("/home/me/copy/BackupOfYear.pdf", "some text", skills=("archive",))
    await documents.put("/home/me/other.md", "other text about the weather")
    for query in ("invoice 4711", "Invoice_4711.pdf", "backup of year", "BackupOfYear"):
        assert (await documents.found(query))[0] == "some text", query
    hidden = await documents.knowledge.search("BackupOfYear", skills=["code_assistant"])
    assert not any("/copy/" in chunk.source for chunk in hidden)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("rechnung mueller maerz", "Rechnung_Müller_März.txt"),
        ("Rechnung Müller März", "Rechnung_Mueller_Maerz.txt"),
        ("ueberstunden oktober", "Überstunden Oktober.txt"),
        ("Gartenplan süd", "garten-plan-süd.txt"),
        ("garten plan süd", "Gartenplan Süd.txt"),
        ("note book spring", "notebook-spring.md"),
        ("протокол собрания", "протокол-собрания.txt"),
    ],
)
async def test_a_file_is_found_by_its_name_as_it_is_typed(documents: Library, query: str, name: str) -> None:
    words = query.split()
    # Each word stands alone in a text that is nearer in meaning than the file's own.
    await documents.put("/a.txt", *words)
    await documents.put(f"/papers/{name}", "Paper with nothing that says what it is.")
    (first, *_) = await documents.knowledge.search(query, k=1)
    assert first.source == f"/papers/{name}"


async def test_a_collection_nobody_made_is_an_error_that_names_the_others(documents: Library) -> None:
    await documents.put("/a", "one", collection="work")
    with pytest.raises(NotFound, match="no collection wrok") as caught:
        await documents.knowledge.search("one", collection="wrok")
    assert "work" in caught.value.hint


async def test_without_documents_the_notice_says_how_to_get_some(documents: Library) -> None:
    found = await documents.knowledge.find("anything")
    assert found.chunks == ()
    assert "agentgw ingest" in (found.notice or "")


async def _unavailable() -> wire.Embedder:
    raise ModelUnavailable("the embedder fake is not pulled", hint="run `agentgw pull fake`")


async def test_without_an_embedder_words_are_searched_and_the_notice_says_why(tmp_path: Path) -> None:
    async with library(tmp_path, resolve=_unavailable) as documents:
        with pytest.raises(ModelUnavailable):
            await documents.knowledge.find("one")
        await documents.put(
            "/a", "one two", "three", embedder=EmbedderIdentity(id="gone", name="fake", dim=EMBEDDER.dim)
        )
        found = await documents.knowledge.find("one")
        assert [chunk.text for chunk in found.chunks] == ["one two"]
        assert "agentgw pull fake" in (found.notice or "")


NEWER = dataclasses.replace(EMBEDDER, id="fake-2", name="newer")


async def find_newer() -> wire.Embedder:
    """The embedder that is configured now."""
    return NEWER


async def test_documents_of_another_embedder_are_searched_by_that_one_until_they_are_embedded_anew(
    tmp_path: Path,
) -> None:
    async with library(tmp_path, resolve=find_newer) as documents:
        await documents.put("/a", "alpha beta", "gamma delta")
        assert set(await documents.found("alpha")) == {"alpha beta", "gamma delta"}, "by its vector"
        await documents.put("/b", "other", embedder=EmbedderIdentity(id="gone", name="fake", dim=EMBEDDER.dim))
        assert (await find_fake("fake")).id == "fake-1"


async def test_vectors_that_go_while_a_search_begins_are_looked_for_among_the_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with library(tmp_path, resolve=find_newer) as documents:
        await documents.put("/a", "alpha beta", "gamma delta")

        async def called(_name: str) -> wire.Embedder:
            """The old embedder was chosen; all is embedded anew before its index is asked."""
            (content,) = await documents.database.embeddings.missing(NEWER.id, 1)
            made = Vectors(
                embedder=EmbedderIdentity(id=NEWER.id, name=NEWER.name, dim=NEWER.dim),
                rows=[packed(text) for _, text in content.chunks],
            )
            await documents.database.embeddings.add(content.content, made)
            await documents.database.embeddings.keep_only(NEWER.id)
            return EMBEDDER

        monkeypatch.setattr(documents.knowledge, "_embedder", called)
        found = await documents.knowledge.find("delta")
    assert found.notice is None
    assert [chunk.text for chunk in found.chunks] == ["gamma delta", "alpha beta"]
    assert found.chunks[0].similarity is not None


@pytest.mark.parametrize("more", [1, 3])
async def test_what_has_vectors_of_one_of_two_embedders_only_is_told(tmp_path: Path, more: int) -> None:
    by_newer = EmbedderIdentity(id=NEWER.id, name=NEWER.name, dim=NEWER.dim)
    async with library(tmp_path, resolve=find_newer) as documents:
        for n in range(2):
            await documents.put(f"/{n}", f"alpha {n}")
        assert (await documents.knowledge.find("alpha")).notice is None
        for n in range(more):
            await documents.put(f"/new{n}", f"beta {n}", embedder=by_newer)
        name = "fake" if more == 1 else "newer"
        assert (await documents.knowledge.find("alpha")).notice == f"not all documents have vectors of {name} yet"


async def test_a_query_is_looked_for_behind_its_prompt(tmp_path: Path) -> None:
    prompted = dataclasses.replace(EMBEDDER, query_prompt="omega ")

    async def resolve() -> wire.Embedder:
        return prompted

    async with library(tmp_path, resolve=resolve) as documents:
        await documents.put("/a", "alpha beta", "omega psi")
        (first, second) = await documents.knowledge.search("beta")
    assert (first.text, second.text) == ("alpha beta", "omega psi")
    assert first.similarity == pytest.approx(0.5, abs=0.01)
    assert second.similarity == pytest.approx(0.5, abs=0.01)


async def test_another_document_prompt_leaves_the_old_vectors_to_be_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompted = dataclasses.replace(EMBEDDER, id=wire.prompted_id(EMBEDDER.id, "passage: "), document_prompt="passage: ")

    async def called(_name: str) -> wire.Embedder:
        return prompted

    async def resolve() -> wire.Embedder:
        return prompted

    monkeypatch.setattr("tests.knowledge.library.find_fake", called)
    async with library(tmp_path, resolve=resolve) as documents:
        await documents.put("/a", "alpha beta", "gamma delta")
        found = await documents.knowledge.find("delta")
    assert found.notice is None
    assert found.chunks[0].similarity is not None


async def test_documents_without_vectors_are_found_by_their_words(documents: Library) -> None:
    await documents.put("/a", "plain words", embedder=None, tags=("plain",))
    assert await documents.found("plain") == ["plain words"]
    assert (await documents.knowledge.find("plain")).notice == "only words were searched: no document has a vector"
    await documents.put("/b", "other text")
    assert set(await documents.found("plain")) == {"plain words", "other text"}
    assert (await documents.knowledge.find("plain")).notice is None
    found = await documents.knowledge.find("plain", tags=["plain"])
    assert found.notice == "only words were searched: none of the documents has a vector of fake"


async def test_a_dead_worker_leaves_words_and_is_started_again(documents: Library) -> None:
    await documents.put("/a", "alpha beta", "gamma delta")
    assert len(await documents.found("alpha")) == 2
    found = await documents.knowledge.find("die:9 alpha")
    assert "only words" in (found.notice or "")
    assert [chunk.text for chunk in found.chunks] == ["alpha beta"]
    assert len(await documents.found("alpha")) == 2


async def test_a_worker_killed_between_two_searches_is_not_noticed(documents: Library) -> None:
    await documents.put("/a", "alpha beta", "gamma delta")
    for count in (2, 3, 3):
        assert len(await documents.found("alpha")) == count
        (worker,) = documents.retrieval.workers()
        os.kill(worker.pid, signal.SIGKILL)
        await until(lambda: not documents.retrieval.workers())
        await documents.put("/b", f"beta {worker.pid}")


@pytest.fixture
def saves_at_once(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Small indexes get graphs and files in this worker: `--small`."""
    monkeypatch.setattr(following, "_QUIET_S", 0.0)
    monkeypatch.setattr(following, "_CHANGES_WORTH_A_FILE", 1)
    return ["--small"]


async def _saved(index_dir: Path) -> Path:
    with trio.fail_after(PATIENCE_S):
        while not (files := list(index_dir.glob("*.hnsw"))) or len(list(index_dir.glob("*.json"))) != 1:
            await trio.sleep(0.01)
    assert len(files) == 1
    return files[0]


async def _fill(documents: Library, count: int, first: int = 0) -> None:
    for n in range(first, first + count):
        await documents.put(f"/{n}", f"paper {n} about word{n % 7}")


async def test_the_index_is_saved_and_taken_up_by_the_next_daemon(tmp_path: Path, saves_at_once: list[str]) -> None:
    settings = fake_settings(*saves_at_once)
    async with library(tmp_path, settings) as documents:
        await _fill(documents, 40)
        before = await documents.found("word3", k=40)
        file = await _saved(documents.index_dir)
    stamp = file.stat().st_mtime_ns
    async with library(tmp_path, settings) as documents:
        await documents.put("/new", "fresh paper")
        await documents.database.documents.remove(Selection(sources=("/3",)))
        after = await documents.found("word3", k=41)
        assert sorted(after) == sorted([*(text for text in before if text != "paper 3 about word3"), "fresh paper"])
    assert not file.exists() or file.stat().st_mtime_ns >= stamp


@pytest.mark.parametrize("damage", ["flip", "cut", "swap", "remove", "folder", "sidecar"])
async def test_a_damaged_index_file_is_made_anew_with_the_same_answers(
    tmp_path: Path, saves_at_once: list[str], damage: str
) -> None:
    settings = fake_settings(*saves_at_once)
    async with library(tmp_path, settings) as documents:
        await _fill(documents, 40)
        before = await documents.found("word3", k=40)
        file = await _saved(documents.index_dir)
    content = bytearray(file.read_bytes())
    match damage:
        case "flip":
            content[len(content) // 2] ^= 1
            file.write_bytes(content)
        case "cut":
            os.truncate(file, len(content) // 2)
        case "swap":
            file.write_bytes(random.randbytes(len(content)))
        case "remove":
            file.unlink()
        case "folder":
            shutil.rmtree(tmp_path / "cache")
        case "sidecar":
            file.with_suffix(".json").write_text("{}")
    async with library(tmp_path, settings) as documents:
        assert await documents.found("word3", k=40) == before
        await _saved(documents.index_dir)


async def test_the_cache_folder_may_go_while_the_daemon_runs(tmp_path: Path, saves_at_once: list[str]) -> None:
    async with library(tmp_path, fake_settings(*saves_at_once)) as documents:
        await _fill(documents, 40)
        await documents.found("word3")
        await _saved(documents.index_dir)
        shutil.rmtree(tmp_path / "cache")
        await _fill(documents, 10, first=40)
        assert len(await documents.found("word3", k=50)) == 50
        await _saved(documents.index_dir)


async def test_a_disk_that_takes_no_file_costs_nothing_but_the_file(
    tmp_path: Path, saves_at_once: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with library(tmp_path, fake_settings(*saves_at_once)) as documents:
        documents.index_dir.parent.mkdir()
        documents.index_dir.write_text("a file where the folder should be")
        await _fill(documents, 40)
        assert len(await documents.found("word3", k=40)) == 40
        with trio.fail_after(PATIENCE_S):
            while "is not saved" not in caplog.text:
                await trio.sleep(0.01)
        (worker,) = documents.retrieval.workers()
        follower = documents.knowledge._indexing._follower("default", STORED_BY)
        assert follower.reached == await documents.database.embeddings.generation(), "it is as good as it was"
        await _fill(documents, 5, first=40)
        assert len(await documents.found("word3", k=45)) == 45
        assert [one.pid for one in documents.retrieval.workers()] == [worker.pid]


async def test_a_database_that_was_replaced_is_searched_as_it_is_now(tmp_path: Path) -> None:
    async with library(tmp_path) as documents:
        await documents.put("/a", "alpha beta")
        backup = await documents.database.backup()
        await documents.put("/b", "alpha gamma")
        assert len(await documents.found("alpha")) == 2
        assert backup.exists()
        # A generation of before means nothing in the database that takes this one's place.
        await documents.database._thread.run(lambda: documents.database._store._replace("for this test"))
        await documents.put("/c", "alpha delta")
        assert set(await documents.found("alpha")) == {"alpha beta", "alpha delta"}
        assert STORED_BY.dim == len(packed("x")) // 4
