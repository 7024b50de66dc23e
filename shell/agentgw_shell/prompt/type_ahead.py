"""The terminal's mode between two prompts."""

from __future__ import annotations

import sys
import termios
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self


class TypeAhead:
    """Keys between two prompts are kept for whoever reads them, unseen, with Enter still Enter.

    In the terminal's usual mode they would be echoed into the answer, and Enter would arrive as Ctrl-J. A context
    manager for the whole chat: prompt-toolkit comes back to the mode it found, so that there is no gap between.
    Where the terminal edits the lines itself, `kept` is off and it stays in its usual mode.
    """

    def __init__(self, *, kept: bool = True) -> None:
        self._before = termios.tcgetattr(sys.stdin)
        self._kept = kept
        self._on = False

    def __enter__(self) -> Self:
        if not self._kept:
            return self
        self._on = True
        quiet = self._before[:]
        quiet[0] &= ~termios.ICRNL
        quiet[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, quiet)
        return self

    def take_again(self) -> None:
        """Set the mode again after the program was stopped; shells change it meanwhile and leave it so."""
        if self._on:
            self.__enter__()

    def __exit__(self, *_: object) -> None:
        self._on = False
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """A context with the terminal's usual mode, for a question that is answered with a line."""
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()
