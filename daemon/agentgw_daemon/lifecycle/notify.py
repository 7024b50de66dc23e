"""Messages to the service manager: ready, reloading, stopping, still alive (sd_notify(3)). Standard library only.

systemd gives a datagram socket in NOTIFY_SOCKET; a name that begins with `@` is in the abstract namespace. Nobody
waits for an answer, and a manager that does not listen costs nothing.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import MutableMapping
from typing import Final

_VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_USEC: Final = 1_000_000


class Notifier:
    """The way to the service manager; without one, everything said is dropped."""

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        self._address = address
        # Silence for so long has the manager restart the daemon; None when nobody listens for it.
        self.watchdog_s = watchdog_s

    @classmethod
    def taken_from(cls, environ: MutableMapping[str, str], pid: int) -> Notifier:
        """The notifier of this process; the variables are taken out, so that no child speaks in our name."""
        address, interval, watched = (environ.pop(name, "") for name in _VARIABLES)
        if not address.startswith(("/", "@")):
            return cls()
        meant = watched in ("", str(pid)) and interval.isascii() and interval.isdecimal() and int(interval) > 0
        return cls(address, int(interval) / _USEC if meant else None)

    def ready(self, status: str) -> None:
        """Serving, or serving again after a reload."""
        self._say("READY=1", _status(status))

    def reloading(self) -> None:
        """Reading the configuration again; `ready` ends it."""
        self._say("RELOADING=1", "STATUS=reloading")

    def stopping(self, reason: str, *, within_s: float) -> None:
        """Ending, which may take so long."""
        self._say("STOPPING=1", _status(f"stopping: {reason}"), f"EXTEND_TIMEOUT_USEC={int(within_s * _USEC)}")

    def alive(self) -> None:
        """The watchdog's sign of life."""
        self._say("WATCHDOG=1")

    def _say(self, *lines: str) -> None:
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        # Full, gone or forbidden: the manager draws its own conclusions.
        with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.setblocking(False)
            out.sendto("\n".join(lines).encode("utf-8", "replace"), address)


def _status(text: str) -> str:
    return f"STATUS={' '.join(text.split())}"
