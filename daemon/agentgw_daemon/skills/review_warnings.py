"""Places in a skill that somebody should look at before trusting it. Hints for a reader, no defence. Does no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from agentgw.protocol.visible import pattern
from agentgw_daemon.skills.model import LoadedSkill, printable
from agentgw_daemon.skills.project import Pinned

# Characters that a reader does not see and a model does; private use as well. A carriage return is half of a line end.
_HIDDEN: Final = re.compile(rf"(?!\r)[{pattern()}\ue000-\uf8ff]")
# Emoji are written so: one selector after a symbol, or within a key's cap.
_COLOURED: Final = re.compile("(?<=[^\x00-\x7f\ufe00-\ufe0f])\ufe0f|(?<=[0-9#*])\ufe0f(?=\u20e3)")
_PIPED: Final = re.compile(r"\b(?:curl|wget)\b[^\n]{0,400}\|\s*(?:sudo\s+)?(?:ba|z|da)?sh\b")
# As long as no word and no path is: text that is read by nobody.
_ENCODED: Final = re.compile(r"[A-Za-z0-9+/]{160,}")


def review_warnings(
    skill: LoadedSkill, files: Mapping[Path, Pinned], used: Mapping[str, LoadedSkill]
) -> tuple[str, ...]:
    """A line each; `files` are those of its folder, `used` the skills that are there without it."""
    return tuple(_warnings(skill, files, used))


def _warnings(skill: LoadedSkill, files: Mapping[Path, Pinned], used: Mapping[str, LoadedSkill]) -> Iterable[str]:
    if skill.name in used:
        yield f"takes the place of the {used[skill.name].tier} skill of this name"
    if skill.allowed_tools:
        tools = printable(", ".join(skill.allowed_tools), 200)
        yield f"is made for the tools {tools}: they ask you as always"
    if skill.sub_agents:
        yield f"hands work to {printable(', '.join(skill.sub_agents), 200)}"
    programs = sum(one.executable for one in files.values())
    if programs:
        yield f"brings {programs} executable file{'s' if programs > 1 else ''}; none is run by reading the skill"
    text = "\n".join((skill.description, skill.instructions, *skill.examples))
    if (hidden := len(_HIDDEN.findall(_COLOURED.sub("", text)))) > 0:
        yield f"has {hidden} character{'s' if hidden > 1 else ''} that cannot be seen"
    if _PIPED.search(text):
        yield "tells the model to run what it downloads (curl … | sh)"
    if _ENCODED.search(text):
        yield "has text that looks encoded"
