"""Texts of many callers in few requests."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from agentgw.protocol.errors import WorkerDied
from agentgw_daemon.retrieval.batching import BATCH_BYTES, BATCH_TEXTS, Batcher
from agentgw_daemon.workers.protocol import retrieval as wire
from tests.retrieval.fakeworker import EMBEDDER

pytestmark = pytest.mark.anyio

OTHER = wire.Embedder(name="other", id="o", dim=1, max_tokens=1)


class Engine:
    """Computes when it is let."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, ...]] = []
        self.waiting: list[int] = []
        self.go = trio.Event()
        self.error: WorkerDied | None = None

    async def compute(
        self, embedder: wire.Embedder, prompt: str, texts: tuple[str, ...], more: int
    ) -> tuple[bytes, ...]:
        self.batches.append(texts)
        self.waiting.append(more)
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return tuple(f"{embedder.name}:{prompt}{text}".encode() for text in texts)


async def test_what_waits_while_a_batch_is_computed_makes_the_next_one() -> None:
    engine, found = Engine(), {}

    async def ask(batcher: Batcher, *texts: str) -> None:
        found[texts] = await batcher.embed(EMBEDDER, texts)

    async with trio.open_nursery() as nursery:
        batcher = Batcher(nursery, engine.compute)
        for texts in (("a",), ("b", "c"), ("d",)):
            nursery.start_soon(ask, batcher, *texts)
            await trio.testing.wait_all_tasks_blocked()
        engine.go.set()
    assert engine.batches == [("a",), ("b", "c", "d")]
    assert found[("b", "c")] == (b"fake:b", b"fake:c")
    assert found[("d",)] == (b"fake:d",)


async def test_many_texts_and_long_ones_are_several_batches_in_order() -> None:
    engine = Engine()
    engine.go.set()
    texts = [str(n) for n in range(2 * BATCH_TEXTS + 1)]
    long = ["x" * (BATCH_BYTES // 2 + 1)] * 2
    async with trio.open_nursery() as nursery:
        batcher = Batcher(nursery, engine.compute)
        assert await batcher.embed(EMBEDDER, texts) == tuple(f"fake:{text}".encode() for text in texts)
        assert len(await batcher.embed(EMBEDDER, long)) == 2
    assert [len(batch) for batch in engine.batches] == [BATCH_TEXTS, BATCH_TEXTS, 1, 1, 1]
    assert engine.waiting == [BATCH_TEXTS + 1, 1, 0, 1, 0]


async def test_embedders_are_never_mixed() -> None:
    engine = Engine()

    async def ask(batcher: Batcher, embedder: wire.Embedder) -> None:
        assert await batcher.embed(embedder, ["x"]) == (f"{embedder.name}:x".encode(),)

    async with trio.open_nursery() as nursery:
        batcher = Batcher(nursery, engine.compute)
        for embedder in (EMBEDDER, EMBEDDER, OTHER, EMBEDDER):
            nursery.start_soon(ask, batcher, embedder)
        await trio.testing.wait_all_tasks_blocked()
        engine.go.set()


async def test_prompts_are_never_mixed() -> None:
    engine = Engine()

    async def ask(batcher: Batcher, prompt: str) -> None:
        assert await batcher.embed(EMBEDDER, ["x"], prompt) == (f"fake:{prompt}x".encode(),)

    async with trio.open_nursery() as nursery:
        batcher = Batcher(nursery, engine.compute)
        for prompt in ("", "", "passage: ", "query: ", ""):
            nursery.start_soon(ask, batcher, prompt)
        await trio.testing.wait_all_tasks_blocked()
        engine.go.set()


async def test_a_batch_that_fails_fails_each_caller_with_an_error_of_his_own() -> None:
    engine, errors = Engine(), []
    engine.error = WorkerDied("it died", worker="retrieval", status=-11)

    async def ask(batcher: Batcher, *texts: str) -> None:
        try:
            await batcher.embed(EMBEDDER, texts)
        except WorkerDied as error:
            errors.append(error)

    async with trio.open_nursery() as nursery:
        batcher = Batcher(nursery, engine.compute)
        nursery.start_soon(ask, batcher, "first")
        await trio.testing.wait_all_tasks_blocked()
        for texts in (("a", "b"), ("c",)):
            nursery.start_soon(ask, batcher, *texts)
        await trio.testing.wait_all_tasks_blocked()
        engine.go.set()
    assert [(error.message, error.data["status"]) for error in errors] == [("it died", -11)] * 3
    assert len({id(error) for error in errors}) == 3


async def test_what_a_cancelled_caller_wanted_is_not_computed() -> None:
    engine = Engine()
    async with trio.open_nursery() as nursery:
        batcher = Batcher(nursery, engine.compute)
        nursery.start_soon(batcher.embed, EMBEDDER, ["first"])
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(0.01):
            await batcher.embed(EMBEDDER, ["never"])
        engine.go.set()
        await batcher.embed(EMBEDDER, ["last"])
    assert engine.batches == [("first",), ("last",)]
