"""`run_command`: a program with its arguments; never a shell."""

from __future__ import annotations

import functools
import secrets
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import trio

from agentgw_daemon.system.beneath import real_path
from agentgw_daemon.system.threads import in_file_thread
from agentgw_daemon.text.visible import visible_line
from agentgw_daemon.tools.builtins.output import HeadAndTail
from agentgw_daemon.tools.builtins.preview import exact_details
from agentgw_daemon.tools.files.places import Place, open_directory, place_of
from agentgw_daemon.tools.processes.command_environment import MARK, command_environment, search_path
from agentgw_daemon.tools.processes.launch import Launch, launch_of
from agentgw_daemon.tools.processes.offspring import kill_group, kill_marked
from agentgw_daemon.tools.tool import (
    Arguments,
    CallFailed,
    CallPreview,
    FunctionTool,
    ToolContext,
    ToolSpec,
    check_agreed,
    explain,
    visible_path,
)

DEFAULT_TIMEOUT_S: Final = 60
MAX_TIMEOUT_S: Final = 600
# Nobody reads it; a program that writes more than this does not know when to stop.
MAX_OUTPUT_BYTES: Final = 64 << 20
# After its end, for what it had already written. Only something that it left behind keeps the pipe open longer.
DRAIN_S: Final = 1.0
_READ_BYTES: Final = 1 << 16


def _place(arguments: Arguments, context: ToolContext) -> Place:
    if any("\0" in word for word in arguments["argv"]) or not arguments["argv"][0]:
        raise CallFailed("argv: must be a program and its arguments")
    place = place_of(arguments.get("cwd", "."), context)
    if place.root is None:
        roots = ", ".join(map(visible_path, context.roots))
        raise CallFailed(f"cwd: {visible_path(place.path)} is outside of where tools may work: {roots or 'nowhere'}")
    return place


async def _run(arguments: Arguments, context: ToolContext) -> str:
    timeout_s = float(arguments.get("timeout_s", DEFAULT_TIMEOUT_S))
    opening: AbstractContextManager[int] = open_directory(_place(arguments, context), context)
    fd = await in_file_thread(opening.__enter__)
    try:
        launch = await in_file_thread(functools.partial(_launch, arguments, context, fd))
        check_agreed(context, _things(launch, real_path(fd)))
        status, output, ended = await _execute(launch, arguments["argv"], fd, context, timeout_s)
    finally:
        opening.__exit__(None, None, None)
    text = output.text()
    if ended:
        raise CallFailed(f"{text}\n[{ended}]".lstrip(), untrusted=True)
    if status != 0:
        how = f"ended by signal {-status}" if status < 0 else f"exit status {status}"
        raise CallFailed(f"{text}\n[{how}]".lstrip(), untrusted=True)
    return text or "[no output, exit status 0]"


def _launch(arguments: Arguments, context: ToolContext, directory: int) -> Launch:
    return launch_of(arguments["argv"], search_path(context.environ), str(real_path(directory)))


def _things(launch: Launch, directory: Path) -> tuple[str, ...]:
    return f"in {directory}", *launch.things


async def _execute(
    launch: Launch, argv: list[str], directory: int, context: ToolContext, timeout_s: float
) -> tuple[int, HeadAndTail, str]:
    """Status, output, and why it was ended by us, if it was."""
    real = str(real_path(directory))
    mark = secrets.token_hex(16)
    # The child enters the open directory itself, whatever its name leads to by now; macOS cannot say that in a path.
    cwd = f"/proc/self/fd/{directory}" if sys.platform == "linux" else real
    try:
        process = await trio.lowlevel.open_process(
            [launch.path, *argv[1:]],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd,
            env=command_environment(context.environ, real, mark), start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise CallFailed(f"{visible_line(argv[0])} cannot be run: {explain(error)}") from None
    output = HeadAndTail()
    assert process.stdout is not None
    try:
        if not await in_file_thread(launch.is_unchanged):
            # Somebody exchanged it between the look and the start: what runs may be the other one.
            raise CallFailed(f"{visible_line(argv[0])} was changed while it was started; it was ended at once")
        with trio.move_on_after(timeout_s) as patience:
            await _follow(process, process.stdout, output)
    finally:
        # Nothing that a call started outlives it.
        with trio.CancelScope(shield=True):
            kill_group(process.pid)
            await in_file_thread(functools.partial(kill_marked, f"{MARK}={mark}"))
            await process.wait()
            await process.stdout.aclose()
    ended = ""
    if patience.cancelled_caught:
        ended = f"ended after {timeout_s:g} s; set timeout_s up to {MAX_TIMEOUT_S} if it needs longer"
    elif output.total_bytes > MAX_OUTPUT_BYTES:
        ended = f"ended after {MAX_OUTPUT_BYTES >> 20} MiB of output"
    return process.returncode or 0, output, ended


async def _follow(process: trio.Process, stdout: trio.abc.ReceiveStream, output: HeadAndTail) -> None:
    """Follows until the program ends, not until its last child does."""

    async def read() -> None:
        async for block in stdout:
            output.add(bytes(block))
            if output.total_bytes > MAX_OUTPUT_BYTES:
                break
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await process.wait()
        nursery.cancel_scope.deadline = trio.current_time() + DRAIN_S
    if output.total_bytes <= MAX_OUTPUT_BYTES:
        # It closed its output and goes on.
        await process.wait()


async def _describe(arguments: Arguments, context: ToolContext) -> CallPreview:
    place = _place(arguments, context)
    argv = arguments["argv"]

    def look() -> tuple[Launch, Path]:
        with open_directory(place, context) as fd:
            return _launch(arguments, context, fd), real_path(fd)

    launch, directory = await in_file_thread(look)
    program = launch.path if launch.real == launch.path else f"{launch.path}, which is {launch.real}"
    # One word a line: no quoting to misread.
    words = tuple(f"  [{i}] {visible_line(word)}" for i, word in enumerate(argv))
    return CallPreview(
        title=f"Run {visible_line(' '.join(argv))}",
        details=(
            f"program: {visible_line(program)}",
            *words,
            f"in: {visible_path(directory)}",
            exact_details(arguments, context)[0],
        ),
        things=_things(launch, directory),
    )


RUN_COMMAND: Final = FunctionTool(
    ToolSpec(
        name="run_command",
        description="Run a program. argv is the program and its arguments; there is no shell.",
        parameters={
            "type": "object",
            "properties": {
                "argv": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 1000},
                "cwd": {"type": "string"},
                "timeout_s": {"type": "number", "minimum": 1, "maximum": MAX_TIMEOUT_S},
            },
            "required": ["argv"],
            "additionalProperties": False,
        },
        effect="command",
        outbound=True,
        untrusted=True,
        paths=("cwd",),
    ),
    _run,
    _describe,
)
