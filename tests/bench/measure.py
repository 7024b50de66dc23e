"""Wall clocks for whole processes and streams, and what becomes of their samples."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

Clock = Callable[[], float]


def wall_s(command: list[str], environment: dict[str, str]) -> float:
    """From spawn to exit, output thrown away. posix_spawn and waitpid: nothing of ours runs in between."""
    null = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in range(3)]
    started = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, environment, file_actions=actions)
    status = os.waitpid(pid, 0)[1]
    taken = time.perf_counter() - started
    os.close(null)
    if status:
        raise SystemExit(f"bench: {' '.join(command)} failed with status {os.waitstatus_to_exitcode(status)}")
    return taken


class Streamed:
    """When the bytes of a process's standard output came, in seconds from its spawn."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        reader, writer = os.pipe()
        null = os.open(os.devnull, os.O_RDWR)
        actions = [
            (os.POSIX_SPAWN_DUP2, null, 0),
            (os.POSIX_SPAWN_DUP2, writer, 1),
            (os.POSIX_SPAWN_DUP2, null, 2),
            (os.POSIX_SPAWN_CLOSE, reader),
        ]
        started = time.perf_counter()
        pid = os.posix_spawnp(command[0], command, environment, file_actions=actions)
        os.close(writer)
        times, pieces = [], []
        while piece := os.read(reader, 65_536):
            times.append(time.perf_counter() - started)
            pieces.append(piece)
        status = os.waitpid(pid, 0)[1]
        os.close(reader)
        os.close(null)
        if status or not times:
            raise SystemExit(f"bench: {' '.join(command)} failed with status {os.waitstatus_to_exitcode(status)}")
        self.first_s, self.last_s = times[0], times[-1]
        # The newline that ends an answer may come alone, after the last token.
        if len(times) > 1 and pieces[-1] == b"\n":
            self.last_s = times[-2]
        self.text = b"".join(pieces).decode()


def interleave(clocks: Sequence[Clock], rounds: int) -> list[list[float]]:
    """Samples of each clock, taken in turns so that a busy moment of the machine hits all of them."""
    taken: list[list[float]] = [[] for _ in clocks]
    for _ in range(rounds):
        for clock, samples in zip(clocks, taken, strict=True):
            samples.append(clock())
    return taken


def resident_bytes(pid: int) -> int:
    """VmRSS of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"bench: process {pid} has no VmRSS")


def wake_ups(pid: int) -> int:
    """How often any thread of a process has gone to sleep, and so been woken."""
    total = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                total += int(line.split()[1])
    return total
