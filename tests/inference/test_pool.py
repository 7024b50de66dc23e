"""The pool: who answers, who waits, who leaves memory, and what remains when workers die."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from agentgw.protocol.errors import ContextOverflow, ModelUnavailable, Overloaded, RpcError, ShuttingDown, WorkerDied
from agentgw.protocol.tuning import Tuning
from agentgw.protocol.types import ChatMessage, Options
from agentgw_daemon.inference import pool as pool_module
from agentgw_daemon.inference.engine import (
    Engine,
    EngineEvent,
    Finished,
    GenerationRequest,
    Loading,
    Prefill,
    Queued,
    TextDelta,
)
from agentgw_daemon.inference.engines.echo import EchoEngine
from agentgw_daemon.inference.hosting.memory_budget import RESERVE_BYTES
from agentgw_daemon.inference.hosting.supervisor import WorkerProcess
from agentgw_daemon.inference.pool import Pool, open_pool
from agentgw_daemon.inference.spec import InferenceSettings, ModelSpec, ProviderSpec
from agentgw_daemon.system import memory
from agentgw_daemon.workers.protocol.footprint import ModelShape
from tests.inference.hosting.fakeworker import fake_model, fake_settings
from tests.jumping import CLOCK, JUMPING
from tests.patience import PATIENCE_S
from tests.polling import until

pytestmark = pytest.mark.anyio

MB = 10**6


@asynccontextmanager
async def fake_pool(settings: InferenceSettings | None = None) -> AsyncIterator[Pool]:
    with trio.fail_after(PATIENCE_S):
        async with open_pool(settings or fake_settings(), environ=os.environ, instance="test") as pool:
            yield pool


def request(text: str, **options: object) -> GenerationRequest:
    return GenerationRequest(messages=(ChatMessage(role="user", content=text),), options=Options(**options))  # type: ignore[arg-type]  # by name


async def events_of(engine: Engine, text: str) -> list[EngineEvent]:
    async with engine.stream(request(text)) as events:
        return [event async for event in events]


async def answer(engine: Engine, text: str) -> str:
    return "".join(t for event in await events_of(engine, text) if isinstance(event, TextDelta) for t in event.texts)


async def drained(events: AsyncIterator[EngineEvent]) -> list[EngineEvent]:
    return [event async for event in events]


@asynccontextmanager
async def occupied(engine: Engine, text: str = "prefill") -> AsyncIterator[None]:
    """Hold the slot with a request that does not end by itself."""
    async with engine.stream(request(text)) as events:
        async for event in events:
            if isinstance(event, Prefill):
                break
        yield


def pids(pool: Pool) -> set[int]:
    return {worker.pid for worker in pool.workers()}


async def test_first_request_loads_the_model_and_answers(tmp_path: Path) -> None:
    async with fake_pool() as pool:
        spec = fake_model(tmp_path)
        engine = await pool.engine(spec)
        assert pool.workers() == ()
        events = await events_of(engine, "good morning to you")
        assert isinstance(events[0], Loading)
        finished = events[-1]
        assert isinstance(finished, Finished)
        assert finished.usage.completion_tokens == 4
        assert finished.model_sha256 == spec.sha256
        assert finished.engine == "fake"
        assert finished.timings.load_ms > 0
        assert finished.timings.first_token_ms >= finished.timings.load_ms
        assert finished.timings.decode_tokens_per_s == 1000
        assert pool.loaded() == ("fake",)
        assert not any(isinstance(event, Loading | Queued) for event in await events_of(engine, "again"))


async def test_worker_hears_where_and_for_whom_it_may_save(tmp_path: Path) -> None:
    async with fake_pool(fake_settings(kv_dir="/cache/kv", kv_cache_bytes=7)) as pool:
        engine = await pool.engine(fake_model(tmp_path))
        async with engine.stream(dataclasses.replace(request("kv"), cache_scope="s-1")) as events:
            texts = [text for event in await drained(events) if isinstance(event, TextDelta) for text in event.texts]
        assert "".join(texts) == "/cache/kv 7 s-1"
        assert await answer(engine, "kv") == "/cache/kv 7 "


async def test_worker_is_listed_with_its_model(tmp_path: Path) -> None:
    async with fake_pool() as pool:
        engine = await pool.engine(fake_model(tmp_path))
        async with occupied(engine):
            (worker,) = pool.workers()
            assert (worker.kind, worker.model, worker.slots, worker.busy) == ("model", "fake", 1, 1)
            assert pool.busy == 1


async def test_everyone_who_waits_hears_of_the_loading(tmp_path: Path) -> None:
    first: list[EngineEvent] = []

    async def ask(engine: Engine) -> None:
        first.append((await events_of(engine, "hello"))[0])

    async with fake_pool() as pool:
        engine = await pool.engine(fake_model(tmp_path))
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask, engine)
        assert len(pids(pool)) == 1
    assert first == [Loading()] * 3


async def test_positions_count_down_in_order_of_arrival(tmp_path: Path) -> None:
    heard: dict[str, list[int]] = {"first": [], "second": [], "third": []}
    ended: list[str] = []

    async def ask(engine: Engine, name: str) -> None:
        for event in await _collect_positions(engine, name, heard[name]):
            assert not isinstance(event, Loading)
        ended.append(name)

    async with fake_pool() as pool:
        engine = await pool.engine(fake_model(tmp_path))
        async with trio.open_nursery() as nursery, occupied(engine):
            for name in heard:
                nursery.start_soon(ask, engine, name)
                await trio.testing.wait_all_tasks_blocked()
            assert pool.queue_length == 3
    assert heard == {"first": [1], "second": [2, 1], "third": [3, 2, 1]}
    assert ended == ["first", "second", "third"]


async def _collect_positions(engine: Engine, text: str, positions: list[int]) -> list[EngineEvent]:
    found = []
    async with engine.stream(request(text)) as events:
        async for event in events:
            found.append(event)
            if isinstance(event, Queued):
                positions.append(event.position)
    finished = found[-1]
    assert isinstance(finished, Finished)
    assert finished.timings.queue_ms > 0
    return found


async def test_place_in_the_workers_own_queue_is_told(tmp_path: Path) -> None:
    async with fake_pool(fake_settings()) as pool:
        engine = await pool.engine(fake_model(tmp_path))
        assert Queued(position=3) in await events_of(engine, "queued:3")


async def test_slots_of_the_worker_run_side_by_side(tmp_path: Path) -> None:
    async with fake_pool(fake_settings("--slots", "2")) as pool:
        engine = await pool.engine(fake_model(tmp_path))
        async with occupied(engine), occupied(engine):
            assert pool.busy == 2


async def test_full_queue_is_overloaded(tmp_path: Path) -> None:
    async with fake_pool(fake_settings(max_queue=1)) as pool:
        engine = await pool.engine(fake_model(tmp_path))
        async with trio.open_nursery() as nursery, occupied(engine):
            nursery.start_soon(answer, engine, "waits")
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(Overloaded) as caught:
                await answer(engine, "too many")
            assert caught.value.data == {"limit": "inference.max_queue", "value": 1}
        assert pool.queue_length == 0


async def test_cancel_in_the_queue_moves_the_others_up(tmp_path: Path) -> None:
    positions: list[int] = []
    async with fake_pool() as pool:
        engine = await pool.engine(fake_model(tmp_path))
        async with trio.open_nursery() as nursery, occupied(engine):
            async with engine.stream(request("leaves")) as leaver:
                assert await anext(leaver) == Queued(position=1)
                nursery.start_soon(_collect_positions, engine, "stays", positions)
                await until(lambda: positions == [2])
            await until(lambda: positions == [2, 1])


async def test_cancel_while_loading_lets_the_load_go_on(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gated.fifo")
    async with fake_pool() as pool:
        engine = await pool.engine(fake_model(tmp_path, "gated"))
        async with engine.stream(request("leaves")) as events:
            assert await anext(events) == Loading()
            await until((tmp_path / "gated.reached").exists)
            assert pool.loading() == ("gated",)
        assert pool.queue_length == 0
        before = pids(pool)
        # Read-write: opening a FIFO for writing alone would wait for the reader, without a limit.
        gate = os.open(tmp_path / "gated.fifo", os.O_RDWR)
        assert await answer(engine, "next") == "next"
        os.close(gate)
        assert pids(pool) == before


@pytest.mark.parametrize("text", ["prefill", "slow:100000", "flood"])
async def test_cancel_of_a_running_request_frees_the_slot(tmp_path: Path, text: str) -> None:
    async with fake_pool() as pool:
        engine = await pool.engine(fake_model(tmp_path))
        await pool.load(fake_model(tmp_path))
        before = pids(pool)
        for _ in range(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(answer, engine, text)
                await until(lambda: pool.busy == 1)
                nursery.cancel_scope.cancel()
            await until(lambda: pool.busy == 0)
        assert await answer(engine, "next") == "next"
        assert pids(pool) == before


async def test_kill_9_in_mid_generation_is_one_error_each_and_the_next_request_works(tmp_path: Path) -> None:
    killed = []
    async with fake_pool() as pool:
        engine = await pool.engine(fake_model(tmp_path))
        for n in range(20):
            async with engine.stream(request("slow:100000")) as events:
                async for event in events:
                    if isinstance(event, TextDelta):
                        break
                (worker,) = pool.workers()
                os.kill(worker.pid, signal.SIGKILL)
                killed.append(worker.pid)
                with pytest.raises(WorkerDied) as caught:
                    await drained(events)
                assert caught.value.data["status"] == -signal.SIGKILL
                assert await drained(events) == []
            assert await answer(engine, f"number {n}") == f"number {n}"
    assert len(set(killed)) == 20
    for pid in killed:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


async def test_waiting_requests_survive_the_death_of_the_worker(tmp_path: Path) -> None:
    async with fake_pool() as pool:
        engine = await pool.engine(fake_model(tmp_path))
        texts = []

        async def wait_in_line() -> None:
            texts.append(await answer(engine, "patience"))

        async with trio.open_nursery() as nursery, engine.stream(request("prefill")) as events:
            async for event in events:
                if isinstance(event, Prefill):
                    break
            nursery.start_soon(wait_in_line)
            await until(lambda: pool.queue_length == 1)
            os.kill(pool.workers()[0].pid, signal.SIGKILL)
            with pytest.raises(WorkerDied):
                await drained(events)
    assert texts == ["patience"]


async def test_worker_that_keeps_dying_is_left_alone_for_a_while(tmp_path: Path) -> None:
    async with fake_pool() as pool:
        engine = await pool.engine(fake_model(tmp_path))
        for _ in range(5):
            with pytest.raises(WorkerDied):
                await answer(engine, "die:9")
        with pytest.raises(ModelUnavailable, match=r"died 5 times within a minute, the last one was killed by SIGKILL"):
            await answer(engine, "hello")
        assert pool.workers() == ()
        assert pool.queue_length == 0


@pytest.mark.parametrize(("name", "reason"), [("refused", "not a usable GGUF"), ("dies", "SIGABRT")])
async def test_model_that_cannot_be_loaded_is_told_to_everyone_who_waits(
    tmp_path: Path, name: str, reason: str
) -> None:
    errors: list[RpcError] = []

    async def ask(engine: Engine) -> None:
        with pytest.raises(ModelUnavailable, match=reason) as caught:
            await answer(engine, "hello")
        errors.append(caught.value)

    async with fake_pool() as pool:
        engine = await pool.engine(fake_model(tmp_path, name))
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask, engine)
        with pytest.raises(ModelUnavailable, match=reason):
            await pool.load(fake_model(tmp_path, name))
        assert pool.loaded() == ()
    assert len({id(error) for error in errors}) == 3
    assert all(error.data["model"] == name for error in errors)


async def test_file_that_is_gone_is_unavailable_without_starting_a_worker(tmp_path: Path) -> None:
    async with fake_pool() as pool:
        missing = ModelSpec(name="gone", kind="file", path=str(tmp_path / "gone.gguf"))
        with pytest.raises(ModelUnavailable, match="No such file"):
            await pool.load(missing)
        assert pool.workers() == ()


@JUMPING
async def test_idle_worker_leaves_memory_and_comes_back(tmp_path: Path) -> None:
    async with fake_pool(fake_settings(keep_alive_s=30)) as pool:
        engine = await pool.engine(fake_model(tmp_path))
        assert await answer(engine, "hello") == "hello"
        (pid,) = pids(pool)
        CLOCK.jump(30)
        await until(lambda: pool.workers() == ())
        assert pool.loaded() == ()
        assert await answer(engine, "again") == "again"
        assert pids(pool) != {pid}


@JUMPING
async def test_busy_worker_outlives_its_keep_alive(tmp_path: Path) -> None:
    async with fake_pool(fake_settings(keep_alive_s=10)) as pool:
        engine = await pool.engine(fake_model(tmp_path))
        async with occupied(engine):
            CLOCK.jump(20)
            await trio.testing.wait_all_tasks_blocked()
            assert pool.loaded() == ("fake",)


async def test_negative_keep_alive_keeps_forever(tmp_path: Path) -> None:
    async with fake_pool(fake_settings(keep_alive_s=-1)) as pool:
        await pool.load(fake_model(tmp_path))
        with trio.move_on_after(0.2):
            await until(lambda: pool.workers() == ())
        assert pool.loaded() == ("fake",)


async def test_prewarmed_worker_takes_the_next_load(tmp_path: Path) -> None:
    async with fake_pool() as pool:
        pool.prewarm()
        pool.prewarm()
        await until(lambda: bool(pool.workers()))
        (blank,) = pool.workers()
        assert blank.model is None
        assert await answer(await pool.engine(fake_model(tmp_path)), "hello") == "hello"
        assert pids(pool) == {blank.pid}


async def test_prewarmed_worker_may_load_for_longer_than_it_would_have_been_kept(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gated.fifo")
    async with fake_pool(fake_settings(keep_alive_s=0.3)) as pool, trio.open_nursery() as nursery:
        pool.prewarm()
        nursery.start_soon(pool.load, fake_model(tmp_path, "gated"))
        await until((tmp_path / "gated.reached").exists)
        with trio.move_on_after(0.4):
            await until(lambda: pool.workers() == ())
        gate = os.open(tmp_path / "gated.fifo", os.O_RDWR)
        await until(lambda: pool.loaded() == ("gated",))
        os.close(gate)


async def test_dead_prewarmed_worker_is_replaced(tmp_path: Path) -> None:
    async with fake_pool() as pool:
        pool.prewarm()
        await until(lambda: bool(pool.workers()))
        os.kill(pool.workers()[0].pid, signal.SIGKILL)
        await until(lambda: pool.workers() == ())
        assert await answer(await pool.engine(fake_model(tmp_path)), "hello") == "hello"


@JUMPING
async def test_prewarmed_worker_is_not_kept_forever() -> None:
    async with fake_pool(fake_settings(keep_alive_s=30)) as pool:
        pool.prewarm()
        await until(lambda: bool(pool.workers()))
        CLOCK.jump(30)
        await until(lambda: pool.workers() == ())


async def test_unload_frees_an_idle_model_at_once(tmp_path: Path) -> None:
    async with fake_pool() as pool:
        assert not await pool.unload("fake")
        await pool.load(fake_model(tmp_path))
        assert await pool.unload("fake")
        assert pool.workers() == ()


async def test_unload_lets_a_running_request_end(tmp_path: Path) -> None:
    async with fake_pool() as pool:
        engine = await pool.engine(fake_model(tmp_path))
        async with occupied(engine):
            assert await pool.unload("fake")
            assert pool.loaded() == ("fake",)
        await until(lambda: pool.workers() == ())
        await pool.load(fake_model(tmp_path))
        with trio.move_on_after(0.2):
            await until(lambda: pool.workers() == ())
        assert pool.loaded() == ("fake",)


async def test_idle_model_makes_room_for_one_that_would_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "available_bytes", lambda: RESERVE_BYTES + 1000 * MB)
    async with fake_pool() as pool:
        await pool.load(fake_model(tmp_path, "small", 300 * MB))
        await pool.load(fake_model(tmp_path, "medium", 500 * MB))
        assert set(pool.loaded()) == {"small", "medium"}
        await pool.load(fake_model(tmp_path, "large", 400 * MB))
        assert set(pool.loaded()) == {"medium", "large"}


async def test_busy_model_is_never_unloaded_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "available_bytes", lambda: RESERVE_BYTES + 1000 * MB)
    async with fake_pool() as pool, occupied(await pool.engine(fake_model(tmp_path, "one", 600 * MB))):
        with pytest.raises(ModelUnavailable) as caught:
            await pool.load(fake_model(tmp_path, "two", 500 * MB))
        assert caught.value.message == (
            "two needs 0.5 GB of memory (weights 0.5 GB, context 0 MB), 0.4 GB are available"
        )
        assert caught.value.hint == "unload one"
        assert pool.loaded() == ("one",)
        assert len(pool.workers()) == 1, "none is started for what has no room"
    monkeypatch.setattr(pool_module, "available_bytes", lambda: None)
    async with fake_pool() as pool:
        await pool.load(fake_model(tmp_path, "two", 500 * MB))


async def test_context_counts_as_the_header_tells_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "available_bytes", lambda: RESERVE_BYTES + 1000 * MB)
    shape = ModelShape(kv_bytes_per_token=MB, n_ctx_train_tokens=4096)
    spec = dataclasses.replace(fake_model(tmp_path, size_bytes=500 * MB), shape=shape)
    async with fake_pool() as pool:
        with pytest.raises(ModelUnavailable, match=r"weights 0\.5 GB, context 4\.1 GB") as caught:
            await pool.load(spec)
        assert caught.value.hint == "set a smaller inference.n_ctx"
        pool.configure(fake_settings(n_ctx=400))
        await pool.load(spec)


async def test_two_newcomers_do_not_count_on_the_same_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "available_bytes", lambda: RESERVE_BYTES + 1000 * MB)
    os.mkfifo(tmp_path / "gated.fifo")
    async with fake_pool() as pool, trio.open_nursery() as nursery:
        nursery.start_soon(pool.load, fake_model(tmp_path, "gated", 600 * MB))
        await until((tmp_path / "gated.reached").exists)
        with pytest.raises(ModelUnavailable, match=r"0\.4 GB are available"):
            await pool.load(fake_model(tmp_path, "other", 600 * MB))
        gate = os.open(tmp_path / "gated.fifo", os.O_RDWR)
        await until(lambda: pool.loaded() == ("gated",))
        os.close(gate)


async def test_speed_is_told_while_it_answers_and_afterwards(tmp_path: Path) -> None:
    async with fake_pool() as pool:
        engine = await pool.engine(fake_model(tmp_path))
        await pool.load(fake_model(tmp_path))
        assert pool.workers()[0].tokens_per_s == 0
        async with engine.stream(request("slow:100000")) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    break
            assert pool.workers()[0].tokens_per_s > 0
        await until(lambda: pool.busy == 0)
        assert await answer(engine, "count:10")
        # The fake claims a millisecond a token.
        assert pool.workers()[0].tokens_per_s == 1000


async def test_what_was_measured_holds_from_the_next_load(tmp_path: Path) -> None:
    spec, kept = fake_model(tmp_path), tmp_path / "cache" / "tuning"
    with trio.fail_after(PATIENCE_S):
        async with open_pool(fake_settings(threads=0), environ=os.environ, instance="t", tuning_dir=kept) as pool:
            assert await answer(await pool.engine(spec), "hello") == "hello"
            assert pool.in_force("fake") == Tuning(attention="auto", threads=8, threads_batch=8, batch_tokens=256)
            assert pool.workers()[0].detail == "attention auto, threads 8, batches of 256"
            await until(lambda: any(kept.glob("*.json")))
            assert await pool.unload("fake")
            assert pool.in_force("fake") is None
            await pool.load(spec)
            best = Tuning(attention="plain", threads=3, threads_batch=4, batch_tokens=512)
            assert pool.in_force("fake") == best
            calibrated = await pool.calibrated(str(spec.path))
            assert calibrated is not None
            assert (calibrated.best, calibrated.measured[0].tokens_per_s) == (best, 9.5)
        settings = fake_settings(calibrate=False)
        async with open_pool(settings, environ=os.environ, instance="t", tuning_dir=kept) as pool:
            await pool.load(spec)
            assert pool.in_force("fake") == Tuning(attention="auto", threads=8, threads_batch=8, batch_tokens=256)


async def test_count_needs_no_slot(tmp_path: Path) -> None:
    async with fake_pool() as pool:
        engine = await pool.engine(fake_model(tmp_path))
        async with trio.open_nursery() as nursery, occupied(engine):
            nursery.start_soon(answer, engine, "waits for a slot")
            await until(lambda: pool.queue_length == 1)
            count = await engine.count((ChatMessage(role="user", content="a b c"),))
        assert (count.tokens, count.n_ctx_tokens, count.estimated) == (3, 4096, False)


async def test_prompt_that_does_not_fit_is_a_context_overflow_with_the_numbers(tmp_path: Path) -> None:
    async with fake_pool() as pool:
        engine = await pool.engine(fake_model(tmp_path))
        with pytest.raises(ContextOverflow) as caught:
            await answer(engine, "w " * 5000)
        assert caught.value.data == {"prompt_tokens": 5000, "n_ctx_tokens": 4096, "model": "fake"}
        assert await answer(engine, "short") == "short"


async def test_failure_of_the_engine_leaves_the_worker_usable(tmp_path: Path) -> None:
    async with fake_pool() as pool:
        engine = await pool.engine(fake_model(tmp_path))
        with pytest.raises(ModelUnavailable, match="as you asked"):
            await answer(engine, "fail")
        before = pids(pool)
        assert await answer(engine, "hello") == "hello"
        assert pids(pool) == before


async def test_closed_pool_refuses_and_ends_waiting(tmp_path: Path) -> None:
    async with fake_pool() as pool:
        engine = await pool.engine(fake_model(tmp_path))
        async with trio.open_nursery() as nursery, occupied(engine):

            async def wait_in_line() -> None:
                with pytest.raises(ShuttingDown):
                    await answer(engine, "waits")

            nursery.start_soon(wait_in_line)
            await until(lambda: pool.queue_length == 1)
            pool.close()
            with pytest.raises(ShuttingDown):
                await answer(engine, "late")


async def test_leaving_the_pool_leaves_no_process(tmp_path: Path) -> None:
    async with fake_pool() as pool:
        pool.prewarm()
        await pool.load(fake_model(tmp_path))
        pool.prewarm()
        await until(lambda: len(pool.workers()) == 2)
        left = pids(pool)
    assert len(left) == 2
    for pid in left:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


async def test_echo_is_the_only_built_in() -> None:
    async with fake_pool() as pool:
        assert isinstance(await pool.engine(ModelSpec(name="echo", kind="builtin")), EchoEngine)
        with pytest.raises(ModelUnavailable):
            await pool.engine(ModelSpec(name="ohce", kind="builtin"))


async def test_missing_api_key_names_the_variable() -> None:
    provider = ProviderSpec(name="far", base_url="http://127.0.0.1:1/v1", api_key_env="FAR_KEY", model="m")
    spec = ModelSpec(name="far/m", kind="provider", provider=provider)
    with trio.fail_after(PATIENCE_S):
        async with open_pool(fake_settings(), environ={}, instance="test") as pool:
            with pytest.raises(ModelUnavailable) as caught:
                await pool.engine(spec)
    assert "FAR_KEY" in caught.value.hint
    async with open_pool(fake_settings(), environ={"FAR_KEY": "sk-1"}, instance="test") as pool:
        assert await pool.engine(spec) is not None


def test_available_memory_is_known_where_the_system_tells_it() -> None:
    available = memory.available_bytes()
    assert available is None or available > 1 << 20


async def test_a_bug_in_following_a_worker_ends_that_worker_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real_run = WorkerProcess.run

    async def run(worker: WorkerProcess) -> None:
        await real_run(worker)
        raise AttributeError("a bug of ours")

    monkeypatch.setattr(WorkerProcess, "run", run)
    async with open_pool(fake_settings(), environ={}, instance="i") as pool:
        await pool.load(fake_model(tmp_path, "m"))
        assert await pool.unload("m")
        await pool.load(fake_model(tmp_path, "other"))
        assert pool.loaded() == ("other",)
    assert "a bug of ours" in caplog.text


async def test_all_models_stand_still_and_go_on_also_one_that_is_loaded_meanwhile(tmp_path: Path) -> None:
    said: dict[str, str] = {}

    async def ask(engine: Engine, text: str) -> None:
        async with engine.stream(request(text)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    said[text] = said.get(text, "") + "".join(event.texts)

    async with fake_pool() as pool:
        first = await pool.engine(fake_model(tmp_path, "first"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, first, "slow:50")
            await until(lambda: "slow:50" in said)
            await pool.pause()
            by_then = dict(said)
            second = await pool.engine(fake_model(tmp_path, "second"))
            nursery.start_soon(ask, second, "count:3")
            await until(lambda: pool.loaded() == ("first", "second"))
            await until(lambda: pool.busy == 2)
            # A count is answered after all that was computed before it.
            await second.count((ChatMessage(role="user", content="a b c"),))
            assert said == by_then
            pool.resume()
    assert said == {"slow:50": "".join(f"t{number} " for number in range(50)), "count:3": "t0 t1 t2 "}


async def test_worker_that_does_not_stand_still_is_waited_for_so_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "PAUSE_S", 0.05)
    async with fake_pool(fake_settings("--deaf-to-pauses")) as pool:
        engine = await pool.engine(fake_model(tmp_path))
        await pool.load(fake_model(tmp_path))
        await pool.pause()
        await pool.pause()
        pool.resume()
        assert await answer(engine, "good morning") == "good morning"
