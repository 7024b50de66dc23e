"""One worker process: what its requests hear whatever happens to it."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from agentgw.protocol.errors import ModelUnavailable, WorkerDied
from agentgw_daemon.inference.hosting.supervisor import WorkerProcess
from agentgw_daemon.inference.spec import InferenceSettings
from agentgw_daemon.system.child_environment import worker_environment
from agentgw_daemon.system.memory import rss_bytes
from agentgw_daemon.workers.protocol import model as wire
from tests.inference.hosting.fakeworker import fake_settings
from tests.jumping import CLOCK, JUMPING
from tests.patience import PATIENCE_S
from tests.polling import until
from tests.root import ROOT

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def running(settings: InferenceSettings) -> AsyncIterator[WorkerProcess]:
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            worker = WorkerProcess(settings, worker_environment(os.environ, "test"))
            nursery.start_soon(worker.run)
            yield worker
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def loaded(settings: InferenceSettings | None = None) -> AsyncIterator[WorkerProcess]:
    async with running(settings or fake_settings()) as worker:
        await worker.load(wire.Load(path="/anything.gguf"))
        yield worker


def ask(worker: WorkerProcess, text: str) -> wire.Generate:
    return wire.Generate(request_id=worker.next_id(), messages=({"role": "user", "content": text},))


async def worker_beats(worker: WorkerProcess) -> None:
    """Waits for a sign of life."""
    before = worker._deadlines._heard_at
    await until(lambda: worker._deadlines._heard_at != before)


async def beats_for_a_minute(worker: WorkerProcess) -> None:
    """Lets a minute of the tests' clock pass, in which the worker gives signs of life and nothing else is heard."""
    for _ in range(3):
        CLOCK.jump(20)
        await worker_beats(worker)


async def answer(worker: WorkerProcess, text: str) -> str:
    async with worker.call(ask(worker, text)) as call:
        return "".join([t async for reply in call if isinstance(reply, wire.GenerationDelta) for t in reply.texts])


async def fate_of(worker: WorkerProcess, text: str) -> WorkerDied:
    async with worker.call(ask(worker, text)) as call:
        with pytest.raises(WorkerDied) as caught:
            async for _ in call:
                pass
        assert [reply async for reply in call] == []
    return caught.value


def assert_reaped(pid: int) -> None:
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


async def test_worker_answers_one_request_after_another() -> None:
    async with loaded() as worker:
        assert worker.engine == "fake"
        assert await answer(worker, "good morning") == "good morning"
        assert await answer(worker, "good night") == "good night"
        assert worker.busy == 0


async def test_worker_has_a_session_of_its_own_so_that_ctrl_c_passes_it_by() -> None:
    async with loaded() as worker:
        assert os.getsid(worker.pid) == worker.pid


async def test_replies_come_in_order_and_end_with_done() -> None:
    async with loaded() as worker, worker.call(ask(worker, "count:3")) as call:
        kinds = [type(reply) async for reply in call]
    assert kinds == [
        wire.Prefilled,
        wire.GenerationDelta,
        wire.GenerationDelta,
        wire.GenerationDelta,
        wire.GenerationDone,
    ]


async def test_count_is_answered() -> None:
    async with loaded() as worker:
        count = wire.CountPrompt(request_id=worker.next_id(), messages=({"role": "user", "content": "a b c"},))
        async with worker.call(count) as call:
            replies = [reply async for reply in call]
    assert replies == [wire.Counted(request_id=count.request_id, tokens=3, text="a b c")]


async def test_answered_request_is_not_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with loaded() as worker:
        for _ in range(20):
            async with worker.call(ask(worker, "hi")) as call:
                async for reply in call:
                    if isinstance(reply, wire.GenerationDone):
                        break
        worker.retire_at(trio.current_time())
        await worker.dead.wait()
    assert "request that is over" not in caplog.text


async def test_two_requests_at_once_get_their_own_replies() -> None:
    texts: dict[str, str] = {}

    async def collect(worker: WorkerProcess, text: str) -> None:
        texts[text] = await answer(worker, text)

    async with loaded(fake_settings("--slots", "2")) as worker, trio.open_nursery() as nursery:
        nursery.start_soon(collect, worker, "to be or not")
        nursery.start_soon(collect, worker, "count:2")
    assert texts == {"to be or not": "to be or not", "count:2": "t0 t1 "}


@pytest.mark.parametrize(
    ("request_text", "exit_reason", "status"),
    [
        ("die:9", "was killed by SIGKILL", -9),
        ("die:11", "was killed by SIGSEGV", -11),
        ("exit:3", "exited with status 3", 3),
    ],
)
async def test_death_is_told_once_after_what_was_said(request_text: str, exit_reason: str, status: int) -> None:
    async with loaded() as worker:
        async with worker.call(ask(worker, request_text)) as call:
            said = [await anext(call) for _ in range(4)][1:]
            with pytest.raises(WorkerDied) as caught:
                await anext(call)
            assert [reply async for reply in call] == []
        assert [reply.texts for reply in said if isinstance(reply, wire.GenerationDelta)] == [
            ("one ",),
            ("two ",),
            ("three ",),
        ]
        assert caught.value.message == f"the model worker {exit_reason}"
        assert caught.value.data == {"worker": "model", "status": status}
        assert worker.crashed
        assert_reaped(worker.pid)


async def test_death_is_noticed_although_a_stranger_holds_the_pipe() -> None:
    async with loaded() as worker:
        assert (await fate_of(worker, "lend:9")).data["status"] == -9


async def test_death_is_told_to_every_running_request() -> None:
    deaths = []

    async def die(worker: WorkerProcess) -> None:
        deaths.append(await fate_of(worker, "prefill"))

    async with loaded(fake_settings("--slots", "3")) as worker, trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(die, worker)
        await trio.testing.wait_all_tasks_blocked()
        os.kill(worker.pid, signal.SIGKILL)
    assert len(deaths) == len({id(death) for death in deaths}) == 3


async def test_calling_a_dead_worker_raises_at_once() -> None:
    async with loaded() as worker:
        os.kill(worker.pid, signal.SIGKILL)
        await worker.dead.wait()
        with pytest.raises(WorkerDied):
            await answer(worker, "hello")


async def test_silent_worker_is_killed_when_busy() -> None:
    async with loaded(fake_settings(heartbeat_timeout_s=0.3)) as worker:
        death = await fate_of(worker, "hang")
        assert death.message == "the model worker said nothing for 0.3 s"
        assert_reaped(worker.pid)


@JUMPING
async def test_stopped_process_is_killed() -> None:
    async with loaded(fake_settings(heartbeat_timeout_s=30)) as worker:
        async with worker.call(ask(worker, "prefill")) as call:
            await anext(call)
            os.kill(worker.pid, signal.SIGSTOP)
            CLOCK.jump(30)
            with pytest.raises(WorkerDied):
                await anext(call)
        assert_reaped(worker.pid)


@JUMPING
async def test_heartbeats_keep_a_slow_worker_alive() -> None:
    async with loaded(fake_settings(heartbeat_timeout_s=30)) as worker, worker.call(ask(worker, "prefill")) as call:
        await anext(call)
        await beats_for_a_minute(worker)
        assert worker.usable


async def test_worker_that_beats_but_computes_nothing_is_killed() -> None:
    async with loaded(fake_settings(progress_timeout_s=0.3)) as worker:
        death = await fate_of(worker, "deaf")
        assert death.message == "the model worker computed nothing for 0.3 s"


@JUMPING
async def test_idle_worker_may_be_silent() -> None:
    async with loaded(fake_settings(heartbeat_timeout_s=30)) as worker:
        CLOCK.jump(60)
        await trio.testing.wait_all_tasks_blocked()
        assert await answer(worker, "still there") == "still there"


async def test_worker_that_eats_memory_is_killed() -> None:
    async with loaded(fake_settings(memory_cap_bytes=1 << 30)) as worker:
        death = await fate_of(worker, "greedy")
        assert "more than its 1024 MiB" in death.message


async def test_garbage_on_the_wire_ends_the_worker() -> None:
    async with loaded() as worker:
        death = await fate_of(worker, "garbage")
        assert "broke the protocol" in death.message
        assert_reaped(worker.pid)


@pytest.mark.parametrize("text", ["prefill", "slow:100000", "flood"])
async def test_leaving_a_call_cancels_it_in_the_worker(text: str) -> None:
    async with loaded() as worker:
        async with worker.call(ask(worker, text)) as call:
            await anext(call)
        await call.ended.wait()
        assert worker.busy == 0
        assert await answer(worker, "next") == "next"


async def test_worker_that_ignores_a_cancel_is_killed() -> None:
    settings = fake_settings("--slots", "2", cancel_timeout_s=0.1)
    async with loaded(settings) as worker, worker.call(ask(worker, "prefill")) as bystander:
        await anext(bystander)
        async with worker.call(ask(worker, "stuck")) as call:
            for _ in ("progress", "one", "two", "three"):
                await anext(call)
        with pytest.raises(WorkerDied, match="did not let go"):
            await anext(bystander)


async def test_cancelled_reader_cancels_the_request() -> None:
    async with loaded() as worker:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer, worker, "slow:100000")
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert await answer(worker, "next") == "next"


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads resident size from /proc")
async def test_flood_that_nobody_reads_waits_in_the_worker() -> None:
    async with loaded() as worker:
        async with worker.call(ask(worker, "flood")) as call:
            await anext(call)
            await until(lambda: call.parked)
            ours, its = rss_bytes(os.getpid()), rss_bytes(worker.pid)
            with trio.move_on_after(0.5):
                await worker.dead.wait()
            assert rss_bytes(os.getpid()) - ours < 1 << 20
            assert rss_bytes(worker.pid) - its < 1 << 20
            for _ in range(3 * wire.WINDOW_TEXTS):
                await anext(call)
        await call.ended.wait()
        assert worker.usable


@JUMPING
async def test_slow_reader_is_no_silent_worker() -> None:
    settings = fake_settings(heartbeat_timeout_s=30)
    async with loaded(settings) as worker, worker.call(ask(worker, "count:20000")) as call:
        await anext(call)
        await beats_for_a_minute(worker)
        assert [type(reply) async for reply in call][-1] is wire.GenerationDone


async def test_reader_who_pauses_stops_no_other_stream() -> None:
    async with loaded(fake_settings("--slots", "2")) as worker, worker.call(ask(worker, "flood")) as paused:
        await anext(paused)
        # More than all that a pipe and its buffers hold.
        assert len((await answer(worker, "count:50000")).split()) == 50_000
        for _ in range(2 * wire.WINDOW_TEXTS):
            await anext(paused)


@JUMPING
async def test_reader_who_pauses_is_not_waited_for_as_if_the_worker_were_stuck() -> None:
    async with loaded(fake_settings(progress_timeout_s=30)) as worker, worker.call(ask(worker, "flood")) as call:
        await anext(call)
        await until(lambda: call.parked)
        await beats_for_a_minute(worker)
        for _ in range(2 * wire.WINDOW_TEXTS):
            await anext(call)
        assert worker.usable


async def test_paused_worker_says_nothing_more_and_goes_on_where_it_was() -> None:
    async with loaded() as worker, worker.call(ask(worker, "slow:60")) as call:
        said: list[str] = []

        async def read() -> None:
            async for reply in call:
                if isinstance(reply, wire.GenerationDelta):
                    said.extend(reply.texts)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await until(lambda: said)
            worker.pause()
            await worker.wait_paused()
            by_then = len(said)
            # It beats on, and each beat would have come after a token.
            for _ in range(3):
                await worker_beats(worker)
            assert len(said) == by_then < 60
            worker.resume()
    assert said == [f"t{number} " for number in range(60)]


@JUMPING
async def test_paused_worker_owes_no_progress_and_beats_are_still_owed() -> None:
    async with loaded(fake_settings(progress_timeout_s=30)) as worker:
        worker.pause()
        async with worker.call(ask(worker, "slow:5")) as call:
            await beats_for_a_minute(worker)
            assert worker.usable
            worker.resume()
            assert isinstance([reply async for reply in call][-1], wire.GenerationDone)
    async with loaded(fake_settings(heartbeat_timeout_s=0.3)) as worker:
        worker.pause()
        assert (await fate_of(worker, "hang")).message == "the model worker said nothing for 0.3 s"


async def test_request_that_is_cancelled_while_all_stands_still_is_let_go() -> None:
    async with loaded(fake_settings(cancel_timeout_s=5)) as worker:
        async with worker.call(ask(worker, "slow:60")) as call:
            await anext(call)
            worker.pause()
        await call.ended.wait()
        assert worker.usable
        async with worker.call(ask(worker, "later")) as waiting:
            worker.resume()
            assert isinstance([reply async for reply in waiting][-1], wire.GenerationDone)


async def test_death_while_it_stands_still_is_told_to_its_requests_and_to_who_waits() -> None:
    async with loaded() as worker, worker.call(ask(worker, "slow:60")) as call:
        worker.pause()
        async with trio.open_nursery() as nursery:
            # Nobody reads what it said, so it is waited for.
            nursery.start_soon(worker.wait_paused)
            os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(WorkerDied):
            async for _ in call:
                pass
        worker.pause()
        await worker.wait_paused()
        worker.resume()


async def test_an_answer_to_an_earlier_pause_counts_no_more() -> None:
    async with running(fake_settings("--deaf-to-pauses")) as worker:
        await worker.load(wire.Load(path="/anything.gguf"))
        worker.pause()
        worker.resume()
        worker.pause()
        with trio.move_on_after(0.2):
            await worker.wait_paused()
            raise AssertionError("it was not the answer to this one")


async def test_worker_that_sends_more_than_it_may_is_killed() -> None:
    async with loaded() as worker, worker.call(ask(worker, "pushy")) as call:
        with pytest.raises(WorkerDied, match="more text than was allowed"):
            async for _ in call:
                await worker.dead.wait()


async def test_worker_that_is_never_ready_is_given_up() -> None:
    async with running(fake_settings("--never-ready", start_timeout_s=0.3)) as worker:
        with pytest.raises(ModelUnavailable, match=r"was not ready within 0\.3 s"):
            await worker.wait_ready()
        assert_reaped(worker.pid)


async def test_worker_that_exits_at_once_says_how(caplog: pytest.LogCaptureFixture) -> None:
    async with running(fake_settings("--exit", "4")) as worker:
        with pytest.raises(ModelUnavailable, match="exited with status 4"):
            await worker.wait_ready()
    assert "no such engine" in caplog.text


async def test_command_that_is_not_there_is_an_error() -> None:
    async with running(InferenceSettings(command=("/nowhere/worker",))) as worker:
        with pytest.raises(ModelUnavailable, match="cannot be started"):
            await worker.wait_ready()


async def test_other_version_is_refused_with_the_remedy() -> None:
    async with running(fake_settings("--version", "0.1")) as worker:
        with pytest.raises(ModelUnavailable, match=r"is version 0\.1") as caught:
            await worker.load(wire.Load(path="/anything.gguf"))
    assert caught.value.hint == "run `agentgw restart`"


async def test_refused_model_gives_the_reason() -> None:
    async with running(fake_settings()) as worker:
        with pytest.raises(ModelUnavailable, match="not a usable GGUF"):
            await worker.load(wire.Load(path="/refused.gguf"))
        assert worker.usable


async def test_death_while_loading_is_no_model(caplog: pytest.LogCaptureFixture) -> None:
    async with running(fake_settings()) as worker:
        with pytest.raises(ModelUnavailable, match="was killed by SIGABRT while it loaded the model"):
            await worker.load(wire.Load(path="/dies.gguf"))
        assert_reaped(worker.pid)
    assert "GGML_ASSERT" in caplog.text


async def test_load_that_takes_too_long_is_given_up() -> None:
    async with running(fake_settings(load_timeout_s=0.2)) as worker:
        with pytest.raises(ModelUnavailable, match=r"took more than 0\.2 s"):
            await worker.load(wire.Load(path="/hangs.gguf"))


async def test_retirement_is_graceful_and_no_crash(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with loaded() as worker:
        worker.retire_at(trio.current_time())
        assert not worker.usable
        await worker.dead.wait()
        assert not worker.crashed
        assert_reaped(worker.pid)
    assert caplog.text == ""


async def test_cancelling_the_owner_reaps_a_worker_that_will_not_go() -> None:
    async with running(fake_settings("--never-ready", stop_timeout_s=0.1)) as worker:
        await trio.testing.wait_all_tasks_blocked(0.1)
        pid = worker.pid
    assert pid
    assert_reaped(pid)


async def test_worker_gets_none_of_the_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    async with loaded() as worker:
        names = (await answer(worker, "env")).split()
    assert "OPENAI_API_KEY" not in names
    assert {"PATH", "OMP_NUM_THREADS", "AGENTGW_INSTANCE"} <= set(names)


def test_pythonpath_goes_along_only_when_the_package_was_found_by_it() -> None:
    import agentgw_daemon

    home = str(Path(agentgw_daemon.__path__[0]).parent)
    assert "PYTHONPATH" not in worker_environment({"PYTHONPATH": "/elsewhere"}, "i")
    assert worker_environment({"PYTHONPATH": f"/elsewhere:{home}"}, "i")["PYTHONPATH"] == f"/elsewhere:{home}"


PARENT = """
import os, sys, trio
from agentgw_daemon.workers.protocol import model as wire
from agentgw_daemon.inference.hosting.supervisor import WorkerProcess
from tests.inference.hosting.fakeworker import fake_settings
from tests.polling import pause

async def main():
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            worker = WorkerProcess(fake_settings("--alive", sys.argv[1]), dict(os.environ))
            nursery.start_soon(worker.run)
            await worker.load(wire.Load(path="/anything.gguf"))
        print("up", flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


def test_workers_die_with_their_parent(tmp_path: Path) -> None:
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    # Opened first and non-blocking: a reader must be there before the workers can open it for writing.
    alive = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with subprocess.Popen([sys.executable, "-c", PARENT, str(fifo)], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        parent.kill()

    async def wait_until_no_writer_is_left() -> None:
        with trio.fail_after(PATIENCE_S):
            async with trio.lowlevel.FdStream(alive) as stream:
                assert await stream.receive_some(1) == b""

    trio.run(wait_until_no_writer_is_left)
