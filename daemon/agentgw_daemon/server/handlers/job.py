"""`job.*`: scheduled jobs, their file and their history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgw.protocol.calls.jobs import (
    JobAdded,
    JobAddParams,
    JobHistoryParams,
    JobList,
    JobNameParams,
    JobNextParams,
    JobRun,
    JobRunList,
    JobRunParams,
    JobTimes,
    ScheduledJob,
)
from agentgw.protocol.calls.shared import Done, NoParams
from agentgw_daemon.agent.named_tools import check_approved

if TYPE_CHECKING:
    from agentgw_daemon.server.calls.request import Handler, RequestContext


async def list_jobs(request: RequestContext, params: NoParams) -> JobList:
    """All entries of the file that can be used, and what is wrong with the others."""
    return await request.daemon.jobs.list()


async def add(request: RequestContext, params: JobAddParams) -> JobAdded:
    """A new entry at the end of the file. Raises NotFound and ModelUnavailable for what its turns would not find."""
    services = request.services
    if params.skill is not None:
        (await services.projects.skill_set(params.cwd)).get(params.skill)
    if params.model is not None:
        await services.models.resolve_to_answer(params.model)
    await check_approved(params.approvals or (), services.tools)
    return await request.daemon.jobs.add(params)


async def remove(request: RequestContext, params: JobNameParams) -> Done:
    """An entry out of the file; its history stays."""
    await request.daemon.jobs.remove(params.name)
    return Done()


async def enable(request: RequestContext, params: JobNameParams) -> ScheduledJob:
    """An entry on."""
    return await request.daemon.jobs.enable(params.name, True)


async def disable(request: RequestContext, params: JobNameParams) -> ScheduledJob:
    """An entry off."""
    return await request.daemon.jobs.enable(params.name, False)


async def run(request: RequestContext, params: JobRunParams) -> JobRun:
    """A run by hand; it goes on when the client leaves."""
    return await request.daemon.jobs.run(params.name, wait=params.wait)


async def history(request: RequestContext, params: JobHistoryParams) -> JobRunList:
    """A page of runs, the latest first."""
    return await request.daemon.jobs.history(params.name, params.limit, params.before)


async def next_times(request: RequestContext, params: JobNextParams) -> JobTimes:
    """The next times, the earliest first."""
    return await request.daemon.jobs.times(params.name, params.count)


HANDLERS: dict[str, Handler] = {
    "job.list": list_jobs,
    "job.add": add,
    "job.remove": remove,
    "job.enable": enable,
    "job.disable": disable,
    "job.run": run,
    "job.history": history,
    "job.next": next_times,
}
