"""The name of http.sock in the file system: published, looked at, taken away.

Blocks for moments. The holder of the daemon's lock alone publishes; what somebody else put there is left to them.
"""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING

from agentgw.local.sockets import bind_socket
from agentgw_daemon.lifecycle.socket_name import identify

if TYPE_CHECKING:
    from agentgw.local.paths import Paths

log = logging.getLogger(__name__)


class HttpName:
    """The path, and which socket of that name is ours."""

    def __init__(self, paths: Paths) -> None:
        self.path = paths.http_socket
        self._paths = paths
        self._ours: tuple[int, int] | None = None

    def publish(self) -> socket.socket:
        """A new listening socket under the name. Raises LocalError."""
        listener = bind_socket(self._paths, self.path)
        self._ours = identify(self.path)
        return listener

    @property
    def is_missing(self) -> bool:
        """Tells whether nothing is there any more; costs one stat."""
        return not os.path.lexists(self.path)

    def remove(self) -> None:
        """Take the name away, unless it leads to another socket by now."""
        if self._ours is not None and identify(self.path) == self._ours:
            try:
                os.unlink(self.path)
            except OSError as error:
                log.debug("cannot remove %s: %s", self.path, error.strerror)
