"""Too much of everything: silent readers, connections, descriptors."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.e2e.home import Home, rss_bytes, until
from tests.e2e.wire import Refused, Wire
from tests.patience import Stopwatch

pytestmark = pytest.mark.e2e

# 20,000 deltas: more than 3 MiB of notifications.
LARGE = "word " * 20_000
MIB = 1 << 20


def test_silent_readers_are_dropped_and_nobody_else_notices(home: Home) -> None:
    daemon = home.serve(environ={"AGENTGW_LIMITS__WRITE_STALL_S": "2"})
    with home.connect() as wire:
        # The memory of one such answer is not yet theirs.
        wire.call("turn.start", message=LARGE, model="echo", ephemeral=True)
    before = rss_bytes(daemon.pid)
    with ExitStack() as stack:
        silent = [stack.enter_context(home.connect()) for _ in range(20)]
        for wire in silent:
            wire.request("turn.start", message=LARGE, model="echo", ephemeral=True)
        watching = stack.enter_context(home.connect())
        until(lambda: watching.call("hello", client="t", version="0", protocol=1)["busy"], "the turns run")
        watch = Stopwatch()
        worst = 0.0
        peak = 0
        while watching.call("daemon.status")["connections"] > 1:
            asked = Stopwatch()
            assert watching.call("turn.start", message="me too", model="echo", ephemeral=True)["text"] == "me too"
            worst = max(worst, asked.seconds())
            peak = max(peak, rss_bytes(daemon.pid))
            assert watch.seconds() < 15
        assert worst < 2
        assert (peak - before) / MIB < 20 * 1.5
        for wire in silent:
            messages = list(wire.rest())
            assert all("result" not in message for message in messages)


def test_one_connection_too_many_is_told_so_and_the_rest_recovers(home: Home) -> None:
    home.daemon()
    with ExitStack() as stack:
        wires = [stack.enter_context(home.connect()) for _ in range(300)]
        for wire in wires[:256]:
            assert wire.call("ping") == "pong"
        for wire in wires[256:]:
            refusal = wire.receive()
            assert (refusal["error"]["code"], refusal["id"]) == (-32004, None)
            assert refusal["error"]["data"] == {"limit": "connections", "value": 256}
            assert wire.is_closed()
        done = home.run("run", "-m", "echo", "hi")
        assert (done.status, done.out) == (75, "")
        assert done.err.startswith("agentgw: Overloaded: 256 connections are open")
    until(home.is_at_rest, "they are gone", within_s=5)
    assert home.ask("run", "-m", "echo", "hi") == "hi\n"


def test_without_descriptors_it_lives_and_recovers(home: Home) -> None:
    """RLIMIT_NOFILE 64 and 200 connections."""
    home.agentgw = ("/bin/sh", "-c", 'ulimit -n 64; exec "$@"', "sh", *home.agentgw)
    daemon = home.serve()
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(str(home.socket))) for _ in range(200)]
        served = 0
        for wire in wires:
            try:
                served += wire.call("ping") == "pong"
            except (OSError, Refused):
                continue
        assert 20 < served < 64
        assert daemon.poll() is None
    until(lambda: home.run("run", "-m", "echo", "hi").out == "hi\n", "it is its old self", within_s=5)
    assert home.daemons() == [daemon.pid]
    assert home.log.count("out of file descriptors") < 20


def test_more_requests_than_may_be_in_flight_are_refused_one_by_one(home: Home) -> None:
    home.daemon()
    with home.connect() as wire:
        # More than is taken from a turn before its client reads: none of them ends by itself.
        params = {"message": "word " * 3_000, "model": "echo", "ephemeral": True}
        wire.send(*({"jsonrpc": "2.0", "id": n, "method": "turn.start", "params": params} for n in range(40)))
        answers: dict[int, int | None] = {}
        while len(answers) < 40:
            message = wire.receive()
            if "method" not in message:
                answers[message["id"]] = message.get("error", {}).get("code")
    assert sum(code == -32004 for code in answers.values()) == 8
    assert sum(code is None for code in answers.values()) == 32


def test_a_frame_that_does_not_end_costs_its_connection_alone(home: Home) -> None:
    environ = {"AGENTGW_LIMITS__FRAME_TIMEOUT_S": "1"}
    home.serve(environ=environ)
    with ExitStack() as stack:
        stalled = [stack.enter_context(home.connect()) for _ in range(100)]
        for wire in stalled:
            wire.send_bytes(b'{"json')
        watch = Stopwatch()
        with home.connect() as other:
            assert other.call("ping") == "pong"
            for wire in stalled:
                answer = wire.receive()
                assert (answer["id"], answer["error"]["code"]) == (None, -32600)
                assert wire.is_closed()
            assert watch.wall_seconds() > 0.9
            assert watch.seconds() < 5
            assert other.call("ping") == "pong"


def test_a_frame_of_one_mebibyte_is_taken_and_one_byte_more_is_not(home: Home) -> None:
    daemon = home.serve()
    empty = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {}, "x": ""}).encode()
    with home.connect() as wire:
        padded = empty.replace(b'"x": ""', b'"x": "' + b"a" * (MIB - len(empty)) + b'"')
        assert len(padded) == MIB
        wire.send_bytes(padded + b"\n")
        assert wire.receive()["result"] == "pong"
        wire.send_bytes(padded + b" \n")
        refusal = wire.receive()
        assert (refusal["id"], refusal["error"]["code"]) == (None, -32600)
        assert "too large" in refusal["error"]["message"]
        assert wire.is_closed()
    before = rss_bytes(daemon.pid)
    with home.connect() as wire:
        sent = 0
        try:
            while sent < 256 * MIB:
                wire.send_bytes(b"a" * MIB)
                sent += MIB
        except OSError:
            pass
        assert sent < 256 * MIB
    assert (rss_bytes(daemon.pid) - before) / MIB < 5


@pytest.mark.chaos
def test_a_long_soak_leaks_nothing(home: Home, chaos: Callable[[int], int]) -> None:
    """Pings, chats and disconnects; memory, descriptors and threads stay as they are."""

    def round_of(pings: int, chats: int, leaves: int) -> None:
        with home.connect() as wire:
            for _ in range(pings // 100):
                wire.send(*({"jsonrpc": "2.0", "id": number, "method": "ping"} for number in range(100)))
                for _ in range(100):
                    assert wire.receive()["result"] == "pong"
            for _ in range(chats):
                wire.call("turn.start", message="hello there", model="echo", ephemeral=True)
        for _ in range(leaves):
            with home.connect() as wire:
                wire.request("turn.start", message=LARGE[:20_000], model="echo", ephemeral=True)
        until(home.is_at_rest, "they are gone")

    daemon = home.serve()
    round_of(10_000, 500, 500)
    before = rss_bytes(daemon.pid), open_files(daemon.pid), threads(daemon.pid)
    round_of(chaos(100_000), chaos(5_000), chaos(5_000))
    # The last connection may still be on its way out.
    until(lambda: (open_files(daemon.pid), threads(daemon.pid)) == before[1:], "what was open is closed", within_s=5)
    assert (rss_bytes(daemon.pid) - before[0]) / MIB < max(5, chaos(5))


def open_files(pid: int) -> int:
    """Descriptors of a process."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid: int) -> int:
    """Threads of a process."""
    return len(os.listdir(f"/proc/{pid}/task"))
