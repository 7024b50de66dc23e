"""Old YAML skills: one file with name, description, system_prompt and settings. Does no I/O.

They load as they are, so this reader is lenient where a value can be understood and never grants anything:
`tools` narrows the user's own choice like `allowed-tools` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

from agentgw_daemon.skills.frontmatter import YamlNode
from agentgw_daemon.skills.model import (
    MAX_DESCRIPTION,
    LoadedSkill,
    Rag,
    Tier,
    name_problem,
    parse_max_iterations,
    parse_rag,
    parse_temperature,
    printable,
    words,
)
from agentgw_daemon.text.names import normalised

T = TypeVar("T")

KEYS: Final = (
    "name", "description", "system_prompt", "tools", "model", "temperature", "max_iterations", "tags", "examples",
    "sub_agents", "rag_context",
)  # fmt: skip


def read(fields: Mapping[str, YamlNode], path: Path, tier: Tier, problems: list[str], notes: list[str]) -> LoadedSkill:
    """The skill that an old file's mapping describes; valid when nothing was added to `problems`."""
    name = normalised(_text(fields, "name", problems) or path.stem)
    problem = name_problem(name)
    if problem:
        problems.append(problem)
    instructions = _text(fields, "system_prompt", problems)
    if not instructions:
        problems.append("system_prompt is missing")
    description = " ".join((_text(fields, "description", problems) or instructions).split())
    if len(description) > MAX_DESCRIPTION:
        notes.append(f"description is cut to {MAX_DESCRIPTION} characters")
        description = description[: MAX_DESCRIPTION - 1] + "…"
    notes.extend(f"key {printable(key)} is unknown and is ignored" for key in fields if key not in KEYS)
    tools = fields.get("tools")
    return LoadedSkill(
        name=name,
        description=description,
        tier=tier,
        path=str(path),
        instructions=instructions + "\n",
        model=_text(fields, "model", problems) or None,
        temperature=_setting(fields, "temperature", parse_temperature, problems),
        max_iterations=_setting(fields, "max_iterations", parse_max_iterations, problems),
        sub_agents=tuple(normalised(item) for item in _names(fields.get("sub_agents"), "sub_agents", problems)),
        rag=_rag(fields.get("rag_context"), problems),
        tags=_names(fields.get("tags"), "tags", problems),
        examples=examples(fields.get("examples"), problems),
        allowed_tools=None if tools is None else _names(tools, "tools", problems),
    )


def _text(fields: Mapping[str, YamlNode], key: str, problems: list[str]) -> str:
    value = fields.get(key)
    if isinstance(value, list | dict):
        problems.append(f"{key} must be text")
        return ""
    return (value or "").strip()


def _setting(fields: Mapping[str, YamlNode], key: str, convert: Callable[[str], T], problems: list[str]) -> T | None:
    text = _text(fields, key, problems)
    if not text:
        return None
    try:
        return convert(text)
    except ValueError as error:
        problems.append(f"{key}: {error}")
        return None


def _names(value: YamlNode, key: str, problems: list[str]) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return words(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(str(item) for item in value)
    problems.append(f"{key} must be a list of names")
    return ()


def examples(value: YamlNode, problems: list[str]) -> tuple[str, ...]:
    """A list of messages; of a mapping (question and answer) the first value counts."""
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(line.strip() for line in value.splitlines() if line.strip())
    made: list[str] = []
    for item in value if isinstance(value, list) else [value]:
        first = next(iter(item.values()), None) if isinstance(item, dict) else item
        if isinstance(first, str):
            made.append(first)
        else:
            problems.append("examples must be a list of messages")
            break
    return tuple(made)


def _rag(value: YamlNode, problems: list[str]) -> Rag | None:
    """`rag_context`: on or off, or a mapping with enabled, top_k, skills, tags."""
    if value is None:
        return None
    if isinstance(value, list):
        problems.append("rag_context must be a mapping")
        return None
    try:
        if isinstance(value, str):
            return parse_rag(value)
        parts = []
        for key, item in value.items():
            text = " ".join(map(str, item)) if isinstance(item, list) else item
            if isinstance(text, dict) or not text:
                continue
            parts.append(text if key == "enabled" else f"{key.replace('_', '-')}={text.replace(',', ' ')}")
        return parse_rag(",".join(part.lower() if part.lower() in _SWITCH else part for part in parts))
    except ValueError as error:
        problems.append(f"rag_context: {error}")
        return None


_SWITCH: Final = ("true", "false", "on", "off")
