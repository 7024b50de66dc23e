"""Signals around the event loop, which hears them only while it listens for them."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final

# Ctrl-C is trio's own business.
_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def patient_end(is_ending: Callable[[], bool]) -> Iterator[None]:
    """Within the block a signal that ends a process does so, except when the process `is_ending` already.

    A second SIGTERM would otherwise kill the daemon while it closes its database: a receiver of trio's that ends
    hands what it has not told yet to whoever handled signals before.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        if not is_ending():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    before = {number: signal.signal(number, handle) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
