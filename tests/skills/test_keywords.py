"""Ranking skills by the words they share with a message."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw.local.files.shipped import shipped
from agentgw_daemon.skills.keywords import MAX_MESSAGE_CHARACTERS, KeywordMatch, is_clear, rank, stem
from agentgw_daemon.skills.library import Library
from agentgw_daemon.skills.model import LoadedSkill
from tests.skills.messages import CLEAR


def skill(name: str, description: str = "", tags: tuple[str, ...] = (), examples: tuple[str, ...] = ()) -> LoadedSkill:
    return LoadedSkill(
        name=name, description=description, tier="user", path="x", instructions="x", tags=tags, examples=examples
    )


@pytest.mark.parametrize(("message", "wanted"), CLEAR)
def test_a_message_in_a_shipped_skills_words_finds_it(message: str, wanted: str) -> None:
    library = Library([("shipped", Path(shipped("skills")))])
    library.reload()
    ranked = rank(message, library.usable())
    assert ranked[0].name == wanted
    assert is_clear(ranked)


@pytest.mark.parametrize(
    "forms",
    [("summarise", "Summarizing", "summary", "summaries"), ("plan", "planning", "plans"), ("bug", "bugs"),
     ("translate", "translations", "translated"), ("class", "classes")],
)  # fmt: skip
def test_the_forms_of_a_word_have_one_stem(forms: tuple[str, ...]) -> None:
    assert len({stem(form) for form in forms}) == 1


def test_a_name_counts_more_than_a_tag_and_a_tag_more_than_a_description() -> None:
    ranked = rank("roses", [skill("a", "roses"), skill("b", tags=("roses",)), skill("roses"), skill("c", "tulips")])
    assert [match.name for match in ranked] == ["roses", "b", "a", "c"]


def test_examples_are_words_to_be_found_by() -> None:
    assert rank("water the roses", [skill("a"), skill("b", examples=("water my roses",))])[0].words == (
        "roses", "water",
    )  # fmt: skip


def test_a_word_of_all_skills_decides_less_than_a_word_of_one() -> None:
    ranked = rank("text roses", [skill("a", "text one"), skill("b", "text roses"), skill("c", "text")])
    assert ranked[0] == KeywordMatch(name="b", score=ranked[0].score, words=("roses", "text"))


def test_equal_scores_are_in_the_order_of_names_and_not_clear() -> None:
    ranked = rank("roses", [skill("b", "roses"), skill("a", "roses")])
    assert [match.name for match in ranked] == ["a", "b"]
    assert not is_clear(ranked)


def test_what_follows_a_long_beginning_is_not_read() -> None:
    assert rank("x " * MAX_MESSAGE_CHARACTERS + "roses", [skill("a", "roses")])[0].score == 0


def test_no_words_and_no_skills_are_not_clear() -> None:
    assert not is_clear(rank("12 + 3?", [skill("a", "roses")]))
    assert rank("roses", []) == ()
    assert not is_clear(())


@given(st.text(max_size=200), st.lists(st.text(max_size=40), max_size=5))
def test_any_text_ranks_every_skill_once_whatever_their_order(message: str, descriptions: list[str]) -> None:
    skills = [skill(f"s{number}", text) for number, text in enumerate(descriptions)]
    ranked = rank(message, skills)
    assert ranked == rank(message, reversed(skills))
    assert sorted(match.name for match in ranked) == [one.name for one in skills]
    assert all(match.score >= 0 for match in ranked)
