"""`skill.*`: what the library holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from agentgw.params import SkillListParams, SkillNameParams, ValidateParams
from agentgw.results import SkillDetail, SkillList, ValidateResult

if TYPE_CHECKING:
    from agentgw_daemon.dispatch import Handler
    from agentgw_daemon.requests import Request


async def list_skills(request: Request, params: SkillListParams) -> SkillList:
    """All of them, broken ones too."""
    return SkillList(skills=request.services.skills.listing())


async def get(request: Request, params: SkillNameParams) -> SkillDetail:
    """One skill with its instructions."""
    skill = request.services.skills.get(params.name)
    return SkillDetail(skill=skill.to_wire(), instructions=skill.instructions)


async def validate(request: Request, params: ValidateParams) -> ValidateResult:
    """Check a skill on disk; reads files, so not on this thread."""
    return await trio.to_thread.run_sync(request.services.skills.validate, params.path)


HANDLERS: dict[str, Handler] = {"skill.list": list_skills, "skill.get": get, "skill.validate": validate}
