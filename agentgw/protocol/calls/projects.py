"""The values about directories with skills of their own. Records only, like `types`."""

from __future__ import annotations

from typing import Annotated, Literal

from agentgw.protocol.schema import record


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
