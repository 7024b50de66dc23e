"""A worker process as the daemon sees it: started, heard line by line, given deadlines, ended and reaped.

One task owns reading, one owns writing. What the lines say is for those who derive from `Child`; nothing here
restarts anything.
"""

from __future__ import annotations

import abc
import logging
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

import trio

import agentgw
from agentgw.protocol.errors import WorkerDied
from agentgw.transport.framing import FrameSplitter, FrameTooLarge
from agentgw_daemon.workers.protocol.lines import WireError
from agentgw_daemon.workers.supervision.stderr import StderrTail

_log = logging.getLogger(__name__)

# Some messages for each live request. Full means that the worker has stopped reading.
OUTBOX_BUFFER: Final = 1024
READ_BYTES: Final = 65536
# Bytes that a dead worker left in its pipe are there at once; only a stranger holding the pipe open takes longer.
STDERR_DRAIN_S: Final = 1.0
# SIGKILL takes effect as soon as the kernel can; a process stuck in the kernel is reported, not waited for.
REAP_TIMEOUT_S: Final = 5.0


class Child(abc.ABC):
    """A worker and the pipes to it. `run` must be running for anything else to happen.

    `max_line_bytes` bounds what it may say at once, `stop_timeout_s` how long it may take to go when told to.
    """

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], *, max_line_bytes: int, stop_timeout_s: float
    ) -> None:
        self.pid = 0
        self.dead = trio.Event()
        self.crashed = False
        self.hint = ""
        self.status: int | None = None
        self._command = tuple(command)
        self._env = dict(env)
        self._max_line_bytes = max_line_bytes
        self._stop_timeout_s = stop_timeout_s
        self._outbox, self._outgoing = trio.open_memory_channel[bytes](OUTBOX_BUFFER)
        self._lifetime = trio.CancelScope()
        self._patience = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._over = False
        self._gone = False
        self._reason = ""
        self._stderr_tail = StderrTail()

    @abc.abstractmethod
    def _begin(self) -> None:
        """The process is about to be started."""

    @abc.abstractmethod
    def _hear(self, line: bytes) -> None:
        """Take a line. Raises WireError for one that may not come."""

    @abc.abstractmethod
    def _deadline(self) -> float:
        """The time at which the next line is overdue; infinite while none is awaited."""

    @abc.abstractmethod
    def _overdue_reason(self) -> str:
        """The overdue thing, as the rest of a sentence about the worker."""

    @abc.abstractmethod
    def _on_exit(self) -> None:
        """Tell everyone who waits, each exactly once: it is dead."""

    @property
    def usable(self) -> bool:
        """False once it is dead, dying or told to stop."""
        return not (self._over or self._reason or self._lifetime.cancel_called)

    async def run(self) -> None:
        """The whole life. Returns when the process is reaped; cancelling stops it within `stop_timeout_s`.

        Raises nothing of its own: failures reach those who wait for readiness or a reply.
        """
        self._begin()
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
                    await self._reap(process)
            self._notify(process)

    def retire_at(self, deadline: float) -> None:
        """Stop gracefully at this time of trio's clock; `math.inf` never, the present at once."""
        self._lifetime.deadline = deadline

    def kill(self, reason: str) -> None:
        """End the worker now. Every request gets WorkerDied with this reason."""
        if not self._reason:
            self._reason = reason
        self._lifetime.cancel()

    @property
    def exit_reason(self) -> str:
        """The way in which it ended, as the rest of a sentence about it."""
        if self._reason:
            return self._reason
        if not self.crashed:
            return "was stopped"
        if self.status is None:
            return "closed its pipe"
        if self.status < 0:
            return f"was killed by {_signal_name(-self.status)}"
        return f"exited with status {self.status}"

    def _died(self, kind: str) -> WorkerDied:
        """The error of a request that it took along; `kind` is `model` or `retrieval`."""
        died = WorkerDied(f"the {kind} worker {self.exit_reason}", worker=kind)
        if self.status is not None:
            died.data["status"] = self.status
        return died

    def _hold_to(self, cap_bytes: int, rss_bytes: int) -> None:
        """Kill it when it holds more memory than its cap; a cap of 0 is none."""
        if cap_bytes and rss_bytes > cap_bytes:
            self.kill(f"used {rss_bytes >> 20} MiB of memory, more than its {cap_bytes >> 20} MiB")

    def _is_of_our_version(self, version: str) -> bool:
        """Tells whether it is of our version; one that is not, after an upgrade under a running daemon, is
        killed.
        """
        if version != agentgw.__version__:
            self.hint = "run `agentgw restart`"
            self.kill(f"is version {version}, the daemon is {agentgw.__version__}")
            return False
        return True

    async def _spawn(self) -> trio.Process | None:
        # Its own session, so that Ctrl-C in a terminal reaches the daemon alone. Pipe ends of ours are
        # close-on-exec: a sibling that inherited one would hide our death from this worker.
        try:
            process = await trio.lowlevel.open_process(
                self._command,
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
            self._nursery.start_soon(self._stderr_tail.read, self.pid, process.stderr)
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
        splitter = FrameSplitter(self._max_line_bytes)
        while True:
            with trio.CancelScope() as self._patience:
                self._arm()
                chunk = await process.stdout.receive_some(READ_BYTES)
            if self._patience.cancelled_caught:
                self.kill(self._overdue_reason())
                return
            if not chunk:
                return
            try:
                for line in splitter.feed(bytes(chunk)):
                    self._hear(line)
            except (WireError, FrameTooLarge) as error:
                self.kill(f"broke the protocol: {error}")
                return

    def _arm(self) -> None:
        """Give the pending read the deadline that the worker has at present."""
        self._patience.deadline = self._deadline()

    def _post(self, line: bytes) -> None:
        try:
            self._outbox.send_nowait(line)
        except trio.WouldBlock:
            self.kill("stopped reading")
        except trio.BrokenResourceError:
            # Dying already; whoever waits is told when it is reaped.
            return

    async def _write(self, process: trio.Process) -> None:
        assert process.stdin is not None
        async for line in self._outgoing:
            try:
                await process.stdin.send_all(line)
            except trio.BrokenResourceError:
                # It closed its stdin or is gone: the end of its stdout says which.
                return

    async def _watch_exit(self, process: trio.Process, scope: trio.CancelScope) -> None:
        await process.wait()
        await trio.sleep(STDERR_DRAIN_S)
        self._gone = self._over = True
        scope.cancel()

    async def _reap(self, process: trio.Process) -> None:
        """Make sure it is dead and reaped. Bounded; runs shielded."""
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        if self._reason:
            process.kill()
        await process.stdin.aclose()
        with trio.move_on_after(self._stop_timeout_s):
            await process.wait()
        if process.returncode is None:
            process.kill()
            with trio.move_on_after(REAP_TIMEOUT_S):
                await process.wait()
        with trio.move_on_after(STDERR_DRAIN_S):
            await self._stderr_tail.read(self.pid, process.stderr)
        await process.stdout.aclose()
        await process.stderr.aclose()

    def _notify(self, process: trio.Process | None) -> None:
        self.status = process.returncode if process is not None else None
        if self.crashed:
            ended = "worker %d %s; its standard error ended with: %s"
            _log.warning(ended, self.pid, self.exit_reason, self._stderr_tail)
        self._outgoing.close()
        self._on_exit()
        self.dead.set()


def _signal_name(number: int) -> str:
    # Real-time signals have no names.
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
