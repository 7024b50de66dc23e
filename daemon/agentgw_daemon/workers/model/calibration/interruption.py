"""Work that is done for nobody in particular, and ends as soon as somebody says something."""

from __future__ import annotations

import threading

from agentgw_daemon.workers.model.cancellation import Flag


class Interruption:
    """The reader thread tells that something came, at once; the main thread asks, or is stopped within a batch."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._came = False
        self._running: Flag | None = None

    def come(self) -> None:
        """Tells that somebody wants something. Call it after that can be found, so that whoever stops finds it."""
        with self._lock:
            self._came = True
            if self._running is not None:
                self._running.set()

    def forget(self) -> None:
        """Start over: look for what came after this, for it is not told again."""
        with self._lock:
            self._came = False

    @property
    def came(self) -> bool:
        """Tells whether somebody wants something."""
        return self._came

    def begin(self, abort: Flag) -> None:
        """A batch runs that may be stopped, from now to `rest`."""
        with self._lock:
            self._running = abort
            if self._came:
                abort.set()

    def rest(self) -> None:
        """The batch is over."""
        with self._lock:
            if self._running is not None:
                self._running.clear()
                self._running = None
