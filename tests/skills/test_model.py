"""The values of a skill and their rules."""

from __future__ import annotations

import pytest

from agentgw.protocol.records.schema import dump
from agentgw_daemon.skills.model import (
    BrokenSkill,
    LoadedSkill,
    Rag,
    name_problem,
    parse_max_iterations,
    parse_rag,
    parse_temperature,
    printable,
    tool_names,
    words,
)
from agentgw_daemon.text.names import normalised


@pytest.mark.parametrize("name", ["a", "general-assistant", "a1-2-b", "x" * 64])
def test_names_of_the_standard_are_good(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize(
    "name", ["", "A", "a_b", "-a", "a-", "a--b", "a b", "ä", "../x", "a/b", "a\n", "a\x00", "x" * 65, "%2e%2e", "٣"]
)
def test_other_names_have_a_problem(name: str) -> None:
    problem = name_problem(name)
    assert problem is not None
    assert "\n" not in problem


@pytest.mark.parametrize("name", ["general_assistant", "general-assistant", " General_Assistant ", "general assistant"])
def test_spellings_of_a_name_are_one(name: str) -> None:
    assert normalised(name) == "general-assistant"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", Rag()),
        ("off", Rag(enabled=False)),
        ("on, top-k=4", Rag(top_k=4)),
        ("top-k = 4, skills=a b, tags=x", Rag(top_k=4, skills=("a", "b"), tags=("x",))),
        ("", Rag()),
    ],
)
def test_rag_settings_are_read(text: str, value: Rag) -> None:
    assert parse_rag(text) == value


@pytest.mark.parametrize("text", ["maybe", "top-k=0", "top-k=x", "top-k=" + "9" * 5000, "skills=", "on=1", "on; off"])
def test_other_rag_settings_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is none of"):
        parse_rag(text)


@pytest.mark.parametrize(("text", "value"), [("0", 0.0), ("0.7", 0.7), ("10", 10.0), ("1e-3", 0.001)])
def test_temperatures_are_read(text: str, value: float) -> None:
    assert parse_temperature(text) == value


@pytest.mark.parametrize("text", ["", "hot", "-0.1", "10.1", "nan", "inf", "1e999", "0,7"])
def test_other_temperatures_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="from 0 to 10"):
        parse_temperature(text)


@pytest.mark.parametrize("text", ["", "0", "1001", "-1", "3.5", "many", "9" * 5000, "٣"])
def test_iteration_limits_out_of_range_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="from 1 to 1000"):
        parse_max_iterations(text)


def test_iteration_limits_are_read() -> None:
    assert [parse_max_iterations(text) for text in ("1", "1000")] == [1, 1000]


def test_lists_may_have_commas_or_blanks() -> None:
    assert words(" a, b c,,d\n") == ("a", "b", "c", "d")


def test_a_tool_keeps_what_is_in_its_parentheses() -> None:
    assert tool_names("Read, Bash(git status *) Write") == ("Read", "Bash(git status *)", "Write")


def test_control_and_bidi_characters_are_shown_escaped() -> None:
    assert printable("a\x1b]52;c;x\x07\u202eb\r\n") == r"a\x1b]52;c;x\x07\u202eb\x0d\n"
    assert printable("x" * 100, 10) == "x" * 10 + "…"


def test_a_row_of_the_listing_leaves_out_what_is_not_set() -> None:
    skill = LoadedSkill(name="a", description="d", tier="user", path="/a/SKILL.md", instructions="Do.")
    assert dump(skill.to_wire()) == {"name": "a", "description": "d", "tier": "user", "path": "/a/SKILL.md"}


def test_a_skill_that_allows_no_tools_says_so() -> None:
    skill = LoadedSkill(name="a", description="d", tier="user", path="/a", instructions="Do.", allowed_tools=())
    assert dump(skill.to_wire())["allowed_tools"] == []


def test_a_broken_skill_shows_all_its_problems_in_one_line() -> None:
    assert BrokenSkill(name="a", tier="user", path="/a", problems=("x", "y")).to_wire().error == "x; y"
