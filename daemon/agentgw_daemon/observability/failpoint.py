"""Named points at which a test can make the process die, stall or fail.

`AGENTGW_FAIL=name:probability:action[,…]` arms them; main reads the variable once and hands it to `arm`.
Unarmed, a point costs one look into an empty dict. Actions: `kill` ends the process as kill -9 does, `enospc` fails
as a full disk does, `sleep` stalls the calling thread for a moment, `hang` for good, `raise` fails with
FailpointReached.
"""

from __future__ import annotations

import errno
import os
import random
import signal
import threading
import time
from typing import Final, Literal, get_args

from agentgw.protocol.records.schema import record

FaultAction = Literal["kill", "enospc", "sleep", "hang", "raise"]

_ACTIONS: Final[tuple[FaultAction, ...]] = get_args(FaultAction)
SLEEP_S: Final = 0.5  # longer than any healthy commit, short enough for a test


class FailpointReached(Exception):
    """An armed point with the action `raise` was reached."""


@record
class _Armed:
    probability: float
    action: FaultAction


_armed: dict[str, _Armed] = {}


def arm(text: str) -> None:
    """Arm the points that `text` names, and only those; empty text disarms all. Raises ValueError for bad text."""
    made: dict[str, _Armed] = {}
    for part in filter(None, text.split(",")):
        name, _, rest = part.partition(":")
        probability, _, action = rest.partition(":")
        known = next((known for known in _ACTIONS if known == action), None)
        if not name or known is None:
            raise ValueError(f"AGENTGW_FAIL: {part!r} is not name:probability:action")
        made[name] = _Armed(probability=float(probability), action=known)
    _armed.clear()
    _armed.update(made)


def failpoint(name: str) -> None:
    """Do what is armed under this name, with its probability."""
    point = _armed.get(name)
    if point is not None and random.random() < point.probability:
        _act(name, point.action)


def _act(name: str, action: FaultAction) -> None:
    match action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "enospc":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        case "sleep":
            time.sleep(SLEEP_S)
        case "hang":
            threading.Event().wait()
        case "raise":
            raise FailpointReached(name)
