"""One retrieval worker from start to reaping: its deadlines, and the error of its request when it ends.

Nothing here restarts anything: that is `role_queue.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import trio

from agentgw.protocol.errors import Timeout, WorkerDied
from agentgw_daemon.retrieval.spec import RetrievalSettings
from agentgw_daemon.workers.protocol import codec
from agentgw_daemon.workers.protocol import retrieval as wire
from agentgw_daemon.workers.protocol.codec import ReplyPart, WorkerReply, WorkerRequest
from agentgw_daemon.workers.protocol.lines import MAX_LINE_BYTES, WireError
from agentgw_daemon.workers.supervision.child import Child


class Asked:
    """A request that the worker works on."""

    def __init__(self, request_id: int, on_part: Callable[[ReplyPart], object]) -> None:
        self.request_id = request_id
        self.on_part = on_part
        self.reply: WorkerReply | None = None
        self.ended = trio.Event()


class RetrievalProcess(Child):
    """A worker in one role; asked one thing at a time. `run` must be running for anything else to happen."""

    def __init__(self, role: wire.WorkerRole, settings: RetrievalSettings, env: Mapping[str, str]) -> None:
        super().__init__(
            (*settings.command, role), env, max_line_bytes=MAX_LINE_BYTES, stop_timeout_s=settings.stop_timeout_s
        )
        self.role = role
        self.was_ready = False
        self._settings = settings
        self._asked: Asked | None = None
        self._next_id = 1
        self._ready = trio.Event()
        self._started_at = 0.0
        self._heard_at = 0.0

    @property
    def busy(self) -> bool:
        """Tells whether it works on something, perhaps for nobody any more."""
        return self._asked is not None

    async def wait_ready(self) -> None:
        """Waits until it can be asked, or is dead."""
        await self._ready.wait()

    async def ask(
        self, request: WorkerRequest, *, timeout_s: float, on_part: Callable[[ReplyPart], object]
    ) -> WorkerReply:
        """The reply; parts of it go to `on_part` as they come. Raises WorkerDied, and Timeout, which ends the worker.

        Cancelled, it returns at once; `wait_free` tells when the worker has let go, or had to be killed.
        """
        assert self._asked is None, "one request at a time"
        if not self.usable:
            raise self._exit_error()
        asked = self._asked = Asked(self._next_id, on_part)
        self._next_id += 1
        self._heard_at = trio.current_time()
        self._post(codec.encode(asked.request_id, request))
        self._arm()
        try:
            with trio.move_on_after(timeout_s) as patience:
                await asked.ended.wait()
        except trio.Cancelled:
            self._abandon(asked)
            raise
        if patience.cancelled_caught and not asked.ended.is_set():
            self.kill(f"took more than {timeout_s:g} s over one request")
            raise Timeout(f"the {self.role} worker {self.exit_reason}", timeout_s=timeout_s)
        if asked.reply is None:
            raise self._exit_error()
        return asked.reply

    async def wait_free(self) -> None:
        """Waits until it can be asked again, or is dead."""
        while self._asked is not None and not self.dead.is_set():
            await self._asked.ended.wait()

    def _abandon(self, asked: Asked) -> None:
        if asked.ended.is_set() or not self.usable or self._nursery is None:
            return
        asked.on_part = _ignore
        self._post(codec.encode(asked.request_id, wire.Cancel()))
        self._nursery.start_soon(self._expect_end, asked)

    async def _expect_end(self, asked: Asked) -> None:
        with trio.move_on_after(self._settings.cancel_timeout_s):
            await asked.ended.wait()
        if not asked.ended.is_set():
            self.kill(f"did not let go of a cancelled request within {self._settings.cancel_timeout_s:g} s")

    def _begin(self) -> None:
        self._started_at = trio.current_time()

    def _deadline(self) -> float:
        if not self._ready.is_set():
            return self._started_at + self._settings.start_timeout_s
        return self._heard_at + self._settings.heartbeat_timeout_s if self._asked is not None else math.inf

    def _overdue_reason(self) -> str:
        if not self._ready.is_set():
            return f"was not ready within {self._settings.start_timeout_s:g} s"
        return f"said nothing for {self._settings.heartbeat_timeout_s:g} s"

    def _hear(self, line: bytes) -> None:
        request_id, message = codec.decode(line)
        self._heard_at = trio.current_time()
        match message:
            case wire.Heartbeat(rss_bytes=rss):
                self._hold_to(self._settings.cap_bytes(self.role), rss)
            case wire.Ready(version=version):
                if self._is_of_our_version(version):
                    self.was_ready = True
                    self._ready.set()
            case ReplyPart() | WorkerReply():
                asked = self._asked
                if asked is None or asked.request_id != request_id:
                    raise WireError(f"{type(message).__name__} for a request that is not running")
                if isinstance(message, ReplyPart):
                    asked.on_part(message)
                else:
                    asked.reply = message
                    self._asked = None
                    asked.ended.set()
            case _:
                raise WireError(f"a worker does not say {type(message).__name__}")

    def _on_exit(self) -> None:
        if self._asked is not None:
            self._asked.ended.set()
            self._asked = None
        self._ready.set()

    def _exit_error(self) -> WorkerDied:
        return self._died("retrieval")


def _ignore(_part: ReplyPart) -> None:
    """Drops a part that nobody waits for."""
