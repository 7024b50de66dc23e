"""All skills there are: the tiers in their order, who wins, and what is broken.

Reading is blocking file work of a few milliseconds a skill: the daemon calls `reload` in a thread. A reload
builds a new view and then swaps it in, so readers never see half of one.
"""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from agentgw import types
from agentgw.errors import NotFound
from agentgw.results import ValidateResult
from agentgw.schema import record
from agentgw_daemon.skills.loader import SKILL_FILE, Report, is_yaml, read_skill
from agentgw_daemon.skills.model import MAX_NAME, BrokenSkill, LoadedSkill, Tier, normalised, printable
from agentgw_daemon.skills.source import SourceRefused, check_folder

logger = logging.getLogger(__name__)

# More than anybody keeps; a tier that is a wrong folder (a home, a download folder) must not stall the start.
MAX_ENTRIES: Final = 1000


@record
class _View:
    skills: Mapping[str, LoadedSkill]
    broken: tuple[BrokenSkill, ...]


class Library:
    """The skills of some tiers, lowest first.

    `tiers` are (name, folder) pairs; a folder that does not exist is an empty tier. A broken skill is listed
    and cannot be used; when a lower tier has a good one of the same name, that one stays in use and the
    broken one's reason says so.
    """

    def __init__(self, tiers: Sequence[tuple[Tier, Path]]) -> None:
        self._tiers = tuple(tiers)
        self._view = _View(skills={}, broken=())

    def reload(self) -> tuple[str, ...]:
        """Reads all tiers again; says in a line each what changed. Blocking."""
        before, self._view = self._view, _read_tiers(self._tiers)
        for broken in self._view.broken:
            if broken not in before.broken:
                logger.warning("skill %s in %s is broken: %s", broken.name, broken.path, broken.reason)
        return _changes(before, self._view)

    def listing(self) -> tuple[types.Skill, ...]:
        """Every usable skill and every broken one, by name."""
        rows = [skill.to_wire() for skill in self._view.skills.values()]
        rows += [broken.to_wire() for broken in self._view.broken]
        return tuple(sorted(rows, key=lambda row: (row.name, row.error is not None, row.path)))

    def usable(self) -> tuple[LoadedSkill, ...]:
        """The skills that can be used, by name."""
        return tuple(skill for _, skill in sorted(self._view.skills.items()))

    def named(self, name: str) -> tuple[types.Skill, ...]:
        """The rows of the listing with that name, broken ones too. Raises NotFound when there is none."""
        wanted = normalised(name)
        return tuple(row for row in self.listing() if row.name == wanted) or (self.get(name).to_wire(),)

    def get(self, name: str) -> LoadedSkill:
        """The skill of that name, `_` and `-` alike. Raises NotFound with the nearest name, or why it is broken."""
        wanted = normalised(name)
        skill = self._view.skills.get(wanted)
        if skill is not None:
            return skill
        shown = printable(name, MAX_NAME)
        for broken in self._view.broken:
            if broken.name == wanted:
                raise NotFound(
                    f"skill {shown} is broken: {broken.reason}",
                    hint=f"mend {broken.path}, then `agentgw reload`", kind="skill", id=shown,
                )  # fmt: skip
        near = difflib.get_close_matches(wanted[:MAX_NAME], self._view.skills, n=1)
        hint = f"did you mean {near[0]}?" if near else "`agentgw skills` lists them"
        raise NotFound(f"there is no skill {shown}", hint=hint, kind="skill", id=shown)

    @staticmethod
    def validate(path: str) -> ValidateResult:
        """Everything wrong with one skill folder, SKILL.md or old YAML file, and notes on what is ignored. Blocking."""
        try:
            # abspath: "." must become a folder with a name, which the skill's has to equal.
            place = Path(os.path.abspath(path))
            folder = place.parent if place.name == SKILL_FILE else place
            report = read_skill(folder, folder.parent, "user")
        except ValueError:  # a NUL in the path
            report = Report(skill=None, problems=(f"{printable(path)} is not a path",))
        return ValidateResult(
            ok=report.skill is not None,
            problems=report.problems + tuple(f"note: {note}" for note in report.notes),
            skill=report.skill.to_wire() if report.skill is not None else None,
        )


def _read_tiers(tiers: Sequence[tuple[Tier, Path]]) -> _View:
    skills: dict[str, LoadedSkill] = {}
    broken: list[BrokenSkill] = []
    for tier, folder in tiers:
        mine: dict[str, LoadedSkill] = {}
        for path in _entries(tier, folder, broken):
            report = read_skill(path, folder, tier)
            if report.skill is None:
                broken.append(_broken(path, tier, report.description, report.problems))
            elif report.skill.name in mine:
                taken = f"the name {report.skill.name} is taken by {mine[report.skill.name].path}"
                broken.append(_broken(path, tier, report.description, (taken,)))
            else:
                mine[report.skill.name] = report.skill
        skills |= mine
    return _View(skills=skills, broken=tuple(_with_fallback(one, skills) for one in broken))


def _entries(tier: Tier, folder: Path, broken: list[BrokenSkill]) -> tuple[Path, ...]:
    """What should be skills in a tier's folder: subfolders before old YAML files, each by name."""
    try:
        entries = sorted(folder.iterdir())
    except FileNotFoundError:
        return ()
    except OSError as error:
        broken.append(_broken(folder, tier, "", (f"the folder cannot be read: {error.strerror}",)))
        return ()
    try:
        check_folder(folder, check_owner=tier != "shipped")
    except SourceRefused as error:
        broken.append(_broken(folder, tier, "", (str(error),)))
        return ()
    if len(entries) > MAX_ENTRIES:
        broken.append(_broken(folder, tier, "", (f"more than {MAX_ENTRIES} entries: the rest is not read",)))
    seen = [entry for entry in entries[:MAX_ENTRIES] if not entry.name.startswith(".")]
    return tuple(e for e in seen if e.is_dir() or (e.is_symlink() and not is_yaml(e))) + tuple(
        e for e in seen if is_yaml(e) and not e.is_dir()
    )


def _broken(path: Path, tier: Tier, description: str, problems: tuple[str, ...]) -> BrokenSkill:
    name = normalised(path.stem if is_yaml(path) else path.name)
    return BrokenSkill(
        name=printable(name, MAX_NAME - 1), tier=tier, path=printable(str(path), 4096), problems=problems,
        description=printable(description, 1024),
    )  # fmt: skip


def _with_fallback(broken: BrokenSkill, skills: Mapping[str, LoadedSkill]) -> BrokenSkill:
    used = skills.get(broken.name)
    if used is None:
        return broken
    return BrokenSkill(
        name=broken.name, tier=broken.tier, path=broken.path, description=broken.description,
        problems=(*broken.problems, f"the {used.tier} one is used instead"),
    )  # fmt: skip


def _changes(before: _View, after: _View) -> tuple[str, ...]:
    lines = []
    for name in sorted(before.skills.keys() | after.skills.keys()):
        old, new = before.skills.get(name), after.skills.get(name)
        if old != new:
            word = "added" if old is None else "removed" if new is None else "changed"
            lines.append(f"skill {name} {word}")
    lines += [f"skill {one.name} is broken: {one.reason}" for one in after.broken if one not in before.broken]
    return tuple(lines)
