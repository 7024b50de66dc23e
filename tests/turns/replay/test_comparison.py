from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw.protocol.calls.turns import ReplayCall, ReplaySide, StepCall, TurnDetail
from agentgw_daemon.turns.replay.comparison import ReplaySetting, compare_calls, reasons, same_prompt, similarity
from tests.turns.replay.details import detail

SIDE = ReplaySide(model="m", text="x", prompt_sha256="p", model_sha256="s", engine="e 1")
SETTING = ReplaySetting(
    skill_changed=False, skill_missing=False, current_skill=False, left_out_turns=0, compared="seed"
)


def why(replayed: ReplaySide = SIDE, turn: TurnDetail | None = None, **changes: Any) -> str:
    return "; ".join(reasons(turn or detail(), SIDE, replayed, (), dataclasses.replace(SETTING, **changes)))


@given(st.text(), st.text())
def test_similarity_is_symmetric_bounded_and_one_for_the_same(one: str, other: str) -> None:
    assert similarity(one, other) == similarity(other, one)
    assert 0 <= similarity(one, other) <= 1
    assert similarity(one, one) == 1


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [("a b c", "a b c", 1), ("a b", "c d", 0), ("", "a", 0), ("a b c d", "a b c x", 0.7143), ("a b", "b a", 0.6667)],
)
def test_similarity_counts_words_and_neighbouring_pairs(one: str, other: str, wanted: float) -> None:
    assert similarity(one, other) == wanted


def test_calls_are_told_apart_in_order_however_their_json_is_written() -> None:
    recorded = [
        StepCall(tool="a", arguments='{"y": 1, "x": 2}', ok=True, content="1"), StepCall(tool="b", arguments="{}"),
    ]  # fmt: skip
    made = [
        ReplayCall(tool="a", arguments='{"x": 2, "y": 1}', change="new", recorded=True),
        ReplayCall(tool="c", arguments="{", change="new", recorded=False),
    ]
    assert [(call.tool, call.change, call.recorded) for call in compare_calls(recorded, made)] == [
        ("a", "same", True), ("b", "missing", False), ("c", "new", False),
    ]  # fmt: skip


def test_a_prompt_without_a_hash_is_not_compared() -> None:
    assert same_prompt(SIDE, SIDE) == "same"
    assert same_prompt(SIDE, dataclasses.replace(SIDE, prompt_sha256="q")) == "different"
    assert same_prompt(SIDE, dataclasses.replace(SIDE, prompt_sha256=None)) == "unknown"


def test_what_is_not_as_it_was_is_named() -> None:
    assert why() == ""
    assert "another model: n in place of m" in why(replayed=dataclasses.replace(SIDE, model="n"))
    assert "the file of m is another one" in why(replayed=dataclasses.replace(SIDE, model_sha256="z"))
    assert "another engine: e 2 in place of e 1" in why(replayed=dataclasses.replace(SIDE, engine="e 2"))
    assert "template" in why(replayed=dataclasses.replace(SIDE, prompt_sha256="q"))
    assert "has changed since; the new one was not used" in why(skill_changed=True)
    assert "has changed since; the new one was used" in why(skill_changed=True, current_skill=True)
    assert "is not there any more" in why(skill_missing=True)
    assert "3 more turns of the session were left out" in why(left_out_turns=3)
    assert "one more turn of the session was left out" in why(left_out_turns=1)
    assert "by chance" in why(compared="chance")
    assert "was cancelled" in why(turn=detail("cancelled"))
    assert "before the steps" in why(turn=detail(kept=False))
    assert "skill" not in why(turn=detail(own_system=True), skill_changed=True)
