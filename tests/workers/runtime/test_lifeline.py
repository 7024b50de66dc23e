"""Inside a worker: where its words go, and when its heart beats."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from agentgw_daemon.workers.runtime import lifeline


def test_what_native_code_prints_to_stdout_becomes_log_lines(tmp_path: Path) -> None:
    """The descriptor is what counts: a print from C knows no sys.stdout."""
    script = (
        "import os\n"
        "from agentgw_daemon.workers.runtime import lifeline as lifeline\n"
        "fd = lifeline.harden()\n"
        "os.write(1, b'noise')\n"
        "os.write(fd, b'wire')\n"
        "assert not os.get_inheritable(fd)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"wire", b"noise")


def test_the_heart_beats_while_there_is_work_and_stops_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifeline, "HEARTBEAT_S", 0.01)
    read_fd, write_fd = os.pipe()
    heartbeat = lifeline.HeartbeatThread(lambda rss: os.write(write_fd, b"%d\n" % rss))
    heartbeat.start()
    assert not select.select([read_fd], [], [], 0.1)[0]
    heartbeat.start_beating()
    with open(read_fd, "rb") as lines:
        for _ in range(3):
            assert int(lines.readline()) > 1 << 20
        heartbeat.stop_beating()
        while select.select([read_fd], [], [], 0.1)[0]:
            lines.readline()
        heartbeat.start_beating()
        assert int(lines.readline()) > 1 << 20
        heartbeat.stop_beating()
