"""One worker process from birth to burial: its pipes, its limits, and what its requests hear when it dies.

One task owns reading, one owns writing. Nothing here restarts anything: that is `host.py`.
"""

from __future__ import annotations

import functools
import logging
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import trio

import agentgw
from agentgw.errors import ModelUnavailable, WorkerDied
from agentgw.framing import FrameSplitter, FrameTooLarge
from agentgw_daemon.inference import wire
from agentgw_daemon.inference.call import Call, Reply
from agentgw_daemon.inference.dues import Dues
from agentgw_daemon.inference.rate import Rate
from agentgw_daemon.inference.spec import InferenceSettings
from agentgw_daemon.inference.stderr import LastWords

_log = logging.getLogger(__name__)

# A Generate or Count, a Cancel and a few Credits for each live request. Full means that the worker has stopped reading.
OUTBOX_BUFFER: Final = 1024
READ_BYTES: Final = 65536
# Bytes that a dead worker left in its pipe are there at once; only a stranger holding the pipe open takes longer.
LAST_WORDS_S: Final = 1.0
# SIGKILL takes effect as soon as the kernel can; a process stuck in the kernel is reported, not waited for.
REAP_TIMEOUT_S: Final = 5.0


def _ignore(_calibrated: wire.Calibrated) -> None:
    """Nobody wants to know."""


class WorkerProcess:
    """A worker and everything said to it. `run` must be running for anything else to happen."""

    def __init__(self, settings: InferenceSettings, env: Mapping[str, str]) -> None:
        self.pid = 0
        self.engine = ""
        self.build = ""
        self.rate = Rate()
        self.dead = trio.Event()
        self.model: wire.Loaded | None = None
        self.crashed = False
        self._settings = settings
        self._env = dict(env)
        self._calls: dict[int, Call] = {}
        self._next_id = 1
        self._outbox, self._outgoing = trio.open_memory_channel[bytes](OUTBOX_BUFFER)
        self._ready = trio.Event()
        self._load_answered = trio.Event()
        self._load_reply: wire.LoadFailed | None = None
        self._on_calibrated: Callable[[wire.Calibrated], object] = _ignore
        self._dues = Dues(settings)
        self._lifetime = trio.CancelScope()
        self._patience = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._over = False
        self._gone = False
        self._reason = ""
        self.hint = ""
        self._status: int | None = None
        self._last_words = LastWords()

    @property
    def usable(self) -> bool:
        """False once it is dead, dying or told to stop."""
        return not (self._over or self._reason or self._lifetime.cancel_called)

    @property
    def busy(self) -> int:
        """Requests it works on, cancelled ones included until it has let go of them."""
        return len(self._calls)

    async def run(self) -> None:
        """The whole life. Returns when the process is reaped; cancelling stops it within `stop_timeout_s`.

        Raises nothing of its own: failures reach those who wait for readiness, the load or a reply.
        """
        self._dues.start(trio.current_time())
        process: trio.Process | None = None
        try:
            process = await self._spawn()
            if process is not None:
                with self._lifetime:
                    await self._converse(process)
        finally:
            self.crashed = self._gone or bool(self._reason)
            self._over = True
            with trio.CancelScope(shield=True):
                if process is not None:
                    await self._bury(process)
            self._notify(process)

    async def wait_ready(self) -> None:
        """Until its engine is imported. Raises ModelUnavailable."""
        await self._ready.wait()
        self._raise_if_unusable()

    async def load(self, load: wire.Load, on_calibrated: Callable[[wire.Calibrated], object] = _ignore) -> wire.Loaded:
        """Load the model; once a process. Raises ModelUnavailable with the reason.

        What it measures later, if `load` asks for that, goes to `on_calibrated`.
        """
        await self.wait_ready()
        self._on_calibrated = on_calibrated
        self._dues.load(trio.current_time())
        self._post(load)
        self._arm()
        await self._load_answered.wait()
        if self._load_reply is not None:
            raise ModelUnavailable(
                f"the model cannot be loaded: {self._load_reply.reason}", reason=self._load_reply.reason
            )
        if self.model is None:
            fate = f"{self.fate} while it loaded the model"
            raise ModelUnavailable(f"the model worker {fate}", reason=fate)
        return self.model

    @asynccontextmanager
    async def call(self, message: wire.Generate | wire.Count) -> AsyncIterator[Call]:
        """Ask, then iterate over the replies. Leaving early cancels the request in the worker.

        Does not wait for the cancellation: `call.ended` tells when the worker has let go. A worker that does
        not within `cancel_timeout_s` is killed.
        """
        call = Call(message.request_id, functools.partial(self._credit, message.request_id))
        if not self.usable:
            raise self._obituary()
        if not self._calls:
            self._dues.work(trio.current_time())
        self._calls[call.request_id] = call
        self._post(message)
        self._arm()
        try:
            yield call
        finally:
            call.abandon()
            if not call.over and self.usable:
                assert self._nursery is not None
                self._post(wire.Cancel(request_id=call.request_id))
                self._nursery.start_soon(self._expect_end, call)

    def _credit(self, request_id: int, texts: int) -> None:
        """A reader caught up: the worker may go on, and owes progress from now if it had to stop."""
        if self._calls[request_id].parked:
            self._dues.advanced(trio.current_time())
        self._post(wire.Credit(request_id=request_id, texts=texts))
        self._arm()

    def next_id(self) -> int:
        """A request id of its own for each call."""
        self._next_id += 1
        return self._next_id - 1

    def retire_at(self, deadline: float) -> None:
        """Stop gracefully at this time of trio's clock; `math.inf` never, the present at once."""
        self._lifetime.deadline = deadline

    def kill(self, reason: str) -> None:
        """End it now. Every request gets WorkerDied with this reason."""
        if not self._reason:
            self._reason = reason
        self._lifetime.cancel()

    async def _spawn(self) -> trio.Process | None:
        # Its own session, so that Ctrl-C in a terminal reaches the daemon alone. Pipe ends of ours are
        # close-on-exec: a sibling that inherited one would hide our death from this worker.
        try:
            process = await trio.lowlevel.open_process(
                list(self._settings.command),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                start_new_session=True, env=self._env, cwd="/",
            )  # fmt: skip
        except OSError as error:
            self._reason = f"cannot be started: {error.strerror or error}"
            return None
        self.pid = process.pid
        _log.debug("worker %d started", self.pid)
        return process

    async def _converse(self, process: trio.Process) -> None:
        assert process.stderr is not None
        async with trio.open_nursery() as self._nursery:
            self._nursery.start_soon(self._write, process)
            self._nursery.start_soon(self._last_words.read, self.pid, process.stderr)
            self._nursery.start_soon(self._watch_exit, process, self._nursery.cancel_scope)
            try:
                await self._read(process)
                self._gone = True
                self._nursery.cancel_scope.cancel()
            finally:
                # Also when cancelled from outside: the nursery closes while callers still hold calls.
                self._over = True

    async def _read(self, process: trio.Process) -> None:
        assert process.stdout is not None
        splitter = FrameSplitter(wire.MAX_LINE_BYTES)
        while True:
            with trio.CancelScope() as self._patience:
                self._arm()
                chunk = await process.stdout.receive_some(READ_BYTES)
            if self._patience.cancelled_caught:
                self.kill(self._dues.reproach(trio.current_time()))
                return
            if not chunk:
                return
            try:
                for line in splitter.feed(bytes(chunk)):
                    self._route(wire.decode(line))
            except (wire.WireError, FrameTooLarge) as error:
                self.kill(f"broke the protocol: {error}")
                return
            self._dues.heard(trio.current_time())

    def _arm(self) -> None:
        """Give the pending read the deadline that fits what the worker owes us."""
        computing = any(not call.parked for call in self._calls.values())
        self._patience.deadline = self._dues.deadline(busy=bool(self._calls), computing=computing)

    def _route(self, message: wire.Message) -> None:
        match message:
            case wire.Heartbeat(rss_bytes=rss):
                cap = self._settings.memory_cap_bytes
                if cap and rss > cap:
                    self.kill(f"used {rss >> 20} MiB of memory, more than its {cap >> 20} MiB")
            case wire.Ready(version=version, engine=engine, build=build):
                if version != agentgw.__version__:
                    # An upgrade under a running daemon.
                    self.hint = "run `agentgw restart`"
                    self.kill(f"is version {version}, the daemon is {agentgw.__version__}")
                else:
                    self.engine, self.build = engine, build
                    self._dues.ready()
                    self._ready.set()
            case wire.Loaded() | wire.LoadFailed():
                if isinstance(message, wire.Loaded):
                    self.model = message
                else:
                    self._load_reply = message
                self._dues.load_answered()
                self._load_answered.set()
            case wire.Calibrated():
                self._on_calibrated(message)
            case wire.Load() | wire.Generate() | wire.Count() | wire.Cancel() | wire.Credit():
                raise wire.WireError(f"a worker does not say {type(message).__name__}")
            case _:
                self._deliver(message)

    def _deliver(self, reply: Reply) -> None:
        call = self._calls.get(reply.request_id)
        if call is None:
            raise wire.WireError(f"{type(reply).__name__} for a request that is not running")
        call.deliver(reply)
        now = trio.current_time()
        self._dues.advanced(now)
        if isinstance(reply, wire.Delta):
            self.rate.add(len(reply.texts), now)
        elif isinstance(reply, wire.Done):
            self.rate.end(reply.completion_tokens, reply.decode_ms / 1000)
        if isinstance(reply, wire.Done | wire.Counted | wire.Failed):
            del self._calls[call.request_id]
            call.end()

    def _post(self, message: wire.ToWorker) -> None:
        try:
            self._outbox.send_nowait(wire.encode(message))
        except trio.WouldBlock:
            self.kill("stopped reading")
        except trio.BrokenResourceError:
            # Dying already; whoever waits is told by the burial.
            return

    async def _write(self, process: trio.Process) -> None:
        assert process.stdin is not None
        async for line in self._outgoing:
            try:
                await process.stdin.send_all(line)
            except trio.BrokenResourceError:
                # It closed its stdin or is gone: the end of its stdout says which.
                return

    async def _expect_end(self, call: Call) -> None:
        with trio.move_on_after(self._settings.cancel_timeout_s):
            await call.ended.wait()
        if not call.ended.is_set():
            self.kill(f"did not let go of a cancelled request within {self._settings.cancel_timeout_s:g} s")

    async def _watch_exit(self, process: trio.Process, scope: trio.CancelScope) -> None:
        await process.wait()
        await trio.sleep(LAST_WORDS_S)
        self._gone = self._over = True
        scope.cancel()

    async def _bury(self, process: trio.Process) -> None:
        """Make sure it is dead and reaped. Bounded; runs shielded."""
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        if self._reason:
            process.kill()
        await process.stdin.aclose()
        with trio.move_on_after(self._settings.stop_timeout_s):
            await process.wait()
        if process.returncode is None:
            process.kill()
            with trio.move_on_after(REAP_TIMEOUT_S):
                await process.wait()
        with trio.move_on_after(LAST_WORDS_S):
            await self._last_words.read(self.pid, process.stderr)
        await process.stdout.aclose()
        await process.stderr.aclose()

    def _notify(self, process: trio.Process | None) -> None:
        """Tell everyone who waits, each exactly once, and the log."""
        self._status = process.returncode if process is not None else None
        if self.crashed:
            _log.warning("worker %d %s; its last words: %s", self.pid, self.fate, self._last_words)
        self._outgoing.close()
        for call in self._calls.values():
            call.end(self._obituary())
        self._calls.clear()
        self._ready.set()
        self._load_answered.set()
        self.dead.set()

    @property
    def fate(self) -> str:
        """How it ended, as the rest of a sentence about it."""
        if self._reason:
            return self._reason
        if not self.crashed:
            return "was stopped"
        if self._status is None:
            return "closed its pipe"
        if self._status < 0:
            return f"was killed by {_signal_name(-self._status)}"
        return f"exited with status {self._status}"

    def _obituary(self) -> WorkerDied:
        died = WorkerDied(f"the model worker {self.fate}", worker="model")
        if self._status is not None:
            died.data["status"] = self._status
        return died

    def _raise_if_unusable(self) -> None:
        if not self.usable:
            fate = self.fate
            raise ModelUnavailable(f"the model worker {fate}", reason=fate, hint=self.hint)


def _signal_name(number: int) -> str:
    # Real-time signals have no names.
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
