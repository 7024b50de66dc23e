from __future__ import annotations

import resource
import signal
import subprocess
import sys

import pytest

from agentgw_daemon.system.confinement import TimeExceeded, confine
from tests.patience import PATIENCE_S


def loop() -> None:
    while True:
        pass


pytestmark = pytest.mark.usefixtures("no_collections")


def test_an_endless_loop_ends() -> None:
    with pytest.raises(TimeExceeded):
        confine(loop, time_s=0.05, memory_bytes=1 << 28)


def test_code_that_catches_everything_ends_too() -> None:
    def stubborn() -> None:
        for _ in range(3):
            try:
                loop()
            except BaseException:  # noqa: BLE001  # what is tested
                continue
        loop()

    with pytest.raises(TimeExceeded):
        confine(stubborn, time_s=0.05, memory_bytes=1 << 28)


@pytest.mark.skipif(sys.platform == "darwin", reason="no RLIMIT_AS there")
def test_memory_over_the_limit_is_refused() -> None:
    with pytest.raises(MemoryError):
        confine(lambda: bytearray(1 << 29), time_s=5, memory_bytes=1 << 28)
    assert len(confine(lambda: bytearray(1 << 20), time_s=5, memory_bytes=1 << 28)) == 1 << 20


def test_limits_handlers_and_clocks_are_as_before() -> None:
    def state() -> tuple[object, ...]:
        clocks = signal.getitimer(signal.ITIMER_REAL), signal.getitimer(signal.ITIMER_PROF)
        return resource.getrlimit(resource.RLIMIT_AS), signal.getsignal(signal.SIGALRM), clocks

    before = state()
    assert confine(lambda: 7, time_s=5, memory_bytes=1 << 28) == 7
    with pytest.raises(ZeroDivisionError):
        confine(lambda: 1 // 0, time_s=5, memory_bytes=1 << 28)
    with pytest.raises(TimeExceeded):
        confine(loop, time_s=0.05, memory_bytes=1 << 28)
    assert state() == before


def test_one_endless_instruction_ends_the_process() -> None:
    module = "agentgw_daemon.system.confinement"
    call = "m.confine(lambda: max(itertools.repeat(0)), time_s=0.1, memory_bytes=1 << 28)"
    script = f"import itertools, {module} as m; {call}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=PATIENCE_S)
    assert done.returncode == -signal.SIGPROF
