"""Signs of life for the service manager, given from the loop that serves: when that stands still, they stop."""

from __future__ import annotations

import trio

from agentgw_daemon.lifecycle.notify import Notifier


async def feed_watchdog(notifier: Notifier) -> None:
    """Give a sign at half the interval, as sd_watchdog_enabled(3) recommends, until cancelled.

    Returns at once when nobody asks for it. Time in which the machine sleeps counts on neither side.
    """
    if notifier.watchdog_s is None:
        return
    while True:
        notifier.alive()
        await trio.sleep(notifier.watchdog_s / 2)
