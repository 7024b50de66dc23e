"""Size and owners of the memory. Reads /proc; elsewhere it answers unknown."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from pathlib import Path
from typing import Final

from agentgw_daemon.system import cgroup

_TOP_PAD: Final = -2  # malloc.h's M_TOP_PAD


def rss_bytes(pid: int) -> int:
    """Resident bytes of a process; 0 where that is unknown or the process is gone."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def peak_rss_bytes() -> int:
    """The most resident bytes that this process ever had."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # In kilobytes, but on macOS.
    return most if sys.platform == "darwin" else most * 1024


def open_descriptors() -> int:
    """Descriptors that this process has open; 0 where that is unknown."""
    try:
        # The listing's own is among them.
        return len(os.listdir("/dev/fd")) - 1
    except OSError:
        return 0


def available_bytes() -> int | None:
    """Bytes that programs can have without swapping, within a container's limit; None where the system does not say."""
    known = [left for left in (_free_bytes(), cgroup.available_bytes()) if left is not None]
    return min(known, default=None)


def _free_bytes() -> int | None:
    """The machine's own count, which knows of no container."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def keep_little() -> None:
    """Have freed memory returned at once, as far as it can be: for a process that grows once and then only answers.

    glibc raises its thresholds with every large block that is freed; one that is set stays.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's alone
    if mallopt is not None:
        mallopt(_TOP_PAD, 0)


def give_back() -> None:
    """Return freed memory to the system: glibc keeps tens of megabytes of what large buffers leave behind."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
    if trim is not None:
        trim(0)
