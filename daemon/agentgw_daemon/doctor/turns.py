"""Checks of turns: those that a daemon went on with when it ended."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from agentgw_daemon.doctor.context import DoctorContext, Verdict, fine, warning

# As many as anybody reads.
_SHOWN: Final = 5


async def check_turns(context: DoctorContext) -> Iterable[Verdict]:
    """Turns that may have ended a daemon, and are not gone on with any more."""
    found = await context.fatal_turns()
    if not found:
        return (fine("no turn kept the daemon from going on with it"),)
    return [
        warning(
            f"the daemon ended while it went on with turn {turn_id}, which is not tried again",
            f"agentgw turns show {turn_id} shows what it was about, agentgw logs what happened;"
            f" agentgw sessions delete {session_id} removes it",
        )
        for turn_id, session_id in found[:_SHOWN]
    ]
