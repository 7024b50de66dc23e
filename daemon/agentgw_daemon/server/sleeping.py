"""Sleep of the machine as the daemon takes it: models stand still, what they said is stored, no job starts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

import trio

from agentgw_daemon.observability.supervision import contained, supervised

if TYPE_CHECKING:
    from agentgw_daemon.events.turn_state import TurnState

log = logging.getLogger(__name__)

# The sleep waits for it.
GET_READY_S: Final = 2.0


class Pausable(Protocol):
    """The models, as a sleep sees them; `inference.pool.Pool`."""

    async def pause(self) -> None:
        """Have all models stand still; bounded."""

    def resume(self) -> None:
        """Let all models go on."""


class Sleeping:
    """Pauses running turns and lets them go on. `hold` keeps jobs from starting, and no more."""

    def __init__(
        self, models: Pausable, running: Callable[[], Sequence[TurnState]], hold: Callable[[bool], object]
    ) -> None:
        self._models = models
        self._running = running
        self._hold = hold

    async def get_ready(self) -> None:
        """Start no job, compute no token more, store what was said. Takes GET_READY_S at most."""
        began = trio.current_time()
        with contained("holding jobs"):
            self._hold(True)
        with trio.move_on_after(GET_READY_S) as patience:
            await supervised("having models stand still", self._models.pause)
            for turn in self._running():
                await supervised(f"storing turn {turn.turn_id}", turn.store)
        late = ", not all of it in time" if patience.cancelled_caught else ""
        took_ms = (trio.current_time() - began) * 1000
        log.info("the machine goes to sleep; turns paused in %.0f ms: %d%s", took_ms, len(self._running()), late)

    def go_on(self) -> None:
        """Let models and jobs go on; does nothing where nothing was paused."""
        with contained("waking models"):
            self._models.resume()
        with contained("letting jobs start"):
            self._hold(False)
