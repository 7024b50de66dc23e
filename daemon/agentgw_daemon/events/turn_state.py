"""State of a running turn as the rest of the daemon sees it: whose it is, what came of it, and its log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import trio

from agentgw.protocol.calls.turns import TurnResult
from agentgw.protocol.errors import RpcError
from agentgw.protocol.events import TurnEvent, TurnSources, TurnSteered
from agentgw.protocol.types import Chunk, SessionId, ToolCall, TurnId, Usage
from agentgw_daemon.events.steering import Steering
from agentgw_daemon.events.turn_log import TurnLog
from agentgw_daemon.system.ids import now


class TurnState:
    """One turn from its start to its outcome, which is set once, after the last event of its `log`.

    `log`: with what an earlier daemon sent, which had begun the turn where it is `resumed`. The turn ends when it has
    run for `timeout_s`, of which `spent_s` are over already; None is no limit. `emit` and `store` are the recorder's;
    a turn that is only shown has none, tells its own log alone and stores nothing.
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
        log: TurnLog | None = None,
        emit: Callable[..., Awaitable[None]] | None = None,
        store: Callable[[], Awaitable[None]] | None = None,
        parent: TurnState | None = None,
        tainted: bool = False,
        resumed: bool = False,
        timeout_s: float | None = None,
        spent_s: float = 0.0,
        steering: Steering | None = None,
        delegated: Usage | None = None,
        answers: Mapping[str, str] | None = None,
    ) -> None:
        self.turn_id = turn_id
        self.session_id = session_id
        self.skill = skill
        self.model = model
        self.stored = stored
        self.detached = detached
        self.created_at = now()
        self.scope = trio.CancelScope()
        self.log = TurnLog() if log is None else log
        self.outcome: TurnResult | RpcError | None = None
        self.tool_calls: tuple[ToolCall, ...] = ()
        # The sources of the answer, as watchers were told them.
        self.sources = [chunk for event in self.log.events if isinstance(event, TurnSources) for chunk in event.chunks]
        self.suspended = False
        self._cancelled = False
        # An earlier daemon began it.
        self.resumed = resumed
        # The turn that waits for this one's answer, and how many turns up the first one is.
        self.parent = parent
        self.depth: int = 0 if parent is None else parent.depth + 1
        # Untrusted text has come into it.
        self.tainted = tainted
        # The usage of the turn, once it has ended; the usage of the turns that it delegated to.
        self.usage = Usage()
        self.delegated = Usage() if delegated is None else delegated
        # After a restart: who answers calls that it waits for, a running turn or the id of one that has ended.
        self.answers: dict[str, TurnState | str] = {} if answers is None else dict(answers)
        # The way to tell its watchers something; a recorder's tells nothing twice, and stores what is asked.
        self.emit: Final = self.log.append if emit is None else emit
        # The way to have what was said so far stored, where anything is.
        self.store: Final = trio.lowlevel.checkpoint if store is None else store
        self.steering: Final = Steering() if steering is None else steering
        self._ended = trio.Event()
        self.limit(timeout_s, spent_s)

    async def cite(self, chunks: Sequence[Chunk]) -> tuple[int, ...]:
        """Put chunks among the sources and tell watchers of new ones; gives their numbers there, from 1."""
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
        turn: TurnState | None = self
        while turn is not None:
            await turn.emit(event)
            turn = turn.parent

    def steer(self, text: str) -> None:
        """Add to the user's message; the model is shown it before its next step. `steering` must be open."""
        self.steering.add(text)
        self.log.append_nowait(TurnSteered(text=text))

    def end(self, outcome: TurnResult | RpcError) -> None:
        """Set the outcome; watchers finish once they have read all."""
        self.outcome = outcome
        self.log.close()
        self._ended.set()

    def limit(self, timeout_s: float | None, spent_s: float = 0.0) -> None:
        """End the turn when it has run for so long, of which some is over already; None is no limit."""
        self.timeout_s = timeout_s
        if timeout_s is not None:
            self.scope.deadline = trio.current_time() + timeout_s - spent_s

    @property
    def has_timed_out(self) -> bool:
        """True when the limit ended it, and nobody before that."""
        return self.timeout_s is not None and not self._cancelled and trio.current_time() >= self.scope.deadline

    def cancel(self) -> None:
        """End the turn as cancelled; what it said so far is kept."""
        # The scope does not tell by what it was cancelled.
        self._cancelled = not self.has_timed_out
        self.scope.cancel()

    def suspend(self) -> None:
        """Leave the turn where it is, for another daemon to take up. It must be waiting for an answer."""
        self.suspended = True
        self.scope.cancel()

    def own(self) -> None:
        """Bind the turn to a connection: to its pace, and to its life unless detached."""
        if not self.detached:
            self.log.own()

    def disown(self) -> None:
        """The owner is gone: an attended turn is cancelled, a detached one goes on alone."""
        self.log.disown()
        if not self.detached and self.outcome is None:
            self.cancel()

    async def wait_outcome(self) -> TurnResult | RpcError:
        """Returns what the turn ended with."""
        if self.outcome is None:
            await self._ended.wait()
        assert self.outcome is not None, "set before the event is"
        return self.outcome


def _place(chunk: Chunk) -> tuple[str, tuple[int, ...], str]:
    return chunk.document_id, chunk.lines, chunk.text
