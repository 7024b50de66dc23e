"""Skills, and the projects that bring their own: `skill.*`."""

from __future__ import annotations

from typing import Annotated, Literal

from agentgw.protocol import types as t
from agentgw.protocol.calls.shared import SkillsCwd
from agentgw.protocol.records.schema import Limit, record

# NUL ends a path for the system, and is in no name.
_NAME = r"[^\0]+"
_Path = Annotated[
    str, "absolute path of the project or a directory in it", Limit(min_length=1, max_length=4096, pattern=_NAME)
]


@record
class SkillListParams:
    """A choice of skills."""

    cwd: SkillsCwd = None


@record
class SkillList:
    """Skills by name; broken ones have `error`."""

    skills: tuple[t.Skill, ...]


@record
class SkillNameParams:
    """The name of a skill."""

    name: Annotated[str, "its name", Limit(min_length=1, max_length=64)]
    cwd: SkillsCwd = None


@record
class SkillDetail:
    """A skill with its instructions."""

    skill: t.Skill
    instructions: str


@record
class RouteParams:
    """The message to find a skill for."""

    message: Annotated[str, "the user's words", Limit(min_length=1)]
    cwd: SkillsCwd = None


@record
class RouteResult:
    """Every usable skill; the first is the one that `agent.default_skill = "auto"` takes."""

    skills: tuple[t.SkillMatch, ...]


@record
class SkillCostParams:
    """Names of the skills to measure."""

    name: Annotated[str | None, "one skill; without it, all", Limit(min_length=1, max_length=64)] = None
    cwd: SkillsCwd = None


@record
class SkillCosts:
    """Costs of skills by name; the broken ones and those without a model have `error`."""

    skills: tuple[t.SkillCost, ...]


@record
class ValidateParams:
    """The skill to validate."""

    path: Annotated[
        str, "absolute path of a skill folder, SKILL.md or old YAML file", Limit(min_length=1, pattern=_NAME)
    ]


@record
class ValidateResult:
    """Problems of a skill, if any."""

    ok: bool
    problems: tuple[str, ...]
    skill: t.Skill | None = None


@record
class ProjectParams:
    """The directory of a project."""

    path: _Path


@record
class ProjectSkill:
    """A skill of a project as somebody sees it before trusting it."""

    name: str
    description: str
    tier: Annotated[str, "project-agents or project"]
    files: Annotated[int, "in its folder"]
    size_bytes: Annotated[int, "of all of them"]
    error: Annotated[str | None, "why it will not be usable"] = None
    warnings: Annotated[tuple[str, ...] | None, "what to look at"] = None


@record
class Project:
    """A directory with skills of its own."""

    path: str
    state: Annotated[
        Literal["trusted", "untrusted", "changed", "refused", "gone"],
        "changed: since it was trusted; refused: `error` says what has to be mended first; gone: no skills any more",
    ]
    sha256: Annotated[str | None, "of the names and contents in its skill folders, as they are"] = None
    trusted_at: str | None = None
    skills: tuple[ProjectSkill, ...] | None = None
    error: str | None = None


@record
class TrustParams:
    """The project to trust, as it was shown."""

    path: _Path
    sha256: Annotated[str, "as `skill.project` gave it: nothing else is trusted", Limit(pattern=r"[0-9a-f]{64}")]


@record
class ProjectList:
    """Projects by path; those that changed since they were trusted too."""

    projects: tuple[Project, ...]
