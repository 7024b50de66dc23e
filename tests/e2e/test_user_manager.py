"""The service under systemd's real user manager, in a mount namespace where the machine seems to be booted with it.

Needs root and systemd's files, no systemd that runs: elsewhere these tests are skipped.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.home import Home
from tests.patience import PATIENCE_S

SYSTEMD = Path("/lib/systemd/systemd")
SETTINGS = """
set -eu
mount -t tmpfs tmpfs /run/systemd
mkdir /run/systemd/system
mount -t tmpfs tmpfs /run/user
mkdir -m 700 /run/user/0
export XDG_RUNTIME_DIR=/run/user/0
/lib/systemd/systemd --user >"${LOG:-/dev/null}" 2>&1 &
manager=$!
trap 'kill $manager; wait $manager || :' EXIT
for _ in $(seq 100); do systemctl --user is-system-running >/dev/null 2>&1 && break; sleep 0.1; done
"""


def may_try() -> bool:
    """Tell whether such a manager can be had here."""
    if os.geteuid() != 0 or not SYSTEMD.exists() or not Path("/run/systemd").is_dir() or not Path("/run/user").is_dir():
        return False
    if shutil.which("unshare") is None or Path("/run/systemd/system").exists():
        return False
    tried = ["unshare", "-m", "sh", "-c", f"{SETTINGS}\nsystemctl --user is-system-running"]
    environ = {"PATH": os.defpath, "HOME": os.devnull}
    done = subprocess.run(tried, env=environ, capture_output=True, text=True, timeout=PATIENCE_S)
    return done.stdout.strip() == "running"


pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module", autouse=True)
def manager() -> None:
    """Skips where there is none."""
    if not may_try():
        pytest.skip("systemd's user manager cannot be started here")


def under_systemd(home: Home, script: str) -> list[str]:
    """Output of a script that has a user manager; it ends with the first command that fails."""
    agentgw = f'agentgw() {{ {shlex.quote(sys.executable)} -P -m agentgw "$@"; }}\n'
    words = ["unshare", "-m", "sh", "-c", SETTINGS + agentgw + script]
    environ = home.environ | {"LOG": str(home.root / "manager.log")}
    done = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=PATIENCE_S, cwd=home.work)
    assert done.returncode == 0, (done.stdout, done.stderr, (home.root / "manager.log").read_text()[-4000:])
    return done.stdout.splitlines()


def test_it_is_installed_answers_survives_a_kill_and_leaves_nothing(home: Home) -> None:
    said = under_systemd(
        home,
        """
        agentgw service install --now >/dev/null
        main() { systemctl --user show -p MainPID --value agentgw.service; }
        socket=$(find "$AGENTGW_HOME/run" -name agentgw.sock)
        before=$(stat -c %i "$socket")
        agentgw run -m echo first
        systemctl --user show -p StatusText --value agentgw.service
        grep NoNewPrivs /proc/$(main)/status
        kill -9 $(main)
        agentgw run -m echo second
        test "$before" = "$(stat -c %i "$socket")" && echo the same socket
        systemctl --user reload agentgw.service
        agentgw stop
        agentgw run -m echo third
        agentgw service status >/dev/null && echo current
        agentgw service uninstall >/dev/null
        find "$HOME/.config" "$AGENTGW_HOME/run" -name "*agentgw*"
        """,
    )
    assert said == [
        "first", f"serving on {home.socket}", "NoNewPrivs:\t1", "second", "the same socket", "stopped", "third",
        "current",
    ]  # fmt: skip


def test_a_daemon_that_runs_hands_over_to_the_socket_unit(home: Home) -> None:
    said = under_systemd(
        home,
        """
        agentgw run -m echo before
        agentgw service install >/dev/null
        systemctl --user start agentgw.socket
        agentgw run -m echo after
        systemctl --user is-active agentgw.service
        agentgw sessions list --json | grep -c before
        agentgw service stop
        """,
    )
    assert said == ["before", "after", "active", "1", "stopped"]


def test_a_refused_configuration_is_not_tried_again(home: Home) -> None:
    said = under_systemd(
        home,
        """
        agentgw service install >/dev/null
        mkdir -p "$AGENTGW_HOME/config"
        printf '[agent]\\nwrong = 1\\n' >"$AGENTGW_HOME/config/config.toml"
        systemctl --user start agentgw.service || echo refused
        systemctl --user show -p ExecMainStatus,NRestarts agentgw.service | sort
        rm "$AGENTGW_HOME/config/config.toml"
        agentgw service start
        agentgw service uninstall >/dev/null
        """,
    )
    assert said == ["refused", "ExecMainStatus=78", "NRestarts=0", "started"]
