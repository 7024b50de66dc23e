"""Lifetimes of the daemon's parts, from the first connection to the last.

From the outside in: worker pool, database, turns, connections, the listener. Each is closed only when all
that depends on it has ended, and every step of the way down has a bound, so a stop always ends.
"""

from __future__ import annotations

import logging
import signal
from contextlib import AsyncExitStack
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from agentgw.local.files.shipped import shipped
from agentgw.protocol.events import TurnNotice
from agentgw.protocol.types import Chunk
from agentgw_daemon.approvals.queue import ApprovalQueue
from agentgw_daemon.events.change_signal import ChangeSignal
from agentgw_daemon.events.hub import EventHub
from agentgw_daemon.inference.pool import open_pool
from agentgw_daemon.knowledge.ingest.forbidden import Forbidden
from agentgw_daemon.knowledge.ingest.ingest import Ingest
from agentgw_daemon.knowledge.ingest.watching import Watching
from agentgw_daemon.knowledge.reembedding import Reembedder
from agentgw_daemon.knowledge.search.search import open_knowledge
from agentgw_daemon.lifecycle.guard import guard_socket
from agentgw_daemon.lifecycle.idle import end_when_idle
from agentgw_daemon.lifecycle.signals import patient_end
from agentgw_daemon.lifecycle.sleep import follow_sleep
from agentgw_daemon.lifecycle.watchdog import feed_watchdog
from agentgw_daemon.models.ahead import is_worker_likely
from agentgw_daemon.models.registry import open_registry
from agentgw_daemon.notifications.approval_notices import ApprovalNotices
from agentgw_daemon.notifications.desktop import Desktop
from agentgw_daemon.notifications.job_news import JobNews
from agentgw_daemon.observability.supervision import supervised
from agentgw_daemon.retrieval.pool import open_retrieval
from agentgw_daemon.scheduler.assembly import make_jobs
from agentgw_daemon.server.announcement import announce
from agentgw_daemon.server.calls.dispatch import overloaded
from agentgw_daemon.server.connections.sockets import ConnectionServer
from agentgw_daemon.server.control import Control, Stop, inference_settings, retrieval_settings
from agentgw_daemon.server.daemon import Daemon
from agentgw_daemon.server.listener import Listener
from agentgw_daemon.server.sleeping import Sleeping
from agentgw_daemon.server.upkeep import Upkeep
from agentgw_daemon.services import Current, Services
from agentgw_daemon.skills.library import Library
from agentgw_daemon.skills.projects import Projects
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.deliveries.outbox import EventOutbox
from agentgw_daemon.storage.file.presence import WrittenBack
from agentgw_daemon.storage.file.store import Recovery
from agentgw_daemon.tools.builtin import BUILTIN
from agentgw_daemon.tools.builtins.search_documents import SearchDocuments
from agentgw_daemon.tools.catalogue import open_catalogue
from agentgw_daemon.tools.files.places import denied_of
from agentgw_daemon.turns.manager import Turns
from agentgw_daemon.webhooks.hook import routes
from agentgw_daemon.webhooks.hooks_file import HooksFile, read_hooks
from agentgw_daemon.webhooks.webhooks import Webhooks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentgw_daemon.gateway.doors import Doors
    from agentgw_daemon.gateway.gateway import Gateway
    from agentgw_daemon.lifecycle.started import Started

log = logging.getLogger(__name__)

# They bring httpx with them.
_LATE_MODULES: Final = (
    "agentgw_daemon.inference.engines.provider",
    "agentgw_daemon.models.fetching.download",
    "agentgw_daemon.models.fetching.hub",
)

_IMPORT_PAUSE_S: Final = 1.0

# Of the whole grace of a stop: turns store their ends, then replies leave, then workers go.
_TURNS_SHARE: Final = 0.5
_PEERS_SHARE: Final = 0.25
# Beyond the grace: the database is closed, and copied once a day.
_CLOSING_S: Final = 30.0


async def _open(started: Started, stack: AsyncExitStack, deliveries_added: ChangeSignal) -> tuple[Services, HooksFile]:
    """The parts, in the order of their lifetimes."""
    settings, paths = started.config.settings, started.paths
    hub = EventHub()
    current = Current(started.config)
    # First, so that a worker imports its engine while the database opens.
    pool = await stack.enter_async_context(
        open_pool(
            inference_settings(settings, paths.kv_dir), environ=started.environ, instance=started.instance,
            tuning_dir=Path(paths.cache_dir) / "tuning",
        )
    )  # fmt: skip
    if started.prewarm and is_worker_likely(settings, Path(paths.models_dir), started.environ.get("HOME")):
        pool.prewarm()
    hooks = await trio.to_thread.run_sync(read_hooks, Path(paths.webhooks_file), started.environ)
    database = await stack.enter_async_context(
        Database.open(
            Path(paths.data_dir),
            on_recovered=lambda recovery: current.notices.append(recovered(recovery)),
            # Complete by now, because opening ends turns that a crash cut off.
            outbox=EventOutbox(routes(hooks.hooks), on_added=deliveries_added.tell),
        )
    )
    if database.opened.recovery is not None:
        current.notices.append(recovered(database.opened.recovery))
    skills = Library(
        [
            ("shipped", Path(shipped("skills"))),
            ("agents", Path.home() / ".agents" / "skills"),
            ("user", Path(paths.skills_dir)),
        ]
    )
    await trio.to_thread.run_sync(skills.reload)
    models = await stack.enter_async_context(
        open_registry(Path(paths.models_dir), settings, environ=started.environ, instance=started.instance)
    )
    retrieval = await stack.enter_async_context(
        open_retrieval(
            retrieval_settings(settings), resolve=models.embedder, environ=started.environ, instance=started.instance
        )
    )
    knowledge = await stack.enter_async_context(
        open_knowledge(
            database, retrieval, Path(paths.index_dir), settings=lambda: current.config.settings.rag,
            embedder=models.embedder_called,
        )
    )  # fmt: skip

    async def search(query: str, k: int | None) -> tuple[Chunk, ...]:
        return await knowledge.search(query, k=k)

    tools = await stack.enter_async_context(
        open_catalogue(
            (*BUILTIN, SearchDocuments(search)),
            Path(paths.config_dir) / "tools",
            settings.mcp.servers,
            environ=started.environ,
        )
    )
    services = Services(
        started=started, current=current, database=database, models=models, skills=skills, pool=pool,
        retrieval=retrieval, hub=hub, tools=tools, approvals=ApprovalQueue(database, hub), knowledge=knowledge,
        projects=Projects(skills, database.trust, Path.home()),
    )  # fmt: skip
    return services, hooks


def recovered(recovery: Recovery | WrittenBack) -> TurnNotice:
    """The notice for the next turn's client about a database that had to be replaced or written back."""
    if isinstance(recovery, WrittenBack):
        text = f"{recovery.what} was removed while agentgw used it; it was written back, nothing is lost"
        return TurnNotice(code="storage_recovered", text=text)
    source = f"the backup {recovery.restored_from}" if recovery.restored_from else "an empty one"
    text = f"the database was damaged ({recovery.reason}) and replaced by {source}; it is kept in {recovery.moved_to}"
    return TurnNotice(code="storage_recovered", text=text)


def _made_of(
    services: Services,
    hooks: HooksFile,
    deliveries_added: ChangeSignal,
    doors: Doors | None,
    stop: Stop,
    nursery: trio.Nursery,
) -> Daemon:
    """Makes the daemon's parts from the services; their background work runs in the nursery."""
    forbidden = Forbidden(denied_of(services.started.paths.directories), services.started.environ)
    reembedding = Reembedder(services.database, services.retrieval)
    ingest = Ingest(
        services.database, services.retrieval, forbidden, lambda: services.settings.rag, on_end=reembedding.poke
    )
    turns = Turns(services, nursery)
    watching = Watching(services.database, ingest, nursery)
    webhooks = Webhooks(
        services.database, services.secrets, hooks, nursery, added=deliveries_added, environ=services.started.environ,
        keep_days=lambda: services.settings.webhooks.keep_days,
    )  # fmt: skip
    desktop = Desktop(services.started.environ)
    notices = ApprovalNotices(
        services.approvals, services.hub, desktop, nursery, lambda: services.settings.notifications.desktop
    )
    news = JobNews(
        desktop, services.started.environ, lambda: services.settings.notifications.desktop,
        lambda: webhooks.is_told("job.finished"),
    )  # fmt: skip
    jobs = make_jobs(services, turns, nursery, news)
    http = doors.status if doors else None
    connections = services.settings.limits.connections
    return Daemon(
        services=services, turns=turns, jobs=jobs, ingest=ingest, watching=watching, reembedding=reembedding,
        webhooks=webhooks, notices=notices, http=http, make_sign_in=doors.make_sign_in if doors else None,
        control=Control(services, jobs, watching, reembedding, webhooks, http, stop),
        listener=Listener(max_connections=connections, refusal=overloaded(connections)),
    )  # fmt: skip


async def serve(started: Started) -> int:
    """Run the daemon until it is told to stop. Gives the process's exit status."""
    stop = Stop()
    settings = started.config.settings
    async with AsyncExitStack() as stack:
        stack.enter_context(patient_end(lambda: stop.is_asked))
        doors = _http_doors(started, stack)
        deliveries_added = ChangeSignal()
        services, hooks = await _open(started, stack, deliveries_added)
        async with trio.open_nursery() as outer:
            daemon = _made_of(services, hooks, deliveries_added, doors, stop, outer)
            # Before anybody can ask for them.
            await supervised("taking up turns", daemon.turns.take_up)
            outer.start_soon(supervised, "following folders", daemon.watching.resume)
            outer.start_soon(supervised, "starting webhooks", daemon.webhooks.start)
            outer.start_soon(supervised, "showing approvals", daemon.notices.run)
            others_busy = partial(_is_busy_for_others, daemon)
            outer.start_soon(supervised, "embedding anew", daemon.reembedding.run, others_busy)
            outer.start_soon(supervised, "running jobs", daemon.jobs.work)
            sleeping = Sleeping(services.pool, lambda: daemon.turns.running, daemon.jobs.scheduler.hold)
            outer.start_soon(supervised, "following sleep", follow_sleep, sleeping.get_ready, sleeping.go_on)
            in_place = partial(services.database.stay_in_place, partial(stop.ask, status=1))
            outer.start_soon(supervised, "guarding the database", in_place)
            outer.start_soon(supervised, "waiting for signals", _heed_signals, daemon.control, stop)
            outer.start_soon(supervised, "importing", _import_the_rest, stop)
            upkeep = Upkeep(services.database, lambda: services.settings.storage, lambda: not _is_working(daemon))
            outer.start_soon(supervised, "upkeep", upkeep.run)
            async with trio.open_nursery() as connections:
                # First: who comes by the socket is told of the doors, and may go there at once.
                gateway = await _open_gateway(daemon, doors, connections)
                server = ConnectionServer(daemon, connections)
                await server.open(started.listener)
                guard = partial(guard_socket, started.name, on_replaced=server.open, drain=stop.ask)
                outer.start_soon(supervised, "guarding the socket", guard)
                started.serving()
                await supervised("telling what is there", announce, daemon)
                log.info("serving on %s, pid %d", started.paths.socket, started.pid)
                started.notifier.ready(f"serving on {started.paths.socket}")
                # Only now is it known which jobs there are, and only now can somebody come.
                idle = partial(
                    end_when_idle, settings.daemon.idle_exit_s, activity=lambda: daemon.listener.accepted,
                    is_needed=lambda: _is_needed(daemon), drain=stop.ask,
                )  # fmt: skip
                outer.start_soon(supervised, "ending when idle", idle)
                outer.start_soon(supervised, "feeding the watchdog", feed_watchdog, started.notifier)
                await stop.wait()
                services.current.stopping = stop.reason or "asked to"
                started.notifier.stopping(stop.reason, within_s=settings.limits.shutdown_s + _CLOSING_S)
                closing = [server.close] if gateway is None else [server.close, gateway.close]
                await _wind_down(daemon, closing, connections, settings.limits.shutdown_s)
            outer.cancel_scope.cancel()
    log.info("stopped")
    return stop.status


def _http_doors(started: Started, stack: AsyncExitStack) -> Doors | None:
    """HTTP's sockets, if it is asked for. First of all, so that a port that is taken is known at once."""
    if not started.config.settings.http.enabled:
        return None
    # Here rather than above: it is memory that a daemon without HTTP does not need.
    from agentgw_daemon.gateway.doors import open_doors

    return stack.enter_context(open_doors(started))


async def _open_gateway(daemon: Daemon, doors: Doors | None, connections: trio.Nursery) -> Gateway | None:
    if doors is None:
        return None
    from agentgw_daemon.gateway.serving import open_gateway

    return await open_gateway(daemon, doors, connections)


def _is_busy_for_others(daemon: Daemon) -> bool:
    """Tells whether somebody waits for the machine, be it beside the embedding anew."""
    return bool(daemon.turns.running) or daemon.ingest.busy


def _is_working(daemon: Daemon) -> bool:
    return _is_busy_for_others(daemon) or daemon.reembedding.shown is not None


def _is_needed(daemon: Daemon) -> bool:
    """Tells whether somebody is connected, something runs, or something will be due by itself."""
    # Who speaks HTTP may come at any time, and starts no daemon.
    if daemon.listener.connections or _is_working(daemon) or daemon.http is not None:
        return True
    return daemon.jobs.anything_scheduled or daemon.watching.may_follow


async def _wind_down(
    daemon: Daemon, closing: Sequence[Callable[[], None]], connections: trio.Nursery, grace_s: float
) -> None:
    """Turns first, so that every client hears how its turn ended; then replies; then the door."""
    daemon.jobs.scheduler.close()
    daemon.services.pool.close()
    daemon.services.retrieval.close()
    with trio.move_on_after(grace_s * _TURNS_SHARE) as patience:
        await daemon.turns.stop()
        await daemon.jobs.scheduler.wait_ended()
    if patience.cancelled_caught:
        log.warning("turns did not end in time: %d", len(daemon.turns.running))
    for close in closing:
        close()
    connections.cancel_scope.deadline = trio.current_time() + grace_s * _PEERS_SHARE


async def _import_the_rest(stop: Stop) -> None:
    """Import what only some requests need, beside the first of them: a tenth of a second of a cold start.

    Afterwards nothing is left to import, so a package that is upgraded under the running daemon cannot mix with it.
    """
    for name in _LATE_MODULES:
        try:
            await _import(name)
        except (ImportError, AttributeError, SyntaxError) as error:
            # Upgraded in this very moment: what is in memory and what is on disk are of two versions.
            log.error("%s cannot be imported: %s", name, error)
            stop.ask("the package was replaced while the daemon started", status=1)
            return
    log.debug("everything is imported")


async def _import(name: str) -> None:
    while True:
        try:
            await trio.to_thread.run_sync(import_module, name)
            return
        except OSError as error:
            # No descriptors left is the likely one, and clients come and go.
            log.warning("%s cannot be imported yet: %s", name, error.strerror)
        await trio.sleep(_IMPORT_PAUSE_S)


async def _heed_signals(control: Control, stop: Stop) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async for number in signals:
            if number == signal.SIGHUP:
                await supervised("reloading", control.reload_on_signal)
            else:
                stop.ask(signal.Signals(number).name)
