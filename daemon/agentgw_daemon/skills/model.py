"""A skill as the daemon uses it, and the rules its values keep. Does no I/O."""

from __future__ import annotations

import json
import re
from typing import Final, Literal

from agentgw.protocol import types
from agentgw.protocol.records.schema import record
from agentgw.protocol.visible import escaped

# Low to high: a later tier's skill replaces an earlier one's of the same name. The project tiers are read
# only for directories the user trusts.
Tier = Literal["shipped", "agents", "user", "project-agents", "project"]

# The Agent Skills standard's own numbers.
MAX_NAME: Final = 64
MAX_DESCRIPTION: Final = 1024
MAX_COMPATIBILITY: Final = 500
# Thrice what the standard asks for (less than 5,000 tokens of instructions, about 20 KiB), and no more.
MAX_SKILL_BYTES: Final = 64 << 10

_NAME: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_TOOL: Final = re.compile(r"[^\s,()]+(?:\([^()]*\))?")


@record
class Rag:
    """Documents that a skill is given. `top_k` None is the configuration's number; no filter is all of them."""

    enabled: bool = True
    top_k: int | None = None
    skills: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@record
class LoadedSkill:
    """A skill that can be used.

    What it says about tools only narrows: `allowed_tools` None leaves the user's own choice, an empty tuple
    leaves none. `examples` are messages the skill is meant for, one string each.
    """

    name: str
    description: str
    tier: Tier
    path: str
    instructions: str
    license: str | None = None
    compatibility: str | None = None
    model: str | None = None
    temperature: float | None = None
    max_iterations: int | None = None
    sub_agents: tuple[str, ...] = ()
    rag: Rag | None = None
    tags: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    allowed_tools: tuple[str, ...] | None = None

    def to_wire(self) -> types.Skill:
        """The skill without its instructions."""
        return types.Skill(
            name=self.name,
            description=self.description,
            tier=self.tier,
            path=self.path,
            license=self.license,
            model=self.model,
            temperature=self.temperature,
            max_iterations=self.max_iterations,
            sub_agents=self.sub_agents or None,
            tags=self.tags or None,
            allowed_tools=self.allowed_tools,
        )


@record
class BrokenSkill:
    """Entry of a tier that should be a skill and is not; it is listed with its reason."""

    name: str
    tier: Tier
    path: str
    problems: tuple[str, ...]
    description: str = ""
    # The remedy, where that is not mending the file.
    remedy: str = ""

    @property
    def reason(self) -> str:
        """The problems in one line, and what to do."""
        first, *rest = self.problems
        return "; ".join((f"{first}: {self.remedy}" if self.remedy else first, *rest))

    def to_wire(self) -> types.Skill:
        """The listing's row, with `error`."""
        return types.Skill(
            name=self.name, description=self.description, tier=self.tier, path=self.path, error=self.reason,
            remedy=self.remedy or None,
        )  # fmt: skip


def name_problem(name: str) -> str | None:
    """The reason why the standard refuses this name, or None."""
    if len(name) > MAX_NAME:
        return f"name is longer than {MAX_NAME} characters"
    if not _NAME.fullmatch(name):
        return f"name {printable(name)!r} may hold only a-z, 0-9 and single hyphens between them"
    return None


def words(text: str) -> tuple[str, ...]:
    """The items of a list written as one string, between commas or blanks."""
    return tuple(re.findall(r"[^\s,]+", text))


def listed(text: str) -> tuple[str, ...]:
    """The words as `words` gives them, or the items of a JSON list, which may hold blanks. Raises ValueError."""
    if not text.startswith("["):
        return words(text)
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        items = None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise ValueError(f"{printable(text)!r} is no JSON list of texts")
    return tuple(items)


def tool_names(text: str) -> tuple[str, ...]:
    """The items of `allowed-tools`, where a blank inside parentheses belongs to the item: `Bash(git status)`."""
    return tuple(_TOOL.findall(text))


def printable(text: str, limit: int = 80) -> str:
    """Text from a file, safe to show on a terminal: what is not seen is escaped, and it is cut at `limit`."""
    shown = escaped(text[:limit])
    return shown + "…" if len(text) > limit else shown


def parse_rag(text: str) -> Rag:
    """Reads `on, top-k=4, skills=a b, tags=x`. Raises ValueError with what is wrong."""
    enabled, top_k = True, None
    lists: dict[str, tuple[str, ...]] = {"skills": (), "tags": ()}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        key, _, value = (piece.strip() for piece in part.partition("="))
        if key in ("on", "off", "true", "false") and not value:
            enabled = key in ("on", "true")
        elif key == "top-k" and value.isdecimal() and 1 <= int(value[:9]) <= 1000:
            top_k = int(value)
        elif key in lists and value:
            lists[key] = words(value)
        else:
            raise ValueError(f"{printable(part)!r} is none of on, off, top-k=NUMBER, skills=A B, tags=A B")
    return Rag(enabled=enabled, top_k=top_k, skills=lists["skills"], tags=lists["tags"])


def parse_temperature(text: str) -> float:
    """A sampling temperature. Raises ValueError with what is wrong."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 10:  # also refuses nan, which compares with nothing
        raise ValueError(f"{printable(text)!r} is not a number from 0 to 10")
    return value


def parse_max_iterations(text: str) -> int:
    """The number of times that the model may be asked in one turn. Raises ValueError with what is wrong."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= 1000):
        raise ValueError(f"{printable(text)!r} is not a whole number from 1 to 1000")
    return int(text)
