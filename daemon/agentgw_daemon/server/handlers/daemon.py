"""`daemon.*`, `config.get`, `stats.get`: the daemon about itself."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from agentgw import __version__
from agentgw.protocol.calls.daemon import (
    BackupParams,
    BackupResult,
    ConfigParams,
    ConfigResult,
    ConfigSetParams,
    ConfigUnsetParams,
    DaemonStatus,
    DoctorResult,
    ReloadResult,
    ShutdownParams,
    ShutdownResult,
    StatsResult,
)
from agentgw.protocol.calls.shared import NoParams
from agentgw.protocol.errors import ConfigRefused, InvalidParams
from agentgw.protocol.types import SchedulerStatus, ServiceStatus, Setting
from agentgw_daemon.config.load import is_section, unknown_key
from agentgw_daemon.storage.file.backup_file import BackupFile
from agentgw_daemon.system.memory import open_descriptors, peak_rss_bytes, rss_bytes

if TYPE_CHECKING:
    from agentgw_daemon.server.calls.request import Handler, RequestContext


async def status(request: RequestContext, params: NoParams) -> DaemonStatus:
    """The state of the daemon, in numbers."""
    services, jobs = request.services, request.daemon.jobs
    await jobs.scheduler.look_first()
    started = services.started
    sessions, db_bytes = await services.database.extent()
    models = services.models.listing(services.pool.loaded(), services.pool.loading())
    default = services.models.default_name()
    running: set[str | None] = {turn.turn_id for turn in request.daemon.turns.running}
    descriptors = open_descriptors()
    # The kernel counts the peak in another place than the present, and may be some pages behind there.
    rss = rss_bytes(os.getpid())
    return DaemonStatus(
        version=__version__, pid=started.pid, uptime_s=round(time.monotonic() - started.started_monotonic_s, 3),
        socket=started.paths.socket, scheduler=SchedulerStatus(
            enabled=jobs.scheduler.enabled, jobs_count=len(jobs.names), jobs=jobs.names
        ),
        service=ServiceStatus(provider=services.models.provider_of(default), model=default or ""),
        models=tuple(model for model in models if model.state != "not_pulled"),
        workers=(*services.pool.workers(), *services.retrieval.workers()),
        queue=services.pool.queue_length + services.retrieval.queue_length, sessions=sessions,
        db_bytes=db_bytes,
        connections=request.daemon.listener.connections, rss_bytes=rss, log=started.paths.log_file,
        turns=len(running), waiting=len(running & {one.turn_id for one in services.approvals.list()}),
        reembedding=request.daemon.reembedding.shown, http=request.daemon.http,
        rss_peak_bytes=max(rss, peak_rss_bytes()), descriptors=descriptors,
        descriptors_peak=max(descriptors, request.daemon.listener.descriptors_peak),
    )  # fmt: skip


def shutdown(request: RequestContext, params: ShutdownParams) -> ShutdownResult:
    """Stop gracefully. An upgrade waits for running turns: it is a convenience, they are work."""
    running = len(request.daemon.turns.running)
    if params.upgrade and running:
        reason = "a turn is running" if running == 1 else f"{running} turns are running"
        return ShutdownResult(stopping=False, reason=reason)
    request.daemon.control.shut_down("upgrade" if params.upgrade else "asked by a client")
    return ShutdownResult(stopping=True)


async def reload(request: RequestContext, params: NoParams) -> ReloadResult:
    """Read configuration and skills again. A configuration that cannot be used is the caller's to correct."""
    with _told_to_caller():
        return await request.daemon.control.reload()


async def doctor(request: RequestContext, params: NoParams) -> DoctorResult:
    """Runs every check."""
    return await request.daemon.control.examine()


async def backup(request: RequestContext, params: BackupParams) -> BackupResult:
    """Make a backup, looked at and under its name."""
    services = request.services
    own = services.started.paths.directories
    target = await trio.to_thread.run_sync(lambda: BackupFile(params.path, force=params.force, own=own))
    try:
        with target.filling() as partial:
            await services.database.copy_to(partial)
        size = await trio.to_thread.run_sync(target.publish)
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(target.discard)
    return BackupResult(path=str(target.path), size_bytes=size)


@contextmanager
def _told_to_caller() -> Iterator[None]:
    try:
        yield
    except ConfigRefused as error:
        raise InvalidParams(error.message, hint=error.hint, path="config.toml", reason=error.message) from None


def config(request: RequestContext, params: ConfigParams) -> ConfigResult:
    """Settings with origins, secrets redacted. Raises NotFound for a section or key that does not exist."""
    settings = tuple(_in_force(request, one) for one in request.services.config.origins)
    wanted = params.section
    if wanted is None:
        return ConfigResult(settings=settings)
    found = tuple(one for one in settings if one.key == wanted or one.key.startswith(f"{wanted}."))
    if not found and not is_section(wanted):
        raise unknown_key(wanted)
    return ConfigResult(settings=found)


def _in_force(request: RequestContext, setting: Setting) -> Setting:
    """The setting; a default model that nobody configured is the one that `models default` chose, or that was found."""
    if setting.key != "model.default" or setting.value is not None:
        # Arguments and addresses may hold keys of their own.
        return replace(setting, value=request.services.secrets.redact_value(setting.value))
    name, origin = request.services.models.default()
    return setting if name is None else replace(setting, value=name, origin=origin)


async def set_config(request: RequestContext, params: ConfigSetParams) -> ReloadResult:
    """Change one setting, which is refused when the daemon could not run with it."""
    with _told_to_caller():
        return await request.daemon.control.set(params.key, params.value)


async def unset_config(request: RequestContext, params: ConfigUnsetParams) -> ReloadResult:
    """Take one setting out of the file, so that its default holds."""
    with _told_to_caller():
        return await request.daemon.control.unset(params.key)


async def stats(request: RequestContext, params: NoParams) -> StatsResult:
    """Counts since the database was made."""
    return await request.services.database.statistics()


HANDLERS: dict[str, Handler] = {
    "daemon.status": status,
    "daemon.shutdown": shutdown,
    "daemon.reload": reload,
    "daemon.doctor": doctor,
    "daemon.backup": backup,
    "config.get": config,
    "config.set": set_config,
    "config.unset": unset_config,
    "stats.get": stats,
}
