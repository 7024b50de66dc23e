"""A retrieval worker's process: `python -m agentgw_daemon.workers.retrieval.worker ROLE`.

Requests come on standard input, messages go out on what was standard output, log lines go to standard error.
Three threads: main works, one request at a time; the reader hears requests, cancels and the end of input; the heartbeat
says that the process lives while main is busy. End of input means that the daemon is gone or wants the process gone: it
ends there and then, whatever main is doing. A thread that fails ends the process too; the daemon starts another.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from typing import Final, NoReturn, assert_never

from agentgw import __version__
from agentgw_daemon.system.memory import give_back
from agentgw_daemon.workers.protocol import codec
from agentgw_daemon.workers.protocol import retrieval as wire
from agentgw_daemon.workers.protocol.codec import ReplyPart, WorkerRequest
from agentgw_daemon.workers.protocol.lines import MAX_LINE_BYTES, WireError
from agentgw_daemon.workers.retrieval.handlers import Handlers, Refusal
from agentgw_daemon.workers.runtime import lifeline

# Between two requests of one task, an ingest or somebody who types, less time passes.
IDLE_S: Final = 2.0


class Running:
    """The request that main works on."""

    def __init__(self, pipe: lifeline.Pipe, request_id: int) -> None:
        self.request_id: Final = request_id
        self._pipe: Final = pipe
        self._cancelled = threading.Event()

    @property
    def cancelled(self) -> bool:
        """Tells whether nobody waits any more."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Notes that nobody waits any more."""
        self._cancelled.set()

    def emit(self, part: ReplyPart) -> None:
        """Send a piece of the answer."""
        self._pipe.send(codec.encode(self.request_id, part))


class RequestReader(threading.Thread):
    """Hears the daemon. Requests wait in `requests`; a cancel reaches the one it is for, waiting or running."""

    def __init__(self, pipe: lifeline.Pipe) -> None:
        super().__init__(name="reader", daemon=True)
        self._pipe: Final = pipe
        self.requests: Final[queue.SimpleQueue[tuple[Running, WorkerRequest]]] = queue.SimpleQueue()
        self.open: Final[dict[int, Running]] = {}

    def run(self) -> None:
        """Hear until the end of input, which is the end of the process."""
        while line := sys.stdin.buffer.readline(MAX_LINE_BYTES):
            request_id, message = codec.decode(line)
            match message:
                case wire.Cancel():
                    if (running := self.open.get(request_id)) is not None:
                        running.cancel()
                case WorkerRequest():
                    self.open[request_id] = running = Running(self._pipe, request_id)
                    self.requests.put((running, message))
                case other:
                    raise WireError(f"{type(other).__name__} is not for a worker")
        os._exit(0)


def main(role: str) -> NoReturn:
    """Run the worker until its input ends."""
    pipe = lifeline.Pipe(lifeline.harden())
    reader = RequestReader(pipe)
    heartbeat = lifeline.HeartbeatThread(lambda rss: pipe.send(codec.encode(0, wire.Heartbeat(rss_bytes=rss))))
    reader.start()
    heartbeat.start()
    try:
        [known] = [one for one in wire.ROLES if one == role]
        _serve(pipe, reader, heartbeat, known)
    except BaseException:  # noqa: BLE001  # the process's own supervision point
        lifeline.end_broken()


def _serve(
    pipe: lifeline.Pipe, reader: RequestReader, heartbeat: lifeline.HeartbeatThread, role: wire.WorkerRole
) -> NoReturn:
    handlers = _handlers(role)
    pipe.send(codec.encode(0, wire.Ready(version=__version__, pid=os.getpid(), role=role)))
    while True:
        running, request = _next(reader)
        heartbeat.start_beating()
        try:
            reply: codec.WireMessage = handlers.answer(request, running)
        except Refusal as refusal:
            reply = wire.Failed(kind=refusal.kind, message=refusal.text)
        del reader.open[running.request_id]
        if reader.requests.empty():
            heartbeat.stop_beating()
        pipe.send(codec.encode(running.request_id, reply))


def _next(reader: RequestReader) -> tuple[Running, WorkerRequest]:
    """The next request. Who waits longer for it gives back what was freed meanwhile; once, then it sleeps."""
    try:
        return reader.requests.get(timeout=IDLE_S)
    except queue.Empty:
        give_back()
        return reader.requests.get()


def _handlers(role: wire.WorkerRole) -> Handlers:
    """The handlers of this role. Imported only here and only what it needs: the reader must already watch for the
    daemon's end, nothing may print to standard output, and an engine that another role uses costs hundreds of
    megabytes.
    """
    handlers = Handlers()
    match role:
        case "search":
            from agentgw_daemon.workers.retrieval import index_role, search_role

            search_role.add_to(handlers)
            index_role.add_to(handlers)
        case "bulk":
            from agentgw_daemon.workers.retrieval import bulk_role

            bulk_role.add_to(handlers)
        case "read":
            from agentgw_daemon.workers.retrieval import reading_role

            reading_role.add_to(handlers)
        case _:
            assert_never(role)
    return handlers


if __name__ == "__main__":
    main(sys.argv[1])
