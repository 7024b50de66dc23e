"""One role's place among the retrieval workers: its queue, and a process started on need and let go when idle."""

from __future__ import annotations

import collections
import math
from collections.abc import Callable, Mapping
from typing import Final

import trio

from agentgw.protocol.errors import ModelUnavailable, Overloaded, RpcError, ShuttingDown, WorkerDied
from agentgw_daemon.observability.supervision import supervised
from agentgw_daemon.retrieval.process import RetrievalProcess
from agentgw_daemon.retrieval.spec import RetrievalSettings
from agentgw_daemon.workers.protocol import retrieval as wire
from agentgw_daemon.workers.protocol.codec import ReplyPart, WorkerReply, WorkerRequest
from agentgw_daemon.workers.supervision.restart_backoff import DEGRADED_DEATHS, RestartBackoff


class RoleQueue:
    """Queue for at most one process; one request at a time, in order of arrival, urgent ones before others.

    What waits here has not reached the worker: when that dies, only the request it worked on fails. Processes run in
    the nursery it was handed. Full (`max_queue`), it refuses with Overloaded.
    """

    def __init__(
        self, role: wire.WorkerRole, settings: RetrievalSettings, nursery: trio.Nursery, env: Mapping[str, str]
    ) -> None:
        self.role: Final = role
        self.model: str | None = None
        self.process: RetrievalProcess | None = None
        self._settings = settings
        self._nursery = nursery
        self._env = env
        self._backoff = RestartBackoff(settings.restart_backoff_s)
        self._last_exit_reason = ""
        self._taken = False
        self._waiting: tuple[collections.deque[trio.Event], ...] = (collections.deque(), collections.deque())
        self._closed = False

    def configure(self, settings: RetrievalSettings) -> None:
        """Take other settings over; a running process keeps its limits."""
        self._settings = settings
        self._rest()

    @property
    def queue_length(self) -> int:
        """Requests that wait for the worker."""
        return sum(map(len, self._waiting))

    @property
    def usable(self) -> bool:
        """Tells whether a process is there that can be asked."""
        return self.process is not None and self.process.usable

    async def ask(
        self, request: WorkerRequest, *, timeout_s: float, urgent: bool = False,
        on_part: Callable[[ReplyPart], object] = lambda _part: None,
    ) -> WorkerReply:  # fmt: skip
        """The worker's reply.

        Raises WorkerDied and Timeout, met with this request; ModelUnavailable if it cannot be started; Overloaded;
        ShuttingDown.
        """
        await self._enter(urgent)
        try:
            process = await self._have_process()
            reply = await process.ask(request, timeout_s=timeout_s, on_part=on_part)
        finally:
            self._leave()
        self._backoff.forget()
        return reply

    def prewarm(self) -> None:
        """Start the process now, if there is none."""
        if not self.usable and not self._taken and not self._closed:
            self._start()
            self._rest()

    def close(self) -> None:
        """The daemon stops: nobody comes in, and those who wait hear ShuttingDown."""
        self._closed = True
        for line in self._waiting:
            while line:
                line.popleft().set()

    async def _enter(self, urgent: bool) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._closed:
            raise ShuttingDown
        if not self._taken:
            self._taken = True
            self._rest()
            return
        limit = self._settings.max_queue
        if self.queue_length >= limit:
            raise Overloaded(f"{limit} requests wait for the {self.role} worker already", limit="queue", value=limit)
        turn = trio.Event()
        line = self._waiting[0 if urgent else 1]
        line.append(turn)
        try:
            await turn.wait()
        except trio.Cancelled:
            if turn.is_set():
                self._pass_on()
            else:
                line.remove(turn)
            raise
        if self._closed:
            raise ShuttingDown

    def _leave(self) -> None:
        """Give the worker to the next one, once it has let go of what it does."""
        if self.process is not None and self.process.busy and self.process.usable:
            self._nursery.start_soon(supervised, "waiting for a worker", self._leave_later, self.process)
        else:
            self._pass_on()

    async def _leave_later(self, process: RetrievalProcess) -> None:
        await process.wait_free()
        self._pass_on()

    def _pass_on(self) -> None:
        self._taken = False
        for line in self._waiting:
            if line:
                self._taken = True
                line.popleft().set()
                return
        self._rest()

    def _rest(self) -> None:
        """Let an idle process go after a while; a busy one stays."""
        if self.process is None:
            return
        keep_s = self._settings.idle_s(self.role)
        idle_end = trio.current_time() + keep_s if keep_s >= 0 else math.inf
        self.process.retire_at(math.inf if self._taken else idle_end)

    async def _have_process(self) -> RetrievalProcess:
        """A process that is ready. Raises ModelUnavailable when it dies before."""
        process = self.process
        if process is None or not process.usable:
            if process is not None:
                await process.dead.wait()
            self._raise_if_degraded()
            await trio.sleep_until(self._backoff.start_at())
            process = self._start()
        await process.wait_ready()
        if not process.usable:
            reason = process.exit_reason
            raise ModelUnavailable(f"the retrieval worker {reason}", reason=reason, hint=process.hint)
        return process

    def _start(self) -> RetrievalProcess:
        process = self.process = RetrievalProcess(self.role, self._settings, self._env)
        self.model = None
        self._nursery.start_soon(supervised, "reaping a worker", self._follow, process)
        return process

    async def _follow(self, process: RetrievalProcess) -> None:
        await supervised(f"following the {self.role} worker", process.run)
        # A document is a stranger's: one that breaks its reader says nothing of the next.
        if process.crashed and not (self.role == "read" and process.was_ready):
            self._backoff.record(trio.current_time())
        self._last_exit_reason = process.exit_reason
        if self.process is process:
            self.process = None

    def _raise_if_degraded(self) -> None:
        now = trio.current_time()
        until = self._backoff.degraded_until(now)
        if until is not None:
            raise ModelUnavailable(
                f"the {self.role} worker died {DEGRADED_DEATHS} times within a minute, "
                f"the last one {self._last_exit_reason}; it is tried again in {math.ceil(until - now)} s",
                hint="see `agentgw logs`", reason=self._last_exit_reason,
            )  # fmt: skip


def unexpected(reply: WorkerReply) -> RpcError:
    """A reply of the wrong kind: a bug in the worker, told as its death would be."""
    return WorkerDied(f"the retrieval worker answered with {type(reply).__name__}", worker="retrieval")
