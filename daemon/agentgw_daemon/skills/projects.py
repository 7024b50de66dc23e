"""The skills that count where the user is: everybody's, and those of a trusted project.

An untrusted project's skills are names with a reason. A trusted one is hashed each time it is used, and what is read
are the very bytes that were hashed, so that a change in between is a change as well.
"""

from __future__ import annotations

import logging
import shlex
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import trio

from agentgw.protocol.calls.skills import Project, ProjectSkill
from agentgw.protocol.errors import InvalidParams, NotFound, StorageUnavailable
from agentgw_daemon.skills.library import Library, broken_at, read_tier
from agentgw_daemon.skills.loader import SKILL_FILE
from agentgw_daemon.skills.model import BrokenSkill, Tier
from agentgw_daemon.skills.project import Snapshot, find_project, skill_folders, skill_names, take_snapshot
from agentgw_daemon.skills.review_warnings import review_warnings
from agentgw_daemon.skills.skill_set import SkillSet, TierSkills
from agentgw_daemon.skills.source import SourceRefused
from agentgw_daemon.system.threads import in_file_thread

if TYPE_CHECKING:
    from agentgw_daemon.storage.trust import Trust, Trusted

T = TypeVar("T")

log = logging.getLogger(__name__)

# A network file system may hang; the turn then goes on without the project's skills.
_TIMEOUT_S: Final = 5.0
# Parsed skills that are kept, by their hash: hashing is quick, reading YAML is not.
_REMEMBERED: Final = 16


class Projects:
    """The skills of the user, and those of each project."""

    def __init__(self, library: Library, trust: Trust, home: Path) -> None:
        self._library = library
        self._trust = trust
        self._home = home
        # Two readers at once would each compare with what the other replaces.
        self._refreshing = trio.Lock()
        self._parsed: OrderedDict[tuple[tuple[tuple[Tier, Path], ...], str], tuple[TierSkills, ...]] = OrderedDict()

    async def skill_set(self, cwd: str | None) -> SkillSet:
        """The skills for somebody who is there. Never fails: what keeps a project's skills away is in their rows."""
        base = await self._fresh()
        if cwd is None:
            return base
        try:
            project = await self._patiently(lambda: self._with_skills(cwd))
        except SourceRefused as error:
            log.warning("%s: skills of the project: %s", cwd, error)
            return base
        if project is None:
            return base
        return base.with_tiers(await self._tiers(project))

    async def _fresh(self) -> SkillSet:
        """Everybody's skills, edits of their files included."""
        async with self._refreshing:
            try:
                changed = await self._patiently(self._library.refresh)
            except SourceRefused as error:
                log.warning("skills: %s", error)
            else:
                if changed:
                    log.info("skills: %s", ", ".join(changed))
        return self._library.skill_set

    async def examine(self, path: str) -> Project:
        """The skills of a project, and whether they are trusted. Raises NotFound when there are none."""
        project = await self._project(path)
        trusted = await self._trust.get(str(project))
        try:
            snapshot = await self._patiently(lambda: take_snapshot(project))
            skills = await self._patiently(lambda: self._shown(snapshot))
        except SourceRefused as error:
            return Project(path=str(project), state="refused", error=str(error), trusted_at=_at(trusted))
        return Project(
            path=str(project), state=_state(trusted, snapshot), sha256=snapshot.sha256, trusted_at=_at(trusted),
            skills=skills,
        )  # fmt: skip

    async def trust(self, path: str, sha256: str) -> Project:
        """Trust what was shown under this hash. Raises NotFound, and InvalidParams when it is something else by now."""
        shown = await self.examine(path)
        if shown.sha256 != sha256:
            reason = shown.error or "its skills changed since they were shown"
            raise InvalidParams(f"{shown.path} is not trusted: {reason}", path="sha256", reason=reason)
        await self._trust.put(shown.path, sha256)
        log.info("trusted: the skills of %s (%s)", shown.path, sha256)
        return await self.examine(shown.path)

    async def trusted(self) -> tuple[Project, ...]:
        """The trusted projects, and whether each still is what it was."""
        return tuple([await self._state_of(one) for one in await self._trust.all()])

    async def distrust(self, path: str) -> None:
        """Trust it no longer, also when it is gone. Raises NotFound."""
        project = await self._patiently(lambda: find_project(path, self._home))
        known = {one.path for one in await self._trust.all()}
        await self._trust.remove(path if path in known or project is None else str(project))
        log.info("no longer trusted: the skills of %s", path)

    async def _tiers(self, project: Path) -> tuple[TierSkills, ...]:
        """A project's tiers; those that may not be used hold nothing but names and the reason."""
        remedy = f"agentgw trust {shlex.quote(str(project))}"
        try:
            trusted = await self._trust.get(str(project))
        except StorageUnavailable:
            return await self._names(project, "whether its project is trusted cannot be looked up", "agentgw doctor")
        if trusted is None:
            return await self._names(project, "its project is not trusted", remedy)
        try:
            snapshot = await self._patiently(lambda: take_snapshot(project))
            if snapshot.sha256 != trusted.sha256:
                return await self._names(project, "its project changed since it was trusted", remedy)
            return await self._read(snapshot)
        except SourceRefused as error:
            return await self._names(project, f"its project cannot be trusted any more: {error}", remedy)

    async def _read(self, snapshot: Snapshot) -> tuple[TierSkills, ...]:
        key = (snapshot.tiers, snapshot.sha256)
        if (known := self._parsed.get(key)) is not None:
            return known
        found = await self._patiently(lambda: _read_tiers(snapshot))
        # A broken skill may have been so only while it was read.
        if not any(tier.broken for tier in found):
            self._parsed[key] = found
            while len(self._parsed) > _REMEMBERED:
                self._parsed.popitem(last=False)
        return found

    async def _names(self, project: Path, problem: str, remedy: str) -> tuple[TierSkills, ...]:
        try:
            names = await self._patiently(lambda: skill_names(project))
        except SourceRefused:
            return ()
        tiers: dict[Tier, list[BrokenSkill]] = {}
        for tier, path in names:
            tiers.setdefault(tier, []).append(broken_at(path, tier, (problem,), remedy=remedy))
        return tuple(TierSkills(skills={}, broken=tuple(rows)) for rows in tiers.values())

    async def _project(self, path: str) -> Path:
        project = await self._patiently(lambda: find_project(path, self._home))
        if project is None:
            raise NotFound(
                f"{path} is in no project", hint="a project has .agentgw, .agents or .git in it", kind="project",
                id=path,
            )  # fmt: skip
        if not await self._patiently(lambda: skill_folders(project)):
            raise NotFound(
                f"{project} has no skills", hint="they are in .agents/skills or .agentgw/skills", kind="project",
                id=str(project),
            )  # fmt: skip
        return project

    async def _state_of(self, trusted: Trusted) -> Project:
        try:
            now = await self.examine(trusted.path)
        except (NotFound, SourceRefused) as error:
            reason = error.message if isinstance(error, NotFound) else str(error)
            return Project(path=trusted.path, state="gone", trusted_at=trusted.trusted_at, error=reason)
        if now.path != trusted.path:
            # Its marks are gone, and a project around it was found.
            return Project(path=trusted.path, state="gone", trusted_at=trusted.trusted_at)
        return now

    def _with_skills(self, cwd: str) -> Path | None:
        project = find_project(cwd, self._home)
        return project if project is not None and skill_folders(project) else None

    def _shown(self, snapshot: Snapshot) -> tuple[ProjectSkill, ...]:
        rows: list[ProjectSkill] = []
        used = dict(self._library.skill_set.skills)
        for (tier, _), skills in zip(snapshot.tiers, _read_tiers(snapshot), strict=True):
            for skill in skills.skills.values():
                place = Path(skill.path)
                folder = (place.parent if place.name == SKILL_FILE else place).resolve()
                files = {path: one for path, one in snapshot.files.items() if path.is_relative_to(folder)}
                rows.append(
                    ProjectSkill(
                        name=skill.name, description=skill.description, tier=tier, files=len(files),
                        size_bytes=sum(one.size_bytes for one in files.values()),
                        warnings=review_warnings(skill, files, used) or None,
                    )
                )  # fmt: skip
            rows += [
                ProjectSkill(
                    name=one.name, description=one.description, tier=tier, files=0, size_bytes=0, error=one.reason
                )
                for one in skills.broken
            ]
            used |= skills.skills
        return tuple(sorted(rows, key=lambda row: (row.name, row.tier)))

    async def _patiently(self, work: Callable[[], T]) -> T:
        """Runs `work` in a thread. Raises SourceRefused when it takes too long."""
        with trio.move_on_after(_TIMEOUT_S):
            return await in_file_thread(work, abandon=True)
        raise SourceRefused(f"its files could not be read in {_TIMEOUT_S:g} s")


def _read_tiers(snapshot: Snapshot) -> tuple[TierSkills, ...]:
    digests = snapshot.digests()
    return tuple(read_tier(tier, folder, digests) for tier, folder in snapshot.tiers)


def _state(trusted: Trusted | None, snapshot: Snapshot) -> Literal["untrusted", "trusted", "changed"]:
    if trusted is None:
        return "untrusted"
    return "trusted" if trusted.sha256 == snapshot.sha256 else "changed"


def _at(trusted: Trusted | None) -> str | None:
    return None if trusted is None else trusted.trusted_at
