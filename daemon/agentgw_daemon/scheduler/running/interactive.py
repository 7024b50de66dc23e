"""Notes when somebody last used the daemon, by its turns that are not detached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from agentgw.protocol.events import DaemonEvent
    from agentgw.protocol.types import Topic
    from agentgw_daemon.events.hub import EventHub
    from agentgw_daemon.events.turn_state import TurnState

# A person who reads an answer is not away.
IDLE_S: Final = 300.0


class InteractiveUse:
    """Follows turns through the hub; `find` gives a running turn by its id."""

    def __init__(self, find: Callable[[str], TurnState | None]) -> None:
        self._find = find
        self._going: set[str] = set()
        self._last_s: float | None = None

    @property
    def is_idle(self) -> bool:
        """Tells whether nobody has used the daemon for a while."""
        if self._going:
            return False
        return self._last_s is None or trio.current_time() - self._last_s >= IDLE_S

    @contextmanager
    def following(self, hub: EventHub) -> Iterator[None]:
        """Follow the hub while the context is open."""
        topics: tuple[Topic, ...] = ("turns",)
        with hub.subscribed(topics, self._heed):
            yield

    def _heed(self, event: DaemonEvent) -> None:
        turn_id = str(event.data.get("turn_id", ""))
        if event.name == "started":
            turn = self._find(turn_id)
            if turn is not None and not turn.detached:
                self._going.add(turn_id)
        elif turn_id in self._going:
            self._going.discard(turn_id)
            self._last_s = trio.current_time()
