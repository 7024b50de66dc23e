"""Words that the user adds while a turn runs. They reach the model before its next step. Does no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

# Between two steps nobody says more; a client that does is at fault.
MOST_WAITING: Final = 16


class Steering:
    """The words that wait for the turn's next step. Nothing is taken once the turn has no next step."""

    def __init__(self, waiting: Iterable[str] = ()) -> None:
        self._waiting = list(waiting)
        self._open = True

    @property
    def is_open(self) -> bool:
        """True while words still reach the model."""
        return self._open

    @property
    def is_full(self) -> bool:
        """True when as many words wait as may."""
        return len(self._waiting) >= MOST_WAITING

    def add(self, text: str) -> None:
        """Add words for the next step. It must be open."""
        assert self._open
        self._waiting.append(text)

    def after_step(self, number: int, *, last: bool) -> tuple[str, ...]:
        """The words for the step after this one. After the last step, which ends the turn when there are none, no
        more are taken.
        """
        del number
        waiting, self._waiting = tuple(self._waiting), []
        if last and not waiting:
            self._open = False
        return waiting

    def close(self) -> None:
        """The turn has no next step."""
        self._open = False


class RecordedSteering:
    """The words of a turn that is run again, by the steps after which they came."""

    def __init__(self, steered: Iterable[tuple[str, ...]]) -> None:
        self._steered: Final = tuple(steered)

    def after_step(self, number: int, *, last: bool) -> tuple[str, ...]:
        """See Steering."""
        del last
        return self._steered[number - 1] if number <= len(self._steered) else ()
