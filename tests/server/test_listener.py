"""Accepting: who is calling, how many, and what when descriptors run out."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from agentgw_daemon.server.calls.dispatch import overloaded
from agentgw_daemon.server.listener import Listener, peer_uid
from tests.patience import PATIENCE_S
from tests.polling import until

pytestmark = pytest.mark.anyio


# Connections of a test; closed with its listener.
OPEN: list[trio.SocketStream] = []


async def greet(stream: trio.SocketStream) -> None:
    async with stream:
        await stream.send_all(b"hello\n")
        await stream.receive_some()


@asynccontextmanager
async def listening(path: Path, max_connections: int = 10) -> AsyncIterator[Listener]:
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    made.listen(100)
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            listener = Listener(max_connections=max_connections, refusal=overloaded(max_connections))
            await nursery.start(listener.run, made, greet, nursery)
            yield listener
            while OPEN:
                await OPEN.pop().aclose()
            nursery.cancel_scope.cancel()


async def connect(path: Path) -> trio.SocketStream:
    stream = await trio.open_unix_socket(str(path))
    OPEN.append(stream)
    return stream


async def test_strangers_are_asked_nothing_where_they_may_come_in_and_one_too_many_hears_what_was_given() -> None:
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen(100)
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            listener = Listener(max_connections=1, strangers=True, refusal=b"full\n")
            address = made.getsockname()
            await nursery.start(listener.run, made, greet, nursery)
            first = await trio.open_tcp_stream(*address)
            assert await first.receive_some(6) == b"hello\n"
            second = await trio.open_tcp_stream(*address)
            assert await second.receive_some(5) == b"full\n"
            await first.aclose()
            await second.aclose()
            nursery.cancel_scope.cancel()


def test_the_kernel_says_who_is_at_the_other_end() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert peer_uid(ours) == os.geteuid()


async def test_connections_are_served_and_counted(tmp_path: Path) -> None:
    async with listening(tmp_path / "s") as listener:
        first, second = await connect(tmp_path / "s"), await connect(tmp_path / "s")
        assert await first.receive_some() == b"hello\n"
        assert await second.receive_some() == b"hello\n"
        assert listener.connections == 2
        await first.aclose()
        await until(lambda: listener.connections <= 1)


async def test_one_connection_too_many_is_told_so(tmp_path: Path) -> None:
    async with listening(tmp_path / "s", max_connections=2):
        kept = [await connect(tmp_path / "s") for _ in range(2)]
        for stream in kept:
            assert await stream.receive_some() == b"hello\n"
        refused = json.loads(await (await connect(tmp_path / "s")).receive_some())
        assert refused["error"]["code"] == -32004
        await kept[0].aclose()
        while True:
            again = await connect(tmp_path / "s")
            if await again.receive_some() == b"hello\n":
                return
            await again.aclose()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_another_user_is_refused_without_a_byte(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    code = f"""
import os, socket
os.setgid(65534); os.setuid(65534)
s = socket.socket(socket.AF_UNIX); s.connect({"s"!r}); s.settimeout(5)
print(repr(s.recv(100)))
"""
    # As if the directory and the socket had been left open to all; pytest's own folders above are not.
    folder = Path("/tmp") / f"agentgw-test-{os.getpid()}"
    folder.mkdir(mode=0o711)
    try:
        async with listening(folder / "s"):
            os.chmod(folder / "s", 0o666)
            done = await trio.run_process(
                [getattr(sys, "_base_executable", sys.executable), "-I", "-c", code], capture_stdout=True,
                cwd=str(folder), check=False, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        if done.returncode == 0:
            assert done.stdout == b"b''\n"
            assert "peer uid 65534 refused" in caplog.text
        else:
            pytest.skip("the interpreter is not readable for another user")
    finally:
        (folder / "s").unlink(missing_ok=True)
        folder.rmdir()


async def test_running_out_of_descriptors_ends_nothing(tmp_path: Path) -> None:
    """The listener is in a child with 64 descriptors: 200 connections, then room again, then service again."""
    done = await trio.run_process(
        [sys.executable, "-c", _EXHAUSTION, str(tmp_path / "s")], capture_stdout=True, check=False
    )
    assert done.stdout.decode().split() == ["survived"], done


_EXHAUSTION = """
import resource, socket, subprocess, sys, trio
from agentgw_daemon.server.calls.dispatch import overloaded
from agentgw_daemon.server.listener import Listener

async def greet(stream):
    try:
        async with stream:
            await stream.send_all(b"hello")
            await stream.receive_some()
    except trio.BrokenResourceError:
        pass

CLIENT = '''
import resource, socket, sys
kept = []
for _ in range(200):
    s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1]); kept.append(s)
for s in kept: s.close()
while True:
    s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1])
    try:
        if s.recv(5) == b"hello": break
    except ConnectionResetError: pass
'''

async def main(path):
    made = socket.socket(socket.AF_UNIX)
    made.bind(path)
    made.listen(1000)
    client = subprocess.Popen([sys.executable, "-I", "-c", CLIENT, path])
    # After the client has started, which needs more.
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    async with trio.open_nursery() as nursery:
        listener = Listener(max_connections=256, refusal=overloaded(256))
        await nursery.start(listener.run, made, greet, nursery)
        with trio.fail_after(15):
            while client.poll() is None:
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    print("survived" if client.returncode == 0 else client.returncode)

trio.run(main, sys.argv[1])
"""
