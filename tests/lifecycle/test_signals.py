"""Signals that come while nobody listens for them any more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from agentgw_daemon.lifecycle.signals import patient_end

_PROGRAM = """
import os, signal, sys
from agentgw_daemon.lifecycle.signals import patient_end
with patient_end(lambda: False):
    os.kill(os.getpid(), int(sys.argv[1]))
    print("went on")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_process_that_is_ending_is_not_disturbed(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with patient_end(lambda: True):
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_before_that_a_signal_ends_it_as_ever(number: signal.Signals) -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM, str(int(number))], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (-number, "")
