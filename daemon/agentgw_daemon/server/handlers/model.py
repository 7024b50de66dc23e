"""`model.*`: the models that can answer, and their workers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from agentgw.protocol.calls.models import ModelDetail, ModelList, ModelRefParams, Recommendation
from agentgw.protocol.calls.shared import Done, NoParams
from agentgw.protocol.errors import ModelUnavailable, NotFound
from agentgw.protocol.events import ModelProgress
from agentgw.protocol.types import Model
from agentgw_daemon.models.offer.catalogue import CATALOGUE_DATE
from agentgw_daemon.models.offer.recommendation import Machine, answering, best, rank
from agentgw_daemon.system.memory import available_bytes
from agentgw_daemon.text.near import hint_for
from agentgw_daemon.workers.protocol.footprint import DEFAULT_CTX_TOKENS

if TYPE_CHECKING:
    from agentgw_daemon.server.calls.request import Handler, RequestContext


async def list_models(request: RequestContext, params: NoParams) -> ModelList:
    """The models on disk, configured and in the catalogue."""
    services = request.services
    return ModelList(models=services.models.listing(services.pool.loaded(), services.pool.loading()))


async def recommend(request: RequestContext, params: NoParams) -> Recommendation:
    """The models that can answer, ranked by what this machine can do with them."""
    services = request.services
    candidates = answering(services.models.listing(services.pool.loaded(), services.pool.loading()))
    rate = await services.models.memory_rate.get()
    measured: dict[str, float] = {}
    for row in candidates:
        if row.path is not None and (found := await services.pool.calibrated(row.path)) is not None:
            rates = [one.tokens_per_s for one in found.measured if one.streams == 1]
            measured |= {row.name: max(rates)} if rates else {}
    machine = Machine(
        memory_bytes=available_bytes(),
        disk_bytes=await trio.to_thread.run_sync(services.models.free_disk_bytes),
        bandwidth_bytes_per_s=rate.bytes_per_s if rate is not None else None,
        n_ctx_tokens=services.current.config.settings.inference.n_ctx or DEFAULT_CTX_TOKENS,
    )
    ranked = rank(candidates, machine, measured)
    offered = best(ranked)
    return Recommendation(
        models=ranked, dated=CATALOGUE_DATE, best=offered.name if offered is not None else None,
        memory_bytes=machine.memory_bytes, disk_bytes=machine.disk_bytes,
        bandwidth_bytes_per_s=machine.bandwidth_bytes_per_s, threads=rate.threads if rate is not None else None,
    )  # fmt: skip


async def show(request: RequestContext, params: ModelRefParams) -> ModelDetail:
    """One model, what its file says, and how it runs here."""
    return await _shown(request, params.model)


async def _shown(request: RequestContext, name: str) -> ModelDetail:
    services = request.services
    detail = await services.models.show(name, services.pool.loaded(), services.pool.loading())
    path = detail.model.path
    found = await services.pool.calibrated(path) if path is not None else None
    return replace(
        detail,
        running=services.pool.in_force(detail.model.name),
        tuned=found.best if found is not None else None,
        measured=found.measured if found is not None else None,
    )


async def pull(request: RequestContext, params: ModelRefParams) -> Model:
    """Download with progress; leaving keeps what is there for the next try."""

    async def progress(done_bytes: int, total_bytes: int) -> None:
        await request.events.notify(ModelProgress(model=params.model, done_bytes=done_bytes, total_bytes=total_bytes))

    try:
        model = await request.services.models.pull(params.model, progress)
    except NotFound as error:
        # Whoever pulls wants to use it.
        raise ModelUnavailable(error.message, hint=error.hint, model=params.model, reason="unknown") from None
    request.services.hub.publish("models", "pulled", model=model.name)
    return model


async def remove(request: RequestContext, params: ModelRefParams) -> Done:
    """Delete a pulled file, then end its worker, which still has it mapped."""
    services = request.services
    name = services.models.name_of(params.model)
    await services.models.remove(params.model)
    await services.pool.unload(name)
    services.hub.publish("models", "removed", model=name)
    return Done()


async def load(request: RequestContext, params: ModelRefParams) -> Model:
    """Start the model's worker, so that the next turn need not wait."""
    services = request.services
    spec = await services.models.resolve_to_answer(params.model)
    await services.pool.load(spec)
    services.hub.publish("models", "loaded", model=spec.name)
    return (await _shown(request, spec.name)).model


async def unload(request: RequestContext, params: ModelRefParams) -> Done:
    """End the model's worker; memory returns to the system."""
    services = request.services
    name = services.models.name_of(params.model)
    if not await services.pool.unload(name):
        hint = hint_for(name, services.pool.loaded(), "`agentgw ps` shows what is")
        raise NotFound(f"{name} is not loaded", hint=hint, kind="model", id=name)
    services.hub.publish("models", "unloaded", model=name)
    return Done()


async def make_default(request: RequestContext, params: ModelRefParams) -> Model:
    """Answer with this model when nothing names one."""
    return await request.services.models.set_default(params.model)


HANDLERS: dict[str, Handler] = {
    "model.list": list_models,
    "model.recommend": recommend,
    "model.show": show,
    "model.pull": pull,
    "model.remove": remove,
    "model.load": load,
    "model.unload": unload,
    "model.default": make_default,
}
