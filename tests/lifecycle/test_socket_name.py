"""The socket's name: published, looked at, taken away."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from pathlib import Path

import pytest

from agentgw.local.paths import Paths
from agentgw.protocol.errors import AlreadyRunning
from agentgw_daemon.lifecycle.socket_name import SocketName
from tests.lifecycle.processes import can_connect, foreign


def test_binding_publishes_a_private_socket(bound: tuple[SocketName, socket.socket], place: Paths) -> None:
    name, listener = bound
    assert name.is_ours
    assert name.look() == "ours"
    assert stat.S_IMODE(os.stat(place.socket).st_mode) & 0o077 == 0
    assert can_connect(place.socket)
    assert sorted(os.listdir(place.run_dir)) == ["agentgw.sock", "spawn.lock"]
    assert not os.get_inheritable(listener.fileno())


def test_binding_over_a_dead_socket_works_and_over_a_live_one_does_not(place: Paths) -> None:
    foreign(place.socket).close()
    _, listener = SocketName.bind(place)
    with listener, pytest.raises(AlreadyRunning) as caught:
        SocketName.bind(place)
    assert caught.value.exit_status == 75


def test_removing_takes_the_name_away_once(bound: tuple[SocketName, socket.socket], place: Paths) -> None:
    name, _ = bound
    assert name.remove()
    assert not os.path.exists(place.socket)
    assert not name.remove()


def test_a_name_that_is_somebody_elses_by_now_is_not_removed(
    bound: tuple[SocketName, socket.socket], place: Paths
) -> None:
    name, _ = bound
    with foreign(place.socket):
        assert not name.remove()
        assert can_connect(place.socket)


def test_a_managed_name_is_not_removed(bound: tuple[SocketName, socket.socket], place: Paths) -> None:
    assert not SocketName(place, managed=True).remove()
    assert can_connect(place.socket)


def test_a_name_is_not_removed_while_a_client_holds_the_spawn_lock(
    bound: tuple[SocketName, socket.socket], place: Paths
) -> None:
    name, _ = bound
    with open(place.spawn_lock, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert not name.remove()
    assert name.remove()


def test_what_can_be_at_the_path(bound: tuple[SocketName, socket.socket], place: Paths) -> None:
    name, _ = bound
    os.rename(place.socket, f"{place.socket}.kept")
    assert name.look() == "missing"
    other = foreign(place.socket)
    assert name.look() == "taken"
    other.close()
    assert name.look() == "dead"
    os.unlink(place.socket)
    Path(place.socket).write_text("a file")
    assert name.look() == "blocked"
    os.unlink(place.socket)
    os.symlink(f"{place.socket}.kept", place.socket)
    assert name.look() == "blocked"
    os.unlink(place.socket)
    os.rename(f"{place.socket}.kept", place.socket)
    assert name.look() == "ours"
