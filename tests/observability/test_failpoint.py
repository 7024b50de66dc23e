from __future__ import annotations

import errno
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from agentgw_daemon.observability import failpoint
from agentgw_daemon.observability.failpoint import FailpointReached, arm
from tests.patience import PATIENCE_S


@pytest.fixture(autouse=True)
def _disarm() -> Iterator[None]:
    yield
    arm("")


def test_an_unarmed_point_raises_nothing() -> None:
    failpoint.failpoint("before-commit")


def test_each_point_does_what_it_is_armed_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failpoint, "SLEEP_S", 0.01)
    arm("a:1:raise,b:1:enospc,c:1.0:sleep")
    with pytest.raises(FailpointReached, match="a"):
        failpoint.failpoint("a")
    with pytest.raises(OSError, match="space") as caught:
        failpoint.failpoint("b")
    assert caught.value.errno == errno.ENOSPC
    before = time.monotonic()
    failpoint.failpoint("c")
    assert time.monotonic() - before >= 0.01
    failpoint.failpoint("d")


def test_kill_ends_the_process_at_once() -> None:
    program = "from agentgw_daemon.observability.failpoint import *; arm('x:1:kill'); failpoint('x'); print('alive')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout) == (-9, "")


def test_hang_stalls_its_thread_and_no_other() -> None:
    program = (
        "import threading, os; from agentgw_daemon.observability.failpoint import *; arm('x:1:hang')\n"
        "threading.Thread(target=failpoint, args=('x',), daemon=True).start()\n"
        "print('alive', threading.active_count(), flush=True); os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout) == (0, "alive 2\n")


def test_a_probability_of_zero_never_fires_and_a_half_sometimes_does() -> None:
    arm("never:0:raise,half:0.5:raise")
    fired = 0
    for _ in range(400):
        failpoint.failpoint("never")
        try:
            failpoint.failpoint("half")
        except FailpointReached:
            fired += 1
    assert 100 < fired < 300


@pytest.mark.parametrize("text", ["a", "a:1", "a:x:kill", "a:1:explode", ":1:kill", "a:1:kill:2"])
def test_bad_text_is_refused_and_arms_nothing(text: str) -> None:
    with pytest.raises(ValueError, match=r"AGENTGW_FAIL|could not convert"):
        arm("b:1:raise," + text)
    failpoint.failpoint("b")
