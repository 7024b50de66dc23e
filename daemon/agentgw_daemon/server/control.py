"""Requests about the daemon itself: stop, re-read its files, examine itself."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from agentgw.protocol.errors import ConfigRefused
from agentgw.protocol.results import DoctorResult, ReloadResult
from agentgw_daemon.config.settings import Settings
from agentgw_daemon.doctor import DoctorContext, examine
from agentgw_daemon.inference.spec import InferenceSettings
from agentgw_daemon.retrieval.spec import RetrievalSettings
from agentgw_daemon.system.ids import time_text

if TYPE_CHECKING:
    from agentgw_daemon.knowledge.ingest.watching import Watching
    from agentgw_daemon.knowledge.reembedding import Reembedder
    from agentgw_daemon.scheduler.jobs import Jobs
    from agentgw_daemon.services import Services
    from agentgw_daemon.webhooks.webhooks import Webhooks

log = logging.getLogger(__name__)

# A week: whoever looks at all has looked by then.
_FATAL_SHOWN_S: Final = 7 * 86_400.0


class Control:
    """The daemon's own switches."""

    def __init__(
        self,
        services: Services,
        jobs: Jobs,
        watching: Watching,
        reembedding: Reembedder,
        webhooks: Webhooks,
        stop: Stop,
    ) -> None:
        self._services = services
        self._jobs = jobs
        self._watching = watching
        self._reembedding = reembedding
        self._webhooks = webhooks
        self._stop = stop
        # Two reloads at once would each compare with what the other replaces.
        self._reloading = trio.Lock()

    def shut_down(self, reason: str) -> None:
        """Stop gracefully; returns at once."""
        self._stop.ask(reason)

    async def reload(self) -> ReloadResult:
        """Read configuration and skills again. Raises ConfigRefused, and nothing has changed then."""
        services = self._services
        notifier = services.started.notifier
        async with self._reloading:
            notifier.reloading()
            try:
                return await self._reload(services)
            finally:
                notifier.ready("serving")

    async def _reload(self, services: Services) -> ReloadResult:
        fresh, changed, waiting = services.started.reload(services.current.config)
        services.current.config = fresh
        services.pool.configure(inference_settings(fresh.settings, services.started.paths.kv_dir))
        services.retrieval.configure(retrieval_settings(fresh.settings))
        services.models.configure(fresh.settings)
        self._reembedding.poke()
        services.tools.reload(fresh.settings.mcp.servers)
        changed += await trio.to_thread.run_sync(services.skills.reload)
        changed += ("jobs",) if await self._jobs.reload() else ()
        changed += ("webhooks",) if await self._webhooks.reload() else ()
        log.info("reloaded: %s", ", ".join(changed) or "nothing changed")
        return ReloadResult(changed=changed, restart_needed=waiting)

    async def reload_on_signal(self) -> None:
        """Reloads as `reload` does, for nobody in particular: what is wrong goes to the log, the old
        configuration stays.
        """
        try:
            await self.reload()
        except ConfigRefused as error:
            log.error("not reloaded: %s", error.message)

    async def examine(self) -> DoctorResult:
        """Runs every check of the daemon's side."""
        services = self._services
        context = DoctorContext(
            started=services.started, config=services.config, check_database=services.database.check,
            db_bytes=services.database.size_bytes, written_back=lambda: services.database.written_back,
            models=lambda: services.models.listing(services.pool.loaded(), services.pool.loading()),
            skills=services.skills.listing, embedder=services.retrieval.embedder,
            jobs_file=services.started.jobs_file, job_problems=self._jobs.problems,
            watched=self._watching.listing, webhooks=partial(self._webhooks.listing, 0),
            webhooks_exposed=lambda: self._webhooks.exposed, reembedding=lambda: self._reembedding.shown,
            fatal_turns=lambda: services.database.unfinished.fatal(time_text(time.time() - _FATAL_SHOWN_S)),
        )  # fmt: skip
        hide = services.secrets.redact
        findings = tuple(
            replace(one, message=hide(one.message), fix=hide(one.fix) if one.fix else one.fix)
            for one in await examine(context)
        )
        return DoctorResult(ok=not any(one.severity == "error" for one in findings), findings=findings)


def inference_settings(settings: Settings, kv_dir: str) -> InferenceSettings:
    """The section `inference` as the pool takes it, and where its workers save keys and values."""
    section = settings.inference
    return InferenceSettings(
        n_ctx=section.n_ctx, slots=section.slots, threads=section.threads, gpu_layers=section.gpu_layers,
        attention=section.attention, batch_tokens=section.batch_tokens, calibrate=section.calibrate,
        keep_alive_s=section.keep_alive_s, speculate=section.speculate, kv_dir=kv_dir,
        kv_cache_bytes=section.kv_cache_bytes, start_timeout_s=section.start_timeout_s,
        load_timeout_s=section.load_timeout_s, max_answer_bytes=settings.limits.answer_bytes,
        endpoint_silence_s=settings.limits.endpoint_silence_s,
    )  # fmt: skip


def retrieval_settings(settings: Settings) -> RetrievalSettings:
    """The settings of retrieval workers that the configuration gives."""
    section = settings.inference
    return RetrievalSettings(keep_alive_s=section.keep_alive_s, start_timeout_s=section.start_timeout_s)


class Stop:
    """The one way the daemon ends: whoever calls first gives the reason and the exit status."""

    def __init__(self) -> None:
        self._asked = trio.Event()
        self.status = 0
        self.reason = ""

    def ask(self, reason: str, status: int = 0) -> None:
        """End the daemon gracefully; later calls change nothing."""
        if not self._asked.is_set():
            log.info("stopping: %s", reason)
            self.status, self.reason = status, reason
            self._asked.set()

    @property
    def is_asked(self) -> bool:
        """True once somebody has asked."""
        return self._asked.is_set()

    async def wait(self) -> None:
        """Waits until somebody asks."""
        await self._asked.wait()
