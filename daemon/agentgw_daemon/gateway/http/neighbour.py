"""Owner of a connection from this very machine, as Linux tells it in /proc/net.

Cookies know no ports, so the page of another user's program on this machine is sent ours, and whoever may list
processes reads a code in a browser's command line. Neither is of use from a connection of somebody else's.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import trio

_TABLES: Final = {socket.AF_INET: Path("/proc/net/tcp"), socket.AF_INET6: Path("/proc/net/tcp6")}
# Columns of the tables: their own address, that of the other side, and the owner's user id.
_LOCAL, _REMOTE, _UID = 1, 2, 7


def is_strangers(client: trio.socket.SocketType) -> bool:
    """Tells whether another user of this machine holds the other end. False where nobody can tell."""
    table = _TABLES.get(client.family)
    if table is None:
        return False
    try:
        theirs, ours = client.getpeername()[:2], client.getsockname()[:2]
        if not ip_address(theirs[0]).is_loopback:
            return False
        with table.open(encoding="ascii") as lines:
            uid = owner_of(lines, _shown(theirs, client.family), _shown(ours, client.family))
    except (OSError, ValueError):
        return False
    return uid is not None and uid not in (os.geteuid(), 0)


def owner_of(lines: Iterable[str], local: str, remote: str) -> int | None:
    """The user id of the socket with these two addresses."""
    for line in lines:
        fields = line.split()
        if len(fields) > _UID and fields[_LOCAL] == local and fields[_REMOTE] == remote:
            return int(fields[_UID])
    return None


def _shown(address: tuple[str, int], family: int) -> str:
    """An address as the tables have it: words of four bytes in this machine's order, then the port."""
    packed = socket.inet_pton(family, address[0])
    words = (int.from_bytes(packed[i : i + 4], sys.byteorder) for i in range(0, len(packed), 4))
    return f"{''.join(f'{word:08X}' for word in words)}:{address[1]:04X}"
