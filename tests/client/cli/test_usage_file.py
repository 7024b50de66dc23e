from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.client.commandline import Cli, Run
from tests.client.fakedaemon import Failure, Peer, Serve

RESULT = {
    "turn_id": "turn1", "session_id": "session1", "text": "hi", "finish_reason": "stop",
    "usage": {"prompt_tokens": 7, "completion_tokens": 2}, "timings": {"queue_ms": 0.0},
}  # fmt: skip


def started(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
    peer.notify("turn.started", skill="general-assistant", model="m")
    return RESULT


def test_it_says_what_a_turn_took(cli: Cli, serve: Serve, tmp_path: Path) -> None:
    serve({"turn.start": started})
    status, _, err = cli("run", "--usage-file", str(tmp_path / "u"), "hello")
    assert (status, err) == (0, "")
    assert json.loads((tmp_path / "u").read_text()) == {
        "exit_status": 0, "turn_id": "turn1", "session_id": "session1", "model": "m", "skill": "general-assistant",
        "finish_reason": "stop", "usage": RESULT["usage"], "timings": RESULT["timings"],
    }  # fmt: skip


def test_a_failure_is_in_it_too(cli: Cli, serve: Serve, tmp_path: Path) -> None:
    serve({"turn.start": Failure(-32013, "no such shape")})
    assert cli("run", "--usage-file", str(tmp_path / "u"), "hello")[0] == 6
    assert json.loads((tmp_path / "u").read_text()) == {"exit_status": 6, "error": "no such shape"}


@pytest.mark.parametrize("path", ["no/such/folder", "."])
def test_a_path_that_does_not_do_costs_no_turn(
    cli: Cli, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    daemon = serve({"turn.start": started})
    status, out, err = cli("run", "--usage-file", path, "hello")
    assert (status, out) == (2, "")
    assert "cannot be written" in err
    assert "turn.start" not in daemon.methods()


def test_a_full_disk_is_told(agentgw: Run, serve: Serve) -> None:
    serve({"turn.start": started})
    done = agentgw("run", "--usage-file", "/dev/full", "hello")
    assert done.returncode == 2
    assert "No space left" in done.stderr
