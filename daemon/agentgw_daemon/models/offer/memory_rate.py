"""The memory's bandwidth, measured in a child process: a second of copying has no place in the daemon's loop."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import trio

from agentgw.protocol.errors import InvalidParams
from agentgw.protocol.records.schema import bind, record

log = logging.getLogger(__name__)

# It takes a second; a machine that swaps may take longer, and then the figure would be worth nothing.
TIMEOUT_S: Final = 10.0
PROGRAM: Final = (sys.executable, "-P", "-m", "agentgw_daemon.workers.runtime.bandwidth")


@record
class MeasuredBandwidth:
    """Bytes that are read in a second, and the threads that read them."""

    bytes_per_s: int
    threads: int


class MemoryRate:
    """The bandwidth, measured whenever it is asked for; the best figure counts, as other programs can only lower it.
    `env` is what the child process gets.
    """

    def __init__(
        self, env: Mapping[str, str], *, program: Sequence[str] = PROGRAM, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._env = env
        self._program = program
        self._timeout_s = timeout_s
        self._one_measures = trio.Lock()
        self._found: MeasuredBandwidth | None = None

    async def get(self) -> MeasuredBandwidth | None:
        """The bandwidth, in about a second; None where it could not be measured yet."""
        # Two at once would each find half of it.
        async with self._one_measures:
            found = await self._measure()
            if self._found is None or (found is not None and found.bytes_per_s > self._found.bytes_per_s):
                self._found = found
            return self._found

    async def _measure(self) -> MeasuredBandwidth | None:
        try:
            with trio.fail_after(self._timeout_s):
                done = await trio.run_process(
                    self._program, stdin=subprocess.DEVNULL, capture_stdout=True, stderr=subprocess.DEVNULL,
                    check=False, env=self._env, cwd="/", deliver_cancel=_kill,
                )  # fmt: skip
            found = bind(MeasuredBandwidth, json.loads(done.stdout))
        except (trio.TooSlowError, OSError, ValueError, RecursionError, InvalidParams, TypeError) as error:
            log.warning("the memory's bandwidth was not measured: %r", error)
            return None
        if found.bytes_per_s <= 0:
            return None
        log.info("memory is read at %.1f GB/s by %d threads", found.bytes_per_s / 1e9, found.threads)
        return found


async def _kill(process: trio.Process) -> None:
    """The measurement has nothing to finish, so it gets no grace."""
    process.kill()
