"""Pool of the daemon's models: which engine answers for a model, which workers run, which model leaves memory.

Owns the workers' tasks. Nothing here wakes up periodically.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from agentgw.protocol.errors import ModelUnavailable
from agentgw.protocol.tuning import Tuning
from agentgw.protocol.types import Worker
from agentgw_daemon.inference.engine import Engine
from agentgw_daemon.inference.engines.echo import EchoEngine
from agentgw_daemon.inference.engines.local import LocalEngine
from agentgw_daemon.inference.hosting.host import ModelHost
from agentgw_daemon.inference.hosting.memory_budget import Tenant, next_to_leave, no_room, spare_bytes
from agentgw_daemon.inference.hosting.supervisor import WorkerProcess
from agentgw_daemon.inference.hosting.tuning_store import StoredTuning, TuningStore, described, in_force
from agentgw_daemon.inference.spec import InferenceSettings, ModelSpec
from agentgw_daemon.observability.supervision import supervised
from agentgw_daemon.system.child_environment import worker_environment
from agentgw_daemon.system.memory import available_bytes, rss_bytes

if TYPE_CHECKING:
    import httpx

_log = logging.getLogger(__name__)

_CLOSE_TIMEOUT_S: Final = 2.0
# A batch is stopped or over long before; a model that is being loaded is not waited for.
PAUSE_S: Final = 1.5


class Pool:
    """Engines by model. Workers run in the nursery it was handed; see `open_pool`.

    `environ` is where workers' variables and providers' API keys come from; `instance` marks the workers; what is
    measured is kept in `tuning_dir`, without which nothing is.
    """

    def __init__(
        self, settings: InferenceSettings, nursery: trio.Nursery, *, environ: Mapping[str, str], instance: str,
        tuning_dir: Path | None = None,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._nursery = nursery
        self._environ = environ
        self._worker_env = worker_environment(environ, instance)
        self._hosts: dict[str, ModelHost] = {}
        self._blank: WorkerProcess | None = None
        self._client: httpx.AsyncClient | None = None
        self._tunings = TuningStore(tuning_dir) if tuning_dir is not None else None
        self._paused = False
        # Two newcomers at once would each count on the same room.
        self._making_room = trio.Lock()

    def configure(self, settings: InferenceSettings) -> None:
        """Take a reloaded configuration over: loaded models keep what they were loaded with."""
        self._settings = settings
        for host in self._hosts.values():
            host.configure(settings)

    async def engine(self, spec: ModelSpec) -> Engine:
        """The engine that answers for this model. Loads nothing yet. Raises ModelUnavailable."""
        await trio.lowlevel.checkpoint()
        match spec.kind:
            case "builtin":
                if spec.name != "echo":
                    raise ModelUnavailable(f"no built-in model {spec.name}", model=spec.name, reason="unknown")
                return EchoEngine()
            case "file":
                return LocalEngine(self._host(spec), spec)
            case "provider":
                return self._provider_engine(spec)

    async def load(self, spec: ModelSpec) -> None:
        """Have the model in memory; nothing to do for one without a worker. Raises ModelUnavailable."""
        engine = await self.engine(spec)
        if isinstance(engine, LocalEngine):
            await engine.load()

    async def unload(self, name: str) -> bool:
        """Let the model leave memory: now when idle, else after its last request. False: it was not there."""
        hosts = [host for host in self._hosts.values() if host.spec.name == name and (host.loaded or host.loading)]
        for host in hosts:
            await host.stop()
        return bool(hosts)

    def prewarm(self) -> None:
        """Start a worker that imports its engine and waits for the next model to load."""
        if self._blank is None or not self._blank.usable:
            self._blank = self._start_worker()
            if self._settings.keep_alive_s >= 0:
                self._blank.retire_at(trio.current_time() + self._settings.keep_alive_s)

    async def pause(self) -> None:
        """Have all workers stand still, new ones too, until `resume`; returns when they do, after PAUSE_S at most.

        What they had said by then has been read. Requests stay with them; those to endpoints go on.
        """
        self._paused = True
        workers = self._usable()
        for worker in workers:
            worker.pause()
        with trio.move_on_after(PAUSE_S) as patience:
            for worker in workers:
                await worker.wait_paused()
        if patience.cancelled_caught:
            _log.info("a model works on although all should stand still")

    def resume(self) -> None:
        """Let all workers go on."""
        self._paused = False
        for worker in self._usable():
            worker.resume()

    def _usable(self) -> list[WorkerProcess]:
        found = [*(host.worker for host in self._hosts.values()), self._blank]
        return [worker for worker in found if worker is not None and worker.usable]

    def workers(self) -> tuple[Worker, ...]:
        """The processes there are."""
        found: list[tuple[WorkerProcess | None, str | None, int]] = [
            (host.worker, host.spec.name, host.busy) for host in self._hosts.values()
        ]
        found.append((self._blank, None, 0))
        now = trio.current_time()
        return tuple(
            Worker(
                pid=worker.pid, kind="model", rss_bytes=rss_bytes(worker.pid), model=name, busy=busy,
                slots=worker.model.slots if worker.model else 0,
                tokens_per_s=round(worker.rate.now(now) if busy else worker.rate.last, 1),
                detail=(described(worker.model) or None) if worker.model else None,
            )
            for worker, name, busy in found
            if worker is not None and worker.usable and worker.pid
        )  # fmt: skip

    def in_force(self, name: str) -> Tuning | None:
        """The settings that a model runs with; None unless it is loaded."""
        for host in self._hosts.values():
            # The worker may be dead and not buried yet.
            if host.spec.name == name and host.loaded and host.worker is not None and host.worker.model is not None:
                return in_force(host.worker.model)
        return None

    async def calibrated(self, path: str) -> StoredTuning | None:
        """The figures that were measured with a model file."""
        tunings = self._tunings
        if tunings is None:
            return None
        return await trio.to_thread.run_sync(lambda: tunings.of_file(os.path.realpath(path)))

    def loaded(self) -> tuple[str, ...]:
        """Names of the models in memory."""
        return tuple(host.spec.name for host in self._hosts.values() if host.loaded)

    def loading(self) -> tuple[str, ...]:
        """Names of the models being loaded."""
        return tuple(host.spec.name for host in self._hosts.values() if host.loading)

    @property
    def queue_length(self) -> int:
        """Requests that wait for a model or a slot."""
        return sum(host.queue_length for host in self._hosts.values())

    @property
    def busy(self) -> int:
        """Slots in use, of all workers."""
        return sum(host.busy for host in self._hosts.values())

    def close(self) -> None:
        """Refuse new requests and end the waiting ones with ShuttingDown; running ones go on."""
        for host in self._hosts.values():
            host.close()

    async def aclose(self) -> None:
        """Close, and drop the connections to providers. The workers go with the nursery."""
        self.close()
        if self._client is not None:
            await self._client.aclose()

    def _host(self, spec: ModelSpec) -> ModelHost:
        if spec.path is None:
            raise ModelUnavailable(f"{spec.name} has no file", model=spec.name, reason="no file")
        host = self._hosts.get(spec.path)
        if host is None:
            host = ModelHost(
                spec, self._settings, self._nursery, take_worker=self._take_worker, make_room=self._make_room,
                tunings=self._tunings,
            )  # fmt: skip
            self._hosts[spec.path] = host
        return host

    def _provider_engine(self, spec: ModelSpec) -> Engine:
        # Imported on first use: httpx costs a daemon without providers time and memory.
        from agentgw_daemon.inference.engines.endpoint_http import Patience, open_client
        from agentgw_daemon.inference.engines.provider import ProviderEngine

        provider = spec.provider
        if provider is None:
            raise ModelUnavailable(f"{spec.name} names no provider", model=spec.name, reason="no provider")
        key = None
        if provider.api_key_env is not None:
            key = self._environ.get(provider.api_key_env)
            if not key:
                raise ModelUnavailable(
                    f"{spec.name}: the API key is missing",
                    hint=f"set {provider.api_key_env} in the daemon's environment, then run `agentgw restart`",
                    model=spec.name,
                    reason=f"{provider.api_key_env} is not set",
                )
        patience = Patience(silence_s=self._settings.endpoint_silence_s)
        if self._client is None:
            self._client = open_client(patience)
        return ProviderEngine(
            provider, key, self._client, patience, max_answer_bytes=self._settings.max_answer_bytes
        )  # fmt: skip

    def _start_worker(self) -> WorkerProcess:
        worker = WorkerProcess(self._settings, self._worker_env)
        # A bug in following one worker ends that worker, whose requests hear of it, and nothing else.
        self._nursery.start_soon(supervised, "following a model worker", worker.run)
        if self._paused:
            worker.pause()
        return worker

    def _take_worker(self) -> WorkerProcess:
        blank, self._blank = self._blank, None
        if blank is None or not blank.usable:
            return self._start_worker()
        blank.retire_at(float("inf"))
        return blank

    async def _make_room(self, newcomer: ModelHost) -> None:
        """Unload idle models, longest idle first, until the newcomer fits. Raises ModelUnavailable if it never does."""
        async with self._making_room:
            while (available := available_bytes()) is not None:
                tenants = await self._tenants(newcomer)
                need, spare = newcomer.need, spare_bytes(available, tenants)
                if need.total <= spare:
                    return
                leaving = next_to_leave(tenants)
                if leaving is None:
                    raise no_room(newcomer.spec.name, need, spare, [tenant.name for tenant in tenants])
                _log.info("model %s leaves memory for %s", leaving.name, newcomer.spec.name)
                await self._hosts[leaving.path].stop()

    async def _tenants(self, newcomer: ModelHost) -> list[Tenant]:
        """The models that are in memory beside the newcomer. Those on their way out are gone afterwards."""
        found = []
        for path, host in tuple(self._hosts.items()):
            if host is newcomer or host.worker is None:
                continue
            if not host.worker.usable:
                await host.worker.dead.wait()
                continue
            found.append(
                Tenant(
                    path=path, name=host.spec.name, need=host.need, loaded=host.loaded, idle=host.idle,
                    idle_since=host.idle_since,
                )
            )  # fmt: skip
        return found


@asynccontextmanager
async def open_pool(
    settings: InferenceSettings, *, environ: Mapping[str, str], instance: str, tuning_dir: Path | None = None
) -> AsyncIterator[Pool]:
    """A pool; leaving stops every worker within `stop_timeout_s` and a little, and reaps it."""
    async with trio.open_nursery() as nursery:
        pool = Pool(settings, nursery, environ=environ, instance=instance, tuning_dir=tuning_dir)
        try:
            yield pool
        finally:
            nursery.cancel_scope.cancel()
            with trio.move_on_after(_CLOSE_TIMEOUT_S, shield=True):
                await pool.aclose()
