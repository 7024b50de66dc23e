"""Two versions of agentgw on one machine, and one that is replaced while its daemon runs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.endpoint import Endpoint
from tests.e2e.home import Home, heard, until
from tests.e2e.versions import Installation
from tests.e2e.wire import Refused
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.e2e


def version(home: Home) -> dict[str, Any]:
    """The version that the running daemon tells."""
    with home.connect() as wire:
        said: dict[str, Any] = wire.call("hello", client="test", version="0", protocol=1)
        return said


def test_a_newer_client_replaces_an_idle_daemon_once_and_an_older_one_never(home: Home) -> None:
    older, newer = Installation(home.root / "older", "4.0.1"), Installation(home.root / "newer", "4.1.0")
    said = []
    for installation in (older, newer, older, newer, older):
        home.agentgw = installation.agentgw
        assert home.ask("run", "-m", "echo", "hi") == "hi\n"
        said.append(version(home))
    assert [one["version"] for one in said] == ["4.0.1", "4.1.0", "4.1.0", "4.1.0", "4.1.0"]
    assert len({one["instance"] for one in said}) == 2
    assert len(home.daemons()) == 1


def test_a_busy_older_daemon_goes_on_and_the_user_is_told(home: Home, endpoint: Endpoint) -> None:
    older, newer = Installation(home.root / "older", "4.0.1"), Installation(home.root / "newer", "4.1.0")
    home.agentgw = older.agentgw
    running = home.start("run", "-m", "scripted/m", "go")
    conversation = endpoint.next()
    conversation.say("one ")
    assert heard(running, 3) == "one"
    home.agentgw = newer.agentgw
    done = home.run("run", "-m", "echo", "hi")
    assert (done.status, done.out) == (0, "hi\n")
    assert done.err == (
        "agentgw: the daemon is still version 4.0.1: a turn is running. when it is idle run: agentgw restart\n"
    )
    assert version(home)["version"] == "4.0.1"
    conversation.end("two")
    assert home.finish(running).out == " two\n"
    assert home.ask("run", "-m", "echo", "hi") == "hi\n"
    assert version(home)["version"] == "4.1.0"


def test_a_daemon_whose_package_was_replaced_answers_what_was_never_asked_before(home: Home) -> None:
    installation = Installation(home.root / "installation", "4.0.1")
    home.agentgw = installation.agentgw
    assert home.run("start", environ={"AGENTGW_LOG__LEVEL": "debug"}).status == 0
    until(lambda: "everything is imported" in home.log, "the daemon has all it needs in memory")
    installation.install_without_modules("4.1.0")
    with home.connect() as wire:
        session_id = wire.call("turn.start", message="kept", model="echo")["session_id"]
        assert "kept" in wire.call("session.export", session_id=session_id)["text"]
        assert wire.call("session.search", query="kept")["messages"]
        wire.call("session.fork", session_id=session_id)
        wire.call("daemon.doctor")
        wire.call("daemon.reload")
        wire.call("daemon.status")
        wire.call("rpc.discover")
        wire.call("skill.validate", path=str(home.user))
        wire.call("chat.complete", messages=[{"role": "user", "content": "hi"}], model="echo")
        wire.call("model.list")
        wire.call("config.get")
        wire.call("daemon.shutdown")
        assert wire.is_closed()
    assert "ImportError" not in home.log
    assert "ModuleNotFoundError" not in home.log


def test_a_worker_of_another_version_is_refused_with_what_to_do(home: Home) -> None:
    installation = Installation(home.root / "installation", "4.0.1")
    home.agentgw = installation.agentgw
    home.add_starter_model()
    # The file is known to be good, so that only the worker is left to start.
    home.ask("run", "--dry-run", "-q", "--system", "", "hi")
    home.call("model.unload", model="smollm2:135m")
    installation.install("4.1.0")
    with home.connect() as wire:
        with pytest.raises(Refused, match=r"is version 4\.1\.0, the daemon is 4\.0\.1") as refused:
            wire.call("turn.start", message="hi", system="")
        assert refused.value.code == -32006
        assert refused.value.data["hint"] == "run `agentgw restart`"


def test_a_package_replaced_during_the_start_ends_the_daemon_and_the_next_one_is_whole(home: Home) -> None:
    """Imports that fail because the files are of another version by now are no reason for a traceback."""
    installation = Installation(home.root / "installation", "4.0.1")
    home.agentgw = installation.agentgw
    (installation.packages / "agentgw_daemon" / "models" / "fetching" / "hub.py").unlink()
    daemon = home.serve()
    assert daemon.wait(PATIENCE_S) == 1
    assert "the package was replaced while the daemon started" in home.log
    installation.install("4.0.1")
    assert home.ask("run", "-m", "echo", "hi") == "hi\n"
