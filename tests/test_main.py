"""The whole process entry, as real processes: start, hand-over, refusals, endings."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import agentgw
from agentgw.local.paths import Paths
from agentgw.protocol.errors import ConfigRefused, DaemonUnreachable
from tests.lifecycle.processes import ENTRY, Children, ask, wait_for_exit, wait_for_line
from tests.lifecycle.processes import children as children
from tests.lifecycle.processes import finish as finish
from tests.lifecycle.processes import home as home
from tests.lifecycle.processes import paths as paths
from tests.lifecycle.processes import place as place
from tests.lifecycle.processes import run as run
from tests.lifecycle.processes import spawned as spawned
from tests.patience import PATIENCE_S

Run = Callable[..., subprocess.Popen[str]]
Finish = Callable[..., tuple[int, str]]


def one_line(said: str) -> str:
    """The line, after checking that it is one and no traceback."""
    assert said.count("\n") == 1, said
    assert said.startswith("agentgw: ")
    assert "Traceback" not in said
    return said.strip()


def test_spawned_by_a_client_it_answers_on_the_clients_socket(
    spawned: Callable[[], dict[str, Any]], paths: Paths
) -> None:
    said = spawned()
    assert said["managed"] is False
    assert said["inheritable"] is False
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", said["started_at"])
    assert ask(paths.socket)["instance"] == said["instance"]


def test_spawned_it_has_left_the_clients_session_directory_and_standard_error(
    spawned: Callable[[], dict[str, Any]], paths: Paths
) -> None:
    said = spawned()
    assert said["sid"] == said["pid"] != os.getsid(0)
    assert said["cwd"] == "/"
    assert said["standard"] == ["/dev/null", "/dev/null", paths.log_file]
    assert said["core"] == [0, 0]
    assert said["umask"] == 0o077
    # What was imported is not looked through for garbage; what comes afterwards is.
    assert said["collects_garbage"] is True
    assert said["not_looked_through"] > 10_000


def test_the_variables_of_activation_are_gone_from_its_environment(spawned: Callable[[], dict[str, Any]]) -> None:
    assert not {"LISTEN_FDS", "LISTEN_PID", "AGENTGW_SPAWNED"} & set(spawned()["environ"])


def test_inherited_junk_is_undone(home: Path, paths: Paths, tmp_path: Path, children: Children) -> None:
    """50 open descriptors, SIGTERM blocked, SIGHUP and SIGINT ignored, a working directory that is gone."""
    gone = tmp_path / "gone"
    gone.mkdir()
    program = f"""
import os, signal, socket
os.chdir({str(gone)!r})
os.rmdir({str(gone)!r})
os.makedirs({paths.run_dir!r}, 0o700)
listener = socket.socket(socket.AF_UNIX)
listener.bind({paths.socket!r})
listener.listen()
if listener.fileno() != 3:
    os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
for _ in range(50):
    os.set_inheritable(os.open("/dev/null", os.O_RDONLY), True)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR1])
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
os.environ.update(LISTEN_FDS="1", AGENTGW_SPAWNED="1")
os.umask(0o077)
os.execv({ENTRY[0]!r}, {[*ENTRY, "--activated"]!r})
"""
    home.mkdir(mode=0o700)
    child = children.start([sys.executable, "-c", program])
    assert child.stderr is not None
    # The end of its standard error: it serves, or it has failed.
    assert child.stderr.read() == ""
    said = ask(paths.socket)
    assert said["fds"] <= 20
    assert said["blocked"] == []
    assert set(said["ignored"]) <= {signal.SIGPIPE, signal.SIGXFSZ}
    assert signal.SIGPIPE in said["ignored"]
    os.kill(child.pid, signal.SIGTERM)
    assert child.wait(PATIENCE_S) == 0


def test_closed_standard_descriptors_are_filled(spawned: Callable[..., dict[str, Any]], paths: Paths) -> None:
    """Else the lock or the database would become standard input or output."""
    said = spawned(["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *ENTRY, "--activated"])
    assert said["standard"] == ["/dev/null", "/dev/null", paths.log_file]


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o777])
def test_files_are_0600_and_directories_0700_whatever_the_umask(mask: int, run: Run, home: Path, paths: Paths) -> None:
    # 0777 would also keep this test from making the directories above.
    process = run("--foreground", "--pidfile", str(home / "run" / "pid"), umask=mask)
    assert wait_for_line(process, "serving")
    modes = {
        str(path.relative_to(home)): stat.S_IMODE(path.lstat().st_mode)
        for path in home.rglob("*")
        if not stat.S_ISSOCK(path.lstat().st_mode)
    }
    assert {"data/daemon.lock", "state/daemon.log", "run/pid", "run/spawn.lock"} < set(modes)
    expected = {name: 0o700 if (home / name).is_dir() else 0o600 for name in modes}
    assert modes == expected
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE(os.stat(paths.socket).st_mode) & 0o077 == 0


def test_in_the_foreground_it_binds_itself_and_cleans_up_at_sigterm(run: Run, home: Path, paths: Paths) -> None:
    pidfile = home.parent / "pid"
    process = run("--foreground", "--pidfile", str(pidfile), "--prewarm")
    assert wait_for_line(process, "serving")
    said = ask(paths.socket)
    assert (said["managed"], said["prewarm"]) == (False, True)
    assert pidfile.read_text() == f"{process.pid}\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    assert not os.path.exists(paths.socket)
    assert not pidfile.exists()
    assert Path(paths.lock_file).read_text() == ""


def test_a_relative_pidfile_is_relative_to_where_it_was_started(run: Run, tmp_path: Path) -> None:
    process = run("--foreground", "--pidfile", "here.pid", cwd=tmp_path)
    assert wait_for_line(process, "serving")
    assert (tmp_path / "here.pid").read_text() == f"{process.pid}\n"


def test_a_second_daemon_says_so_and_leaves_the_first_alone(run: Run, finish: Finish, paths: Paths) -> None:
    first = run("--foreground")
    assert wait_for_line(first, "serving")
    before = (os.stat(paths.socket).st_ino, Path(paths.log_file).read_text())
    status, said = finish("--foreground")
    assert status == 75
    assert f"already running (pid {first.pid})" in one_line(said)
    assert (os.stat(paths.socket).st_ino, Path(paths.log_file).read_text()) == before
    assert ask(paths.socket)["pid"] == first.pid


def test_a_daemon_of_another_database_does_not_take_a_live_socket_over(
    run: Run, finish: Finish, tmp_path: Path
) -> None:
    """One runtime directory, two data directories."""
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)

    def environ(user: str) -> dict[str, str]:
        base = {f"XDG_{name}_HOME": str(tmp_path / user / name) for name in ("CONFIG", "DATA", "STATE", "CACHE")}
        return {"AGENTGW_HOME": "", "XDG_RUNTIME_DIR": str(runtime), **base}

    first = run("--foreground", env=environ("first"))
    assert wait_for_line(first, "serving")
    status, said = finish("--foreground", env=environ("second"))
    assert status == 75
    assert "another daemon listens" in one_line(said)
    assert ask(str(runtime / "agentgw" / "agentgw.sock"))["pid"] == first.pid


def test_killed_it_is_followed_at_once_though_its_orphans_live(
    spawned: Callable[[], dict[str, Any]], home: Path, paths: Paths, children: Children
) -> None:
    """Children started with exec do not keep the lock, and an old pid is nobody's death warrant."""
    pause = [sys.executable, "-c", "import signal; signal.pause()"]
    orphans = [children.start(pause, close_fds=False) for _ in range(2)]
    first = spawned()
    os.kill(first["pid"], signal.SIGKILL)
    wait_for_exit(first["pid"])
    # As if the pid had been given to somebody else since.
    Path(paths.lock_file).write_text(json.dumps({"pid": orphans[0].pid}))
    second = spawned()
    assert second["instance"] != first["instance"]
    assert [orphan.poll() for orphan in orphans] == [None, None]


def test_a_lock_is_not_inherited_by_a_child_that_outlives_its_daemon(
    home: Path, paths: Paths, children: Children
) -> None:
    program = f"""
import os, subprocess, sys
os.makedirs({paths.data_dir!r})
from agentgw_daemon.lifecycle import lock as lock
held = lock.acquire({paths.lock_file!r}, instance="i", version="1")
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"],
                         close_fds=False, stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    died = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, timeout=PATIENCE_S)
    orphan = int(died.stdout)
    children.adopt(orphan)
    os.kill(orphan, 0)
    from agentgw_daemon.lifecycle import lock

    lock.acquire(paths.lock_file, instance="j", version="1").close()


def test_under_sudo_it_refuses_and_makes_nothing(finish: Finish, home: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs to be root to look like sudo")
    status, said = finish("--foreground", env={"SUDO_UID": "1000"})
    assert status == 78
    assert "sudo" in one_line(said)
    assert not home.exists()


@pytest.mark.parametrize("place", ["/proc", "/dev/null"])
def test_an_unwritable_home_is_one_line(place: str, finish: Finish) -> None:
    status, said = finish("--foreground", env={"AGENTGW_HOME": f"{place}/agentgw"})
    assert status == 78
    assert place in one_line(said)


@pytest.mark.parametrize("mode", [0o777, 0o750])
def test_a_directory_open_to_others_is_refused_and_stays_as_it_is(mode: int, finish: Finish, paths: Paths) -> None:
    os.makedirs(paths.run_dir)
    os.chmod(paths.run_dir, mode)
    status, said = finish("--foreground")
    assert status == 78
    assert f"chmod 700 {paths.run_dir}" in one_line(said)
    assert stat.S_IMODE(os.stat(paths.run_dir).st_mode) == mode
    assert not os.path.exists(paths.socket)


def test_a_link_in_place_of_the_socket_is_refused_and_its_target_unchanged(
    finish: Finish, paths: Paths, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    before = victim.stat().st_ino
    for directory in (os.path.dirname(paths.run_dir), paths.run_dir):
        os.mkdir(directory, 0o700)
    os.symlink(victim, paths.socket)
    status, said = finish("--foreground")
    assert status == 78
    assert paths.socket in one_line(said)
    assert (victim.read_text(), victim.stat().st_ino) == ("precious", before)
    assert os.path.islink(paths.socket)


def test_a_bad_configuration_is_told_to_the_client_that_started_it(
    spawned: Callable[[], dict[str, Any]], paths: Paths
) -> None:
    for directory in (os.path.dirname(paths.config_dir), paths.config_dir):
        os.mkdir(directory, 0o700)
    Path(paths.config_file).write_text("[infernce]\nslots = 2\n")
    with pytest.raises(ConfigRefused, match=r"unknown key infernce; did you mean inference\?"):
        spawned()
    assert not os.path.exists(paths.log_file)


def test_settings_reach_the_daemon(spawned: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTGW_AGENT__DEFAULT_SKILL", "code-assistant")
    assert spawned()["default_skill"] == "code-assistant"


@pytest.mark.parametrize("ending", ["refuse", "group"])
def test_an_error_of_ours_while_starting_is_one_line_and_logged(ending: str, finish: Finish, paths: Paths) -> None:
    status, said = finish(env={"ENTRY_SERVE": ending})
    assert status == 1
    assert one_line(said).startswith("agentgw: the disk is full")
    logged = Path(paths.log_file).read_text()
    assert "the disk is full" in logged
    assert "Traceback" not in logged
    assert not os.path.exists(paths.socket)


def test_a_bug_is_an_id_for_the_user_and_a_traceback_for_the_log(finish: Finish, paths: Paths) -> None:
    status, said = finish(env={"ENTRY_SERVE": "crash"})
    assert status == 1
    found = re.search(r"internal error ([0-9a-f]{12}) \(ZeroDivisionError\)", one_line(said))
    assert found is not None
    assert "canary" not in said
    logged = Path(paths.log_file).read_text()
    assert found[1] in logged
    assert "ZeroDivisionError: a canary in the text" in logged


def test_a_bug_before_the_log_is_due_is_logged_too(home: Path, paths: Paths) -> None:
    program = """
import sys
from agentgw_daemon.config import load as config
config.load = None
from agentgw_daemon.main import main
sys.exit(main(["--foreground"]))
"""
    done = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S)
    assert done.returncode == 1
    assert "(TypeError)" in one_line(done.stderr)
    assert "Traceback" in Path(paths.log_file).read_text()


def test_a_crash_while_starting_reaches_the_client(
    spawned: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENTRY_SERVE", "crash")
    with pytest.raises(DaemonUnreachable, match=r"internal error [0-9a-f]{12}"):
        spawned()


def test_an_interrupt_while_starting_is_silent(finish: Finish) -> None:
    assert finish(env={"ENTRY_SERVE": "interrupt"}) == (130, "")


def test_wrong_failpoints_are_refused(finish: Finish) -> None:
    status, said = finish(env={"AGENTGW_FAIL": "nonsense"})
    assert status == 78
    assert "AGENTGW_FAIL" in one_line(said)


def test_a_pidfile_that_cannot_be_written_is_one_line(finish: Finish, paths: Paths) -> None:
    status, said = finish("--pidfile", "/proc/agentgw.pid")
    assert status == 78
    assert "/proc/agentgw.pid" in one_line(said)
    assert not os.path.exists(paths.socket)


def test_a_pidfile_that_is_another_daemons_by_now_is_left(run: Run, tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    process = run("--foreground", "--pidfile", str(pidfile))
    assert wait_for_line(process, "serving")
    pidfile.write_text("1\n")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    assert pidfile.read_text() == "1\n"


@pytest.mark.parametrize("arguments", [["--bogus"], ["--fore"], ["surplus"], ["--pidfile"]])
def test_a_wrong_command_line_is_one_line_and_status_2(arguments: list[str], finish: Finish, home: Path) -> None:
    status, said = finish(*arguments)
    assert status == 2
    assert "--help" in one_line(said)
    assert not home.exists()


def test_version_and_help_need_nothing(run: Run, home: Path) -> None:
    for flag, expected in (("--version", f"agentgw {agentgw.__version__}\n"), ("--help", "usage: agentgw-daemon")):
        out, said = run(flag).communicate(timeout=PATIENCE_S)
        assert out.startswith(expected)
        assert said == ""
    assert not home.exists()


def test_the_socket_removed_while_running_comes_back_with_the_same_daemon(run: Run, paths: Paths) -> None:
    process = run("--foreground")
    assert wait_for_line(process, "serving")
    instance = ask(paths.socket)["instance"]
    os.unlink(paths.socket)
    assert wait_for_line(process, "published again")
    assert ask(paths.socket)["instance"] == instance
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    assert not os.path.exists(paths.socket)
