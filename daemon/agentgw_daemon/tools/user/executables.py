"""Tools that are programs: an executable file that says what it is with `--describe` and is called through stdin.

Both runs are bounded in time and output, and the whole process group ends with them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import trio

from agentgw.protocol.errors import RpcError
from agentgw.protocol.records.schema import record
from agentgw.transport.framing import decode
from agentgw_daemon.system.threads import in_file_thread
from agentgw_daemon.tools.declared import (
    DeclarationRefused,
    checked_effect,
    checked_name,
    is_foreign,
    plain_text,
    preview,
)
from agentgw_daemon.tools.parameters import MAX_SCHEMA_BYTES, checked_parameters
from agentgw_daemon.tools.processes.command_environment import search_path
from agentgw_daemon.tools.processes.launch import Launch, launch_of
from agentgw_daemon.tools.tool import (
    Arguments,
    CallFailed,
    CallPreview,
    ToolContext,
    ToolResult,
    ToolSpec,
    bounded,
    check_agreed,
)
from agentgw_daemon.tools.user.program import (
    READ_BYTES,
    CannotStart,
    ProgramStderrTail,
    exit_reason,
    small_environment,
    started,
)

# The schema, a description and some air.
MAX_DESCRIPTION_BYTES: Final = 2 * MAX_SCHEMA_BYTES
# Sixteen times what a model is shown: who prints more has gone wrong.
MAX_OUTPUT_BYTES: Final = 1 << 20


@record
class ExecutableLimits:
    """Seconds that a program may take."""

    describe_s: float = 10.0
    call_s: float = 120.0
    # After it has exited its output may be held open by something it started.
    linger_s: float = 1.0


class ProgramFailed(Exception):
    """The program gave no usable output; the message says why and fits behind its name."""


class ExecutableTool:
    """One program."""

    def __init__(self, path: Path, spec: ToolSpec, environ: Mapping[str, str], limits: ExecutableLimits) -> None:
        self.spec = spec
        self._path = path
        self._environ = environ
        self._limits = limits

    async def describe_call(self, arguments: Arguments, context: ToolContext) -> CallPreview:
        """The program and the arguments it gets on stdin."""
        things = _things(await self._look(context), context)
        return replace(preview(f"{self.spec.name}, the program {self._path}", arguments), things=things)

    async def _look(self, context: ToolContext) -> Launch:
        """The program as it is. Raises CallFailed."""
        look = partial(launch_of, (str(self._path),), search_path(self._environ), str(context.cwd))
        return await in_file_thread(look)

    async def call(self, arguments: Arguments, context: ToolContext) -> ToolResult:
        """Run it in the call's working directory. An exit status other than 0 is a failed call."""
        given = json.dumps(dict(arguments), ensure_ascii=False).encode("utf-8", "replace")
        try:
            launch = await self._look(context)
            check_agreed(context, _things(launch, context))
            output = await _run(
                (launch.path,), given, cwd=context.cwd, environ=self._environ, limits=self._limits,
                limit_s=self._limits.call_s, most_bytes=MAX_OUTPUT_BYTES, launch=launch,
            )  # fmt: skip
        except CallFailed as failed:
            return ToolResult(ok=False, content=failed.text)
        except ProgramFailed as error:
            return ToolResult(ok=False, content=f"{self._path.name} {error}", untrusted=self.spec.untrusted)
        text = bounded(output.decode("utf-8", "replace"))
        return ToolResult(ok=True, content=text, untrusted=self.spec.untrusted)


def _things(launch: Launch, context: ToolContext) -> tuple[str, ...]:
    return f"in {os.path.realpath(context.cwd)}", *launch.things


async def describe(path: Path, environ: Mapping[str, str], limits: ExecutableLimits) -> ExecutableTool:
    """The tool that the program says it is. Raises ProgramFailed and DeclarationRefused."""
    output = await _run(
        (str(path), "--describe"), b"", cwd=path.parent, environ=environ, limits=limits,
        limit_s=limits.describe_s, most_bytes=MAX_DESCRIPTION_BYTES,
    )  # fmt: skip
    try:
        declared = decode(output.strip())
    except RpcError as error:
        raise DeclarationRefused(f"what it prints for --describe is not JSON ({error})") from None
    if not isinstance(declared, dict):
        raise DeclarationRefused("what it prints for --describe is not an object")
    effect = checked_effect(declared.get("effect"), "command")
    spec = ToolSpec(
        name=checked_name(declared.get("name")),
        description=plain_text(declared.get("description")),
        parameters=checked_parameters(declared.get("parameters")),
        effect=effect,
        # A program that may do anything may also send anything.
        outbound=effect in ("network", "command"),
        untrusted=is_foreign(effect, declared.get("own_output")),
    )
    return ExecutableTool(path, spec, environ, limits)


async def _run(
    command: Sequence[str], given: bytes, *, cwd: Path, environ: Mapping[str, str], limits: ExecutableLimits,
    limit_s: float, most_bytes: int, launch: Launch | None = None,
) -> bytes:  # fmt: skip
    """The output of the program. Raises ProgramFailed, and CallFailed when `launch` was changed while it started."""
    tail, output = ProgramStderrTail(), bytearray()
    try:
        async with started(command, env=small_environment(environ), cwd=cwd, tail=tail, patience_s=0) as process:
            if launch is not None and not await in_file_thread(launch.is_unchanged):
                raise CallFailed(f"{launch.path} was changed while it was started; it was ended at once")
            with trio.move_on_after(limit_s) as patience:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_feed, process, given)
                    nursery.start_soon(_drain, process, tail, nursery.cancel_scope, limits.linger_s)
                    await _collect(process, output, most_bytes)
                    if len(output) > most_bytes:
                        nursery.cancel_scope.cancel()
    except CannotStart as error:
        raise ProgramFailed(str(error)) from None
    if patience.cancelled_caught:
        raise ProgramFailed(f"did not end within {limit_s:g} s{_said(tail)}")
    if len(output) > most_bytes:
        raise ProgramFailed(f"printed more than {most_bytes >> 10} KiB")
    if process.returncode != 0:
        raise ProgramFailed(exit_reason(process) + _said(tail))
    return bytes(output)


async def _feed(process: trio.Process, given: bytes) -> None:
    assert process.stdin is not None
    # If it does not read its arguments, that is its affair.
    with suppress(trio.BrokenResourceError):
        await process.stdin.send_all(given)
    await process.stdin.aclose()


async def _collect(process: trio.Process, output: bytearray, most_bytes: int) -> None:
    assert process.stdout is not None
    while len(output) <= most_bytes and (chunk := await process.stdout.receive_some(READ_BYTES)):
        output += chunk


async def _drain(process: trio.Process, tail: ProgramStderrTail, scope: trio.CancelScope, linger_s: float) -> None:
    """Read stderr until the program is gone; then its pipes have `linger_s` to end."""
    assert process.stderr is not None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tail.read, process.stderr)
        await process.wait()
        scope.deadline = trio.current_time() + linger_s


def _said(tail: ProgramStderrTail) -> str:
    return f"; it said: {tail}" if str(tail) else ""
