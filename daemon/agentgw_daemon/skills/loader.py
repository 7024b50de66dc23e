"""Reading one skill: a folder with SKILL.md as the Agent Skills standard has it, or an old YAML file.

Everything wrong with it is collected, not only the first thing. Nothing of a skill is ever executed.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from agentgw.protocol.records.schema import record
from agentgw_daemon.skills import legacy
from agentgw_daemon.skills.frontmatter import YamlNode, YamlRefused, parse, parse_mapping, split
from agentgw_daemon.skills.model import (
    MAX_COMPATIBILITY,
    MAX_DESCRIPTION,
    LoadedSkill,
    Tier,
    listed,
    name_problem,
    parse_max_iterations,
    parse_rag,
    parse_temperature,
    printable,
    tool_names,
)
from agentgw_daemon.skills.source import SkillSource, SourceRefused, inside

T = TypeVar("T")

SKILL_FILE: Final = "SKILL.md"
YAML_SUFFIXES: Final = (".yaml", ".yml")
_KEYS: Final = ("name", "description", "license", "compatibility", "allowed-tools", "metadata")
_PREFIX: Final = "agentgw-"
_OURS: Final = tuple(
    _PREFIX + key
    for key in ("model", "temperature", "max-iterations", "sub-agents", "rag", "tags", "examples")
)  # fmt: skip


@record
class Report:
    """Result of reading a skill: `skill` unless there are problems; notes are what was ignored."""

    skill: LoadedSkill | None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    description: str = ""


def is_yaml(path: Path) -> bool:
    """Tells whether the name is that of an old YAML skill."""
    return path.suffix.lower() in YAML_SUFFIXES


def read_skill(path: Path, root: Path, tier: Tier, pinned: Mapping[Path, str] | None = None) -> Report:
    """The skill at `path`, a folder or an old YAML file directly or deeper below `root`. Never raises.

    `pinned` are the only contents that its files may have, see `SkillSource`.
    """
    # Shipped skills come with the code beside them and are trusted like it. Their owner may look like nobody
    # (uid 65534) inside a user namespace, as a service with PrivateUsers= has one.
    source = SkillSource(check_owner=tier != "shipped", pinned=pinned)
    try:
        if is_yaml(path):
            return _read_yaml(path, root, tier, source)
        return _read_folder(path, root, tier, source)
    except (SourceRefused, YamlRefused) as error:
        return Report(skill=None, problems=(str(error),))


def _read_yaml(path: Path, root: Path, tier: Tier, source: SkillSource) -> Report:
    fields = parse_mapping(source.read_text(path, root))
    problems: list[str] = []
    notes: list[str] = []
    skill = legacy.read(fields, path, tier, problems, notes)
    return Report(
        skill=None if problems else skill,
        problems=tuple(problems),
        notes=tuple(notes),
        description=skill.description,
    )


def _read_folder(folder: Path, root: Path, tier: Tier, source: SkillSource) -> Report:
    inside(folder, root)
    front, body = split(source.read_text(folder / SKILL_FILE, root))
    fields = parse_mapping(front)
    made = _SkillReader(fields)
    name = made.text("name", required=True)
    if name:
        problem = name_problem(name)
        if problem:
            made.problems.append(problem)
        elif name != folder.name:
            made.problems.append(f"name is {name} but the folder is {printable(folder.name)}: they must be the same")
    description = made.text("description", required=True, most=MAX_DESCRIPTION)
    ours = made.metadata()
    if not body.strip():
        made.problems.append("there are no instructions below the front matter")
    values: dict[str, Any] = {
        "license": made.text("license", most=MAX_DESCRIPTION) or None,
        "compatibility": made.text("compatibility", most=MAX_COMPATIBILITY) or None,
        "allowed_tools": made.tools(),
        "model": ours.get(_PREFIX + "model") or None,
        "temperature": made.setting(ours, "temperature", parse_temperature),
        "max_iterations": made.setting(ours, "max-iterations", parse_max_iterations),
        "sub_agents": made.setting(ours, "sub-agents", listed) or (),
        "rag": made.setting(ours, "rag", parse_rag),
        "tags": made.setting(ours, "tags", listed) or (),
        "examples": _examples(folder, ours, source, made.problems),
    }
    made.note_unknown()
    skill = None
    if not made.problems:
        path = str(folder / SKILL_FILE)
        skill = LoadedSkill(
            name=name, description=description, tier=tier, path=path, instructions=body.strip() + "\n", **values
        )
    return Report(skill=skill, problems=tuple(made.problems), notes=tuple(made.notes), description=description)


def _examples(folder: Path, ours: Mapping[str, str], source: SkillSource, problems: list[str]) -> tuple[str, ...]:
    name = ours.get(_PREFIX + "examples")
    if not name:
        return ()
    try:
        # The folder is the limit here, not the tier: a skill reads nothing of its neighbours.
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise SourceRefused(f"{printable(name)} is not a file beside {SKILL_FILE}")
        text = source.read_text(folder / name, folder)
        if is_yaml(Path(name)):
            return legacy.examples(parse(text), problems)
    except (SourceRefused, ValueError) as error:  # ValueError: a NUL in the name, or what is no YAML
        problems.append(f"{_PREFIX}examples: {error}")
        return ()
    lines = (line.strip().removeprefix("- ").strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


class _SkillReader:
    """Takes values out of front matter and keeps what is wrong with them."""

    def __init__(self, fields: Mapping[str, YamlNode]) -> None:
        self._fields = fields
        self.problems: list[str] = []
        self.notes: list[str] = []

    def text(self, key: str, *, required: bool = False, most: int = 0) -> str:
        value = self._fields.get(key)
        if isinstance(value, list | dict):
            self.problems.append(f"{key} must be text")
            return ""
        text = (value or "").strip()
        if required and not text:
            self.problems.append(f"{key} is missing")
        if most and len(text) > most:
            self.problems.append(f"{key} has {len(text)} characters, at most {most} are allowed")
        return text[:most] if most else text

    def tools(self) -> tuple[str, ...] | None:
        value = self._fields.get("allowed-tools")
        if "allowed-tools" not in self._fields:
            return None
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(str(item) for item in value)
        if isinstance(value, list | dict):
            self.problems.append("allowed-tools must be names between blanks")
            return ()
        return tool_names(value or "")

    def metadata(self) -> dict[str, str]:
        """Our own settings. Other programs' metadata is theirs, whatever its shape."""
        value = self._fields.get("metadata")
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.problems.append("metadata must be a mapping of names to text")
            return {}
        ours: dict[str, str] = {}
        for key, item in value.items():
            if not key.startswith(_PREFIX):
                continue
            if key not in _OURS:
                near = difflib.get_close_matches(key[:64], _OURS, n=1)
                self.problems.append(
                    f"metadata has no setting {printable(key)}" + (f"; did you mean {near[0]}?" if near else "")
                )
            elif isinstance(item, list | dict):
                self.problems.append(f"{key} must be text")
            else:
                ours[key] = (item or "").strip()
        return ours

    def setting(self, ours: Mapping[str, str], key: str, read: Callable[[str], T]) -> T | None:
        text = ours.get(_PREFIX + key)
        if not text:
            return None
        try:
            return read(text)
        except ValueError as error:
            self.problems.append(f"{_PREFIX}{key}: {error}")
            return None

    def note_unknown(self) -> None:
        for key in self._fields:
            if key not in _KEYS:
                # Other programs add keys of their own, and a skill for them should work here.
                self.notes.append(f"key {printable(key)} is not in the standard and is ignored")
