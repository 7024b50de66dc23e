"""One model worker from start to reaping: its deadlines, and the errors of its requests when it ends.

Nothing here restarts anything: that is `host.py`.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import trio

from agentgw.protocol.errors import ModelUnavailable, WorkerDied
from agentgw_daemon.inference.hosting.call import GenerationReply, WorkerCall
from agentgw_daemon.inference.hosting.deadlines import Deadlines
from agentgw_daemon.inference.hosting.rate import Rate
from agentgw_daemon.inference.spec import InferenceSettings
from agentgw_daemon.workers.protocol import model as wire
from agentgw_daemon.workers.protocol.lines import MAX_LINE_BYTES, WireError
from agentgw_daemon.workers.supervision.child import Child


def _ignore(_calibrated: wire.TuningFound) -> None:
    """Drops a calibration that nobody asked for."""


class WorkerProcess(Child):
    """A worker and everything said to it. `run` must be running for anything else to happen."""

    def __init__(self, settings: InferenceSettings, env: Mapping[str, str]) -> None:
        super().__init__(settings.command, env, max_line_bytes=MAX_LINE_BYTES, stop_timeout_s=settings.stop_timeout_s)
        self.engine = ""
        self.build = ""
        self.rate = Rate()
        self.model: wire.Loaded | None = None
        self._settings = settings
        self._calls: dict[int, WorkerCall] = {}
        self._next_id = 1
        self._ready = trio.Event()
        self._load_answered = trio.Event()
        self._load_reply: wire.LoadFailed | None = None
        self._on_calibrated: Callable[[wire.TuningFound], object] = _ignore
        self._deadlines = Deadlines(settings)
        self._pause_id = 0
        self._paused = False
        self._stands_still = trio.Event()

    @property
    def busy(self) -> int:
        """Requests that the worker works on, cancelled ones included until it has let go of them."""
        return len(self._calls)

    async def wait_ready(self) -> None:
        """Waits until the worker has imported its engine. Raises ModelUnavailable."""
        await self._ready.wait()
        self._raise_if_unusable()

    async def load(self, load: wire.Load, on_calibrated: Callable[[wire.TuningFound], object] = _ignore) -> wire.Loaded:
        """Load the model; once a process. Raises ModelUnavailable with the reason.

        What it measures later, if `load` asks for that, goes to `on_calibrated`.
        """
        await self.wait_ready()
        self._on_calibrated = on_calibrated
        self._deadlines.load(trio.current_time())
        self._post(wire.encode(load))
        self._arm()
        await self._load_answered.wait()
        if self._load_reply is not None:
            raise ModelUnavailable(
                f"the model cannot be loaded: {self._load_reply.reason}", reason=self._load_reply.reason
            )
        if self.model is None:
            exit_reason = f"{self.exit_reason} while it loaded the model"
            raise ModelUnavailable(f"the model worker {exit_reason}", reason=exit_reason)
        return self.model

    @asynccontextmanager
    async def call(self, message: wire.Generate | wire.CountPrompt) -> AsyncIterator[WorkerCall]:
        """Send a request; iterate over its replies. Leaving early cancels the request in the worker.

        Does not wait for the cancellation: `call.ended` tells when the worker has let go. A worker that does
        not within `cancel_timeout_s` is killed.
        """
        call = WorkerCall(message.request_id, functools.partial(self._credit, message.request_id))
        if not self.usable:
            raise self._exit_error()
        if not self._calls:
            self._deadlines.work(trio.current_time())
        self._calls[call.request_id] = call
        self._post(wire.encode(message))
        self._arm()
        try:
            yield call
        finally:
            call.abandon()
            if not call.over and self.usable:
                assert self._nursery is not None
                self._post(wire.encode(wire.CancelGeneration(request_id=call.request_id)))
                self._nursery.start_soon(self._expect_end, call)

    def pause(self) -> None:
        """Have the worker compute nothing until `resume`; one that is not started or loaded yet does so later."""
        self._pause_id += 1
        self._paused = True
        if not self.dead.is_set():
            self._stands_still = trio.Event()
        self._post(wire.encode(wire.Pause(pause_id=self._pause_id)))
        self._arm()

    async def wait_paused(self) -> None:
        """Returns once it stands still and its readers have dealt with all that it said, or it is dead."""
        await self._stands_still.wait()
        for call in tuple(self._calls.values()):
            await call.wait_caught_up()

    def resume(self) -> None:
        """Let the worker go on; its deadline for progress runs from now."""
        if not self._paused:
            return
        self._paused = False
        self._deadlines.advanced(trio.current_time())
        self._post(wire.encode(wire.Resume()))
        self._arm()

    def _credit(self, request_id: int, texts: int) -> None:
        """A reader caught up: the worker may go on; if it had to stop, its deadline for progress runs from now."""
        if self._calls[request_id].parked:
            self._deadlines.advanced(trio.current_time())
        self._post(wire.encode(wire.Credit(request_id=request_id, texts=texts)))
        self._arm()

    def next_id(self) -> int:
        """A request id of its own for each call."""
        self._next_id += 1
        return self._next_id - 1

    def _begin(self) -> None:
        self._deadlines.start(trio.current_time())

    def _deadline(self) -> float:
        computing = not self._paused and any(not call.parked for call in self._calls.values())
        return self._deadlines.deadline(busy=bool(self._calls), computing=computing)

    def _overdue_reason(self) -> str:
        return self._deadlines.overdue_reason(trio.current_time())

    def _hear(self, line: bytes) -> None:
        self._route(wire.decode(line))
        self._deadlines.heard(trio.current_time())

    def _route(self, message: wire.ModelWireMessage) -> None:
        match message:
            case wire.ModelWorkerHeartbeat(rss_bytes=rss):
                self._hold_to(self._settings.memory_cap_bytes, rss)
            case wire.ModelWorkerReady(version=version, engine=engine, build=build):
                if self._is_of_our_version(version):
                    self.engine, self.build = engine, build
                    self._deadlines.ready()
                    self._ready.set()
            case wire.Loaded() | wire.LoadFailed():
                if isinstance(message, wire.Loaded):
                    self.model = message
                else:
                    self._load_reply = message
                self._deadlines.load_answered()
                self._load_answered.set()
            case wire.TuningFound():
                self._on_calibrated(message)
            case wire.Paused(pause_id=pause_id):
                if pause_id == self._pause_id:
                    self._stands_still.set()
            case (
                wire.Load() | wire.Generate() | wire.CountPrompt() | wire.CancelGeneration() | wire.Credit()
                | wire.Pause() | wire.Resume()
            ):  # fmt: skip
                raise WireError(f"a worker does not say {type(message).__name__}")
            case _:
                self._deliver(message)

    def _deliver(self, reply: GenerationReply) -> None:
        call = self._calls.get(reply.request_id)
        if call is None:
            raise WireError(f"{type(reply).__name__} for a request that is not running")
        call.deliver(reply)
        now = trio.current_time()
        self._deadlines.advanced(now)
        if isinstance(reply, wire.GenerationDelta):
            self.rate.add(len(reply.texts), now)
        elif isinstance(reply, wire.GenerationDone):
            self.rate.end(reply.completion_tokens, reply.decode_ms / 1000)
        if isinstance(reply, wire.GenerationDone | wire.Counted | wire.GenerationFailed):
            del self._calls[call.request_id]
            call.end()

    async def _expect_end(self, call: WorkerCall) -> None:
        with trio.move_on_after(self._settings.cancel_timeout_s):
            await call.ended.wait()
        if not call.ended.is_set():
            self.kill(f"did not let go of a cancelled request within {self._settings.cancel_timeout_s:g} s")

    def _on_exit(self) -> None:
        for call in self._calls.values():
            call.end(self._exit_error())
        self._calls.clear()
        self._ready.set()
        self._load_answered.set()
        self._stands_still.set()

    def _exit_error(self) -> WorkerDied:
        return self._died("model")

    def _raise_if_unusable(self) -> None:
        if not self.usable:
            exit_reason = self.exit_reason
            raise ModelUnavailable(f"the model worker {exit_reason}", reason=exit_reason, hint=self.hint)
