"""Another embedder: vectors are made anew in the background, and the old ones stay until all are there."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from agentgw.protocol.errors import ModelUnavailable
from agentgw_daemon.config.settings import RagSection
from agentgw_daemon.knowledge import reembedding
from agentgw_daemon.knowledge.reembedding import Reembedder
from agentgw_daemon.models.embedders import with_prompts
from agentgw_daemon.workers.protocol import retrieval as wire
from tests.knowledge.live import LiveIngest, fill, live_ingest
from tests.polling import pause
from tests.retrieval.fakeworker import EMBEDDER, packed

pytestmark = pytest.mark.anyio

OTHER = dataclasses.replace(EMBEDDER, name="other", id="other-1")


class Configured:
    """Value of `rag.embedder`."""

    def __init__(self) -> None:
        self.embedder: wire.Embedder | None = EMBEDDER

    async def __call__(self) -> wire.Embedder:
        if self.embedder is None:
            raise ModelUnavailable("there is no embedder")
        return self.embedder


def nobody() -> bool:
    """Nobody else wants the machine."""
    return False


async def vectors_of(made: LiveIngest) -> dict[str, int]:
    """The number of chunks that have vectors, by embedder."""
    rows = await made.database._thread.read(
        lambda db: db.execute(
            "SELECT b.id, sum(v.chunks) FROM vectors AS v JOIN embedders AS b ON b.n = v.embedder GROUP BY b.id"
        ).fetchall()
    )
    return dict(rows)


async def until_done(made: LiveIngest, again: Reembedder, embedder: wire.Embedder) -> None:
    while again.shown is not None or await made.database.embeddings.count_missing(embedder.id):
        await made.database.changes.next.wait()
    while len(await vectors_of(made)) > 1:
        await pause()


async def test_a_new_embedder_replaces_the_old_one_when_it_has_seen_everything(tmp_path: Path) -> None:
    fill(tmp_path / "n", {f"{n}.txt": f"one {n}\n\ntwo {n}" for n in range(40)})
    configured = Configured()
    async with live_ingest(tmp_path, resolve=configured) as made, trio.open_nursery() as nursery:
        await made.take(tmp_path / "n")
        again = made.reembedding
        nursery.start_soon(again.run, nobody)
        await wait_all_tasks_blocked()
        assert again.shown is None
        configured.embedder = OTHER
        changed = made.database.changes.next
        again.poke()
        await changed.wait()
        assert again.shown is not None
        assert again.shown.embedder == "other"
        assert (await vectors_of(made))["fake-1"] == 80
        await until_done(made, again, OTHER)
        assert await vectors_of(made) == {"other-1": 80}
        assert again.shown is None
        nursery.cancel_scope.cancel()


async def test_another_document_prompt_embeds_anew_and_another_query_prompt_does_not(tmp_path: Path) -> None:
    fill(tmp_path / "n", {"a.txt": "one"})
    configured = Configured()
    async with live_ingest(tmp_path, resolve=configured) as made, trio.open_nursery() as nursery:
        await made.take(tmp_path / "n")
        again = made.reembedding
        configured.embedder = with_prompts(EMBEDDER, RagSection(embedder="fake", query_prompt="query: "))
        nursery.start_soon(again.run, nobody)
        await wait_all_tasks_blocked()
        assert again.shown is None
        assert await vectors_of(made) == {"fake-1": 1}
        for prompt in ("passage: ", "text: ", ""):
            configured.embedder = with_prompts(EMBEDDER, RagSection(embedder="fake", document_prompt=prompt))
            again.poke()
            await until_done(made, again, configured.embedder)
            assert await vectors_of(made) == {configured.embedder.id: 1}
            rows = await made.database._thread.read(lambda db: db.execute("SELECT vectors FROM vectors").fetchall())
            assert [row[0] for row in rows] == [packed(f"{prompt}one")]
        assert await vectors_of(made) == {"fake-1": 1}
        nursery.cancel_scope.cancel()


async def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    fill(tmp_path / "n", {f"{n}.txt": f"one {n}\n\ntwo {n}" for n in range(60)})
    configured = Configured()
    async with live_ingest(tmp_path, resolve=configured) as made:
        await made.take(tmp_path / "n")
        configured.embedder = OTHER
        async with trio.open_nursery() as nursery:
            changed = made.database.changes.next
            nursery.start_soon(made.reembedding.run, nobody)
            await changed.wait()
            nursery.cancel_scope.cancel()
        had = await vectors_of(made)
        assert had["fake-1"] == 120
        assert 0 < had["other-1"] < 120
    async with live_ingest(tmp_path, resolve=configured) as made, trio.open_nursery() as nursery:
        again = made.reembedding
        nursery.start_soon(again.run, nobody)
        await until_done(made, again, OTHER)
        assert await vectors_of(made) == {"other-1": 120}
        nursery.cancel_scope.cancel()


async def test_others_go_first_but_not_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reembedding, "_LOOK_S", 0.001)
    monkeypatch.setattr(reembedding, "_PATIENCE_S", 0.01)
    fill(tmp_path / "n", {"a.txt": "one"})
    configured = Configured()
    looked: list[bool] = []
    async with live_ingest(tmp_path, resolve=configured) as made, trio.open_nursery() as nursery:
        await made.take(tmp_path / "n")
        configured.embedder = OTHER
        again = made.reembedding
        nursery.start_soon(again.run, lambda: looked.append(True) or True)
        await until_done(made, again, OTHER)
        assert looked
        nursery.cancel_scope.cancel()


async def test_without_the_new_embedder_it_waits_and_says_so(tmp_path: Path) -> None:
    fill(tmp_path / "n", {"a.txt": "one"})
    configured = Configured()
    async with live_ingest(tmp_path, resolve=configured) as made, trio.open_nursery() as nursery:
        await made.take(tmp_path / "n")
        configured.embedder = None
        again = made.reembedding
        nursery.start_soon(again.run, nobody)
        await wait_all_tasks_blocked(0.01)
        assert await vectors_of(made) == {"fake-1": 1}
        configured.embedder = OTHER
        again.poke()
        await until_done(made, again, OTHER)
        assert await vectors_of(made) == {"other-1": 1}
        nursery.cancel_scope.cancel()


async def test_a_document_that_breaks_the_new_embedder_is_given_up_and_the_rest_goes_on(tmp_path: Path) -> None:
    fill(tmp_path / "n", {"a.txt": "one", "b.txt": "two", "c.txt": "three"})
    configured = Configured()
    async with live_ingest(tmp_path, resolve=configured) as made, trio.open_nursery() as nursery:
        await made.take(tmp_path / "n")
        await made.database._thread.write(lambda db: db.execute("UPDATE chunks SET text = 'die:9' WHERE text = 'two'"))
        configured.embedder = OTHER
        again = made.reembedding
        nursery.start_soon(again.run, nobody)
        while await vectors_of(made) != {"other-1": 2}:
            await pause()
        assert await made.database.embeddings.count_missing(OTHER.id) == 1
        assert again.shown is None
        nursery.cancel_scope.cancel()


async def test_what_was_written_with_the_old_embedder_meanwhile_is_done_too(tmp_path: Path) -> None:
    fill(tmp_path / "n", {"a.txt": "one"})
    configured = Configured()
    async with live_ingest(tmp_path, resolve=configured) as made, trio.open_nursery() as nursery:
        await made.take(tmp_path / "n")
        configured.embedder = OTHER
        again = made.reembedding
        nursery.start_soon(again.run, nobody)
        await until_done(made, again, OTHER)
        configured.embedder = EMBEDDER
        fill(tmp_path / "n", {"b.txt": "two"})
        await made.take(tmp_path / "n" / "b.txt")
        await until_done(made, again, EMBEDDER)
        assert await vectors_of(made) == {"fake-1": 2}
        nursery.cancel_scope.cancel()
