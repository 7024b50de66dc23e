"""Requests about the daemon itself: stop, re-read its files, examine itself."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import fields, replace
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from agentgw.protocol.calls.daemon import DoctorResult, ReloadResult
from agentgw.protocol.errors import ConfigRefused, NotFound, RpcError, StorageUnavailable
from agentgw_daemon.config.config_edit import with_value, without_value
from agentgw_daemon.config.config_file import parse, read_text, replace_text
from agentgw_daemon.config.load import Config, load_text, setting_called, value_of
from agentgw_daemon.config.load import changed as differences
from agentgw_daemon.config.settings import Settings
from agentgw_daemon.doctor.context import DoctorContext
from agentgw_daemon.doctor.examination import examine
from agentgw_daemon.inference.spec import InferenceSettings
from agentgw_daemon.retrieval.spec import RetrievalSettings
from agentgw_daemon.skills.routing import AUTO
from agentgw_daemon.system.ids import time_text

if TYPE_CHECKING:
    from agentgw.protocol.calls.daemon import HttpStatus
    from agentgw_daemon.knowledge.ingest.watching import Watching
    from agentgw_daemon.knowledge.reembedding import Reembedder
    from agentgw_daemon.scheduler.jobs import Jobs
    from agentgw_daemon.services import Services
    from agentgw_daemon.webhooks.webhooks import Webhooks

log = logging.getLogger(__name__)

# A week: whoever looks at all has looked by then.
_FATAL_SHOWN_S: Final = 7 * 86_400.0
_TAKE_UP_S: Final = 5.0
# The origin of a value that nobody gave.
_DEFAULT: Final = "default"


class Control:
    """The daemon's own switches."""

    def __init__(
        self,
        services: Services,
        jobs: Jobs,
        watching: Watching,
        reembedding: Reembedder,
        webhooks: Webhooks,
        http: HttpStatus | None,
        stop: Stop,
    ) -> None:
        self._services = services
        self._jobs = jobs
        self._watching = watching
        self._reembedding = reembedding
        self._webhooks = webhooks
        self._http = http
        self._stop = stop
        # Two reloads at once would each compare with what the other replaces.
        self._reloading = trio.Lock()

    def shut_down(self, reason: str) -> None:
        """Stop gracefully; returns at once."""
        self._stop.ask(reason)

    async def reload(self) -> ReloadResult:
        """Read configuration and skills again. Raises ConfigRefused, and nothing has changed then."""
        async with self._reloading, self._told():
            fresh = self._services.started.read()
            skills = await trio.to_thread.run_sync(self._services.skills.reload)
            self._check(fresh)
            return await self._with_notices(await self._take_over(fresh, skills))

    async def set(self, key: str, text: str) -> ReloadResult:
        """Set one key in the file, then reload. Raises NotFound and ConfigRefused, and nothing was written then."""
        path = setting_called(key)
        return await self._edit(key, lambda before, file: with_value(before, path, value_of(path, text), file))

    async def unset(self, key: str) -> ReloadResult:
        """Take one key out of the file, then reload. Raises NotFound and ConfigRefused as `set` does."""
        path = setting_called(key)

        def without(before: str, file: str) -> str:
            made = without_value(before, path, file)
            if made is None:
                origin = _origin_of(self._services.current.config, key)
                hint = f"it is set by {origin}" if origin not in (file, _DEFAULT) else "its value is the default"
                raise NotFound(f"{key} is not set in {file}", hint=hint, kind="setting", id=key)
            return made

        return await self._edit(key, without)

    async def _edit(self, key: str, change: Callable[[str, str], str]) -> ReloadResult:
        started = self._services.started
        file = started.paths.config_file
        async with self._reloading, self._told():
            before = await trio.to_thread.run_sync(read_text, file)
            # Errors of the file as it is are told in its own words.
            parse(before, file)
            try:
                made = change(before, file)
                fresh = load_text(made, file, started.environ, started.flags)
            except ConfigRefused as error:
                raise ConfigRefused(error.message, hint="nothing was written") from None
            skills = await trio.to_thread.run_sync(self._services.skills.reload)
            self._check(fresh)
            await trio.to_thread.run_sync(replace_text, file, made)
            result = await self._with_notices(await self._take_over(fresh, skills))
        origin = _origin_of(fresh, key)
        if origin in (file, _DEFAULT):
            return result
        return replace(result, notices=(*result.notices, f"{origin} is set in the daemon's environment and wins"))

    async def _with_notices(self, result: ReloadResult) -> ReloadResult:
        """The result, and which of the tools that may run unasked do not exist."""
        if "tools.allow" not in result.changed:
            return result
        tools = self._services.tools
        await tools.look()
        allow = self._services.current.config.settings.tools.allow
        unknown = [name for name in allow if name not in tools.current and not tools.absence(name)]
        notices = tuple(f"tools.allow names {name[:64]}, and there is no such tool" for name in unknown)
        return replace(result, notices=notices)

    @asynccontextmanager
    async def _told(self) -> AsyncIterator[None]:
        """Tell the service manager that files are read, and when that is over."""
        notifier = self._services.started.notifier
        notifier.reloading()
        try:
            yield
        finally:
            notifier.ready("serving")

    def _check(self, fresh: Config) -> None:
        """Raises ConfigRefused for a default model, skill or embedder that does not exist, where it is another than
        before.
        """
        services, running = self._services, self._services.current.config.settings
        model, skill = fresh.settings.model.default, fresh.settings.agent.default_skill
        embedder = fresh.settings.rag.embedder
        try:
            if model is not None and model != running.model.default:
                services.models.check_exists(model, fresh.settings)
            if skill not in (running.agent.default_skill, AUTO):
                services.skills.get(skill)
            if embedder != running.rag.embedder:
                services.models.check_embedder_exists(embedder)
        except RpcError as error:
            raise ConfigRefused(error.message, hint=error.hint) from None

    async def _take_over(self, fresh: Config, skills: tuple[str, ...]) -> ReloadResult:
        services = self._services
        changed, waiting = differences(services.current.config, fresh)
        services.started.take_over(fresh)
        services.current.config = fresh
        services.pool.configure(inference_settings(fresh.settings, services.started.paths.kv_dir))
        services.retrieval.configure(retrieval_settings(fresh.settings))
        services.models.configure(fresh.settings)
        self._reembedding.poke()
        services.tools.reload(fresh.settings.mcp.servers)
        changed += skills
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
        # Both are read beside a daemon's first requests, which may come before. A disk that hangs is not waited for.
        await self._jobs.scheduler.look_first()
        with trio.move_on_after(_TAKE_UP_S), suppress(StorageUnavailable):
            await self._watching.take_up()
        context = DoctorContext(
            started=services.started, config=services.config, check_database=services.database.check,
            db_bytes=services.database.size_bytes, written_back=lambda: services.database.written_back,
            models=lambda: services.models.listing(services.pool.loaded(), services.pool.loading()),
            skills=services.skills.listing, embedder=services.retrieval.embedder,
            jobs_file=services.started.jobs_file, job_problems=self._jobs.problems,
            watched=self._watching.listing, webhooks=partial(self._webhooks.listing, 0),
            webhooks_exposed=lambda: self._webhooks.exposed, reembedding=lambda: self._reembedding.shown,
            http=self._http,
            fatal_turns=lambda: services.database.unfinished.fatal(time_text(time.time() - _FATAL_SHOWN_S)),
        )  # fmt: skip
        hide = services.secrets.redact
        findings = tuple(
            replace(one, message=hide(one.message), fix=hide(one.fix) if one.fix else one.fix)
            for one in await examine(context)
        )
        return DoctorResult(ok=not any(one.severity == "error" for one in findings), findings=findings)


def _origin_of(config: Config, key: str) -> str:
    """The origin of the value that holds."""
    return next((one.origin for one in config.origins if one.key == key), _DEFAULT)


def inference_settings(settings: Settings, kv_dir: str) -> InferenceSettings:
    """The section `inference` as the pool takes it, and where its workers save keys and values."""
    section = settings.inference
    return InferenceSettings(
        **{field.name: getattr(section, field.name) for field in fields(section)}, kv_dir=kv_dir,
        max_answer_bytes=settings.limits.answer_bytes, endpoint_silence_s=settings.limits.endpoint_silence_s,
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
