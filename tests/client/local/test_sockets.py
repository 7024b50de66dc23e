from __future__ import annotations

import os
import socket
import stat
import sys
import threading
from pathlib import Path

import pytest

from agentgw.local import sockets
from agentgw.local.directories import prepare
from agentgw.local.environment import Environment
from agentgw.local.paths import Paths
from agentgw.local.sockets import bind_socket, connect, connect_own
from agentgw.protocol.errors import DaemonUnreachable, DirectoryRefused

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="long paths go through /proc")


def exchange(listener: socket.socket, paths: Paths) -> None:
    """Shows that a client reaches the listener."""
    connection = connect_own(paths)
    assert connection is not None
    accepted, _ = listener.accept()
    connection.send(b"x")
    assert accepted.recv(1) == b"x"
    connection.close()
    accepted.close()


def test_a_bound_socket_is_reached_and_private(paths: Paths) -> None:
    prepare(paths)
    before = os.umask(0)
    try:
        listener = bind_socket(paths)
    finally:
        os.umask(before)
    with listener:
        assert stat.S_IMODE(os.lstat(paths.socket).st_mode) == 0o600
        assert os.listdir(paths.run_dir) == ["agentgw.sock"]
        exchange(listener, paths)


def test_nobody_listening_is_none(paths: Paths) -> None:
    assert connect_own(paths) is None
    prepare(paths)
    assert connect_own(paths) is None
    bind_socket(paths).close()
    assert os.path.exists(paths.socket)
    assert connect_own(paths) is None
    assert connect("/dev/null/x") is None


def test_a_dead_socket_is_replaced(paths: Paths) -> None:
    prepare(paths)
    bind_socket(paths).close()
    with bind_socket(paths) as listener:
        exchange(listener, paths)


def test_a_half_made_socket_of_the_same_pid_is_replaced(paths: Paths) -> None:
    prepare(paths)
    with socket.socket(socket.AF_UNIX) as leftover:
        leftover.bind(os.path.join(paths.run_dir, f".tmp.{os.getpid()}"))
    with bind_socket(paths) as listener:
        exchange(listener, paths)
    assert os.listdir(paths.run_dir) == ["agentgw.sock"]


def test_a_link_in_the_place_of_the_socket_is_refused(paths: Paths, tmp_path: Path) -> None:
    prepare(paths)
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    inode = victim.stat().st_ino
    os.symlink(victim, paths.socket)
    with pytest.raises(DirectoryRefused, match="is not a socket"):
        bind_socket(paths)
    assert os.readlink(paths.socket) == str(victim)
    assert (victim.read_bytes(), victim.stat().st_ino) == (b"precious", inode)
    assert os.listdir(paths.run_dir) == ["agentgw.sock"]


def test_a_file_in_the_place_of_the_socket_is_refused(paths: Paths) -> None:
    prepare(paths)
    Path(paths.socket).write_bytes(b"precious")
    with pytest.raises(DirectoryRefused, match="is not a socket"):
        bind_socket(paths)
    assert Path(paths.socket).read_bytes() == b"precious"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a socket away")
def test_a_socket_of_another_user_is_refused(paths: Paths) -> None:
    prepare(paths)
    bind_socket(paths).close()
    os.chown(paths.socket, 65534, 65534)
    inode = os.lstat(paths.socket).st_ino
    with pytest.raises(DirectoryRefused, match="belongs to uid 65534"):
        bind_socket(paths)
    assert os.lstat(paths.socket).st_ino == inode


def test_connecting_judges_the_directory(paths: Paths) -> None:
    prepare(paths)
    with bind_socket(paths):
        os.chmod(paths.run_dir, 0o755)
        with pytest.raises(DirectoryRefused, match="is open to others"):
            connect_own(paths)


def test_the_name_is_never_open_to_others_nor_without_a_listener(paths: Paths) -> None:
    """200 times bound anew under umask 0 while another thread looks and connects without a pause."""
    prepare(paths)
    os.chmod(paths.run_dir, 0o700)
    listeners = [bind_socket(paths)]
    modes: set[int] = set()
    refused: list[int] = []
    looks = 0
    done = threading.Event()

    def spin() -> None:
        nonlocal looks
        while not done.is_set():
            for name in os.listdir(paths.run_dir):
                try:
                    modes.add(stat.S_IMODE(os.lstat(os.path.join(paths.run_dir, name)).st_mode))
                except FileNotFoundError:
                    # The temporary name, renamed meanwhile.
                    assert name != "agentgw.sock"
            connection = connect_own(paths)
            if connection is None:
                refused.append(looks)
            else:
                connection.close()
            looks += 1

    before = os.umask(0)
    spinner = threading.Thread(target=spin)
    spinner.start()
    try:
        for _ in range(200):
            listeners.append(bind_socket(paths))
            # The older one goes only when the newer one has its name.
            listeners.pop(0).close()
    finally:
        done.set()
        spinner.join()
        os.umask(before)
        listeners.pop().close()
    assert looks > 10
    # Between bind and umask's end a socket may be seen as 0600, never with a bit for others.
    assert all(not mode & 0o077 for mode in modes), set(map(oct, modes))
    assert refused == []


@on_linux
@pytest.mark.parametrize("size", [60, 92, 103, 107, 108, 200, 1000])
@pytest.mark.parametrize("letter", ["a", "😀"])
def test_a_path_of_any_length_works_for_both_sides(tmp_path: Path, size: int, letter: str) -> None:
    """Sizes are bytes of the directory `run`."""
    home = str(tmp_path)
    missing = size - len(os.fsencode(f"{home}/run"))
    while missing > 1:
        part = letter * max(1, min(missing - 1, 200) // len(letter.encode()))
        home += f"/{part}"
        missing -= 1 + len(part.encode())
    paths = Paths(Environment({"AGENTGW_HOME": home}))
    prepare(paths)
    with bind_socket(paths) as listener:
        assert os.listdir(paths.run_dir) == ["agentgw.sock"]
        exchange(listener, paths)


def test_a_long_path_is_one_clear_error_where_there_is_no_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths(Environment({"AGENTGW_HOME": str(tmp_path / ("a" * 100))}))
    prepare(paths)
    monkeypatch.setattr(sockets.sys, "platform", "darwin")
    monkeypatch.setattr(sockets, "MAX_PATH_BYTES", 103)
    for attempt in (bind_socket, connect_own):
        with pytest.raises(DirectoryRefused, match="more than 103 bytes"):
            attempt(paths)
    assert os.listdir(paths.run_dir) == []


@on_linux
def test_a_full_backlog_ends_in_an_error_in_time(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(paths)
    monkeypatch.setattr(sockets, "BACKLOG", 0)
    monkeypatch.setattr(sockets, "CONNECT_TIMEOUT_S", 0.05)
    with bind_socket(paths):
        first = connect_own(paths)
        assert first is not None
        with pytest.raises(DaemonUnreachable, match="accepted no connection"):
            connect_own(paths)
        first.close()


def test_a_socket_that_may_not_be_opened_is_refused(tmp_path: Path) -> None:
    # A datagram socket stands for whatever connect(2) refuses.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(tmp_path / "other"))
        with pytest.raises(DirectoryRefused, match="cannot be reached"):
            connect(str(tmp_path / "other"))


def test_a_path_that_no_socket_can_have_is_refused_with_the_reason() -> None:
    with pytest.raises(DirectoryRefused, match="too long"):
        connect(f"/{'a' * 300}")
