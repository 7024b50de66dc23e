"""Watches over the socket's name while the daemon runs.

The name can go (cleaners of temporary files, a careless rm) or be taken (a .socket unit started later). What is
ours is published again; a managed name is left to its manager.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from agentgw.protocol.errors import LocalError
from agentgw_daemon.lifecycle.socket_name import NameState, SocketName, identify
from agentgw_daemon.system.ticks import until_tick_s

log = logging.getLogger(__name__)

# Reachable again within 6 s.
INTERVAL_S: Final = 5.0
# The XDG base directory specification lets cleaners take what was not touched for 6 hours.
TOUCH_S: Final = 3600.0
# A client may have bound the name for a daemon that is starting now and that our lock will turn away; only a
# listener that outlives such a start has really taken over.
CONFIRM_S: Final = 3.0


async def guard_socket(
    name: SocketName,
    *,
    on_replaced: Callable[[socket.socket], Awaitable[None]],
    drain: Callable[[str], None],
    interval_s: float = INTERVAL_S,
    touch_s: float = TOUCH_S,
    confirm_s: float = CONFIRM_S,
) -> None:
    """Run until cancelled, or until somebody else has taken the name over.

    `on_replaced` is handed a new listening socket, to be served in place of the old one, whose backlog may
    still hold clients. `drain` is given the reason for a graceful stop and returns at once.
    """
    touched = trio.current_time()
    reported: NameState = "ours"
    while True:
        await trio.sleep(until_tick_s(interval_s))
        state = await _look(name)
        if state == "taken" and await _is_taken_for_good(name, confirm_s):
            log.warning("another process listens at %s", name.path)
            drain("another process listens on the socket")
            return
        if state in ("missing", "dead") and not name.managed and await _publish(name, on_replaced):
            state = "ours"
        elif state == "ours" and trio.current_time() - touched >= touch_s:
            touched = trio.current_time()
            name.touch()
        if state not in ("ours", "taken", reported):
            log.warning("the socket %s is %s: new clients cannot reach this daemon", name.path, state)
        reported = state


async def _look(name: SocketName) -> NameState:
    # Nearly always it comes down to one stat, which is cheaper than a thread.
    return "ours" if name.is_ours else await trio.to_thread.run_sync(name.look)


async def _is_taken_for_good(name: SocketName, confirm_s: float) -> bool:
    """Tells whether the same other listener is still there after a while."""
    other = identify(name.path)
    await trio.sleep(confirm_s)
    return await _look(name) == "taken" and identify(name.path) == other


async def _publish(name: SocketName, on_replaced: Callable[[socket.socket], Awaitable[None]]) -> bool:
    try:
        made = name.publish()
    except (OSError, LocalError) as error:
        log.warning("the socket %s cannot be published again: %s", name.path, error)
        return False
    log.warning("the socket %s was gone: published again", name.path)
    await on_replaced(made)
    return True
