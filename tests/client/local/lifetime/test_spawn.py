from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agentgw.client import Client
from agentgw.local.connect import connect_client
from agentgw.local.directories import prepare
from agentgw.local.environment import Environment
from agentgw.local.lifetime import spawn
from agentgw.local.lifetime.spawn import connect_or_spawn
from agentgw.local.paths import Paths
from agentgw.local.sockets import bind_socket
from agentgw.protocol.errors import AlreadyRunning, ConfigRefused, DaemonUnreachable, DirectoryRefused
from tests.client import fakedaemon
from tests.client.standins import client_process, standin, starts
from tests.patience import PATIENCE_S, Stopwatch


def reap(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def test_the_first_client_starts_a_daemon_and_the_next_finds_it(paths: Paths, spawned: list[int]) -> None:
    with connect_client(paths, command=standin(paths)) as first:
        spawned.append(first.daemon["pid"])
        assert first.call("ping") == "pong"
    with connect_client(paths, command=["/bin/false"]) as second:
        assert second.daemon["pid"] == first.daemon["pid"]
    assert len(starts(paths)) == 1


def test_a_request_waits_in_the_backlog_of_a_slow_start(paths: Paths, spawned: list[int]) -> None:
    connection, daemon = connect_or_spawn(paths, command=standin(paths, "--wait", "0.2"))
    assert daemon is not None
    spawned.append(daemon.pid)
    client = Client(connection)
    watch = Stopwatch()
    client.greet()
    assert watch.wall_seconds() > 0.1
    daemon.close()
    client.close()


def test_the_daemon_inherits_nothing_it_should_not(
    paths: Paths, spawned: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Open descriptors, a blocked SIGTERM, a removed working directory, a hostile environment."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setenv("LD_PRELOAD", "")
    monkeypatch.setenv("LISTEN_PID", "1")
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(50)]
    for descriptor in opened:
        os.set_inheritable(descriptor, True)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        with connect_client(paths, warm=True, command=standin(paths)) as client:
            spawned.append(client.daemon["pid"])
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        for descriptor in opened:
            os.close(descriptor)
    (found,) = starts(paths)
    assert found["descriptors"] == [0, 1, 2, 3]
    assert found["blocked"] == []
    assert found["sid"] == found["pid"]
    assert (found["stdin"], found["stdout"]) == ("/dev/null", "/dev/null")
    assert found["prewarm"] is True
    environment = found["environment"]
    assert (environment["LISTEN_FDS"], environment["AGENTGW_SPAWNED"]) == ("1", "1")
    assert not {"PYTHONPATH", "LD_PRELOAD", "LISTEN_PID"} & set(environment)
    # SIGTERM is not blocked there: it ends.
    os.kill(found["pid"], signal.SIGTERM)
    assert os.waitpid(found["pid"], 0)[1] == 0


def test_standard_streams_that_are_closed_do_no_harm(paths: Paths, spawned: list[int]) -> None:
    script = (
        "import os, sys; [os.close(number) for number in (0, 1, 2)]\n"
        "from agentgw.local.connect import connect_client\nfrom agentgw.local.paths import Paths\n"
        "connect_client(Paths(), command=sys.argv[1:]).close()"
    )
    assert subprocess.run([sys.executable, "-c", script, *standin(paths)]).returncode == 0
    with connect_client(paths, command=["/bin/false"]) as client:
        spawned.append(client.daemon["pid"])
    (found,) = starts(paths)
    assert found["descriptors"] == [0, 1, 2, 3]
    assert (found["stdin"], found["stdout"]) == ("/dev/null", "/dev/null")


@pytest.mark.parametrize(("status", "error"), [(78, ConfigRefused), (3, DaemonUnreachable), (1, DaemonUnreachable)])
def test_a_daemon_that_fails_says_why(paths: Paths, status: int, error: type[Exception]) -> None:
    prepare(paths)
    Path(paths.log_file).write_text("".join(f"line {n}\n" for n in range(100)))
    words = "agentgw: config.toml: unknown key modle. did you mean model?"
    with pytest.raises(error) as caught:
        connect_client(paths, command=standin(paths, "--say", f"noise\n{words}", "--status", str(status)))
    message = str(caught.value)
    assert message.endswith("config.toml: unknown key modle. did you mean model?")
    if status == 78:
        assert caught.value.exit_status == 78
    else:
        assert caught.value.exit_status == 3
        (note,) = caught.value.__notes__
        assert note.splitlines()[1:] == [f"line {n}" for n in range(80, 100)]


def test_what_a_daemon_advised_is_followed_by_no_other_advice(paths: Paths) -> None:
    words = "agentgw: cannot write the log: No space left on device. free some space on its disk"
    with pytest.raises(ConfigRefused) as caught:
        connect_client(paths, command=standin(paths, "--say", words, "--status", "78"))
    assert caught.value.advice == ""


@pytest.mark.parametrize("what", ["link", "directory"])
def test_a_lock_that_cannot_be_is_one_clear_error(paths: Paths, what: str) -> None:
    prepare(paths)
    lock = Path(paths.spawn_lock)
    lock.symlink_to("nowhere") if what == "link" else lock.mkdir()
    with pytest.raises(DirectoryRefused, match="cannot be opened") as caught:
        connect_client(paths, command=["/bin/false"])
    assert caught.value.hint == f"look at it, then run: rm {lock}"


def test_a_daemon_that_crashes_is_reported_by_the_end_of_its_traceback(paths: Paths) -> None:
    command = [sys.executable, "-c", "import nothing_of_that_name"]
    with pytest.raises(DaemonUnreachable, match="did not start: ModuleNotFoundError: No module named 'nothing"):
        connect_client(paths, command=command)


def test_a_daemon_that_is_killed_is_reported(paths: Paths) -> None:
    with pytest.raises(DaemonUnreachable, match="killed by signal 9"):
        connect_client(paths, command=standin(paths, "--kill", "9"))


def test_a_daemon_that_ends_without_a_word_is_reported(paths: Paths) -> None:
    with pytest.raises(DaemonUnreachable, match="exit status 1 and no message"):
        connect_client(paths, command=["/bin/false"])


def test_an_interpreter_that_is_gone_is_reported(paths: Paths) -> None:
    with pytest.raises(DaemonUnreachable, match=r"cannot be started: /nowhere/python"):
        connect_client(paths, command=["/nowhere/python"])
    # Nothing listens, so the next client tries again.
    with pytest.raises(DaemonUnreachable, match="cannot be started"):
        connect_client(paths, command=["/nowhere/python"])


def test_a_pipe_held_open_by_an_orphan_does_not_delay_the_reason(paths: Paths, spawned: list[int]) -> None:
    script = (
        "import subprocess, sys; child = subprocess.Popen(['sleep', '60'], close_fds=True)\n"
        "print(child.pid, file=open(sys.argv[1], 'w')); print('agentgw: no', file=sys.stderr); sys.exit(1)"
    )
    prepare(paths)
    pid_file = f"{paths.data_dir}/pid"
    with pytest.raises(DaemonUnreachable, match="did not start: no"):
        connect_client(paths, command=[sys.executable, "-c", script, pid_file])
    pid = int(Path(pid_file).read_text())
    os.kill(pid, 0)
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("round_", range(2))
def test_a_hundred_clients_at_once_start_one_daemon(paths: Paths, round_: int) -> None:
    prepare(paths)
    clients = [client_process(paths) for _ in range(100)]
    outputs = [client.communicate(timeout=PATIENCE_S) for client in clients]
    try:
        assert [error for _, error in outputs if error] == []
        assert {client.returncode for client in clients} == {0}
        (started,) = starts(paths)
        assert {int(out) for out, _ in outputs} == {started["pid"]}
    finally:
        for started in starts(paths):
            reap(started["pid"])


def test_clients_of_a_start_that_fails_all_end_soon(paths: Paths) -> None:
    prepare(paths)
    clients = [client_process(paths, "--say", "agentgw: no luck", "--status", "1") for _ in range(10)]
    outputs = [client.communicate(timeout=PATIENCE_S) for client in clients]
    assert all("DaemonUnreachable" in error for _, error in outputs)
    assert any("no luck" in error for _, error in outputs)


def test_a_spawner_killed_at_any_moment_leaves_nothing_in_the_way(paths: Paths) -> None:
    prepare(paths)
    moments = random.Random(8)
    for _ in range(10):
        victim = client_process(paths)
        time.sleep(moments.uniform(0, 0.08))
        victim.kill()
        victim.communicate()
        watch = Stopwatch()
        survivor = client_process(paths)
        out, error = survivor.communicate(timeout=PATIENCE_S)
        assert survivor.returncode == 0, error
        assert watch.seconds() < 5
        reap(int(out))
        assert set(os.listdir(paths.run_dir)) <= {"agentgw.sock", "spawn.lock"}


def test_half_made_sockets_of_dead_clients_are_removed(paths: Paths, spawned: list[int]) -> None:
    prepare(paths)
    dead = subprocess.Popen(["/bin/true"])
    dead.wait()
    for name in (f".tmp.{dead.pid}", f".tmp.{os.getppid()}", ".tmp.x"):
        Path(paths.run_dir, name).touch()
    with connect_client(paths, command=standin(paths)) as client:
        spawned.append(client.daemon["pid"])
    assert set(os.listdir(paths.run_dir)) == {f".tmp.{os.getppid()}", ".tmp.x", "agentgw.sock", "spawn.lock"}


def test_a_killed_daemon_is_replaced_and_nothing_is_killed_by_pid(paths: Paths, spawned: list[int]) -> None:
    """The daemon's pid belongs to somebody else, and is written where a pid would be looked for."""
    with connect_client(paths, command=standin(paths)) as client:
        first = client.daemon["pid"]
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    unrelated = subprocess.Popen(["sleep", "60"])
    Path(paths.lock_file).write_text(str(unrelated.pid))
    Path(paths.run_dir, "daemon.pid").write_text(str(unrelated.pid))
    try:
        with connect_client(paths, command=standin(paths)) as client:
            spawned.append(client.daemon["pid"])
            assert client.daemon["pid"] != first
        assert unrelated.poll() is None
    finally:
        unrelated.kill()
        unrelated.wait()


def test_the_lock_is_private_and_not_inherited(paths: Paths, spawned: list[int]) -> None:
    before = os.umask(0)
    try:
        with connect_client(paths, command=standin(paths)) as client:
            spawned.append(client.daemon["pid"])
    finally:
        os.umask(before)
    assert os.stat(paths.spawn_lock).st_mode & 0o777 == 0o600
    assert starts(paths)[0]["descriptors"] == [0, 1, 2, 3]


def test_a_lock_that_stays_taken_ends_in_an_error(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(paths)
    monkeypatch.setattr(spawn, "LOCK_TIMEOUT_S", 0.05)
    held = spawn._take_lock(paths.spawn_lock)
    with pytest.raises(DaemonUnreachable, match="another client has been starting the daemon"):
        connect_or_spawn(paths, command=["/bin/false"])
    os.close(held)


def test_a_link_in_the_place_of_the_lock_is_not_followed(paths: Paths, tmp_path: Path) -> None:
    prepare(paths)
    os.symlink(tmp_path / "victim", paths.spawn_lock)
    with pytest.raises(DirectoryRefused, match="symbolic links"):
        spawn._take_lock(paths.spawn_lock)
    assert not (tmp_path / "victim").exists()


def test_a_second_daemon_gives_way_to_the_one_that_publishes_its_socket_again(paths: Paths) -> None:
    """The live daemon lost its socket file, the spawned one exits 75."""
    first = client_process(paths)
    pid = int(first.communicate(timeout=PATIENCE_S)[0])
    try:
        os.unlink(paths.socket)
        second = client_process(paths)
        # It has met the other daemon once a second start is on record.
        deadline = time.monotonic() + 20
        while len(starts(paths)) < 2 and time.monotonic() < deadline:
            time.sleep(0.005)
        with fakedaemon.FakeDaemon(bind_socket(paths)):
            out, error = second.communicate(timeout=PATIENCE_S)
        assert (second.returncode, out.strip()) == (0, str(os.getpid())), error
    finally:
        reap(pid)


def test_another_daemon_that_stays_out_of_reach_is_exit_75(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    from agentgw.local.lifetime import opening

    monkeypatch.setattr(opening, "REPUBLISH_TIMEOUT_S", 0.1)
    with connect_client(paths, command=standin(paths)) as client:
        pid = client.daemon["pid"]
    os.unlink(paths.socket)
    try:
        with pytest.raises(AlreadyRunning, match="already running") as caught:
            connect_client(paths, command=standin(paths))
        assert caught.value.exit_status == 75
    finally:
        reap(pid)
        os.waitpid(pid, 0)


def test_a_daemon_that_is_ending_is_waited_for(paths: Paths, spawned: list[int]) -> None:
    """The ending daemon holds the lock and takes no connections; the next one starts when it is gone."""
    with connect_client(paths, command=standin(paths)) as client:
        ending = client.daemon["pid"]
    os.unlink(paths.socket)
    watcher = subprocess.Popen(
        [sys.executable, "-c", f"import os, time; time.sleep(0.3); os.kill({ending}, 9)"],
    )
    with connect_client(paths, command=standin(paths)) as client:
        spawned.append(client.daemon["pid"])
        assert client.daemon["pid"] != ending
    watcher.wait()
    os.waitpid(ending, 0)


def test_a_warning_about_the_runtime_directory_is_given_by_the_spawner_alone(
    tmp_path: Path, spawned: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = Paths(Environment({"HOME": str(tmp_path), "XDG_RUNTIME_DIR": "relative"}), platform="linux")
    said: list[str] = []
    for _ in range(2):
        with connect_client(paths, notice=said.append, command=standin(paths)) as client:
            spawned.append(client.daemon["pid"])
    assert said == [paths.warning]


def test_a_warning_about_the_runtime_directory_is_not_repeated_at_the_next_start(
    tmp_path: Path,
) -> None:
    paths = Paths(Environment({"HOME": str(tmp_path), "XDG_RUNTIME_DIR": "relative"}), platform="linux")
    said: list[str] = []
    for _ in range(2):
        with connect_client(paths, notice=said.append, command=standin(paths)) as client:
            os.kill(client.daemon["pid"], signal.SIGKILL)
            os.waitpid(client.daemon["pid"], 0)
    assert said == [paths.warning]
