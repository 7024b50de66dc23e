"""The listening socket that somebody else made: systemd, launchd, or the client that started this daemon.

systemd's protocol (sd_listen_fds(3)): descriptor 3, LISTEN_FDS at least 1, LISTEN_PID our pid. A client cannot
know the pid before the daemon runs, so it says AGENTGW_SPAWNED=1 and leaves LISTEN_PID out.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
from collections.abc import MutableMapping
from typing import Final, Literal

from agentgw.protocol.errors import ConfigRefused
from agentgw_daemon.lifecycle import launchd

LISTEN_FD: Final = 3
_VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "AGENTGW_SPAWNED")

Giver = Literal["nobody", "client", "service"]
"""Who handed us descriptor 3."""


def giver_of(environ: MutableMapping[str, str], pid: int) -> Giver:
    """The program that started us; takes the variables out, so that no child believes they are meant for it."""
    asked, count, _, spawned = (environ.pop(name, "") for name in _VARIABLES)
    if asked:
        # Somebody else's variables, inherited through a process that did not clear them, count for nothing.
        return "service" if asked == str(pid) and count.isdecimal() and int(count) >= 1 else "nobody"
    return "client" if spawned == "1" else "nobody"


def inherited_socket(fd: int = LISTEN_FD) -> socket.socket:
    """Descriptor `fd` as a listening Unix stream socket, closed on exec.

    Raises ConfigRefused when it is anything else: whoever started us meant something different.
    """
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            raise _refused(fd, "is not a socket")
        os.set_inheritable(fd, False)
        made = socket.socket(fileno=fd)
    except OSError as error:
        raise _refused(fd, f"cannot be used: {error.strerror}") from None
    if made.family != socket.AF_UNIX or made.type != socket.SOCK_STREAM:
        problem = "is not a Unix stream socket"
    elif not made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        problem = "does not listen"
    else:
        return made
    made.detach()
    raise _refused(fd, problem)


def launchd_socket() -> socket.socket | None:
    """The listening socket that launchd holds for this process, or None. Raises ConfigRefused."""
    descriptors = launchd.activated_sockets() if sys.platform == "darwin" else ()
    for extra in descriptors[1:]:
        os.close(extra)
    return inherited_socket(descriptors[0]) if descriptors else None


def close_inherited(first: int = LISTEN_FD + 1) -> None:
    """Close every descriptor from `first` on: whatever leaked into us is not ours to keep open."""
    for name in os.listdir("/dev/fd"):
        # The listing's own descriptor is in the list, and gone already.
        if int(name) >= first:
            try:
                os.close(int(name))
            except OSError:
                continue


def _refused(fd: int, problem: str) -> ConfigRefused:
    return ConfigRefused(
        f"--activated: descriptor {fd} {problem}", hint="start the daemon with agentgw start, or fix its .socket unit"
    )
