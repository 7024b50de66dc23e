"""All tools by name, from wherever they come, and what is wrong with those that cannot be used.

Outermost is the nursery of `open_catalogue`: no process of a tool outlives it.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio

from agentgw.schema import record
from agentgw_daemon.settings import McpServerSection
from agentgw_daemon.tools.declared import DeclarationRefused
from agentgw_daemon.tools.executables import ExecutableLimits, ProgramFailed, describe
from agentgw_daemon.tools.mcp_server import McpLimits, McpServer
from agentgw_daemon.tools.mcp_tools import tools_of
from agentgw_daemon.tools.own_tools import HostFailed, OwnFile, OwnLimits
from agentgw_daemon.tools.provenance import ToolFile, tool_files
from agentgw_daemon.tools.tool import Tool

_log = logging.getLogger(__name__)

# A describing process is a Python interpreter, mostly.
DESCRIBED_AT_ONCE: Final = 2


@record
class ToolProblem:
    """A tool, file or server that cannot be used. `source` is "own", "program" or "mcp"; `name` what it is there."""

    source: str
    name: str
    reason: str


@record
class ToolLimits:
    """The limits of all sources. `first_list_s`: nobody waits longer for a server's first list of tools."""

    own: OwnLimits = OwnLimits()
    program: ExecutableLimits = ExecutableLimits()
    mcp: McpLimits = McpLimits()
    first_list_s: float = 10.0


class _File:
    """What is known of one version of one file."""

    def __init__(self, file: ToolFile) -> None:
        self.file = file
        self.source = "own" if file.path.suffix == ".py" else "program"
        self.tools: tuple[Tool, ...] = ()
        self.problems: tuple[str, ...] = ()
        self.own: OwnFile | None = None


class _Server:
    """A server and the scope of its task."""

    def __init__(self, server: McpServer) -> None:
        self.server = server
        self.scope = trio.CancelScope()

    async def run(self) -> None:
        with self.scope:
            await self.server.run()


class Catalogue:
    """The tools there are. `tools` looks at files and servers anew; `current` is what it saw last.

    Of several tools of one name the first wins, in the order built in, own, programs, servers; the others are listed
    among the problems. Nothing is started before the first `tools`.
    """

    def __init__(
        self,
        builtin: Sequence[Tool],
        folder: Path,
        environ: Mapping[str, str],
        nursery: trio.Nursery,
        limits: ToolLimits,
    ) -> None:
        self.current: Mapping[str, Tool] = {}
        self.sources: Mapping[str, str] = {}  # builtin, own, program or mcp
        self.problems: tuple[ToolProblem, ...] = ()
        self._builtin = tuple(builtin)
        self._folder = folder
        self._environ = environ
        self._nursery = nursery
        self._limits = limits
        self._files: dict[Path, _File] = {}
        self._refused: list[ToolProblem] = []
        self._servers: dict[str, _Server] = {}
        self._looking = trio.Lock()
        self._show()

    def reload(self, servers: Mapping[str, McpServerSection]) -> None:
        """Take over changed settings: servers that are gone or different end, new ones start when they are needed."""
        wanted = {name: section for name, section in servers.items() if section.enabled}
        for name, running in list(self._servers.items()):
            if wanted.get(name) != running.server.section:
                running.scope.cancel()
                del self._servers[name]
        for name, section in wanted.items():
            if name not in self._servers:
                server = McpServer(name, section, self._environ, on_listed=self._show, limits=self._limits.mcp)
                self._servers[name] = _Server(server)
                self._nursery.start_soon(self._servers[name].run)
        self._show()

    async def tools(self) -> Mapping[str, Tool]:
        """All tools by name, edits of files included. Bounded: servers that are still starting are left out."""
        async with self._looking:
            await self._look_at_files()
            await self._ask_servers()
            self._show()
        return self.current

    async def _look_at_files(self) -> None:
        found, refused = await trio.to_thread.run_sync(tool_files, self._folder)
        self._refused = [
            ToolProblem(source=_source(one.path), name=one.path.name, reason=one.reason) for one in refused
        ]
        files = {
            file.path: known
            for file in found
            if (known := self._files.get(file.path)) is not None and known.file == file
        }
        fresh = [_File(file) for file in found if file.path not in files]
        limiter = trio.CapacityLimiter(DESCRIBED_AT_ONCE)
        async with trio.open_nursery() as nursery:
            for one in fresh:
                nursery.start_soon(self._describe, one, limiter)
        files |= {one.file.path: one for one in fresh}
        for before in self._files.values():
            if before is not files.get(before.file.path) and before.own is not None:
                before.own.close()
        # By name, and only now: whoever is cancelled above leaves everything as it was.
        self._files = dict(sorted(files.items()))

    async def _describe(self, one: _File, limiter: trio.CapacityLimiter) -> None:
        path = one.file.path
        async with limiter:
            try:
                if one.source == "own":
                    one.own = OwnFile(path, self._nursery, self._environ, self._limits.own)
                    one.tools, one.problems = await one.own.tools()
                else:
                    one.tools = (await describe(path, self._environ, self._limits.program),)
            except (HostFailed, ProgramFailed, DeclarationRefused) as error:
                one.problems = (str(error),)

    async def _ask_servers(self) -> None:
        """Have servers without a list make one. Only those never tried before are waited for."""
        unlisted = [one.server for one in self._servers.values() if one.server.listed is None]
        with trio.move_on_after(self._limits.first_list_s):
            async with trio.open_nursery() as nursery:
                for server in unlisted:
                    if server.tried:
                        server.want()
                    else:
                        nursery.start_soon(server.settle)

    def _show(self) -> None:
        """Put `current` and `problems` together from what is known."""
        view = _View(self._builtin)
        view.problems += self._refused
        for source in ("own", "program"):
            for one in self._files.values():
                if one.source == source:
                    view.add(source, one.file.path.name, one.tools)
                    view.problems += [
                        ToolProblem(source=source, name=one.file.path.name, reason=reason) for reason in one.problems
                    ]
        for name, running in sorted(self._servers.items()):
            tools, problems = tools_of(running.server)
            view.add("mcp", name, tools)
            view.problems += [
                ToolProblem(source="mcp", name=f"{name}: {tool}", reason=reason) for tool, reason in problems
            ]
            if running.server.listed is None:
                reason = running.server.problem or "has not been started yet, or is still starting"
                view.problems.append(ToolProblem(source="mcp", name=name, reason=reason))
        for problem in view.problems:
            if problem not in self.problems:
                _log.info("tools: %s %s: %s", problem.source, problem.name, problem.reason)
        self.current, self.sources, self.problems = view.tools, view.sources, tuple(view.problems)


class _View:
    """A catalogue in the making."""

    def __init__(self, builtin: Iterable[Tool]) -> None:
        self.tools: dict[str, Tool] = {tool.spec.name: tool for tool in builtin}
        self.problems: list[ToolProblem] = []
        self.sources = dict.fromkeys(self.tools, "builtin")
        self._origins = dict.fromkeys(self.tools, "a built-in tool")

    def add(self, source: str, origin: str, tools: Iterable[Tool]) -> None:
        for tool in tools:
            name = tool.spec.name
            if name in self.tools:
                reason = f"the name {name} belongs to {self._origins[name]} already"
                self.problems.append(ToolProblem(source=source, name=origin, reason=reason))
            else:
                self.tools[name] = tool
                self.sources[name] = source
                self._origins[name] = origin


def _source(path: Path) -> str:
    return "own" if path.suffix == ".py" else "program"


@asynccontextmanager
async def open_catalogue(
    builtin: Sequence[Tool], folder: Path, servers: Mapping[str, McpServerSection], *, environ: Mapping[str, str],
    limits: ToolLimits | None = None,
) -> AsyncIterator[Catalogue]:  # fmt: skip
    """The catalogue, with every process that its tools need inside. `folder` holds the user's own tools."""
    async with trio.open_nursery() as nursery:
        catalogue = Catalogue(builtin, folder, environ, nursery, limits or ToolLimits())
        catalogue.reload(servers)
        yield catalogue
        nursery.cancel_scope.cancel()
