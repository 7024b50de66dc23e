"""Turns that a page begins: they belong to the daemon, not to the connection, so a page that is reloaded loses none.

They are no detached ones: the user sits in front of them, so they compute before what runs in the background.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from agentgw.protocol.errors import RpcError
from agentgw_daemon.observability.supervision import supervised
from agentgw_daemon.server.calls.sinks import NoEvents

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentgw.protocol.calls.turns import TurnStartParams
    from agentgw.protocol.events import TurnEvent
    from agentgw_daemon.events.stored_event import StoredEvent
    from agentgw_daemon.gateway.routing.exchange import Exchange


class Begun(NoEvents):
    """The ids of a turn, from its first event; what it says afterwards is for others to watch."""

    def __init__(self) -> None:
        self.turn_id = ""
        self.session_id = ""
        self.error: RpcError | None = None
        self._settled = trio.Event()

    async def wait(self) -> None:
        """Returns when it has begun, or has failed to. Raises RpcError."""
        await self._settled.wait()
        if self.error is not None:
            raise self.error

    def settle(self, error: RpcError | None = None) -> None:
        """End the wait: the turn has begun, or it will not. An error after its beginning is in its log."""
        if not self.turn_id:
            self.error = error
        self._settled.set()

    async def show(self, turn_id: str, session_id: str, seq: int, events: Sequence[TurnEvent]) -> None:
        """See EventSink."""
        self._note(turn_id, session_id)
        await super().show(turn_id, session_id, seq, events)

    async def show_stored(self, turn_id: str, session_id: str, events: Iterable[StoredEvent]) -> None:
        """See EventSink."""
        self._note(turn_id, session_id)
        await super().show_stored(turn_id, session_id, events)

    def _note(self, turn_id: str, session_id: str) -> None:
        self.turn_id, self.session_id = turn_id, session_id
        self._settled.set()


async def begin_turn(exchange: Exchange, params: TurnStartParams) -> Begun:
    """Start a turn that goes on whatever becomes of this request. Returns when it has begun. Raises RpcError."""
    begun = Begun()
    exchange.gateway.nursery.start_soon(supervised, "answering a page", _answer, exchange, params, begun)
    await exchange.connection.while_connected(begun.wait)
    return begun


async def _answer(exchange: Exchange, params: TurnStartParams, begun: Begun) -> None:
    try:
        result = await exchange.call_into("turn.start", params, begun)
        # Its events are all told, or it was answered before under its key.
        begun.turn_id, begun.session_id = result.turn_id, result.session_id
        begun.settle()
    except RpcError as error:
        begun.settle(error)
    finally:
        if not begun.turn_id and begun.error is None:
            begun.settle(RpcError("the turn could not be begun", hint="`agentgw logs` says why"))
