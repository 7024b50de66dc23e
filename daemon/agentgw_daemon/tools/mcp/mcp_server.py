"""One MCP server's life: started for the first use, restarted with backoff when it died, ended with the daemon."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import trio

from agentgw.protocol.records.schema import record
from agentgw_daemon.config.settings import McpServerSection, named_variable
from agentgw_daemon.tools.mcp.mcp_errors import (
    AnswerUnreadable,
    BadServer,
    ServerConnectionLost,
    ServerFailed,
    ServerRefused,
)
from agentgw_daemon.tools.user.program import CannotStart, ProgramStderrTail, exit_reason, small_environment, started
from agentgw_daemon.workers.supervision.restart_backoff import RestartBackoff

if TYPE_CHECKING:
    from agentgw_daemon.tools.mcp.mcp_connection import McpConnection

_log = logging.getLogger(__name__)

# Imported for the first server: they bring the SDK.
_STDIO: Final = "agentgw_daemon.tools.mcp.mcp_stdio"
_HTTP: Final = "agentgw_daemon.tools.mcp.mcp_http"

# A server with more would fill a small model's context with its list alone.
MAX_TOOLS: Final = 128


@record
class McpLimits:
    """Seconds that a server may take; a call's limit is the user's setting."""

    # A package runner fetches the server first.
    start_s: float = 60.0
    # Time that the protocol's shutdown leaves to a server that is told to go, before it is killed.
    stop_s: float = 2.0
    first_backoff_s: float = 0.5
    # Whoever did not answer a call has to answer this.
    ping_s: float = 5.0
    # A server that changes its tools is asked for them no more often; one that does so all the time, ever less often.
    relist_s: float = 1.0
    most_relist_s: float = 60.0
    # After an answer that belongs to no request, the right one has this long to come.
    stray_s: float = 1.0
    # A server that writes other lines than messages and is then silent has either lost an answer or is at work.
    noise_s: float = 5.0


class McpServer:
    """A configured server. `run` must be running for anything else to happen.

    `listed` is what it said its tools are, last time, of `listed_in_all`; `problem` why there is no such list, or is
    empty.
    """

    def __init__(
        self,
        name: str,
        section: McpServerSection,
        environ: Mapping[str, str],
        *,
        on_listed: Callable[[], None],
        limits: McpLimits,
    ) -> None:
        self.name = name
        self.section = section
        self.listed: tuple[Any, ...] | None = None
        self.listed_in_all = 0
        self.problem = ""
        self.pid = 0
        self._environ = environ
        self._on_listed = on_listed
        self._limits = limits
        self._backoff = RestartBackoff(limits.first_backoff_s)
        self._wanted = trio.Event()
        self._settled = trio.Event()
        self._reaped = trio.Event()
        self._changed = trio.Event()
        self._connection: McpConnection | None = None
        self._tried = self._ending = False
        self._tail = ProgramStderrTail()
        self._reason = ""

    async def run(self) -> None:
        """Runs a life of the server whenever somebody wants one, until cancelled. Ends with the process reaped."""
        try:
            while True:
                await self._wanted.wait()
                await trio.sleep_until(max(self._backoff.start_at(), trio.current_time()))
                self._reason = ""
                self._reason = await self._live()
                self._backoff.record(trio.current_time())
                if self.listed is None:
                    self.problem = self._reason
                _log.warning("MCP server %s %s; its standard error ended with: %s", self.name, self._reason, self._tail)
                self._wanted = trio.Event()
                self._end_of_life()
        finally:
            self._reason = self._reason or "was stopped"
            self._end_of_life()

    def _end_of_life(self) -> None:
        self._ending = False
        self._tried = True
        self._settled.set()
        self._reaped.set()

    @property
    def tried(self) -> bool:
        """Tells whether it has been started before, or tried to."""
        return self._tried

    def want(self) -> None:
        """Start the server, unless it runs or is better left alone."""
        if self._backoff.degraded_until(trio.current_time()) is None and not self._wanted.is_set():
            self._settled, self._reaped = trio.Event(), trio.Event()
            self._wanted.set()

    async def settle(self) -> McpConnection | None:
        """Start the server if need be; the connection when it is ready, None when it has failed."""
        self.want()
        await self._settled.wait()
        return self._connection

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The raw result of a tool. Raises ServerFailed, also for an error that the server gives."""
        limit_s = self.section.timeout_s
        with trio.move_on_after(limit_s):
            return await self._call(tool, arguments)
        if self._connection is not None:
            await self._check_alive(self._connection)
        raise ServerFailed(f"{self.name} did not answer within {limit_s:g} s")

    async def _call(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        connection = await self._ready()
        # The end of this life, not of the one that another call may have begun by then.
        reaped = self._reaped
        try:
            result = await connection.call_tool(tool, arguments)
        except AnswerUnreadable as error:
            raise ServerFailed(f"{self.name} did not answer as it should: {error}") from None
        except ServerRefused as error:
            raise ServerFailed(f"{self.name} refused the call: {error}") from None
        except ServerConnectionLost:
            await reaped.wait()
            raise ServerFailed(f"{self.name} {self._reason}{self._said()}") from None
        self._backoff.forget()
        return result

    async def _ready(self) -> McpConnection:
        """The live connection. Raises ServerFailed."""
        if self._ending or (self._connection is not None and self._connection.ended.is_set()):
            await self._reaped.wait()
        if self._connection is not None:
            return self._connection
        until = self._backoff.degraded_until(trio.current_time())
        if until is not None:
            wait_s = until - trio.current_time()
            raise ServerFailed(f"{self.name} {self._reason}; it is left alone for {wait_s:.0f} s{self._said()}")
        connection = await self.settle()
        if connection is None:
            raise ServerFailed(f"{self.name} {self._reason}{self._said()}")
        return connection

    def _said(self) -> str:
        return f"; it said: {self._tail}" if str(self._tail) else ""

    async def _check_alive(self, connection: McpConnection) -> None:
        """A server that answers nothing at all is ended, so that the next call gets a new one."""
        with trio.move_on_after(self._limits.ping_s):
            # Even an error is an answer, and a lost connection is noticed elsewhere.
            with suppress(ServerRefused, ServerConnectionLost):
                await connection.ping()
            return
        connection.fail("does not answer any more")

    async def _live(self) -> str:
        """One life, and how it ended."""
        self._tail = ProgramStderrTail()
        self._changed = trio.Event()
        try:
            # In a thread: the import takes most of a second.
            if self.section.url is not None:
                theirs = await trio.to_thread.run_sync(import_module, _HTTP)
                async with theirs.over_http(self.section.url, self._limits.start_s, self._on_changed) as connection:
                    return await self._keep(connection) or "closed the connection"
            theirs = await trio.to_thread.run_sync(import_module, _STDIO)
            return await self._live_as_process(theirs.over_stdio)
        except CannotStart as error:
            return str(error)
        except ImportError as error:
            return f"cannot be used: {error}"
        except Exception as error:  # noqa: BLE001  # a supervision point: no server and no bug of the SDK may end us
            # It raises what its transports raise, in groups.
            leaf = _leaf(error)
            _log.debug("MCP server %s", self.name, exc_info=error)
            return f"lost its connection: {type(leaf).__name__}: {str(leaf)[:200]}"

    async def _live_as_process(self, connect: Any) -> str:
        reason = ""
        async with started(
            [self.section.command or "", *self.section.args],
            env=self._environment(), cwd=self._cwd(), tail=self._tail, patience_s=self._limits.stop_s,
        ) as process:  # fmt: skip
            self.pid = process.pid
            assert process.stderr is not None
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._tail.read, process.stderr)
                async with connect(
                    process, self._on_changed, stray_s=self._limits.stray_s, noise_s=self._limits.noise_s
                ) as connection:
                    reason = await self._keep(connection)
                nursery.cancel_scope.cancel()
            if not reason:
                # It closed its output: mostly because it is ending, and then it says how.
                with trio.move_on_after(self._limits.stop_s):
                    await process.wait()
                reason = exit_reason(process)
        return reason

    async def _keep(self, connection: McpConnection) -> str:
        """Keeps the connection from the handshake to its end; gives the reason, empty when only the process
        knows.
        """
        with trio.move_on_after(self._limits.start_s) as patience:
            try:
                await connection.initialise()
                self._note(*await connection.list_tools(MAX_TOOLS))
            except BadServer as error:
                return str(error)
            except AnswerUnreadable as error:
                return f"did not answer as it should: {error}"
            except ServerRefused as error:
                return f"refused to begin: {error}"
            except ServerConnectionLost:
                return connection.problem
        if patience.cancelled_caught:
            return f"was not ready within {self._limits.start_s:g} s"
        self._connection = connection
        self._tried = True
        self._settled.set()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._heed_changes, connection)
                await connection.ended.wait()
                nursery.cancel_scope.cancel()
        finally:
            self._connection = None
            self._ending = True
        return connection.problem

    def _on_changed(self) -> None:
        self._changed.set()

    async def _heed_changes(self, connection: McpConnection) -> None:
        pause_s = self._limits.relist_s
        while True:
            quiet = not self._changed.is_set()
            await self._changed.wait()
            pause_s = self._limits.relist_s if quiet else min(2 * pause_s, self._limits.most_relist_s)
            self._changed = trio.Event()
            with trio.move_on_after(self.section.timeout_s):
                try:
                    self._note(*await connection.list_tools(MAX_TOOLS))
                except (ServerRefused, BadServer) as error:
                    _log.warning("MCP server %s does not list its changed tools: %s", self.name, error)
                except ServerConnectionLost:
                    return
            await trio.sleep(pause_s)

    def _note(self, listed: list[Any], in_all: int) -> None:
        self.listed, self.listed_in_all = tuple(listed), in_all
        self.problem = ""
        self._on_listed()

    def _cwd(self) -> Path:
        return Path(self.section.cwd or self._environ.get("HOME") or "/")

    def _environment(self) -> dict[str, str]:
        """The small environment and what the user gives it; `$NAME` stands for the daemon's variable."""
        made = small_environment(self._environ)
        for name, value in self.section.env.items():
            ours = named_variable(value)
            if ours is None:
                made[name] = value
            elif ours in self._environ:
                made[name] = self._environ[ours]
            else:
                raise CannotStart(f"cannot be started: the daemon has no variable {ours}")
        return made


def _leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
