"""The skills that are the same everywhere: the tiers below the project's, in their order.

Reading is blocking file work of a few milliseconds a skill: the daemon calls `reload` in a thread. A reload
builds a new set of skills and then swaps it in, so readers never see half of one.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from agentgw.protocol import types
from agentgw.protocol.calls.skills import ValidateResult
from agentgw_daemon.skills.loader import SKILL_FILE, Report, is_yaml, read_skill
from agentgw_daemon.skills.model import MAX_NAME, BrokenSkill, LoadedSkill, Tier, printable
from agentgw_daemon.skills.skill_set import EMPTY, SkillSet, TierSkills
from agentgw_daemon.skills.source import SourceRefused, check_folder
from agentgw_daemon.system.changes import would_show
from agentgw_daemon.text.names import normalised

logger = logging.getLogger(__name__)

# More than anybody keeps; a tier that is a wrong folder (a home, a download folder) must not stall the start.
MAX_ENTRIES: Final = 1000
# They are looked at before each turn: 1,000 take some 30 ms. Beyond that an edit is seen at the next reload.
MAX_STAMPS: Final = 1000
# Path, time, size and number of a file.
SkillStamp = tuple[str, int, int, int]


class Library:
    """The skills of some tiers, lowest first.

    `tiers` are (name, folder) pairs; a folder that does not exist is an empty tier.
    """

    def __init__(self, tiers: Sequence[tuple[Tier, Path]]) -> None:
        self._tiers = tuple(tiers)
        self._skill_set = EMPTY
        # The files as they were before they were last read.
        self._seen: tuple[SkillStamp, ...] | None = None
        # An upgrade takes the shipped ones away under a daemon that goes on with its own version.
        self._shipped: dict[Path, TierSkills] = {}

    @property
    def skill_set(self) -> SkillSet:
        """The skills as they were last read."""
        return self._skill_set

    def refresh(self) -> tuple[str, ...]:
        """Reads the user's tiers again where a file of theirs is another than it was. Blocking."""
        return () if self._seen == self._look() else self._read()

    def _look(self) -> tuple[SkillStamp, ...]:
        found = (stamp for tier, folder in self._tiers if tier != "shipped" for stamp in stamps(folder))
        return tuple(islice(found, MAX_STAMPS))

    def reload(self) -> tuple[str, ...]:
        """Reads all tiers again; says in a line each what changed. Blocking."""
        self._shipped.clear()
        return self._read()

    def _read(self) -> tuple[str, ...]:
        # Before they are read: what is written meanwhile is seen the next time.
        looked_at_ns, seen = time.time_ns(), self._look()
        self._seen = seen if all(would_show(stamp[1], looked_at_ns) for stamp in seen) else None
        before, self._skill_set = (
            self._skill_set,
            EMPTY.with_tiers([self._tier(tier, folder) for tier, folder in self._tiers]),
        )
        for broken in self._skill_set.broken:
            if broken not in before.broken:
                logger.warning("skill %s in %s is broken: %s", broken.name, broken.path, broken.reason)
        return _changes(before, self._skill_set)

    def _tier(self, tier: Tier, folder: Path) -> TierSkills:
        if tier != "shipped":
            return read_tier(tier, folder)
        # A reload may empty this from another thread at any moment.
        found = self._shipped.get(folder)
        if found is None:
            found = self._shipped[folder] = read_tier(tier, folder)
        return found

    def listing(self) -> tuple[types.Skill, ...]:
        """See SkillSet."""
        return self._skill_set.listing()

    def usable(self) -> tuple[LoadedSkill, ...]:
        """See SkillSet."""
        return self._skill_set.usable()

    def named(self, name: str) -> tuple[types.Skill, ...]:
        """See SkillSet."""
        return self._skill_set.named(name)

    def get(self, name: str) -> LoadedSkill:
        """See SkillSet."""
        return self._skill_set.get(name)

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


def stamps(folder: Path) -> Iterator[SkillStamp]:
    """The files of a tier, and of the folders in it, with what changes when they are written."""
    for path, is_folder in _children(folder):
        yield _stamp(path)
        if is_folder:
            for inner, _ in _children(path):
                yield _stamp(inner)


def _children(folder: Path) -> list[tuple[Path, bool]]:
    try:
        with os.scandir(folder) as found:
            names = [(Path(one.path), one.is_dir()) for one in islice(found, MAX_ENTRIES)]
    except OSError:
        return []
    return sorted(names)


def _stamp(path: Path) -> SkillStamp:
    try:
        status = path.stat()
    except OSError as error:
        return str(path), 0, 0, error.errno or 0
    return str(path), status.st_mtime_ns, status.st_size, status.st_ino


def read_tier(tier: Tier, folder: Path, pinned: Mapping[Path, str] | None = None) -> TierSkills:
    """The skills in a tier's folder; see `SkillSource` for `pinned`. Blocking."""
    skills: dict[str, LoadedSkill] = {}
    broken: list[BrokenSkill] = []
    for path in entries(tier, folder, broken):
        report = read_skill(path, folder, tier, pinned)
        if report.skill is None:
            broken.append(broken_at(path, tier, report.problems, report.description))
        elif report.skill.name in skills:
            taken = f"the name {report.skill.name} is taken by {skills[report.skill.name].path}"
            broken.append(broken_at(path, tier, (taken,), report.description))
        else:
            skills[report.skill.name] = report.skill
    return TierSkills(skills=skills, broken=tuple(broken))


def entries(tier: Tier, folder: Path, broken: list[BrokenSkill]) -> tuple[Path, ...]:
    """The paths that should be skills in a tier's folder: subfolders before old YAML files, each by name."""
    try:
        found = sorted(folder.iterdir())
    except FileNotFoundError:
        return ()
    except OSError as error:
        broken.append(broken_at(folder, tier, (f"the folder cannot be read: {error.strerror}",)))
        return ()
    try:
        check_folder(folder, check_owner=tier != "shipped")
    except SourceRefused as error:
        broken.append(broken_at(folder, tier, (str(error),)))
        return ()
    if len(found) > MAX_ENTRIES:
        broken.append(broken_at(folder, tier, (f"more than {MAX_ENTRIES} entries: the rest is not read",)))
    seen = [entry for entry in found[:MAX_ENTRIES] if not entry.name.startswith(".")]
    return tuple(e for e in seen if e.is_dir() or (e.is_symlink() and not is_yaml(e))) + tuple(
        e for e in seen if is_yaml(e) and not e.is_dir()
    )


def broken_at(
    path: Path, tier: Tier, problems: tuple[str, ...], description: str = "", remedy: str = ""
) -> BrokenSkill:
    """A skill at this place that cannot be used; nothing of its text reaches a terminal as it is."""
    name = normalised(path.stem if is_yaml(path) else path.name)
    return BrokenSkill(
        name=printable(name, MAX_NAME - 1), tier=tier, path=printable(str(path), 4096), problems=problems,
        description=printable(description, 1024), remedy=remedy,
    )  # fmt: skip


def _changes(before: SkillSet, after: SkillSet) -> tuple[str, ...]:
    lines = []
    for name in sorted(before.skills.keys() | after.skills.keys()):
        old, new = before.skills.get(name), after.skills.get(name)
        if old != new:
            word = "added" if old is None else "removed" if new is None else "changed"
            lines.append(f"skill {name} {word}")
    lines += [f"skill {one.name} is broken: {one.reason}" for one in after.broken if one not in before.broken]
    return tuple(lines)
