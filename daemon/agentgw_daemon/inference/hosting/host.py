"""One model's place in memory: its worker, loaded on need and let go when idle, and the queue before it.

Everything that happens (someone comes or goes, the worker loads, dies or retires) ends in `_settle`, which
gives out slots in order of arrival and wakes whoever waits.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import trio

from agentgw.protocol.errors import ModelUnavailable, Overloaded, RpcError, ShuttingDown
from agentgw_daemon.inference.engine import Loading, Queued
from agentgw_daemon.inference.hosting.call import WorkerCall
from agentgw_daemon.inference.hosting.supervisor import WorkerProcess
from agentgw_daemon.inference.hosting.tuning_store import TuningStore, basis_of, load_message, tuned
from agentgw_daemon.inference.spec import InferenceSettings, ModelSpec
from agentgw_daemon.observability.supervision import internal_error, supervised
from agentgw_daemon.workers.protocol import model as wire
from agentgw_daemon.workers.protocol.footprint import DEFAULT_BATCH_TOKENS, MemoryNeed, ModelShape, need
from agentgw_daemon.workers.supervision.restart_backoff import DEGRADED_DEATHS, RestartBackoff

_log = logging.getLogger(__name__)

# Whole answers that a worker knows of for each of its slots: the one in it, and the next one.
_FILLS_PER_SLOT: Final = 2


class Ticket:
    """A place in the queue, then a hold on the loaded worker. One task waits on it."""

    def __init__(self, host: ModelHost, *, needs_slot: bool, background: bool, whole: bool) -> None:
        self.needs_slot = needs_slot
        self.background = background
        self.whole = whole
        self.worker: WorkerProcess | None = None
        self.failure: RpcError | None = None
        self.changed = trio.Event()
        self.loading_s = 0.0
        self.queued_s = 0.0
        self._host = host
        self._told: Loading | Queued | None = None
        self._since = trio.current_time()

    async def next_change(self) -> Loading | Queued | None:
        """The thing it waits for, each time that is news; None once it holds `worker`. Raises what ended the
        wait.
        """
        while True:
            changed = self.changed
            state = self._host.state_of(self)
            self._account()
            if self.failure is not None:
                raise self.failure
            if state is None or state != self._told:
                self._told = state
                return state
            await changed.wait()

    @property
    def rank(self) -> tuple[bool, bool]:
        """The place of the request among all: who reads an answer as it is written is first, the background last."""
        return self.background, self.whole

    def _account(self) -> None:
        now = trio.current_time()
        if isinstance(self._told, Loading):
            self.loading_s += now - self._since
        elif isinstance(self._told, Queued):
            self.queued_s += now - self._since
        self._since = now


class ModelHost:
    """Keeps at most one worker for one model file.

    `take_worker` gives a running process that has loaded nothing; `make_room` is awaited before a load and may
    refuse it. Without `tunings` nothing is measured.
    """

    def __init__(
        self,
        spec: ModelSpec,
        settings: InferenceSettings,
        nursery: trio.Nursery,
        *,
        take_worker: Callable[[], WorkerProcess],
        make_room: Callable[[ModelHost], Awaitable[None]],
        tunings: TuningStore | None = None,
    ) -> None:
        assert spec.path is not None
        self.spec = spec
        self.worker: WorkerProcess | None = None
        self.loading = False
        self.size_bytes = 0
        self.idle_since = 0.0
        self._settings = settings
        self._nursery = nursery
        self._take_worker = take_worker
        self._make_room = make_room
        self._tunings = tunings
        self._path = Path(spec.path).absolute()
        self._waiting: list[Ticket] = []
        self._holding: set[Ticket] = set()
        self._backoff = RestartBackoff(settings.restart_backoff_s)
        self._last_exit_reason = ""
        self._last_hint = ""
        self._stop_when_idle = False
        self._closed = False

    def configure(self, settings: InferenceSettings) -> None:
        """Take other settings over: limits at once, what a worker is told with the next load."""
        self._settings = settings
        self._settle()

    @property
    def loaded(self) -> bool:
        """True while a worker with the model can be asked."""
        return self.worker is not None and self.worker.usable and self.worker.model is not None

    @property
    def need(self) -> MemoryNeed:
        """The memory that it takes when it is loaded with the settings as they are."""
        settings = self._settings
        return need(
            self.spec.shape or ModelShape(), size_bytes=self.size_bytes,
            n_ctx_tokens=self.spec.n_ctx_tokens or settings.n_ctx,
            batch_tokens=settings.batch_tokens or DEFAULT_BATCH_TOKENS, plain=settings.attention == "plain",
        )  # fmt: skip

    @property
    def idle(self) -> bool:
        """True when nobody uses the model or waits for it."""
        return not self._waiting and not self._holding

    @property
    def queue_length(self) -> int:
        """Requests that wait for the model or for a slot."""
        return sum(ticket.needs_slot for ticket in self._waiting)

    @property
    def busy(self) -> int:
        """Slots in use."""
        held = sum(ticket.needs_slot for ticket in self._holding)
        model = self.worker.model if self.worker is not None else None
        ahead = any(ticket.whole for ticket in self._holding)
        return min(held, model.slots) if ahead and model is not None else held

    def join(self, *, needs_slot: bool, background: bool = False, whole: bool = False) -> Ticket:
        """Queue up, for a `whole` answer behind all who are not, in the background behind those. Raises Overloaded.

        Every ticket must be given back with `leave`.
        """
        if self._closed:
            raise ShuttingDown
        if needs_slot and self.queue_length >= self._settings.max_queue:
            limit = self._settings.max_queue
            raise Overloaded(
                f"{limit} requests wait for {self.spec.name} already", limit="inference.max_queue", value=limit
            )
        ticket = Ticket(self, needs_slot=needs_slot, background=background, whole=whole)
        self._waiting.append(ticket)
        self._waiting.sort(key=lambda waiting: waiting.rank)
        self._settle()
        return ticket

    def leave(self, ticket: Ticket, call: WorkerCall | None = None) -> None:
        """Give the ticket back; its slot is free once the worker has let go of `call`."""
        if call is not None and not call.over and not self._closed:
            self._nursery.start_soon(supervised, "waiting for a worker", self._leave_later, ticket, call)
            return
        if ticket in self._waiting:
            self._waiting.remove(ticket)
        self._holding.discard(ticket)
        self._settle()

    def state_of(self, ticket: Ticket) -> Loading | Queued | None:
        """The thing that the ticket waits for; None once it holds a worker that can be asked."""
        if ticket.worker is not None:
            if ticket.worker.usable:
                return None
            # It died between the grant and now: nothing was asked of it, so the place in front is kept.
            ticket.worker = None
            self._holding.discard(ticket)
            self._waiting.insert(0, ticket)
            self._waiting.sort(key=lambda waiting: waiting.rank)
            self._settle()
        if not self.loaded:
            return Loading()
        ahead = self._waiting[: self._waiting.index(ticket)] if ticket in self._waiting else []
        return Queued(position=1 + sum(other.needs_slot for other in ahead))

    def went_well(self) -> None:
        """A request was answered: earlier deaths no longer count."""
        self._backoff.forget()

    async def stop(self) -> None:
        """Unload: an idle worker is gone on return, a busy one goes when its last request ends."""
        if self.worker is None:
            return
        self._stop_when_idle = True
        if self.idle:
            self.worker.retire_at(trio.current_time())
            await self.worker.dead.wait()

    def close(self) -> None:
        """The daemon stops: nobody comes in, and those who wait hear ShuttingDown."""
        self._closed = True
        self._fail(ShuttingDown)

    async def _leave_later(self, ticket: Ticket, call: WorkerCall) -> None:
        await call.ended.wait()
        self.leave(ticket)

    def _settle(self) -> None:
        if self.worker is not None and self.loaded:
            self._grant(self.worker)
            self._schedule_retirement(self.worker)
        elif self._waiting and not self.loading and not self._closed:
            self.loading = True
            self._nursery.start_soon(supervised, "loading a model", self._load)
        for ticket in self._waiting:
            ticket.changed.set()
            ticket.changed = trio.Event()

    def _grant(self, worker: WorkerProcess) -> None:
        """Let those in who can be served: the worker parks requests in the background for those that are not.

        Of whole answers so many more, for its slots to be filled again without a way through the daemon.
        """
        assert worker.model is not None
        for ticket in tuple(self._waiting):
            alike = sum(held.needs_slot and held.rank == ticket.rank for held in self._holding)
            most = worker.model.slots * (_FILLS_PER_SLOT if ticket.whole else 1)
            if ticket.needs_slot and alike >= most:
                continue
            ticket.worker = worker
            self._waiting.remove(ticket)
            self._holding.add(ticket)
            ticket.changed.set()

    def _schedule_retirement(self, worker: WorkerProcess) -> None:
        if not self.idle:
            worker.retire_at(math.inf)
            return
        self.idle_since = trio.current_time()
        keep_s = 0.0 if self._stop_when_idle else self._settings.keep_alive_s
        worker.retire_at(self.idle_since + keep_s if keep_s >= 0 else math.inf)

    async def _load(self) -> None:
        try:
            await self._load_worker()
        except Exception as error:  # noqa: BLE001 - supervision point: whoever waits hears of it
            failed = error if isinstance(error, RpcError) else internal_error(error, f"loading {self.spec.name}")
            self._fail(lambda: type(failed)(failed.message, hint=failed.hint, **failed.data))
        finally:
            self.loading = False
            self._settle()

    async def _load_worker(self) -> None:
        if self.worker is not None:
            await self.worker.dead.wait()
        self.size_bytes = await self._measure()
        self._raise_if_degraded()
        await trio.sleep_until(self._backoff.start_at())
        if not self._waiting:
            return
        await self._make_room(self)
        worker = self.worker = self._take_worker()
        self._nursery.start_soon(supervised, "reaping a worker", self._on_exit, worker)
        try:
            await self._load_by(worker)
        except ModelUnavailable as error:
            worker.retire_at(trio.current_time())
            data = {**error.data, "model": self.spec.name}
            raise ModelUnavailable(f"{self.spec.name}: {error.message}", hint=error.hint, **data) from None
        _log.info("model %s loaded by worker %d", self.spec.name, worker.pid)

    async def _load_by(self, worker: WorkerProcess) -> None:
        await worker.wait_ready()
        settings, tunings, path = self._settings, self._tunings, str(self._path)
        load = load_message(path, self.spec.n_ctx_tokens or settings.n_ctx, settings, others=self.spec.others)
        if tunings is None or not settings.calibrate:
            await worker.load(load)
            return
        try:
            basis = await trio.to_thread.run_sync(basis_of, path, settings, worker.build)
        except OSError as error:
            raise ModelUnavailable(f"{path}: {error.strerror}", reason=str(error.strerror)) from None
        best = await trio.to_thread.run_sync(tunings.best, basis)

        def keep(calibrated: wire.TuningFound) -> None:
            self._nursery.start_soon(
                supervised, "keeping what was measured", trio.to_thread.run_sync, tunings.keep, basis, calibrated
            )

        await worker.load(tuned(load, best, calibrate_after_s=settings.calibrate_after_s), keep)

    async def _measure(self) -> int:
        paths = (str(self._path), *self.spec.others)
        try:
            return await trio.to_thread.run_sync(lambda: sum(os.stat(path).st_size for path in paths))
        except OSError as error:
            reason = error.strerror or str(error)
            raise ModelUnavailable(
                f"{self.spec.name}: {error.filename}: {reason}", model=self.spec.name, reason=reason
            ) from None

    async def _on_exit(self, worker: WorkerProcess) -> None:
        await worker.dead.wait()
        if worker.crashed:
            self._backoff.record(trio.current_time())
            self._last_exit_reason, self._last_hint = worker.exit_reason, worker.hint
        self.worker = None
        self._stop_when_idle = False
        self._settle()

    def _raise_if_degraded(self) -> None:
        now = trio.current_time()
        until = self._backoff.degraded_until(now)
        if until is None:
            return
        raise ModelUnavailable(
            f"{self.spec.name}: its worker died {DEGRADED_DEATHS} times within a minute, "
            f"the last one {self._last_exit_reason}; it is tried again in {math.ceil(until - now)} s",
            hint=self._last_hint or "see `agentgw logs`",
            model=self.spec.name,
            reason=self._last_exit_reason,
        )

    def _fail(self, make: Callable[[], RpcError]) -> None:
        """End every wait; each gets an exception of its own, for a shared one would gather tracebacks."""
        for ticket in self._waiting:
            ticket.failure = make()
            ticket.changed.set()
        self._waiting.clear()
