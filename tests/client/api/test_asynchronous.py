"""The asynchronous client under both loops: each test runs under asyncio and under trio."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from agentgw import AsyncAgentGWClient
from agentgw.api.loops import Handover
from agentgw.protocol.errors import DaemonUnreachable, NotFound, Timeout, UsageError
from tests.client.api.answers import RESULT, Silence, answer
from tests.client.fakedaemon import Failure, Peer, Serve
from tests.client.remote.sshd import install
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def in_parallel(*works: Callable[[], Awaitable[None]]) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        async with trio.open_nursery() as nursery:
            for work in works:
                nursery.start_soon(work)
        return
    await asyncio.gather(*(work() for work in works))


async def test_a_chat_gives_the_pieces_of_the_answer_and_then_its_result(home: Path, serve: Serve) -> None:
    serve({"turn.start": answer})
    async with AsyncAgentGWClient() as client:
        chat = client.chat("hi")
        assert [piece async for piece in chat] == ["one ", "two"]
        assert chat.result is not None
        assert (chat.result.text, chat.turn_id) == ("one two", "turn1")
        assert [piece async for piece in chat] == []
        assert (await client.run("hi")).text == "one two"


async def test_connections_are_used_again(home: Path, serve: Serve) -> None:
    daemon = serve({"ping": "pong", "session.list": {"sessions": []}, "turn.start": Failure(-32001, "no skill x")})
    async with AsyncAgentGWClient() as client:
        assert await client.call("ping") == "pong"
        with pytest.raises(NotFound):
            await client.run("hi")
        assert await client.sessions() == ()
        assert len(daemon.peers) == 1


async def test_a_connection_that_has_ended_is_not_used_again(home: Path, serve: Serve) -> None:
    daemon = serve({"ping": "pong"})
    async with AsyncAgentGWClient() as client:
        await client.call("ping")
        daemon.peers[0].connection.shutdown(2)
        assert daemon.peers[0].gone.wait(10)
        assert await client.call("ping") == "pong"


async def test_tasks_may_call_at_once(home: Path, serve: Serve) -> None:
    together = threading.Barrier(3, timeout=PATIENCE_S)

    def meet(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        together.wait()
        return {**RESULT, "text": params["message"]}

    serve({"turn.start": meet})
    said: list[str] = []
    async with AsyncAgentGWClient() as client:

        async def ask(text: str) -> None:
            said.append((await client.run(text)).text)

        await in_parallel(*(lambda text=text: ask(text) for text in ("a", "b", "c")))  # type: ignore[misc]  # bound now
    assert sorted(said) == ["a", "b", "c"]


@pytest.mark.parametrize("way", ["break", "with"])
async def test_leaving_a_chat_early_cancels_its_turn(home: Path, serve: Serve, way: str) -> None:
    silence = Silence()
    serve({"turn.start": silence})
    async with AsyncAgentGWClient() as client:
        if way == "break":
            async for piece in client.chat("hi"):
                assert piece == "begun"
                break
            gc.collect()
        else:
            async with client.chat("hi") as chat:
                assert await anext(chat) == "begun"
        assert silence.left.wait(10)


async def test_a_call_that_is_cancelled_cancels_its_turn(home: Path, serve: Serve) -> None:
    silence = Silence()
    serve({"turn.start": silence})
    with pytest.raises(Timeout, match=r"no answer within 0\.3 seconds"):
        await AsyncAgentGWClient(timeout_s=0.3).run("hi")
    assert silence.left.wait(10)


async def test_a_chat_has_one_limit_for_all_of_it(home: Path, serve: Serve) -> None:
    silence = Silence()
    serve({"turn.start": silence})
    chat = AsyncAgentGWClient(timeout_s=0.5).chat("hi")
    assert await anext(chat) == "begun"
    with pytest.raises(Timeout):
        await anext(chat)
    assert silence.left.wait(10)


async def test_much_is_sent_and_received(home: Path, serve: Serve) -> None:
    serve({"turn.start": lambda peer, params: peer.delta(params["message"]) or {**RESULT, "text": params["message"]}})
    text = "ü" * 400_000
    async with AsyncAgentGWClient() as client:
        assert "".join([piece async for piece in client.chat(text)]) == text


async def test_a_daemon_elsewhere(home: Path, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "bin", monkeypatch)
    serve({"turn.start": answer})
    async with AsyncAgentGWClient("ssh://laptop") as client:
        assert [piece async for piece in client.chat("hi")] == ["one ", "two"]
    with pytest.raises(DaemonUnreachable):
        await AsyncAgentGWClient("http://127.0.0.1:1").sessions()


async def test_a_closed_client_says_so(home: Path) -> None:
    client = AsyncAgentGWClient()
    client.close()
    with pytest.raises(UsageError, match="is closed"):
        await client.jobs()


@pytest.mark.parametrize("first", ["made", "abandoned"])
def test_what_comes_too_late_is_undone_once(first: str) -> None:
    undone: list[int] = []
    handover = Handover(lambda: 7, undone.append)
    steps = [handover.make, handover.abandon]
    for step in steps if first == "made" else reversed(steps):
        step()
    assert undone == [7]
