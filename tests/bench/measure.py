"""Wall clocks for whole processes and streams, and what becomes of their samples."""

from __future__ import annotations

import errno
import itertools
import os
import signal
import time
import tty
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

Clock = Callable[[], float]
Piece = tuple[float, bytes]


def wall_s(command: list[str], environment: dict[str, str]) -> float:
    """The time from spawn to exit, output thrown away. posix_spawn and waitpid: nothing of ours runs in between."""
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
    """Arrival times of a process's standard output, by `time.perf_counter`; `first_s`, `last_s` from its spawn.

    Its output is a terminal: into a pipe a short answer goes in one write. With `until`, which is asked after every
    piece, the process is ended early by SIGTERM.
    """

    def __init__(
        self, command: list[str], environment: dict[str, str], *, until: Callable[[], bool] = lambda: False
    ) -> None:
        reader, writer = os.openpty()
        tty.setraw(writer)
        null = os.open(os.devnull, os.O_RDWR)
        actions = [
            (os.POSIX_SPAWN_DUP2, null, 0),
            (os.POSIX_SPAWN_DUP2, writer, 1),
            (os.POSIX_SPAWN_DUP2, null, 2),
            (os.POSIX_SPAWN_CLOSE, reader),
        ]
        self.started = time.perf_counter()
        pid = os.posix_spawnp(command[0], command, environment, file_actions=actions)
        os.close(writer)
        pieces: list[Piece] = []
        ended = False
        while piece := _read(reader):
            pieces.append((time.perf_counter(), piece))
            if not ended and until():
                os.kill(pid, signal.SIGTERM)
                ended = True
        status = os.waitpid(pid, 0)[1]
        os.close(reader)
        os.close(null)
        if (status and not ended) or not pieces:
            raise SystemExit(f"bench: {' '.join(command)} failed with status {os.waitstatus_to_exitcode(status)}")
        self.pieces: Sequence[Piece] = pieces
        self.first_s = pieces[0][0] - self.started
        # The newline that ends an answer may come alone, after the last token.
        last = -2 if len(pieces) > 1 and pieces[-1][1] == b"\n" else -1
        self.last_s = pieces[last][0] - self.started


def _read(terminal: int) -> bytes:
    """Bytes that came; none once no process has the other end, which Linux tells by an error."""
    try:
        return os.read(terminal, 65_536)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return b""


def line_times(pieces: Iterable[Piece], word: bytes) -> list[float]:
    """The times at which each line with this word in it was complete."""
    times, held = [], b""
    for at, piece in pieces:
        *lines, held = (held + piece).split(b"\n")
        times += [at for line in lines if word in line]
    return times


def common_rate(streams: Sequence[Sequence[float]]) -> float:
    """Tokens a second of all streams together, while all of them run; `streams` are the times of their tokens.

    That is from the first token of the last starter to the last token of the first finisher.
    """
    start, end = max(times[0] for times in streams), min(times[-1] for times in streams)
    if end <= start:
        raise SystemExit("bench: the streams never ran at the same time")
    return sum(rate(times, start, end) for times in streams)


def rate(times: Iterable[float], start: float, end: float) -> float:
    """The number of times within a window, a second of it."""
    return sum(start < at <= end for at in times) / (end - start)


def longest_pause(times: Iterable[float], start: float, end: float) -> float:
    """The longest stretch of a window without any of the times in it."""
    marks = [start, *(at for at in times if start < at < end), end]
    return max(later - earlier for earlier, later in itertools.pairwise(marks))


def common_length(sequences: Sequence[Sequence[int]]) -> int:
    """The number of elements that all of them begin with."""
    alike = itertools.takewhile(lambda column: len(set(column)) == 1, zip(*sequences, strict=False))
    return sum(1 for _ in alike)


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


def wake_ups(pid: int) -> dict[str, int]:
    """The number of times that each thread of a process has gone to sleep, and so been woken, by the thread's id."""
    found = {}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for line in (thread / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                found[thread.name] = int(line.split()[1])
    return found


def woken(before: Mapping[str, int], after: Mapping[str, int]) -> int:
    """The number of times that any thread was woken between two counts; of one that ended meanwhile, none is known."""
    return sum(count - before.get(thread, 0) for thread, count in after.items())
