"""The listening sockets of a launchd agent. Written from Apple's documentation; not run on a Mac.

launchd keeps them until the process asks for them by name, once.
"""

from __future__ import annotations

import ctypes
import errno
from typing import Final

from agentgw.protocol.errors import ConfigRefused

# Its key below `Sockets` in the agent's property list.
SOCKET: Final = "rpc"
# Not started by launchd, or by an agent without a socket of that name.
_NOT_OURS: Final = (errno.ESRCH, errno.ENOENT)


def activated_sockets(name: str = SOCKET, *, library: ctypes.CDLL | None = None) -> tuple[int, ...]:
    """Descriptors that launchd holds for this process; none when it did not start it. Raises ConfigRefused."""
    system = library or ctypes.CDLL(None)
    try:
        activate = system.launch_activate_socket
    except AttributeError:
        # Before OS X 10.10.
        return ()
    descriptors = ctypes.POINTER(ctypes.c_int)()
    count = ctypes.c_size_t()
    activate.restype = ctypes.c_int
    activate.argtypes = (
        ctypes.c_char_p, ctypes.POINTER(ctypes.POINTER(ctypes.c_int)), ctypes.POINTER(ctypes.c_size_t)
    )  # fmt: skip
    status = activate(name.encode(), ctypes.byref(descriptors), ctypes.byref(count))
    if status in _NOT_OURS:
        return ()
    if status:
        raise ConfigRefused(
            f"launchd does not give the socket {name}: error {status}", hint="agentgw service install writes its agent"
        )
    try:
        return tuple(descriptors[number] for number in range(count.value))
    finally:
        free = system.free
        free.restype, free.argtypes = None, (ctypes.c_void_p,)
        free(descriptors)
