"""`skill.*`: the skills of the library and of projects."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from agentgw.protocol.calls.shared import Done, NoParams
from agentgw.protocol.calls.skills import (
    Project,
    ProjectList,
    ProjectParams,
    RouteParams,
    RouteResult,
    SkillCostParams,
    SkillCosts,
    SkillDetail,
    SkillList,
    SkillListParams,
    SkillNameParams,
    TrustParams,
    ValidateParams,
    ValidateResult,
)
from agentgw.protocol.errors import RpcError
from agentgw_daemon.skills import routing
from agentgw_daemon.skills.cost import measure
from agentgw_daemon.skills.importing import import_skill
from agentgw_daemon.skills.references import unknown_references
from agentgw_daemon.text.names import normalised

if TYPE_CHECKING:
    from agentgw_daemon.server.calls.request import Handler, RequestContext


async def list_skills(request: RequestContext, params: SkillListParams) -> SkillList:
    """The skills, broken ones too."""
    return SkillList(skills=(await request.services.projects.skill_set(params.cwd)).listing())


async def get(request: RequestContext, params: SkillNameParams) -> SkillDetail:
    """One skill with its instructions."""
    skill = (await request.services.projects.skill_set(params.cwd)).get(params.name)
    return SkillDetail(skill=skill.to_wire(), instructions=skill.instructions)


async def route(request: RequestContext, params: RouteParams) -> RouteResult:
    """The ranking, whatever the default skill is."""
    services = request.services
    skill_set = await services.projects.skill_set(params.cwd)
    ranked = await routing.route(
        params.message, skill_set, by=services.settings.agent.route_by, models=services.models, pool=services.pool
    )
    return RouteResult(skills=ranked)


async def cost(request: RequestContext, params: SkillCostParams) -> SkillCosts:
    """Cost of skills, measured one after another, because two at once would slow each other."""
    services = request.services
    skill_set = await services.projects.skill_set(params.cwd)
    rows = skill_set.listing() if params.name is None else skill_set.named(params.name)
    costs = []
    for row in rows:
        services.check_serving()
        costs.append(await measure(row, skills=skill_set, models=services.models, pool=services.pool))
    return SkillCosts(skills=tuple(costs))


async def validate(request: RequestContext, params: ValidateParams) -> ValidateResult:
    """Check a skill on disk; reads files, so not on this thread."""
    result = await trio.to_thread.run_sync(request.services.skills.validate, params.path)
    return await _with_unknown(request, result)


async def _with_unknown(request: RequestContext, result: ValidateResult) -> ValidateResult:
    """The result, with a note for each model, tool and sub-agent that does not exist here."""
    if result.skill is None:
        return result
    services = request.services
    skill_set = await services.projects.skill_set(str(Path(result.skill.path).parent))
    await services.tools.look()

    def model_problem(name: str) -> str:
        try:
            services.models.check_exists(name, services.settings)
        except RpcError as error:
            return error.message
        return ""

    tools = services.tools
    notes = unknown_references(
        result.skill, model_problem=model_problem,
        has_tool=lambda name: name in tools.current or bool(tools.absence(name)),
        has_skill=lambda name: any(one.name == normalised(name) for one in skill_set.listing()),
    )  # fmt: skip
    return replace(result, problems=(*result.problems, *(f"note: {text}" for text in notes)))


async def import_old(request: RequestContext, params: ValidateParams) -> ValidateResult:
    """Make a skill's folder of an old YAML file."""
    services = request.services
    skills_dir = Path(services.started.paths.skills_dir)
    shipped = {one.name for one in services.skills.listing() if one.tier == "shipped"}
    result = await trio.to_thread.run_sync(import_skill, Path(params.path), skills_dir, shipped)
    if result.ok:
        await trio.to_thread.run_sync(services.skills.reload)
    return await _with_unknown(request, result)


async def project(request: RequestContext, params: ProjectParams) -> Project:
    """The skills and tools that trusting the project would allow."""
    return await request.services.projects.examine(params.path)


async def trust(request: RequestContext, params: TrustParams) -> Project:
    """Trusts a project as it was shown."""
    return await request.services.projects.trust(params.path, params.sha256)


async def trusted(request: RequestContext, params: NoParams) -> ProjectList:
    """The trusted projects, with what became of them."""
    return ProjectList(projects=await request.services.projects.trusted())


async def distrust(request: RequestContext, params: ProjectParams) -> Done:
    """Takes the trust away: the project's skills are names again."""
    await request.services.projects.distrust(params.path)
    return Done()


HANDLERS: dict[str, Handler] = {
    "skill.list": list_skills,
    "skill.get": get,
    "skill.route": route,
    "skill.cost": cost,
    "skill.validate": validate,
    "skill.import": import_old,
    "skill.project": project,
    "skill.trust": trust,
    "skill.trusted": trusted,
    "skill.distrust": distrust,
}
