"""`skill.*`: what the library holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from agentgw.errors import ShuttingDown
from agentgw.params import RouteParams, SkillCostParams, SkillListParams, SkillNameParams, ValidateParams
from agentgw.results import RouteResult, SkillCosts, SkillDetail, SkillList, ValidateResult
from agentgw_daemon.skills import routing
from agentgw_daemon.skills.cost import measure

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


async def route(request: Request, params: RouteParams) -> RouteResult:
    """The ranking, whatever the default skill is."""
    return RouteResult(skills=await routing.route(params.message, request.services))


async def cost(request: Request, params: SkillCostParams) -> SkillCosts:
    """Measured one after another, for two at once would measure each other."""
    services = request.services
    rows = services.skills.listing() if params.name is None else services.skills.named(params.name)
    costs = []
    for row in rows:
        if services.stopping:
            raise ShuttingDown("the daemon is stopping", hint="try again in a moment")
        costs.append(await measure(row, skills=services.skills, models=services.models, pool=services.pool))
    return SkillCosts(skills=tuple(costs))


async def validate(request: Request, params: ValidateParams) -> ValidateResult:
    """Check a skill on disk; reads files, so not on this thread."""
    return await trio.to_thread.run_sync(request.services.skills.validate, params.path)


HANDLERS: dict[str, Handler] = {
    "skill.list": list_skills,
    "skill.get": get,
    "skill.route": route,
    "skill.cost": cost,
    "skill.validate": validate,
}
