"""Ending a command with everything it started."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

# A process that forks while we look is found the next time; one that outruns this many rounds is left.
_MOST_ROUNDS: Final = 20
_PROC: Final = Path("/proc")


def kill_group(group: int) -> None:
    """SIGKILL to every process of the group."""
    # EPERM: the macOS kernel's word for a group of nothing but zombies.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def kill_marked(mark: str) -> None:
    """SIGKILL to every process that has `mark` in its environment: those that made themselves a session of their own.

    Linux only; elsewhere there is nothing to look at, and the process group has to do.
    """
    killed: set[int] = set()
    for _ in range(_MOST_ROUNDS):
        # One that was killed forks no more, but stays visible until it is gone.
        found = set(_marked(mark.encode())) - killed
        if not found:
            return
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed |= found


def _marked(mark: bytes) -> Iterator[int]:
    for entry in _PROC.glob("[0-9]*"):
        try:
            # Empty for a zombie, refused for somebody else's process.
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if mark in environment.split(b"\0"):
            yield int(entry.name)
