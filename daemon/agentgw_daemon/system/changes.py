"""Times of files as marks by which a change is seen."""

from __future__ import annotations

from typing import Final

# The kernel's clock ticks every few milliseconds, and the times of a file on another machine may lag behind.
RACY_NS: Final = 50_000_000


def would_show(mtime_ns: int, looked_at_ns: int) -> bool:
    """Tells whether a change after a look at a file or folder would give it another time than it had then.

    It may not where the last one before the look was of the same tick.
    """
    return abs(looked_at_ns - mtime_ns) > RACY_NS
