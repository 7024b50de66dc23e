"""Tools by name, from wherever they come, and what is wrong with those that cannot be used.

Outermost is the nursery of `open_catalogue`: no process of a tool outlives it.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio

from agentgw.protocol.records.schema import record
from agentgw_daemon.config.settings import McpServerSection
from agentgw_daemon.observability.supervision import supervised
from agentgw_daemon.tools.declared import DeclarationRefused
from agentgw_daemon.tools.mcp.mcp_server import McpLimits, McpServer
from agentgw_daemon.tools.mcp.mcp_tools import McpTool, prefix_of, tools_of
from agentgw_daemon.tools.tool import RunnableTool
from agentgw_daemon.tools.user.executables import ExecutableLimits, ProgramFailed, describe
from agentgw_daemon.tools.user.own_tools import HostFailed, OwnFile, OwnLimits
from agentgw_daemon.tools.user.provenance import ToolFile, tool_files

_log = logging.getLogger(__name__)

Tell = Callable[[str], Awaitable[None]]

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
    """The limits of all sources."""

    own: OwnLimits = OwnLimits()
    program: ExecutableLimits = ExecutableLimits()
    mcp: McpLimits = McpLimits()
    # From when a server's tools are first wanted: after that nobody waits for its first list any more.
    first_list_s: float = 10.0
    # A turn that waits longer than this is told for whom.
    silence_s: float = 1.0


class _File:
    """Knowledge of one version of one file."""

    def __init__(self, file: ToolFile) -> None:
        self.file = file
        self.source = "own" if file.path.suffix == ".py" else "program"
        self.tools: tuple[RunnableTool, ...] = ()
        self.problems: tuple[str, ...] = ()
        self.own: OwnFile | None = None


class _Server:
    """A server, the scope of its task, and its tools."""

    def __init__(self, server: McpServer) -> None:
        self.server = server
        self.scope = trio.CancelScope()
        # Until when its first list is waited for, once somebody wanted its tools.
        self.waited_until: float | None = None
        self._listed: object = None
        self._tools: tuple[list[McpTool], list[tuple[str, str]]] = ([], [])

    async def run(self) -> None:
        with self.scope:
            await self.server.run()

    def tools(self) -> tuple[list[McpTool], list[tuple[str, str]]]:
        """See `tools_of`: each list is looked through once, which takes up to half a second."""
        if self._listed is not self.server.listed:
            self._listed, self._tools = self.server.listed, tools_of(self.server)
        return self._tools

    @property
    def state(self) -> str:
        """The reason why it has no list of tools."""
        return self.server.problem or "has not been started yet, or is still starting"


class Catalogue:
    """The tools there are. `tools` looks at files and servers anew; `current` is what it saw last.

    Of several tools of one name the first wins, in the order built in, own, programs, servers; the others are listed
    among the problems. Nothing is started before somebody has a use for it.
    """

    def __init__(
        self,
        builtin: Sequence[RunnableTool],
        folder: Path,
        environ: Mapping[str, str],
        nursery: trio.Nursery,
        limits: ToolLimits,
    ) -> None:
        self.current: Mapping[str, RunnableTool] = {}
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
                self._nursery.start_soon(supervised, f"running the server {name}", self._servers[name].run)
        self._show()

    async def tools(self, names: Collection[str] | None = None, tell: Tell | None = None) -> Mapping[str, RunnableTool]:
        """All tools by name, edits of files included.

        `names` are those that the caller has a use for, None is all of them. Servers start beside: one that such a tool
        may come from is waited for until `first_list_s` after it was first wanted, by all callers together; later ones
        find what is there. `tell` is given a line about each server that makes the caller wait, and what came of it.
        """
        if names is not None and all(self.sources.get(name) == "builtin" for name in names):
            return self.current
        await self.look()
        async with trio.open_nursery() as nursery:
            for one in self._unlisted(names):
                if not self._is_late(one):
                    nursery.start_soon(self._await_list, one, tell)
        self._show()
        return self.current

    async def look(self) -> None:
        """Take in edits of the user's own files; starts no server."""
        async with self._looking:
            await self._look_at_files()
            self._show()

    async def wait_for(self, names: Collection[str], limit_s: float) -> None:
        """Return when these tools are there, when the servers that they are of have failed, or after the limit."""
        await self.tools(names)
        with trio.move_on_after(limit_s):
            async with trio.open_nursery() as nursery:
                for one in self._unlisted(names):
                    nursery.start_soon(one.server.settle)

    def absence(self, name: str) -> str:
        """The reason why a tool of a server is not there, as far as that is known; else nothing."""
        states = [f"the MCP server {one.server.name} {one.state}" for one in self._unlisted([name])]
        return "; ".join(states)

    def _unlisted(self, names: Collection[str] | None) -> list[_Server]:
        """The servers without a list that one of these tools may come from."""
        missing = None if names is None else [name for name in names if name not in self.current]
        return [
            one
            for name, one in self._servers.items()
            if one.server.listed is None
            and (missing is None or any(each.startswith(prefix_of(name)) for each in missing))
        ]

    def _is_late(self, one: _Server) -> bool:
        """Start the server if need be; tells whether it has had its time."""
        one.server.want()
        if one.waited_until is None:
            one.waited_until = trio.current_time() + self._limits.first_list_s
        return one.server.tried or trio.current_time() >= one.waited_until

    async def _await_list(self, one: _Server, tell: Tell | None) -> None:
        assert one.waited_until is not None
        name = one.server.name
        with trio.move_on_at(one.waited_until) as patience:
            with trio.move_on_after(self._limits.silence_s) as silence:
                await one.server.settle()
            if silence.cancelled_caught:
                await _say(tell, f"waiting for the MCP server {name} to start")
                await one.server.settle()
        if patience.cancelled_caught:
            await _say(
                tell,
                f"the MCP server {name} is still starting: going on without its tools, which join when it is ready",
            )
        elif one.server.listed is None:
            await _say(tell, f"the MCP server {name} {one.state}: going on without its tools")

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
            tools, problems = running.tools()
            view.add("mcp", name, tools)
            view.problems += [
                ToolProblem(source="mcp", name=f"{name}: {tool}", reason=reason) for tool, reason in problems
            ]
            if running.server.listed is None:
                view.problems.append(ToolProblem(source="mcp", name=name, reason=running.state))
            elif not running.server.listed:
                view.problems.append(ToolProblem(source="mcp", name=name, reason="it offers no tools"))
        for problem in view.problems:
            if problem not in self.problems:
                _log.info("tools: %s %s: %s", problem.source, problem.name, problem.reason)
        self.current, self.sources, self.problems = view.tools, view.sources, tuple(view.problems)


class _View:
    """A catalogue in the making."""

    def __init__(self, builtin: Iterable[RunnableTool]) -> None:
        self.tools: dict[str, RunnableTool] = {tool.spec.name: tool for tool in builtin}
        self.problems: list[ToolProblem] = []
        self.sources = dict.fromkeys(self.tools, "builtin")
        self._origins = dict.fromkeys(self.tools, "a built-in tool")

    def add(self, source: str, origin: str, tools: Iterable[RunnableTool]) -> None:
        for tool in tools:
            name = tool.spec.name
            if name in self.tools:
                reason = f"the name {name} belongs to {self._origins[name]} already"
                self.problems.append(ToolProblem(source=source, name=origin, reason=reason))
            else:
                self.tools[name] = tool
                self.sources[name] = source
                self._origins[name] = origin


async def _say(tell: Tell | None, text: str) -> None:
    if tell is not None:
        await tell(text)


def _source(path: Path) -> str:
    return "own" if path.suffix == ".py" else "program"


@asynccontextmanager
async def open_catalogue(
    builtin: Sequence[RunnableTool],
    folder: Path,
    servers: Mapping[str, McpServerSection],
    *,
    environ: Mapping[str, str],
    limits: ToolLimits | None = None,
) -> AsyncIterator[Catalogue]:
    """The catalogue, with every process that its tools need inside. `folder` holds the user's own tools."""
    async with trio.open_nursery() as nursery:
        catalogue = Catalogue(builtin, folder, environ, nursery, limits or ToolLimits())
        catalogue.reload(servers)
        yield catalogue
        nursery.cancel_scope.cancel()
