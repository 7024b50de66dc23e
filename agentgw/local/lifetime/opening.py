"""Connecting with all that may come between: no daemon yet, one that fails to start, is ending, or is old.

A client newer than an idle daemon replaces it; a busy one goes on and the user is told. There is at
most one replacement a connection, and only an older daemon is ever replaced, so two installed versions side by side
do not take turns at it.
"""

from __future__ import annotations

import time

from agentgw import __version__
from agentgw.client import Client, ConnectionLost
from agentgw.local.directories import refuse_another_home
from agentgw.local.lifetime.spawn import REPUBLISH_TIMEOUT_S, connect_or_spawn, with_log
from agentgw.local.on_demand import is_locked
from agentgw.local.sockets import connect_own
from agentgw.protocol.errors import AlreadyRunning, DaemonUnreachable, ShuttingDown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Final

    from agentgw.local.paths import Paths

# One loss is a daemon that ended just now, or that another client could not start; a second one is a fault.
_LOSSES: Final = 1


def open_client(
    paths: Paths,
    *,
    warm: bool = False,
    notice: Callable[[str], None] | None = None,
    command: Sequence[str] | None = None,
) -> Client:
    """A greeted client of the daemon of `paths`, started or replaced as needed. Raises as `connect_client` does."""
    losses = 0
    replaced = met_another = False
    while True:
        try:
            client = _attempt(paths, warm=warm, notice=notice, command=command)
        except AlreadyRunning:
            if met_another:
                raise
            met_another = True
            _wait_for_another(paths)
            continue
        if client is None:
            losses += 1
            if losses > _LOSSES:
                raise with_log(DaemonUnreachable("the daemon ended before it answered"), paths)
            continue
        refuse_another_home(client, paths)
        version = str(client.daemon.get("version"))
        if replaced or version == __version__ or not _is_older(version):
            return client
        from agentgw.local.lifetime.stopping import stop_daemon

        reason = stop_daemon(client, paths, upgrade=True)
        if reason:
            if notice is not None:
                notice(f"the daemon is still version {version}: {reason}. when it is idle run: agentgw restart")
            return client
        client.close()
        replaced = True


def _attempt(
    paths: Paths,
    *,
    warm: bool,
    notice: Callable[[str], None] | None,
    command: Sequence[str] | None,
) -> Client | None:
    """A greeted client, or None when the daemon went away and it is worth another try."""
    connection, spawned = connect_or_spawn(paths, warm=warm, command=command)
    if spawned is not None and paths.warning and notice is not None:
        from agentgw.local.files.told import first_time

        if first_time(paths, "runtime-directory", paths.warning):
            notice(paths.warning)
    client = Client(connection)
    try:
        client.greet()
        return client
    except ShuttingDown:
        from agentgw.local.lifetime.stopping import STOP_TIMEOUT_S

        client.limit(STOP_TIMEOUT_S)
        client.wait_closed()
    except ConnectionLost:
        if spawned is not None:
            raise spawned.failure(paths) from None
    finally:
        if spawned is not None:
            spawned.close()
        if not client.daemon:
            client.close()
    return None


def _is_older(version: str) -> bool:
    # Late, as what follows is for daemons of another version: its pattern alone takes half a millisecond.
    from agentgw.local.lifetime.versions import is_older

    return is_older(version, __version__)


def _wait_for_another(paths: Paths) -> None:
    """Another daemon holds the lock. It lost its socket file and makes it again, or it is about to end: waits for
    either, for a bounded time.
    """
    deadline = time.monotonic() + REPUBLISH_TIMEOUT_S
    wait_s = 0.005
    while time.monotonic() < deadline and is_locked(paths.lock_file):
        connection = connect_own(paths)
        if connection is not None:
            connection.close()
            return
        time.sleep(wait_s)
        wait_s = min(2 * wait_s, 0.1)
