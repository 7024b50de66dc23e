from __future__ import annotations

import threading

from agentgw_daemon.workers.model.calibration.interruption import Interruption


def test_what_runs_is_stopped_at_once() -> None:
    flag, interruption = threading.Event(), Interruption()
    interruption.begin(flag)
    assert not flag.is_set()
    interruption.come()
    assert flag.is_set()
    interruption.rest()
    assert not flag.is_set()


def test_what_begins_too_late_is_stopped_until_it_is_forgotten() -> None:
    flag, interruption = threading.Event(), Interruption()
    interruption.come()
    interruption.begin(flag)
    assert flag.is_set()
    interruption.rest()
    assert interruption.came
    interruption.forget()
    interruption.begin(flag)
    assert not flag.is_set()


def test_nothing_is_stopped_while_nothing_runs() -> None:
    flag, interruption = threading.Event(), Interruption()
    interruption.begin(flag)
    interruption.rest()
    interruption.come()
    assert not flag.is_set()
