"""Old YAML skills load as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentgw_daemon.skills.loader import Report, read_skill
from agentgw_daemon.skills.model import Rag
from tests.skills.old_skill import OLD


def read(root: Path, text: str, name: str = "old.yaml") -> Report:
    (root / name).write_text(text)
    return read_skill(root / name, root, "user")


def test_every_field_of_an_old_skill_is_read(tmp_path: Path) -> None:
    report = read(tmp_path, OLD)
    skill = report.skill
    assert report.problems == report.notes == ()
    assert skill is not None
    assert (skill.name, skill.description) == ("code-reviewer", "Reviews code")
    assert skill.instructions == "You review code.\n  Keep indentation.\n"
    assert skill.allowed_tools == ("read_file", "search_documents")
    assert (skill.model, skill.temperature, skill.max_iterations) == ("llama3.2:3b", 0.3, 12)
    assert (skill.tags, skill.sub_agents) == (("code", "review"), ("quick-assistant",))
    assert skill.examples == ("Review this function", "What is wrong here?")
    assert skill.rag == Rag(top_k=5, skills=("code_reviewer",), tags=("python", "style"))
    assert skill.path == str(tmp_path / "old.yaml")


def test_the_least_an_old_skill_needs_is_a_prompt(tmp_path: Path) -> None:
    skill = read(tmp_path, "system_prompt: Be brief.\n", "Be_Brief.yml").skill
    assert skill is not None
    assert (skill.name, skill.description, skill.instructions) == ("be-brief", "Be brief.", "Be brief.\n")
    assert (skill.allowed_tools, skill.rag, skill.examples) == (None, None, ())


@pytest.mark.parametrize(
    ("line", "rag"),
    [
        ("rag_context: true", Rag()),
        ("rag_context: false", Rag(enabled=False)),
        ("rag_context: {enabled: False}", Rag(enabled=False)),
        ("rag_context: {top_k: 2, skills: , tags: []}", Rag(top_k=2)),
        ("rag_context:", None),
    ],
)
def test_rag_context_has_several_old_forms(tmp_path: Path, line: str, rag: Rag | None) -> None:
    skill = read(tmp_path, f"system_prompt: x\n{line}\n").skill
    assert skill is not None
    assert skill.rag == rag


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name: a\n", "system_prompt is missing"),
        ("name: ../a\nsystem_prompt: x\n", "may hold only"),
        ("system_prompt: x\ntemperature: hot\n", "temperature: 'hot' is not"),
        ("system_prompt: x\nmax_iterations: 0\n", "max_iterations"),
        ("system_prompt: [x]\n", "system_prompt must be text"),
        ("system_prompt: x\ntools: {a: b}\n", "tools must be a list"),
        ("system_prompt: x\nexamples: [[a]]\n", "examples must be a list"),
        ("system_prompt: x\nrag_context: [a]\n", "rag_context must be a mapping"),
        ("system_prompt: x\nrag_context: {top_k: many}\n", "rag_context: "),
        ("- a\n", "not a mapping"),
        ("system_prompt: !!python/name:os.system x\n", "tags"),
    ],
)
def test_a_broken_old_skill_says_why(tmp_path: Path, text: str, reason: str) -> None:
    report = read(tmp_path, text)
    assert report.skill is None
    assert reason in "; ".join(report.problems)


def test_unknown_keys_and_a_long_description_are_noted(tmp_path: Path) -> None:
    report = read(tmp_path, f"system_prompt: x\ndescription: {'y' * 2000}\nauthor: me\n")
    assert report.skill is not None
    assert len(report.skill.description) == 1024
    assert len(report.notes) == 2
