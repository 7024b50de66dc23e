"""Record of requests and how they went: a line in the log, and counts for `/metrics`. Never what was said.

A line has `name=value` pairs. The route is that of the table, not the path: paths and queries hold people's words.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections import Counter
from typing import Final

log = logging.getLogger(__name__)

# Asked for every few seconds by whoever watches over the daemon.
_QUIET: Final = frozenset({"/health", "/metrics"})
_WELL: Final = (200, 204)
# A request's method is a word of the client's.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"})
# From the time of a lookup to that of a long answer.
BUCKETS_S: Final = (0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0)


class AccessLog:
    """The lines and the counts of one gateway."""

    def __init__(self) -> None:
        self.answered: Counter[tuple[str, str, int]] = Counter()
        # Requests by the first bucket that their time fits in; the last one takes the rest.
        self.buckets = [0] * (len(BUCKETS_S) + 1)
        self.seconds = 0.0

    def note(
        self, *, door: str, method: str, route: str, status: int, sent_bytes: int, took_s: float, quiet: bool = False
    ) -> None:
        """Log one request. Status 0: its client left before it was answered.

        `quiet`: no line as long as it goes well, as pages that are open ask for their pieces every few seconds.
        """
        method = method if method in _METHODS else "-"
        self.answered[method, route, status] += 1
        self.buckets[bisect_left(BUCKETS_S, took_s)] += 1
        self.seconds += took_s
        level = logging.DEBUG if (quiet or route in _QUIET) and status in _WELL else logging.INFO
        log.log(
            level, "door=%s method=%s route=%s status=%d bytes=%d ms=%.1f",
            door, method, route, status, sent_bytes, took_s * 1000,
        )  # fmt: skip
