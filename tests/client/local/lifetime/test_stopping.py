from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from agentgw import __version__
from agentgw.local.connect import connect_client, connect_running
from agentgw.local.lifetime import stopping
from agentgw.local.lifetime.stopping import stop_daemon
from agentgw.local.paths import Paths
from agentgw.protocol.errors import DaemonUnreachable, DirectoryRefused
from tests.client.fakedaemon import HangUp, Peer, Serve
from tests.client.standins import client_process, is_alive, standin
from tests.patience import PATIENCE_S


def test_it_returns_when_the_process_is_gone(paths: Paths) -> None:
    pid = int(client_process(paths).communicate(timeout=PATIENCE_S)[0])
    with connect_running(paths) as client:
        assert stop_daemon(client, paths) == ""
    assert not is_alive(pid)


def test_a_child_of_ours_counts_as_gone_when_it_has_ended(paths: Paths) -> None:
    with connect_client(paths, command=standin(paths)) as client:
        assert stop_daemon(client, paths) == ""
        assert os.waitpid(client.daemon["pid"], os.WNOHANG)[0] == client.daemon["pid"]


def test_a_busy_daemon_gives_its_reason_to_an_upgrade(paths: Paths, serve: Serve) -> None:
    daemon = serve({"daemon.shutdown": {"stopping": False, "reason": "1 turn is running"}})
    with connect_client(paths) as client:
        assert stop_daemon(client, paths, upgrade=True) == "1 turn is running"
        assert daemon.params("daemon.shutdown") == {"upgrade": True}
        assert client.call("ping") == "pong"


def test_a_daemon_that_does_not_end_is_an_error(paths: Paths, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "STOP_TIMEOUT_S", 0.05)
    serve({"daemon.shutdown": {"stopping": True}})
    with connect_client(paths) as client, pytest.raises(DaemonUnreachable, match="did not end within"):
        stop_daemon(client, paths)


def test_a_process_that_outlives_its_connection_is_an_error(
    paths: Paths, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "STOP_TIMEOUT_S", 0.05)

    def stop(peer: Peer, params: dict[str, Any]) -> None:
        peer.send({"id": 2, "result": {"stopping": True}})
        raise HangUp

    serve({"daemon.shutdown": stop})
    # The pid it gives is this process's.
    with connect_client(paths) as client, pytest.raises(DaemonUnreachable, match="did not end within"):
        stop_daemon(client, paths)


@pytest.mark.parametrize("upgrade", [False, True])
def test_the_daemon_of_another_home_goes_on(paths: Paths, serve: Serve, upgrade: bool) -> None:
    said = {"protocol": 1, "version": __version__, "pid": os.getpid(), "data_dir": "/elsewhere"}
    daemon = serve({"hello": said})
    with connect_running(paths) as client, pytest.raises(DirectoryRefused, match="keeps its data in /elsewhere"):
        stop_daemon(client, paths, upgrade=upgrade)
    assert daemon.methods() == ["hello"]


def test_a_socket_that_is_named_itself_may_be_of_another_home(
    paths: Paths, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"protocol": 1, "version": __version__, "pid": 0, "data_dir": "/elsewhere"}
    daemon = serve({"hello": said, "daemon.shutdown": {"stopping": False, "reason": "busy"}})
    monkeypatch.setenv("AGENTGW_SOCKET", paths.socket)
    named = Paths()
    with connect_running(named) as client:
        assert stop_daemon(client, named, upgrade=True) == "busy"
    assert daemon.methods() == ["hello", "daemon.shutdown"]


def test_without_pidfd_a_process_is_watched_by_its_pid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping.sys, "platform", "darwin")
    child = subprocess.Popen([sys.executable, "-S", "-c", "pass"])
    stopping._Process(child.pid).wait_gone(10)
    child.returncode = 0
    with pytest.raises(stopping.Timeout):
        stopping._Process(os.getpid()).wait_gone(0.02)
    stopping._Process(0).wait_gone(0.02)
