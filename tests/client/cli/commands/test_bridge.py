from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import Any

import pytest

from tests.client.commandline import Run
from tests.client.fakedaemon import Peer, Serve
from tests.patience import PATIENCE_S

PING = '{"jsonrpc":"2.0","id":7,"method":"ping"}\n'


def test_frames_that_are_piped_in_are_answered(agentgw: Run, serve: Serve) -> None:
    serve()
    done = agentgw("bridge", stdin=PING)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"jsonrpc": "2.0", "id": 7, "result": "pong"}


def test_an_address_in_the_environment_is_not_followed(agentgw: Run, serve: Serve, monkeypatch: Any) -> None:
    serve()
    monkeypatch.setenv("AGENTGW_URL", "ssh://nowhere.invalid")
    assert "pong" in agentgw("bridge", stdin=PING).stdout


def test_much_goes_both_ways_at_once(agentgw: Run, serve: Serve) -> None:
    text = "x" * 500_000

    def echo(peer: Peer, params: dict[str, Any]) -> str:
        for _ in range(8):
            peer.delta(params["text"])
        return str(params["text"])

    serve({"echo": echo})
    frame = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "echo", "params": {"text": text}})
    # What follows the request is still to be read while the answer is on its way.
    lines = agentgw("bridge", stdin=f"{frame}\n" + "\n" * 500_000).stdout.splitlines()
    assert [json.loads(line)["params"]["text"] for line in lines[:-1]] == [text] * 8
    assert json.loads(lines[-1])["result"] == text


@pytest.mark.parametrize(("flags", "ended"), [(["--until-eof"], "stdin"), ([], "stdout")])
def test_the_end_of_its_input_or_of_its_reader_ends_it(
    agentgw: Run, serve: Serve, flags: list[str], ended: str
) -> None:
    left = threading.Event()

    def silent(peer: Peer, params: dict[str, Any]) -> None:
        peer.delta("begun")
        if peer.gone.wait(20):
            left.set()

    serve({"turn.start": silent})
    command = [sys.executable, "-m", "agentgw", "bridge", *flags]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as bridge:
        assert bridge.stdin is not None
        assert bridge.stdout is not None
        bridge.stdin.write(b'{"jsonrpc":"2.0","id":1,"method":"turn.start","params":{}}\n')
        bridge.stdin.flush()
        assert b"begun" in bridge.stdout.readline()
        (bridge.stdin if ended == "stdin" else bridge.stdout).close()
        assert left.wait(PATIENCE_S)
        assert bridge.wait(20) == 0
