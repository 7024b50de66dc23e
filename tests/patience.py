"""Limits of a test's waits on a machine that may be busy with others.

A wait that only fails when something hangs has `PATIENCE_S`. A limit that the product promises is held against a
`Stopwatch`, which does not count the time in which a program waited for a processor: on a busy machine that is the
machine's doing, and on a quiet one it is nothing.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

# More than a cold start with a model takes beside four other programs that compute.
PATIENCE_S: Final = 120.0

_PRESSURE: Final = Path("/proc/pressure/cpu")


class Stopwatch:
    """Measures from its making."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._waited = _waited_s()

    def seconds(self) -> float:
        """Seconds until now in which no program of this machine waited for a processor; all where Linux does not
        tell.
        """
        return time.monotonic() - self._began - (_waited_s() - self._waited)

    def wall_seconds(self) -> float:
        """Seconds until now."""
        return time.monotonic() - self._began


def _waited_s() -> float:
    """Seconds since the machine's start in which some program waited for a processor (pressure stall information)."""
    try:
        some = _PRESSURE.read_text().splitlines()[0]
    except OSError:
        return 0.0
    return int(some.rpartition("total=")[2]) / 1e6
