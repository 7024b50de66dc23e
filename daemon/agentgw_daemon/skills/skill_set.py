"""The skills that somebody at some place can use: who wins among the tiers, and what is broken. Does no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from agentgw.protocol import types
from agentgw.protocol.errors import NotFound
from agentgw.protocol.records.schema import record
from agentgw_daemon.skills.model import MAX_NAME, BrokenSkill, LoadedSkill, printable
from agentgw_daemon.text.names import normalised
from agentgw_daemon.text.near import hint_for


@record
class TierSkills:
    """Skills of one tier."""

    skills: Mapping[str, LoadedSkill]
    broken: tuple[BrokenSkill, ...] = ()


@record
class SkillSet:
    """Usable skills by name, and broken ones.

    A broken skill is listed and cannot be used; when a lower tier has a good one of the same name, that one stays in
    use and the broken one's reason says so.
    """

    skills: Mapping[str, LoadedSkill]
    broken: tuple[BrokenSkill, ...] = ()

    def listing(self) -> tuple[types.Skill, ...]:
        """Every usable skill and every broken one, by name."""
        rows = [skill.to_wire() for skill in self.skills.values()]
        rows += [broken.to_wire() for broken in self.broken]
        return tuple(sorted(rows, key=lambda row: (row.name, row.error is not None, row.path)))

    def usable(self) -> tuple[LoadedSkill, ...]:
        """The skills that can be used, by name."""
        return tuple(skill for _, skill in sorted(self.skills.items()))

    def named(self, name: str) -> tuple[types.Skill, ...]:
        """The rows of the listing with that name, broken ones too. Raises NotFound when there is none."""
        wanted = normalised(name)
        return tuple(row for row in self.listing() if row.name == wanted) or (self.get(name).to_wire(),)

    def get(self, name: str) -> LoadedSkill:
        """The skill of that name, `_` and `-` alike. Raises NotFound with the nearest name, or why it is broken."""
        wanted = normalised(name)
        skill = self.skills.get(wanted)
        if skill is not None:
            return skill
        shown = printable(name, MAX_NAME)
        for broken in self.broken:
            if broken.name == wanted and broken.remedy:
                raise NotFound(
                    f"skill {shown} cannot be used: {'; '.join(broken.problems)}", hint=broken.remedy, kind="skill",
                    id=shown,
                )  # fmt: skip
            if broken.name == wanted:
                raise NotFound(
                    f"skill {shown} is broken: {broken.reason}",
                    hint=f"mend {broken.path}", kind="skill", id=shown,
                )  # fmt: skip
        hint = hint_for(wanted, self.skills, "`agentgw skills` lists them")
        raise NotFound(f"there is no skill {shown}", hint=hint, kind="skill", id=shown)

    def unused(self, name: str) -> BrokenSkill | None:
        """The project's skill of this name, in whose place that of a lower tier is used."""
        wanted = normalised(name)
        return next((one for one in self.broken if one.name == wanted and one.remedy), None)

    def with_tiers(self, tiers: Iterable[TierSkills]) -> SkillSet:
        """The set under further tiers, lowest first."""
        skills = dict(self.skills)
        broken: list[BrokenSkill] = []
        for tier in tiers:
            skills |= tier.skills
            broken += tier.broken
        return SkillSet(skills=skills, broken=(*self.broken, *(_with_fallback(one, skills) for one in broken)))


EMPTY = SkillSet(skills={})


def _with_fallback(broken: BrokenSkill, skills: Mapping[str, LoadedSkill]) -> BrokenSkill:
    used = skills.get(broken.name)
    if used is None:
        return broken
    return replace(broken, problems=(*broken.problems, f"the {used.tier} one is used instead"))
