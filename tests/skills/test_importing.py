"""Old YAML skills as folders: the same skill, and nothing overwritten."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentgw.protocol.errors import AlreadyExists
from agentgw_daemon.skills.frontmatter import parse
from agentgw_daemon.skills.importing import import_skill
from agentgw_daemon.skills.loader import read_skill
from agentgw_daemon.skills.model import LoadedSkill, listed
from tests.skills.folders import with_metadata, write_skill
from tests.skills.old_skill import OLD


def imported(root: Path, text: str, name: str = "old.yaml") -> tuple[LoadedSkill, LoadedSkill]:
    """The old skill and what was made of it."""
    (root / name).write_text(text, encoding="utf-8")
    old = read_skill(root / name, root, "user").skill
    assert old is not None
    result = import_skill(root / name, root / "skills")
    assert result.ok, result.problems
    new = read_skill(root / "skills" / old.name, root / "skills", "user").skill
    assert new is not None
    assert result.skill == new.to_wire()
    return old, new


def test_every_documented_key_survives(tmp_path: Path) -> None:
    old, new = imported(tmp_path, OLD)
    assert replace(new, path=old.path) == old
    assert new.path == str(tmp_path / "skills" / "code-reviewer" / "SKILL.md")
    # The parts of an example that the daemon does not use are kept too.
    assert parse((tmp_path / "skills" / "code-reviewer" / "examples.yaml").read_text()) == [
        "Review this function", {"input": "What is wrong here?", "output": "The loop."},
    ]  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "skills").iterdir()) == ["code-reviewer"]


@pytest.mark.parametrize(
    "text",
    [
        "system_prompt: Be brief.\n",
        "name: 'null'\nsystem_prompt: x\n",
        "name: x\nsystem_prompt: |\n  ---\n  name: evil\n  ---\n  more\n",
        "name: x\nsystem_prompt: x\ntools: []\n",
        "name: x\nsystem_prompt: x\ntools: [Bash(git log), a b, 'c,d']\n",
        "name: x\nsystem_prompt: x\ntags: [machine learning, '[odd', \"a'b\", x]\n",
        "name: x\nsystem_prompt: x\nexamples: |\n  # not a comment\n  - a dash\n",
        "name: x\nsystem_prompt: x\nexamples:\n  - |\n    two\n    lines\n",
        'name: x\ndescription: "a: b # c \\"q\\" \\x85 \\u2028 \\uFEFF é \U0001f600"\nsystem_prompt: x\n',
        "name: x\nsystem_prompt: x\nrag_context: off\n",
        "name: x\nsystem_prompt: x\nrag_context: {enabled: false, top_k: 7}\n",
        "name: x\nsystem_prompt: x\ntemperature: 0.30\nmax_iterations: 007\n",
    ],
)
def test_odd_values_survive(tmp_path: Path, text: str) -> None:
    old, new = imported(tmp_path, text)
    assert replace(new, path=old.path) == old


_TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(description=_TEXT, tags=st.lists(_TEXT, max_size=3), tools=st.lists(_TEXT, max_size=3), examples=st.lists(_TEXT))
def test_any_text_survives_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, description: str, tags: list[str], tools: list[str], examples: list[str]
) -> None:
    root = tmp_path_factory.mktemp("any")
    fields = {"system_prompt": "x", "description": description, "tags": tags, "tools": tools, "examples": examples}
    (root / "old.yaml").write_text(
        "".join(f"{key}: {json.dumps(value)}\n" for key, value in fields.items()), encoding="utf-8"
    )
    old = read_skill(root / "old.yaml", root, "user")
    result = import_skill(root / "old.yaml", root / "skills")
    assert result.ok == (old.skill is not None), result.problems
    if old.skill is not None:
        new = read_skill(root / "skills" / "old", root / "skills", "user").skill
        assert new is not None
        assert replace(new, path=old.skill.path) == old.skill


def test_what_is_left_out_is_noted(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text("system_prompt: x\nauthor: somebody\n")
    result = import_skill(tmp_path / "old.yaml", tmp_path / "skills")
    assert result.problems == ("note: key author is unknown and is ignored",)


@pytest.mark.parametrize("there", ["mine", "mine.yaml", "mine.yml"])
def test_nothing_is_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / "skills" / there).mkdir(parents=True)
    (tmp_path / "old.yaml").write_text("name: mine\nsystem_prompt: x\n")
    with pytest.raises(AlreadyExists, match="is there already"):
        import_skill(tmp_path / "old.yaml", tmp_path / "skills")
    assert os.listdir(tmp_path / "skills") == [there]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("old.yaml", "name: x\n", "system_prompt is missing"),
        ("old.yaml", "a: !!python/object/apply:os.system [x]\n", "tags"),
        ("SKILL.md", "---\n", "not a YAML file"),
        ("gone.yaml", None, "no such file"),
        ("o\0d.yaml", None, "not a path"),
    ],
)
def test_what_is_no_old_skill_is_refused_and_leaves_nothing(
    tmp_path: Path, name: str, text: str | None, reason: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    result = import_skill(tmp_path / name, tmp_path / "skills")
    assert not result.ok
    assert reason in result.problems[0]
    assert not (tmp_path / "skills").exists()


def test_a_prompt_that_only_just_fitted_is_refused_whole(tmp_path: Path) -> None:
    big = "name: x\nsystem_prompt: " + "y" * (65536 - 23)
    (tmp_path / "big.yaml").write_text(big)
    result = import_skill(tmp_path / "big.yaml", tmp_path / "skills")
    assert (result.ok, os.listdir(tmp_path / "skills")) == (False, [])
    assert "larger than 64 KiB" in result.problems[0]


def test_a_list_setting_may_be_json(tmp_path: Path) -> None:
    assert listed('["a b", "c"]') == ("a b", "c")
    assert listed("a, b c") == ("a", "b", "c")
    front = with_metadata("mine", "agentgw-tags: '[1]'")
    assert "no JSON list" in read_skill(write_skill(tmp_path, "mine", front=front), tmp_path, "user").problems[0]


def test_a_shipped_skill_is_not_replaced_by_an_old_file(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text(OLD, encoding="utf-8")
    with pytest.raises(AlreadyExists, match="agentgw's own"):
        import_skill(tmp_path / "old.yaml", tmp_path / "skills", {"code-reviewer"})
    assert not (tmp_path / "skills").exists()
