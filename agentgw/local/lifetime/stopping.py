"""Ends the running daemon and waits until its process is gone: only then is its lock free for the next one."""

from __future__ import annotations

import os
import select
import sys
import time

from agentgw import PROTOCOL, __version__
from agentgw.local.directories import refuse_another_home
from agentgw.protocol.errors import DaemonUnreachable, RpcError, Timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from agentgw.client import Client
    from agentgw.local.paths import Paths

# The daemon gives its turns 20 s to end.
STOP_TIMEOUT_S: Final = 30.0


def stop_daemon(client: Client, paths: Paths, *, upgrade: bool = False) -> str:
    """Ends the daemon at the other end; gives the reason when it goes on instead, which only an upgrade allows.

    Raises DaemonUnreachable when it does not end in time, DirectoryRefused when it is the daemon of another home than
    that of `paths`, unless these name its socket themselves.
    """
    client.limit(STOP_TIMEOUT_S)
    try:
        pid = _pid_of(client)
        if not paths.other_socket and not paths.other_url:
            refuse_another_home(client, paths)
        process = _Process(pid)
        result = client.call("daemon.shutdown", upgrade=upgrade or None)
        if not result.get("stopping"):
            client.limit(None)
            return str(result.get("reason") or "it is busy")
        client.wait_closed()
        process.wait_gone(STOP_TIMEOUT_S)
    except Timeout:
        raise DaemonUnreachable(
            f"the daemon did not end within {STOP_TIMEOUT_S:g} seconds", hint="see agentgw logs"
        ) from None
    return ""


def _pid_of(client: Client) -> int:
    """The daemon's pid, or 0 when its version is too far from ours to say it."""
    if not client.daemon:
        try:
            client.daemon = client.call("hello", client="agentgw", version=__version__, protocol=PROTOCOL)
        except RpcError:
            return 0
    pid = client.daemon.get("pid")
    return pid if isinstance(pid, int) else 0


class _Process:
    """A process held on to while it certainly is the one meant, so that a reused pid cannot be mistaken for it."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._descriptor = -1
        if pid and sys.platform == "linux":
            try:
                self._descriptor = os.pidfd_open(pid)
            except OSError:
                self._pid = 0

    def wait_gone(self, timeout_s: float) -> None:
        """Returns when it has ended, at once when nothing is known of it. Raises Timeout."""
        if self._descriptor >= 0:
            gone = bool(select.select([self._descriptor], [], [], timeout_s)[0])
            os.close(self._descriptor)
        else:
            deadline = time.monotonic() + timeout_s
            while not (gone := not self._pid or _is_gone(self._pid)) and time.monotonic() < deadline:
                time.sleep(0.01)
        if not gone:
            raise Timeout("the process goes on", timeout_s=timeout_s)


def _is_gone(pid: int) -> bool:
    try:
        # Ours to reap when this process started it.
        if os.waitpid(pid, os.WNOHANG)[0]:
            return True
    except ChildProcessError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
