"""The real process entry around a small `serve`: what the daemon's process is, without what it does.

Run as a program. Each connection is answered with one JSON object about the process and closed.
`ENTRY_SERVE` chooses another ending: `crash`, `refuse`, `group`, `interrupt`.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import signal
import sys
import types
from functools import partial
from typing import Any

from agentgw_daemon.main import main


async def serve(started: Any) -> int:
    """Answer until SIGTERM."""
    import logging

    import trio

    from agentgw.protocol.errors import StorageUnavailable
    from agentgw_daemon.lifecycle.guard import guard_socket

    log = logging.getLogger("agentgw_daemon.app")
    ending = os.environ.get("ENTRY_SERVE", "")
    if ending == "crash":
        raise ZeroDivisionError("a canary in the text")
    if ending == "interrupt":
        raise KeyboardInterrupt
    if ending == "refuse":
        raise StorageUnavailable("the disk is full", hint="free some space")
    if ending == "group":
        raise BaseExceptionGroup("", [ExceptionGroup("", [StorageUnavailable("the disk is full")])])
    drained = trio.Event()
    listeners: list[trio.SocketListener] = []

    def drain(reason: str) -> None:
        log.info("stopping: %s", reason)
        drained.set()

    async def answer(stream: trio.SocketStream) -> None:
        # Some only look whether anybody listens.
        with contextlib.suppress(trio.BrokenResourceError):
            async with stream:
                await stream.send_all(json.dumps(describe(started)).encode())

    async with trio.open_nursery() as nursery:

        async def listen(listening: Any) -> None:
            listening.setblocking(False)
            listeners.append(trio.SocketListener(trio.socket.from_stdlib_socket(listening)))
            await nursery.start(trio.serve_listeners, answer, [listeners[-1]])

        async def heed() -> None:
            with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                async for _ in signals:
                    drained.set()

        nursery.start_soon(heed)
        await listen(started.listener)
        guard = partial(guard_socket, started.name, on_replaced=listen, drain=drain, interval_s=0.05, confirm_s=0.1)
        nursery.start_soon(guard)
        started.serving()
        log.info("serving")
        await drained.wait()
        nursery.cancel_scope.cancel()
    return 0


def describe(started: Any) -> dict[str, Any]:
    """The process as the kernel sees it."""
    mask = os.umask(0o077)
    return {
        "pid": os.getpid(),
        "ppid": os.getppid(),
        "sid": os.getsid(0),
        "cwd": os.getcwd(),
        "umask": mask,
        "fds": len(os.listdir("/proc/self/fd")),
        "standard": [os.readlink(f"/proc/self/fd/{fd}") for fd in range(3)],
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "ignored": sorted(n for n in signal.valid_signals() if signal.getsignal(n) == signal.SIG_IGN),
        "environ": sorted(os.environ),
        "managed": started.name.managed,
        "prewarm": started.prewarm,
        "instance": started.instance,
        "started_at": started.started_at,
        "inheritable": os.get_inheritable(started.listener.fileno()),
        "collects_garbage": gc.isenabled(),
        "not_looked_through": gc.get_freeze_count(),
        "default_skill": started.config.settings.agent.default_skill,
    }


if __name__ == "__main__":
    app = types.ModuleType("agentgw_daemon.app")
    app.serve = serve  # type: ignore[attr-defined]
    sys.modules["agentgw_daemon.app"] = app
    sys.exit(main())
