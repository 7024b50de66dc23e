"""Traces of a turn's calls: rows in the database, and whether untrusted text came in with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from agentgw.protocol.types import ToolCall
from agentgw_daemon.tools.tool import ToolResult

if TYPE_CHECKING:
    from agentgw_daemon.storage.database import Database


class CallJournal:
    """See `tool_runner.Journal`. `database` None keeps the calls in memory only; `past`: those of an earlier daemon."""

    def __init__(
        self, turn_id: str, database: Database | None, *, tainted: bool, past: Iterable[ToolCall] = ()
    ) -> None:
        self._turn_id: Final = turn_id
        self._database: Final = database
        self._calls: Final = {call.call_id: call for call in past}
        self.tainted = tainted

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The calls that were made, in order."""
        return tuple(self._calls.values())

    def ended(self, call_id: str) -> ToolCall | None:
        """See Journal."""
        call = self._calls.get(call_id)
        return call if call is not None and call.ok is not None else None

    async def begin(self, call_id: str, tool: str, arguments: Mapping[str, Any]) -> None:
        """See Journal."""
        self._calls[call_id] = ToolCall(call_id=call_id, tool=tool, arguments=dict(arguments))
        if self._database is not None:
            await self._database.calls.begin(self._turn_id, self._calls[call_id])

    async def end(self, call_id: str, result: ToolResult) -> None:
        """See Journal."""
        begun = self._calls[call_id]
        self._calls[call_id] = ToolCall(
            call_id=call_id, tool=begun.tool, arguments=begun.arguments, ok=result.ok, content=result.content
        )
        self.tainted = self.tainted or result.untrusted
        if self._database is not None:
            await self._database.calls.end(self._turn_id, self._calls[call_id], untrusted=result.untrusted)
