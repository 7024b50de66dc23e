"""The user's own Python tools: one process a file, started for the first call and ended when idle.

A file each: what one of them does at import or in a call, hurts no other, and never the daemon.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio

import agentgw_daemon
from agentgw.protocol.errors import AgentgwError
from agentgw.protocol.records.schema import record
from agentgw.transport.framing import FrameSplitter, FrameTooLarge, decode, encode
from agentgw_daemon.observability.supervision import supervised
from agentgw_daemon.system.threads import in_file_thread
from agentgw_daemon.tools.declared import (
    MAX_NAME,
    DeclarationRefused,
    checked_effect,
    checked_name,
    is_foreign,
    plain_text,
    preview,
)
from agentgw_daemon.tools.parameters import checked_parameters
from agentgw_daemon.tools.processes.launch import seen
from agentgw_daemon.tools.processes.offspring import kill_group
from agentgw_daemon.tools.tool import Arguments, CallFailed, CallPreview, ToolContext, ToolResult, ToolSpec, bounded
from agentgw_daemon.tools.user.program import (
    READ_BYTES,
    STDERR_DRAIN_S,
    CannotStart,
    ProgramStderrTail,
    exit_reason,
    small_environment,
    started,
)

_log = logging.getLogger(__name__)

# One answer: a result is bounded to 64 Ki characters, which JSON writes in 6 bytes each at most.
MAX_LINE_BYTES: Final = 1 << 20


@record
class OwnLimits:
    """Seconds that the user's own tools may take."""

    load_s: float = 10.0
    call_s: float = 120.0
    idle_s: float = 60.0
    # A process that is told to end by its stdin has this long before it is killed.
    stop_s: float = 1.0


class HostFailed(Exception):
    """The process could not give an answer; the message says why and fits behind the file's name."""


class _Host:
    """One running process. Lives in `run`; is asked one thing at a time."""

    def __init__(self, path: Path, env: Mapping[str, str], limits: OwnLimits) -> None:
        self._command = (sys.executable, "-P", "-m", "agentgw_daemon.tools.user.toolhost", str(path))
        self._path = path
        self._env = env
        self._limits = limits
        self._life = trio.CancelScope()
        self._reaped = trio.Event()
        self._tail = ProgramStderrTail()
        self._lines = FrameSplitter(MAX_LINE_BYTES)
        self._process: trio.Process | None = None
        self._problem = ""

    @property
    def usable(self) -> bool:
        """False once it has ended or has to."""
        return not (self._life.cancel_called or self._reaped.is_set() or trio.current_time() >= self._life.deadline)

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Runs from start to reaping; idle, it ends by itself. Failures reach whoever asks."""
        try:
            async with started(
                self._command, env=self._env, cwd=self._path.parent, tail=self._tail, patience_s=self._limits.stop_s
            ) as self._process:
                task_status.started()
                assert self._process.stderr is not None
                with self._life:
                    async with trio.open_nursery() as nursery:
                        what = "reading what a tool says"
                        nursery.start_soon(supervised, what, self._tail.read, self._process.stderr)
                        # Its answers end with it, but for something it started that holds their pipe.
                        await self._process.wait()
                        await trio.sleep(STDERR_DRAIN_S)
                        self._life.cancel()
        except CannotStart as error:
            self._problem = str(error)
            task_status.started()
        finally:
            self._reaped.set()

    async def ask(self, message: Mapping[str, Any] | None, limit_s: float) -> dict[str, Any]:
        """The answer to a message, or with None the words it begins with. Raises HostFailed, and ends it then."""
        self._life.deadline = math.inf
        answered = False
        try:
            with trio.move_on_after(limit_s) as patience:
                answer = await self._exchange(message)
                answered = True
                return answer
            if patience.cancelled_caught:
                self._problem = f"did not answer within {limit_s:g} s"
        finally:
            if answered:
                self._life.deadline = trio.current_time() + self._limits.idle_s
            else:
                self.end()
        await self._reaped.wait()
        raise HostFailed(self._exit_error())

    async def _exchange(self, message: Mapping[str, Any] | None) -> dict[str, Any]:
        if self._process is None:
            raise HostFailed(self._problem)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            if message is not None:
                await self._process.stdin.send_all(encode(message))
            while chunk := await self._process.stdout.receive_some(READ_BYTES):
                for line in self._lines.feed(bytes(chunk)):
                    answer = decode(line)
                    if isinstance(answer, dict):
                        return answer
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._problem = ""
        except (AgentgwError, FrameTooLarge) as error:
            self._problem = f"broke its protocol ({error})"
        self.end()
        await self._reaped.wait()
        raise HostFailed(self._exit_error())

    def _exit_error(self) -> str:
        assert self._process is not None
        words = f"; it said: {self._tail}" if str(self._tail) else ""
        return (self._problem or exit_reason(self._process)) + words

    def end(self) -> None:
        """Kill it, unless it has ended."""
        self._life.cancel()
        if self._process is not None and not self._reaped.is_set() and self._process.returncode is None:
            # Dead already it tells how it died; only one that lives on has to be helped.
            kill_group(self._process.pid)


class OwnFile:
    """One file of tools: what is in it, and the process that runs it while there is need for one."""

    def __init__(self, path: Path, nursery: trio.Nursery, environ: Mapping[str, str], limits: OwnLimits) -> None:
        self.path = path
        self._nursery = nursery
        self._env = host_environment(environ)
        self._limits = limits
        self._turn = trio.Lock()
        self._host: _Host | None = None
        # The file as the host has it.
        self._loaded = ""

    async def tools(self) -> tuple[tuple[OwnTool, ...], tuple[str, ...]]:
        """The tools in the file, and what is wrong with the others. Raises HostFailed."""
        async with self._turn:
            await self._end_host()
            try:
                _, hello = await self._start()
            except CallFailed as failed:
                raise HostFailed(failed.text) from None
        made: list[OwnTool] = []
        problems: list[str] = []
        for declared in hello.get("tools", ()):
            try:
                made.append(OwnTool(self, _spec(declared)))
            except DeclarationRefused as error:
                problems.append(f"{plain_text(declared['name'], MAX_NAME)}: {error}")
        if not made and not problems:
            problems.append("has no function with @tool")
        return tuple(made), tuple(problems)

    async def look(self) -> str:
        """The file as it is, for `CallPreview.things`. Raises CallFailed."""
        return (await in_file_thread(partial(seen, str(self.path), "file"))).thing

    async def call(
        self, name: str, arguments: Mapping[str, Any], agreed: tuple[str, ...] | None = None
    ) -> tuple[bool, str]:
        """Run one of its tools: whether it went well, and the result or the reason why not.

        It is the file's present content that runs, and with `agreed` only if that is what was agreed to. Calls of one
        file wait for each other. Cancelling ends the process.
        """
        async with self._turn:
            try:
                if await self.look() != self._loaded:
                    await self._end_host()
                host = self._host if self._host is not None and self._host.usable else (await self._start())[0]
                if agreed is not None and agreed != (self._loaded,):
                    return False, f"{self.path.name} was changed since the call was agreed to; nothing was done"
                answer = await host.ask({"tool": name, "arguments": dict(arguments)}, self._limits.call_s)
            except HostFailed as error:
                return False, f"the tool's process {error}"
            except CallFailed as failed:
                return False, failed.text
        return answer.get("ok") is True, bounded(str(answer.get("content", "")))

    async def _start(self) -> tuple[_Host, dict[str, Any]]:
        file = await self.look()
        host = self._host = _Host(self.path, self._env, self._limits)
        await self._nursery.start(host.run)
        hello = await host.ask(None, self._limits.load_s)
        if "error" in hello:
            host.end()
            raise HostFailed(f"cannot load it: {plain_text(hello['error'], 500)}")
        if await self.look() != file:
            host.end()
            raise HostFailed("cannot tell what it has loaded: its file was changed meanwhile")
        self._loaded = file
        return host, hello

    async def _end_host(self) -> None:
        if self._host is not None:
            self._host.end()
            self._host = None
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """End its process; a call under way fails."""
        if self._host is not None:
            self._host.end()


class OwnTool:
    """One decorated function."""

    def __init__(self, file: OwnFile, spec: ToolSpec) -> None:
        self.spec = spec
        self._file = file

    async def describe_call(self, arguments: Arguments, context: ToolContext) -> CallPreview:
        """The function, its file and the arguments."""
        things = (await self._file.look(),)
        return replace(preview(f"{self.spec.name} in {self._file.path.name}", arguments), things=things)

    async def call(self, arguments: Arguments, context: ToolContext) -> ToolResult:
        """Call the function in its file's process."""
        ok, content = await self._file.call(self.spec.name, arguments, context.agreed)
        return ToolResult(ok=ok, content=content, untrusted=self.spec.untrusted)


def _spec(declared: Mapping[str, Any]) -> ToolSpec:
    effect = checked_effect(declared["effect"], "command")
    return ToolSpec(
        name=checked_name(declared["name"]),
        description=plain_text(declared["description"]),
        parameters=checked_parameters(declared["parameters"]),
        effect=effect,
        # A tool that may do anything may also send anything.
        outbound=declared["outbound"] is True or effect in ("network", "command"),
        untrusted=is_foreign(effect, declared.get("own_output")),
    )


def host_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of the process; PYTHONPATH goes along only when this very package was found through it."""
    made = small_environment(environ)
    entries = [str(Path(entry).absolute()) for entry in environ.get("PYTHONPATH", "").split(":") if entry]
    if str(Path(agentgw_daemon.__path__[0]).absolute().parent) in entries:
        made["PYTHONPATH"] = ":".join(entries)
    return made
