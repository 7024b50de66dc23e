"""The older of two versions gives way, when it is idle."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from agentgw import __version__
from agentgw import client as client_module
from agentgw.client import Client
from agentgw.local import connect as connect_module
from agentgw.local.connect import connect_client
from agentgw.local.directories import mark_of, prepare
from agentgw.local.lifetime import opening
from agentgw.local.paths import Paths
from agentgw.protocol.errors import DaemonUnreachable, DirectoryRefused, ShuttingDown
from tests.client.fakedaemon import Failure, HangUp, Peer, Serve
from tests.client.standins import standin, starts


@pytest.fixture
def as_version(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes this client one of another version."""

    def change(version: str) -> None:
        monkeypatch.setattr(client_module, "__version__", version)
        monkeypatch.setattr(connect_module, "__version__", version)
        monkeypatch.setattr(opening, "__version__", version)

    return change


def connect(paths: Paths, version: str, *flags: str, said: list[str] | None = None) -> Client:
    notice = said.append if said is not None else None
    return connect_client(paths, notice=notice, command=standin(paths, "--version", version, *flags))


def test_a_newer_client_replaces_an_idle_daemon(paths: Paths, spawned: list[int], as_version: Any) -> None:
    said: list[str] = []
    with connect(paths, "4.0.0.dev0") as first:
        spawned.append(first.daemon["pid"])
    as_version("4.0.0")
    with connect(paths, "4.0.0", said=said) as second:
        spawned.append(second.daemon["pid"])
        assert second.daemon["version"] == "4.0.0"
        assert second.daemon["pid"] != first.daemon["pid"]
    assert os.waitpid(first.daemon["pid"], 0)[1] == 0
    assert said == []


def test_a_busy_daemon_goes_on_and_the_user_is_told(paths: Paths, spawned: list[int], as_version: Any) -> None:
    with connect(paths, "4.0.0.dev0", "--busy") as first:
        spawned.append(first.daemon["pid"])
    as_version("4.0.0")
    said: list[str] = []
    with connect(paths, "4.0.0", said=said) as second:
        assert second.daemon["pid"] == first.daemon["pid"]
        assert second.call("ping") == "pong"
    assert len(said) == 1
    assert "version 4.0.0.dev0: 1 turn is running" in said[0]
    assert "agentgw restart" in said[0]


def test_an_older_client_uses_a_newer_daemon_in_silence(paths: Paths, spawned: list[int]) -> None:
    said: list[str] = []
    with connect(paths, "99.0", said=said) as first:
        spawned.append(first.daemon["pid"])
    with connect(paths, "99.0", said=said) as second:
        assert second.daemon["pid"] == first.daemon["pid"]
    assert said == []


def test_two_versions_side_by_side_do_not_take_turns(paths: Paths, spawned: list[int], as_version: Any) -> None:
    pids = []
    for round_ in range(50):
        version = ("4.0.0.dev0", "4.0.0")[round_ % 2]
        as_version(version)
        with connect(paths, version) as client:
            pids.append(client.daemon["pid"])
            spawned.append(client.daemon["pid"])
    assert len(starts(paths)) == 2
    assert len(set(pids[1:])) == 1


def test_a_start_that_gives_an_old_daemon_again_is_not_repeated(
    paths: Paths, spawned: list[int], as_version: Any
) -> None:
    as_version("4.0.0")
    with connect(paths, "4.0.0.dev0") as client:
        spawned.append(client.daemon["pid"])
        assert client.daemon["version"] == "4.0.0.dev0"
    assert len(starts(paths)) == 2


def test_nothing_is_replaced_when_nothing_may_be_started(paths: Paths, spawned: list[int], as_version: Any) -> None:
    with connect(paths, "4.0.0.dev0") as first:
        spawned.append(first.daemon["pid"])
    as_version("4.0.0")
    with connect_client(paths, spawn=False) as second:
        assert second.daemon["pid"] == first.daemon["pid"]


def test_a_connection_lost_at_hello_is_tried_once_more(paths: Paths, serve: Serve) -> None:
    """A client that waited in the backlog of a daemon which ended connects anew."""
    losses = [2]

    def hello(peer: Peer, params: dict[str, Any]) -> Any:
        if losses[0]:
            losses[0] -= 1
            raise HangUp
        return {"protocol": 1, "version": "4.0.0.dev0", "pid": os.getpid()}

    daemon = serve({"hello": hello})
    # One in the quick attempt, one in the careful one.
    with connect_client(paths) as client:
        assert client.daemon["version"] == "4.0.0.dev0"
    assert daemon.methods() == ["hello"] * 3


def test_a_daemon_that_always_hangs_up_is_reported_with_its_log(paths: Paths, serve: Serve) -> None:
    def hello(peer: Peer, params: dict[str, Any]) -> Any:
        raise HangUp

    serve({"hello": hello})
    with open(paths.log_file, "w") as log:
        log.write("why it does so\n")
    with pytest.raises(DaemonUnreachable, match="ended before it answered") as caught:
        connect_client(paths)
    assert "why it does so" in caught.value.__notes__[0]


def test_a_daemon_that_is_shutting_down_is_waited_for(paths: Paths, serve: Serve, spawned: list[int]) -> None:
    waited: list[Peer] = []

    def hello(peer: Peer, params: dict[str, Any]) -> Any:
        waited.append(peer)
        if len(waited) == 2:
            # The careful attempt waits for this connection to close; by then the daemon has let go of its socket.
            os.unlink(paths.socket)
            peer.send({"id": 1, "error": {"code": ShuttingDown.code, "message": "Shutting down"}})
            raise HangUp
        raise Failure(ShuttingDown.code, "Shutting down")

    serve({"hello": hello})
    with connect_client(paths, command=standin(paths)) as client:
        spawned.append(client.daemon["pid"])
        assert client.daemon["pid"] != os.getpid()
    assert len(waited) == 2


@pytest.mark.parametrize("version", [__version__, "0.0.1"])
def test_the_daemon_of_another_home_at_the_same_socket_is_neither_used_nor_replaced(
    paths: Paths, serve: Serve, tmp_path: Path, version: str
) -> None:
    elsewhere = str(tmp_path / "elsewhere")
    said = {"protocol": 1, "version": version, "pid": os.getpid(), "data_dir": elsewhere}
    fake = serve({"hello": said})
    with pytest.raises(DirectoryRefused, match=rf"keeps its data in {elsewhere}, not in {paths.data_dir}"):
        connect_client(paths)
    assert set(fake.methods()) == {"hello"}


def test_a_home_under_two_names_is_not_refused(paths: Paths, serve: Serve, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(paths.data_dir)
    said = {"protocol": 1, "version": __version__, "pid": os.getpid(), "data_dir": str(link)}
    serve({"hello": said})
    connect_client(paths).close()


def test_a_home_whose_path_is_another_one_in_a_container_is_not_refused(paths: Paths, serve: Serve) -> None:
    prepare(paths)
    said = {"protocol": 1, "version": __version__, "pid": os.getpid(), "data_dir": "/volume/data"}
    serve({"hello": {**said, "data_mark": mark_of(paths.data_dir)}})
    connect_client(paths).close()


@pytest.mark.parametrize("mark", ["", "1:2"])
def test_a_directory_that_is_another_one_is_another_home(paths: Paths, serve: Serve, mark: str) -> None:
    said = {"protocol": 1, "version": __version__, "pid": os.getpid(), "data_dir": "/volume/data", "data_mark": mark}
    serve({"hello": said})
    with pytest.raises(DirectoryRefused, match="keeps its data in /volume/data") as caught:
        connect_client(paths)
    assert caught.value.hint is not None
    assert caught.value.hint.endswith(f"end that daemon: AGENTGW_SOCKET={paths.socket} agentgw stop")
