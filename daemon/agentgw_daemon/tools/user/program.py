"""Processes of others, as children: a small environment, a group of their own, and an end that always comes."""

from __future__ import annotations

import shutil
import signal
import subprocess
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio

from agentgw_daemon.tools.declared import MAX_REASON, plain_text
from agentgw_daemon.tools.processes.command_environment import MARK, search_path
from agentgw_daemon.tools.processes.offspring import kill_group, kill_marked

READ_BYTES: Final = 1 << 16
# A process that writes without end is read at some 6 MB/s, so that the daemon has time for everybody else.
FLOOD_PAUSE_S: Final = 0.01
TAIL_BYTES: Final = 2000
# SIGKILL takes effect as soon as the kernel can; a process stuck in the kernel is left to it.
REAP_TIMEOUT_S: Final = 5.0
# The rest in a dead process's pipe is there at once; only a stranger holding the pipe open takes longer.
STDERR_DRAIN_S: Final = 0.5


_ENV_NAMES: Final = frozenset({"PATH", "HOME", "LANG", "LANGUAGE", "TMPDIR", "TZ", "USER", "LOGNAME", "SHELL"})
_ENV_PREFIXES: Final = ("LC_",)


class CannotStart(Exception):
    """The program cannot be started; the message says why."""


def small_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The few variables every program expects. An allow-list: keys and tokens stay with the daemon."""
    made = {name: value for name, value in environ.items() if name in _ENV_NAMES or name.startswith(_ENV_PREFIXES)}
    return made | {"PATH": search_path(environ)}


class ProgramStderrTail:
    """The end of what a process wrote to its standard error. `str()` of it is one line of plain text."""

    def __init__(self) -> None:
        self._bytes = b""

    def __str__(self) -> str:
        text = self._bytes.decode("utf-8", "replace")
        return plain_text(text[-MAX_REASON:], MAX_REASON)

    async def read(self, stream: trio.abc.ReceiveStream) -> None:
        """Reads until the pipe ends. May be cancelled and called again."""
        while chunk := await stream.receive_some(READ_BYTES):
            self._bytes = (self._bytes + chunk)[-TAIL_BYTES:]
            if len(chunk) == READ_BYTES:
                await trio.sleep(FLOOD_PAUSE_S)


@asynccontextmanager
async def started(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path, tail: ProgramStderrTail, patience_s: float
) -> AsyncIterator[trio.Process]:
    """The running process with pipes for its three streams.

    Whoever reads its standard error into `tail` has stopped before the end. There its stdin is closed, it has
    `patience_s` to leave by itself, then it and everything it started are killed. Raises CannotStart.
    """
    mark = uuid.uuid4().hex
    try:
        process = await trio.lowlevel.open_process(
            list(command),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True, env={**env, "PATH": search_path(env), MARK: mark}, cwd=cwd,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        # ValueError: a NUL in an argument or a variable.
        why = _why_not(error, command[0], cwd, search_path(env)) if isinstance(error, OSError) else str(error).lower()
        raise CannotStart(f"{plain_text(command[0], 100)} cannot be started: {why}") from None
    try:
        yield process
    finally:
        with trio.CancelScope(shield=True):
            await _reap(process, mark, tail, patience_s)


def _why_not(error: OSError, program: str, cwd: Path, path: str) -> str:
    """The reason; the system gives the same one for a folder, a program and its interpreter that are not there."""
    reason = (error.strerror or str(error)).lower()
    if str(error.filename) == str(cwd) and program != str(cwd):
        return f"{reason}: its cwd {plain_text(str(cwd), 200)}"
    if isinstance(error, FileNotFoundError) and shutil.which(program, path=path) is not None:
        return f"{reason}: the interpreter in its first line"
    return reason


async def _reap(process: trio.Process, mark: str, tail: ProgramStderrTail, patience_s: float) -> None:
    """Make sure that it and all it started are dead and it is reaped. Bounded; runs shielded."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    await process.stdin.aclose()
    with trio.move_on_after(patience_s):
        await process.wait()
    # The group bears its number even after the process is gone, for as long as somebody is left in it.
    kill_group(process.pid)
    await trio.to_thread.run_sync(kill_marked, f"{MARK}={mark}")
    with trio.move_on_after(REAP_TIMEOUT_S):
        await process.wait()
    with trio.move_on_after(STDERR_DRAIN_S):
        await tail.read(process.stderr)
    await process.stdout.aclose()
    await process.stderr.aclose()


def exit_reason(process: trio.Process) -> str:
    """The way in which it ended, as the rest of a sentence about it."""
    status = process.returncode
    if status is None:
        return "closed its output"
    if status < 0:
        name = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
        return f"was killed by {name}"
    return f"exited with status {status}"
