"""A running turn as the rest of the daemon sees it: a numbered log of events that any number can watch.

The turn writes, watchers read at their own pace. The connection that started the turn is its owner: when the
owner lags too far behind, the turn stands still, and with it the model worker (nothing is dropped, nothing
piles up). Other watchers never hold the turn back; they read the log again later.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from json.encoder import encode_basestring
from typing import Final

import trio

from agentgw.protocol.errors import RpcError
from agentgw.protocol.events import TurnDelta, TurnEvent, TurnNotice, TurnSources
from agentgw.protocol.results import TurnResult
from agentgw.protocol.schema import dump
from agentgw.protocol.types import Chunk, SessionId, ToolCall, TurnId, Usage
from agentgw.transport.framing import encode
from agentgw_daemon.observability.log import log_unexpected
from agentgw_daemon.system.ids import now

log = logging.getLogger(__name__)

# Events the owner may be behind. A token is some 150 bytes on the wire, so this is about 150 kB.
_OWNER_LAG: Final = 1024


class TurnLog:
    """The log and the outcome of one turn.

    Exactly one task appends. `outcome` is set once, after the last event. `events`: what an earlier daemon sent.
    """

    def __init__(
        self,
        *,
        turn_id: TurnId,
        session_id: SessionId,
        skill: str,
        model: str,
        stored: bool,
        detached: bool,
        parent: TurnLog | None = None,
        tainted: bool = False,
        events: Sequence[TurnEvent] = (),
    ) -> None:
        self.turn_id = turn_id
        self.session_id = session_id
        self.skill = skill
        self.model = model
        self.stored = stored
        self.detached = detached
        self.created_at = now()
        self.scope = trio.CancelScope()
        self.events = list(events)
        self.outcome: TurnResult | RpcError | None = None
        self.tool_calls: tuple[ToolCall, ...] = ()
        # The sources of the answer, as watchers were told them.
        self.sources = [chunk for event in events if isinstance(event, TurnSources) for chunk in event.chunks]
        self.suspended = False
        # An earlier daemon began it.
        self.resumed = False
        # The turn that waits for this one's answer, and how many turns up the first one is.
        self.parent = parent
        self.depth: int = 0 if parent is None else parent.depth + 1
        # Untrusted text has come into it.
        self.tainted = tainted
        # The usage of the turn, once it has ended; the usage of the turns that it delegated to.
        self.usage = Usage()
        self.delegated = Usage()
        # After a restart: who answers calls that it waits for, a running turn or the id of one that has ended.
        self.answers: dict[str, TurnLog | str] = {}
        # The way to tell its watchers something; while it runs, nothing twice, and what is asked is stored.
        self.emit: Callable[..., Awaitable[None]] = self.append
        self._owner_seen = 0
        self._owned = False
        self._changed = trio.lowlevel.ParkingLot()
        self._owner_moved = trio.lowlevel.ParkingLot()

    @property
    def last_seq(self) -> int:
        """Number of the newest event; they count from 1 without holes."""
        return len(self.events)

    async def append(self, *events: TurnEvent) -> None:
        """Add events, then wait while the owner is too far behind."""
        self.events.extend(events)
        self._changed.unpark_all()
        while self._owned and self.last_seq - self._owner_seen > _OWNER_LAG:
            await self._owner_moved.park()

    async def cite(self, chunks: Sequence[Chunk]) -> tuple[int, ...]:
        """Put pieces of documents among the sources, and tell watchers of new ones; their numbers there, from 1."""
        known = {_place(chunk): number for number, chunk in enumerate(self.sources, 1)}
        new: list[Chunk] = []
        for chunk in chunks:
            if known.setdefault(_place(chunk), len(known) + 1) > len(self.sources) + len(new):
                new.append(chunk)
        if new:
            self.sources += new
            await self.emit(TurnSources(chunks=tuple(new)))
        return tuple(known[_place(chunk)] for chunk in chunks)

    async def announce(self, event: TurnEvent) -> None:
        """Tell the watchers of this turn, and of every one that waits for it."""
        turn: TurnLog | None = self
        while turn is not None:
            await turn.emit(event)
            turn = turn.parent

    def append_nowait(self, *events: TurnEvent) -> None:
        """Add the last events of a turn that ends, whoever is behind."""
        self.events.extend(events)
        self._changed.unpark_all()

    def end(self, outcome: TurnResult | RpcError) -> None:
        """Set the outcome; watchers finish once they have read all."""
        self.outcome = outcome
        self._changed.unpark_all()

    def cancel(self) -> None:
        """End the turn as cancelled; what it said so far is kept."""
        self.scope.cancel()

    def suspend(self) -> None:
        """Leave the turn where it is, for another daemon to take up. It must be waiting for an answer."""
        self.suspended = True
        self.scope.cancel()

    def own(self) -> None:
        """Bind the turn to a connection: to its pace, and to its life unless detached."""
        self._owned = not self.detached

    def disown(self) -> None:
        """The owner is gone: an attended turn is cancelled, a detached one goes on alone."""
        self._owned = False
        self._owner_moved.unpark_all()
        if not self.detached and self.outcome is None:
            self.cancel()

    async def wait_longer_than(self, count: int) -> None:
        """Returns when there are more than `count` events."""
        while self.last_seq <= count:
            await self._changed.park()

    async def wait_outcome(self) -> TurnResult | RpcError:
        """Returns what the turn ended with."""
        while self.outcome is None:
            await self._changed.park()
        return self.outcome

    async def watch(self, from_seq: int = 1, *, owner: bool = False) -> AsyncIterator[bytes]:
        """Frames of the events from `from_seq` on, as many as there are at once, until the turn has ended.

        A batch is bounded, so that one write never holds all of a long replay.
        """
        seq = from_seq
        while batch := await self.next_events(seq):
            yield self._frames(seq, batch)
            seq += len(batch)
            if owner:
                self._owner_seen = seq - 1
                self._owner_moved.unpark_all()

    async def next_events(self, seq: int) -> list[TurnEvent]:
        """The events from `seq` on, as many as there are up to a bound, at least one; none once the turn has ended."""
        while seq > self.last_seq:
            if self.outcome is not None:
                return []
            await self._changed.park()
        return self.events[seq - 1 : seq - 1 + _OWNER_LAG]

    def _frames(self, seq: int, events: list[TurnEvent]) -> bytes:
        ids = f'"turn_id":"{self.turn_id}","session_id":"{self.session_id}","seq":'
        return b"".join(frame(ids, seq + i, event) for i, event in enumerate(events))


def frame(ids: str, seq: int, event: TurnEvent) -> bytes:
    """One `turn.*` notification. Deltas are written by hand: they are 20,000 a second, the rest a handful."""
    if isinstance(event, TurnDelta):
        text = encode_basestring(event.text)
        made = (
            f'{{"jsonrpc":"2.0","method":"turn.delta","params":{{{ids}{seq},'
            f'"text":{text},"channel":"{event.channel}"}}}}\n'
        )
        return made.encode("utf-8", "replace")
    try:
        return frame_of(ids, seq, event.method, dump(event))
    except (ValueError, TypeError, RecursionError) as error:
        log_unexpected(log, error, f"encoding {event.method}")
        shown = TurnNotice(code="unreadable", text=f"{event.method} cannot be shown")
        return frame_of(ids, seq, shown.method, dump(shown))


def frame_of(ids: str, seq: int, method: str, params: dict[str, object]) -> bytes:
    """One `turn.*` notification from its parts, as the stored log has them."""
    body = encode(params)[1:-2].decode("utf-8")
    separator = "," if body else ""
    return f'{{"jsonrpc":"2.0","method":"{method}","params":{{{ids}{seq}{separator}{body}}}}}\n'.encode()


def _place(chunk: Chunk) -> tuple[str, tuple[int, ...], str]:
    return chunk.document_id, chunk.lines, chunk.text
