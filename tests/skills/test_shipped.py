"""The five skills that come with agentgw."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentgw.local.files.shipped import shipped
from agentgw_daemon.skills.library import Library

NAMES = ("code-assistant", "general-assistant", "project-manager", "quick-assistant", "summarize-document")


@pytest.fixture(scope="module")
def library() -> Library:
    made = Library([("shipped", Path(shipped("skills")))])
    made.reload()
    return made


def test_there_are_five_and_none_is_broken(library: Library) -> None:
    assert tuple((row.name, row.error) for row in library.listing()) == tuple((name, None) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_follows_every_rule_without_a_note(name: str) -> None:
    assert Library.validate(str(Path(shipped("skills"), name))).problems == ()


@pytest.mark.parametrize("name", NAMES)
def test_instructions_are_short_enough_for_a_small_model(library: Library, name: str) -> None:
    # 200 tokens at 1.3 tokens a word of plain English.
    assert len(library.get(name).instructions.split()) <= 150


@pytest.mark.parametrize("name", NAMES)
def test_descriptions_say_when_to_use_the_skill(library: Library, name: str) -> None:
    assert "Use it " in library.get(name).description


def test_the_project_manager_hands_work_to_the_other_four(library: Library) -> None:
    assert sorted((*library.get("project-manager").sub_agents, "project-manager")) == sorted(NAMES)
