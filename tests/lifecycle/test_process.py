from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentgw.protocol.errors import DirectoryRefused
from agentgw_daemon.lifecycle.process import pid_file

_SETTLED = """
import ctypes, subprocess, sys
from agentgw_daemon.lifecycle.process import settle
settle(own_session=False)
ours = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
theirs = subprocess.run([sys.executable, "-c", "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"],
                        capture_output=True, text=True).stdout
print(ours, theirs.strip())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has it")
def test_the_daemon_can_be_neither_dumped_nor_read_and_what_it_starts_is_as_any_program() -> None:
    done = subprocess.run([sys.executable, "-c", _SETTLED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "1"]


def test_no_librarys_own_command_line_is_brought_along() -> None:
    """Also where rich is installed, which httpx would import for it."""
    code = (
        "import sys\n"
        "from agentgw_daemon.lifecycle.process import leave_out_command_lines\n"
        "leave_out_command_lines()\n"
        "import httpx\n"
        "httpx.Client\n"
        "print([name for name in ('rich', 'pygments', 'httpx._main') if sys.modules.get(name)])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize("made", ["pipe", "folder", "device", "link"])
def test_a_pid_file_is_a_file_and_is_waited_for_in_no_case(made: str, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    match made:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "device":
            path = Path("/dev/zero")
        case _:
            path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DirectoryRefused, match="pid file"), pid_file(str(path)):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_a_pid_file_that_somebody_replaced_is_theirs(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text("an older and longer one\n")
    with pid_file(str(path)):
        assert path.read_text() == f"{os.getpid()}\n"
        path.unlink()
        os.mkfifo(path)
    assert path.is_fifo()
