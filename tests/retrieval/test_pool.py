"""Retrieval as the daemon uses it: what its callers get, whatever becomes of the worker."""

from __future__ import annotations

import dataclasses
import os
import signal
import struct
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from agentgw.protocol.errors import InvalidParams, ModelUnavailable, Overloaded, ShuttingDown, Timeout, WorkerDied
from agentgw_daemon.retrieval.pool import QUERY_TEXTS, Retrieval
from agentgw_daemon.retrieval.results import ExtractedDocument, IndexFailed, UnchangedDocument, UnreadableDocument
from agentgw_daemon.retrieval.role_queue import RoleQueue
from agentgw_daemon.system.child_environment import worker_environment
from agentgw_daemon.system.memory import rss_bytes
from agentgw_daemon.workers.protocol import retrieval as wire
from tests.patience import PATIENCE_S
from tests.polling import until
from tests.retrieval.fakeworker import DIM, EMBEDDER, fake_settings, packed
from tests.workers.retrieval.live import running

pytestmark = pytest.mark.anyio

GONE = "was killed by SIGSEGV"


async def query(retrieval: Retrieval, *texts: str) -> tuple[bytes, ...]:
    return await retrieval.embed(texts, purpose="query")


async def read(retrieval: Retrieval, **given: str) -> ExtractedDocument | UnchangedDocument:
    return await retrieval.read(**given, chunk_tokens=100)  # type: ignore[arg-type]  # names are the caller's


async def pid_of(retrieval: Retrieval) -> int:
    with pytest.raises(ModelUnavailable) as caught:
        await query(retrieval, "pid")
    return int(caught.value.data["reason"])


@pytest.mark.parametrize("purpose", ["query", "bulk"])
async def test_each_text_gets_its_vector(purpose: str) -> None:
    async with running() as retrieval:
        vectors = await retrieval.embed(["one two", "", "three"], purpose=purpose)  # type: ignore[arg-type]
    assert vectors == (packed("one two"), packed(""), packed("three"))
    assert all(abs(sum(x * x for x in struct.unpack(f"<{DIM}f", one)) - 1) < 1e-5 for one in vectors)


@pytest.mark.parametrize(
    ("purpose", "kind", "count", "prompt"),
    [
        ("query", None, 1, "query: "),
        ("query", None, QUERY_TEXTS + 1, "query: "),
        ("bulk", None, 1, "passage: "),
        ("query", "document", 1, "passage: "),
        ("query", "document", QUERY_TEXTS + 1, "passage: "),
        ("bulk", "query", 1, "query: "),
    ],
)
async def test_each_text_is_read_behind_the_prompt_of_its_kind(
    purpose: Any, kind: Any, count: int, prompt: str
) -> None:
    embedder = dataclasses.replace(EMBEDDER, query_prompt="query: ", document_prompt="passage: ")
    async with running() as retrieval:
        vectors = await retrieval.embed(["bees"] * count, purpose=purpose, embedder=embedder, kind=kind)
    assert vectors == (packed(f"{prompt}bees"),) * count


@pytest.mark.parametrize("purpose", ["query", "bulk"])
async def test_no_texts_are_no_work(purpose: str) -> None:
    async with running() as retrieval:
        assert await retrieval.embed([], purpose=purpose) == ()  # type: ignore[arg-type]
        assert retrieval.workers() == ()


async def test_many_texts_for_a_query_are_computed_as_bulk() -> None:
    async with running() as retrieval:
        await retrieval.embed(["x"] * 300, purpose="query")
        assert [worker.detail for worker in retrieval.workers()] == ["bulk"]


async def test_workers_are_shown_with_their_role_and_the_embedder() -> None:
    async with running() as retrieval:
        await query(retrieval, "x")
        [worker] = retrieval.workers()
    assert (worker.kind, worker.detail, worker.model, worker.busy, worker.slots) == (
        "retrieval",
        "search",
        "fake",
        0,
        1,
    )
    assert worker.pid
    assert worker.rss_bytes


async def test_a_document_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Title\n\nfirst part\n\nsecond\npart\n")
    async with running() as retrieval:
        found = await read(retrieval, path=str(path))
        assert isinstance(found, ExtractedDocument)
        assert [(piece.text, piece.first_line, piece.last_line) for piece in found.pieces] == [
            ("Title", 1, 1), ("first part", 3, 3), ("second\npart", 5, 6),
        ]  # fmt: skip
        assert (found.title, found.size_bytes, found.mtime_ns) == ("Title", 31, path.stat().st_mtime_ns)
        again = await read(retrieval, path=str(path), known_sha256=found.sha256)
    assert isinstance(again, UnchangedDocument)
    assert again.sha256 == found.sha256


async def test_text_is_read_without_a_file() -> None:
    async with running() as retrieval:
        found = await read(retrieval, text="one\n\ntwo", name="note.md")
    assert isinstance(found, ExtractedDocument)
    assert [piece.text for piece in found.pieces] == ["one", "two"]


async def test_names_that_are_not_utf8_reach_the_worker(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.txt"
    Path(os.fsdecode(path)).write_bytes(b"content")
    async with running() as retrieval:
        found = await read(retrieval, path=os.fsdecode(path))
    assert isinstance(found, ExtractedDocument)
    assert found.title == "content"


async def test_a_document_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    async with running() as retrieval:
        with pytest.raises(UnreadableDocument, match="no such file"):
            await read(retrieval, path=str(tmp_path / "absent"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("die:11", "the retrieval worker was killed by SIGSEGV"),
        ("exit:3", "the retrieval worker exited with status 3"),
        ("hang", "the retrieval worker said nothing for"),
        ("garbage", "broke the protocol: not a message"),
        ("flood", "broke the protocol"),
        ("stray", "broke the protocol: Warmed for a request that is not running"),
        ("greedy", "used 1048576 MiB of memory"),
    ],
)
async def test_a_document_that_breaks_its_worker_is_unreadable_and_the_next_is_read(text: str, reason: str) -> None:
    settings = fake_settings(heartbeat_timeout_s=0.5)
    async with running(settings) as retrieval:
        with pytest.raises(UnreadableDocument, match=reason):
            await read(retrieval, text=text)
        assert isinstance(await read(retrieval, text="fine"), ExtractedDocument)


async def test_a_document_that_takes_too_long_is_unreadable_and_the_next_is_read() -> None:
    async with running(fake_settings(read_timeout_s=0.3)) as retrieval:
        with pytest.raises(UnreadableDocument, match=r"took more than 0\.3 s"):
            await read(retrieval, text="deaf")
    async with running() as retrieval:
        assert isinstance(await read(retrieval, text="fine"), ExtractedDocument)


async def test_any_number_of_documents_may_break_their_worker() -> None:
    async with running() as retrieval:
        for _ in range(8):
            with pytest.raises(UnreadableDocument):
                await read(retrieval, text="die:11")
        assert isinstance(await read(retrieval, text="fine"), ExtractedDocument)


@pytest.mark.parametrize("purpose", ["query", "bulk"])
async def test_a_death_is_told_once_and_the_next_request_works(purpose: str) -> None:
    async with running() as retrieval:
        with pytest.raises(WorkerDied, match=GONE) as caught:
            await retrieval.embed([f"die:{signal.SIGSEGV:d}"], purpose=purpose)  # type: ignore[arg-type]
        assert caught.value.data == {"worker": "retrieval", "status": -signal.SIGSEGV}
        assert await retrieval.embed(["x"], purpose=purpose) == (packed("x"),)  # type: ignore[arg-type]


async def test_a_death_fails_only_the_request_that_the_worker_had() -> None:
    results: dict[str, object] = {}

    async def ask(retrieval: Retrieval, text: str) -> None:
        try:
            results[text] = await query(retrieval, text)
        except WorkerDied as error:
            results[text] = error.message

    async with running() as retrieval, trio.open_nursery() as nursery:
        for text in ("a", "die:11", "b", "c"):
            nursery.start_soon(ask, retrieval, text)
    assert results.pop("die:11") == f"the retrieval worker {GONE}"
    assert results == {text: (packed(text),) for text in "abc"}


async def test_a_silent_worker_is_replaced() -> None:
    async with running(fake_settings(heartbeat_timeout_s=0.5)) as retrieval:
        with pytest.raises(WorkerDied, match=r"said nothing for 0\.5 s"):
            await query(retrieval, "hang")
        assert await query(retrieval, "x") == (packed("x"),)


async def test_one_role_hangs_and_the_others_go_on() -> None:
    async with running() as retrieval, trio.open_nursery() as nursery:
        nursery.start_soon(read_forever, retrieval)
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert await query(retrieval, "x") == (packed("x"),)
        assert await retrieval.embed(["x"], purpose="bulk") == (packed("x"),)
        nursery.cancel_scope.cancel()


async def read_forever(retrieval: Retrieval) -> None:
    await read(retrieval, text="slow")


async def test_a_cancelled_request_is_let_go_and_the_worker_stays() -> None:
    async with running() as retrieval:
        await read(retrieval, text="fine")
        [before] = retrieval.workers()
        with trio.move_on_after(0.1):
            await read(retrieval, text="slow")
        assert isinstance(await read(retrieval, text="fine"), ExtractedDocument)
        assert [worker.pid for worker in retrieval.workers()] == [before.pid]


async def test_a_worker_that_does_not_let_go_is_killed() -> None:
    async with running(fake_settings(cancel_timeout_s=0.2)) as retrieval:
        await read(retrieval, text="fine")
        [before] = retrieval.workers()
        with trio.move_on_after(0.1):
            await read(retrieval, text="deaf")
        assert isinstance(await read(retrieval, text="fine"), ExtractedDocument)
        assert [worker.pid for worker in retrieval.workers()] != [before.pid]


async def test_a_waiting_request_can_be_cancelled() -> None:
    async with running() as retrieval, trio.open_nursery() as nursery:
        nursery.start_soon(read_forever, retrieval)
        await trio.testing.wait_all_tasks_blocked(0.01)
        with trio.move_on_after(0.05) as patience:
            await read(retrieval, text="never")
        assert patience.cancelled_caught
        assert retrieval.queue_length == 0
        nursery.cancel_scope.cancel()
    assert retrieval.queue_length == 0


async def test_a_full_queue_refuses() -> None:
    async with running(fake_settings(max_queue=1)) as retrieval, trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(read_forever, retrieval)
            await trio.testing.wait_all_tasks_blocked(0.01)
        with pytest.raises(Overloaded):
            await read(retrieval, text="x")
        nursery.cancel_scope.cancel()


async def test_urgent_requests_pass_others() -> None:
    order: list[str] = []

    async def ask(retrieval: Retrieval, text: str, urgent: bool) -> None:
        await retrieval.index(wire.Embed(embedder=EMBEDDER, texts=(text,)), wire.Embedded, urgent=urgent)
        order.append(text)

    async with running() as retrieval, trio.open_nursery() as nursery:
        for text, urgent in (("first", False), ("later", False), ("now", True)):
            nursery.start_soon(ask, retrieval, text, urgent)
            await trio.testing.wait_all_tasks_blocked()
    assert order == ["first", "now", "later"]


async def test_a_worker_that_cannot_start_is_no_model_and_says_why() -> None:
    async with running(fake_settings("--exit", "3")) as retrieval:
        with pytest.raises(ModelUnavailable, match="exited with status 3"):
            await query(retrieval, "x")


async def test_a_worker_that_never_gets_ready_is_given_up() -> None:
    async with running(fake_settings("--never-ready", start_timeout_s=0.3)) as retrieval:
        with pytest.raises(ModelUnavailable, match=r"was not ready within 0\.3 s"):
            await query(retrieval, "x")


async def test_a_worker_of_another_version_is_refused() -> None:
    async with running(fake_settings("--version", "0.1")) as retrieval:
        with pytest.raises(ModelUnavailable, match=r"is version 0\.1") as caught:
            await query(retrieval, "x")
    assert caught.value.hint == "run `agentgw restart`"


async def test_one_that_dies_again_and_again_is_not_started_for_a_while() -> None:
    async with running() as retrieval:
        for _ in range(5):
            with pytest.raises(WorkerDied):
                await query(retrieval, "die:11")
        with pytest.raises(ModelUnavailable, match="died 5 times within a minute"):
            await query(retrieval, "x")


async def test_what_the_worker_refuses_is_told_by_its_kind() -> None:
    async with running() as retrieval:
        with pytest.raises(ModelUnavailable, match="fake cannot be used: as you asked"):
            await query(retrieval, "refuse:model")
        with pytest.raises(InvalidParams, match="as you asked"):
            await query(retrieval, "refuse:invalid")
        with pytest.raises(IndexFailed, match="as you asked"):
            await retrieval.index(wire.Embed(embedder=EMBEDDER, texts=("refuse:index",)), wire.Embedded)
        with pytest.raises(WorkerDied, match="answered with Embedded"):
            await retrieval.index(wire.Embed(embedder=EMBEDDER, texts=("x",)), wire.Warmed)


async def test_vectors_of_the_wrong_size_are_not_passed_on() -> None:
    async with running() as retrieval:
        with pytest.raises(WorkerDied, match="another size"):
            await query(retrieval, "short")


async def test_an_idle_worker_ends_and_the_next_request_starts_another() -> None:
    async with running(fake_settings(keep_alive_s=0)) as retrieval:
        first = await pid_of(retrieval)
        await until(lambda: not rss_bytes(first))
        assert retrieval.workers() == ()
        assert await pid_of(retrieval) != first


def test_the_worker_for_many_texts_leaves_sooner() -> None:
    settings = fake_settings(keep_alive_s=300.0)
    assert (settings.idle_s("search"), settings.idle_s("read"), settings.idle_s("bulk")) == (300.0, 300.0, 60.0)
    assert fake_settings(keep_alive_s=5.0).idle_s("bulk") == 5.0
    assert fake_settings(keep_alive_s=-1.0).idle_s("search") < 0 < fake_settings(keep_alive_s=-1.0).idle_s("bulk")


async def test_a_reloaded_configuration_holds_for_workers_that_are_idle() -> None:
    async with running() as retrieval:
        pid = await pid_of(retrieval)
        retrieval.configure(dataclasses.replace(fake_settings(), keep_alive_s=0))
        await until(lambda: not rss_bytes(pid))


async def test_a_prewarmed_worker_is_the_one_that_answers() -> None:
    async with trio.open_nursery() as nursery:
        role_queue = RoleQueue("search", fake_settings(), nursery, worker_environment(os.environ, "test"))
        role_queue.prewarm()
        process = role_queue.process
        assert process is not None
        await role_queue.ask(wire.Warm(embedder=EMBEDDER), timeout_s=PATIENCE_S)
        assert role_queue.process is process
        nursery.cancel_scope.cancel()


async def test_after_closing_nobody_comes_in_and_who_waits_is_told() -> None:
    async with running() as retrieval, trio.open_nursery() as nursery:
        nursery.start_soon(read_forever, retrieval)
        await trio.testing.wait_all_tasks_blocked(0.01)

        async def wait() -> None:
            with pytest.raises(ShuttingDown):
                await read(retrieval, text="x")

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked(0.01)
        retrieval.close()
        with pytest.raises(ShuttingDown):
            await query(retrieval, "x")
        nursery.cancel_scope.cancel()


async def test_leaving_reaps_every_worker() -> None:
    async with running() as retrieval:
        await query(retrieval, "x")
        await read(retrieval, text="x")
        pids = [worker.pid for worker in retrieval.workers()]
    assert len(pids) == 2
    assert not any(map(rss_bytes, pids))


async def test_workers_get_none_of_the_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    async with running() as retrieval:
        with pytest.raises(ModelUnavailable) as caught:
            await query(retrieval, "env")
    names = caught.value.data["reason"].split()
    assert "OPENAI_API_KEY" not in names
    assert {"PATH", "AGENTGW_INSTANCE"} <= set(names)


async def test_a_time_limit_of_a_search_is_a_timeout() -> None:
    async with running(fake_settings(request_timeout_s=0.3)) as retrieval:
        with pytest.raises(Timeout):
            await query(retrieval, "deaf")
