"""An old YAML skill as a folder with SKILL.md that gives the same skill. Blocking file work in `import_skill`.

Nothing is taken on trust: the folder is written aside, read back, compared with what the old file gave, and only then
gets its name. What stands there already is never replaced.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from agentgw.protocol.calls.skills import ValidateResult
from agentgw.protocol.errors import AlreadyExists
from agentgw_daemon.skills.frontmatter import YamlNode, parse_mapping
from agentgw_daemon.skills.loader import SKILL_FILE, is_yaml, read_skill
from agentgw_daemon.skills.model import LoadedSkill, Rag, tool_names, words
from agentgw_daemon.skills.source import SkillSource

EXAMPLES_FILE: Final = "examples.yaml"
# Characters that YAML wants escaped in a quoted scalar and JSON does not, or what nobody sees.
_ESCAPED: Final = re.compile("[\x7f-\xa0\xad\u2028\u2029\ufeff\ue000-\uf8ff\ufffe\uffff]")


def import_skill(path: Path, skills_dir: Path, shipped: Collection[str] = ()) -> ValidateResult:
    """Makes a folder in `skills_dir` of the old file. Raises AlreadyExists when one of its name is there, or shipped.

    `problems` of the result say why it cannot be, or note what is left out.
    """
    if not is_yaml(path):
        return ValidateResult(ok=False, problems=("it is not a YAML file; copy a skill's folder into place yourself",))
    try:
        return _import(path, skills_dir, shipped)
    except OSError as error:
        return ValidateResult(ok=False, problems=(f"{skills_dir} cannot be written: {error.strerror}",))
    except ValueError:  # a NUL in the path
        return ValidateResult(ok=False, problems=("it is not a path",))


def _import(path: Path, skills_dir: Path, shipped: Collection[str]) -> ValidateResult:
    old = read_skill(path, path.parent, "user")
    if old.skill is None:
        return ValidateResult(ok=False, problems=old.problems)
    if old.skill.name in shipped:
        raise AlreadyExists(
            f"{old.skill.name} is a skill of agentgw's own, and this one would take its place",
            hint="give it another name", kind="skill", id=old.skill.name,
        )  # fmt: skip
    place = skills_dir / old.skill.name
    for taken in (place, *(place.with_suffix(suffix) for suffix in (".yaml", ".yml"))):
        if os.path.lexists(taken):
            raise AlreadyExists(f"{taken} is there already", hint="remove it first", kind="skill", id=old.skill.name)
    fields = parse_mapping(SkillSource().read_text(path, path.parent))
    skills_dir.mkdir(mode=0o700, exist_ok=True)
    # Beside its place, so that it gets its name by a rename; hidden, so that nobody takes it for a skill before.
    aside = Path(tempfile.mkdtemp(prefix=".import-", dir=skills_dir))
    try:
        folder = aside / old.skill.name
        folder.mkdir(mode=0o700)
        for name, text in files_of(old.skill, fields).items():
            (folder / name).write_text(text, encoding="utf-8", newline="")
        new = read_skill(folder, aside, "user")
        if new.skill is None or replace(new.skill, path=old.skill.path) != old.skill:
            return ValidateResult(ok=False, problems=new.problems or ("it cannot be written as a SKILL.md",))
        os.rename(folder, place)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    made = replace(new.skill, path=str(place / SKILL_FILE))
    return ValidateResult(ok=True, problems=tuple(f"note: {note}" for note in old.notes), skill=made.to_wire())


def files_of(skill: LoadedSkill, fields: Mapping[str, YamlNode]) -> dict[str, str]:
    """The texts of the folder's files by name; `fields` are the old file's, for what a loaded skill leaves out."""
    front = [f"name: {_quoted(skill.name)}", f"description: {_quoted(skill.description)}"]
    if skill.allowed_tools is not None:
        front.append(f"allowed-tools: {_tools(skill.allowed_tools)}")
    settings = {
        "model": skill.model,
        "temperature": _written(fields, "temperature"),
        "max-iterations": _written(fields, "max_iterations"),
        "sub-agents": _list(skill.sub_agents),
        "rag": _rag(skill.rag),
        "tags": _list(skill.tags),
        "examples": EXAMPLES_FILE if skill.examples else None,
    }
    lines = [f"  agentgw-{key}: {_quoted(value)}" for key, value in settings.items() if value]
    front += ["metadata:", *lines] if lines else []
    files = {SKILL_FILE: "\n".join(("---", *front, "---", "", skill.instructions))}
    if skill.examples:
        files[EXAMPLES_FILE] = _examples(fields.get("examples"))
    return files


def _written(fields: Mapping[str, YamlNode], key: str) -> str | None:
    value = fields.get(key)
    return value.strip() if isinstance(value, str) else None


def _tools(names: Sequence[str]) -> str:
    text = " ".join(names)
    return _quoted(text) if text and tool_names(text) == tuple(names) else _flow(list(names))


def _list(items: Sequence[str]) -> str | None:
    if not items:
        return None
    text = " ".join(items)
    return text if words(text) == tuple(items) and not text.startswith("[") else json.dumps(list(items))


def _rag(rag: Rag | None) -> str | None:
    if rag is None:
        return None
    parts = ["on" if rag.enabled else "off"]
    if rag.top_k is not None:
        parts.append(f"top-k={rag.top_k}")
    parts += [f"{key}={' '.join(names)}" for key, names in (("skills", rag.skills), ("tags", rag.tags)) if names]
    return ", ".join(parts)


def _examples(value: YamlNode) -> str:
    """The old file's examples as they were, an item a line."""
    if isinstance(value, str):
        value = [line.strip() for line in value.splitlines() if line.strip()]
    items = value if isinstance(value, list) else [value]
    return "".join(f"- {_flow(item)}\n" for item in items)


def _flow(node: YamlNode) -> str:
    """YAML of one line."""
    match node:
        case str():
            return _quoted(node)
        case list():
            return f"[{', '.join(_flow(item) for item in node)}]"
        case dict():
            return f"{{{', '.join(f'{_quoted(key)}: {_flow(item)}' for key, item in node.items())}}}"
        case None:
            return "null"


def _quoted(text: str) -> str:
    """The text as a scalar between quotes: JSON's form is YAML's as well, but for some characters."""
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
