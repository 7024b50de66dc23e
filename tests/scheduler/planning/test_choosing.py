"""Choice among the runs that are due, and the reasons why the others wait."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from agentgw_daemon.scheduler.planning.choosing import NEED_REASONS, OTHERS, Conditions, DueRun, choose
from agentgw_daemon.scheduler.planning.decisions import Reason
from tests.scheduler.made import EIGHT, job

FREE = Conditions(held=False, settling=False, met=frozenset(NEED_REASONS), running=0, alone=False, limit=2)


def due(name: str, minutes: float = 0, reason: Reason = "on_time", *, late: bool = False, **settings: Any) -> DueRun:
    at = EIGHT + timedelta(minutes=minutes)
    return DueRun(job=job(name, **settings), scheduled_for=at, starts_at=at, reason=reason, late=late)


def chosen(conditions: Conditions, *candidates: DueRun) -> tuple[list[str], dict[str, str]]:
    choice = choose(candidates, conditions)
    return [one.job.name for one in choice.starts], {one.job.name: why for one, why in choice.waits}


def test_as_many_start_as_may_in_the_order_of_their_times() -> None:
    assert chosen(FREE, due("c", 3), due("b", 2), due("a", 1)) == (["a", "b"], {"c": OTHERS})
    assert chosen(replace(FREE, running=1), due("b", 2), due("a", 1)) == (["a"], {"b": OTHERS})


def test_while_one_is_late_they_start_one_by_one() -> None:
    assert chosen(FREE, due("a", 1), due("b", 2, late=True)) == (["a"], {"b": OTHERS})
    assert chosen(replace(FREE, running=1), due("a", late=True)) == ([], {"a": OTHERS})
    assert chosen(replace(FREE, running=1, alone=True), due("a")) == ([], {"a": OTHERS})


@pytest.mark.parametrize(("need", "why"), NEED_REASONS.items())
def test_a_job_waits_for_what_it_needs_and_no_other_does(need: Any, why: str) -> None:
    without = replace(FREE, met=frozenset(NEED_REASONS) - {need})
    waiting = due("a", needs=frozenset({need}), late=True)
    assert chosen(without, waiting, due("b"), due("c")) == (["b", "c"], {"a": why})
    assert chosen(FREE, waiting)[0] == ["a"]


@pytest.mark.parametrize("state", ["held", "settling"])
def test_before_and_after_a_sleep_only_what_was_asked_for_starts(state: str) -> None:
    starts, waits = chosen(replace(FREE, **{state: True}), due("a"), due("b", reason="manual"))
    assert starts == ["b"]
    assert list(waits) == ["a"]


def test_what_was_asked_for_waits_for_nothing() -> None:
    full = replace(FREE, running=5, alone=True, met=frozenset())
    assert chosen(full, due("a", reason="manual", needs=frozenset({"network"})))[0] == ["a"]
