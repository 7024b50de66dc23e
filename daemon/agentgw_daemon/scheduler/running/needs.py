"""Looks at what jobs may need: a network, one that is not metered, mains power, a computer that nobody uses.

Each look has a time limit. What cannot be found out counts as there, with a line in the log the first time: a job that
never runs because a file of the system is missing would help nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final

import trio

from agentgw_daemon.observability.supervision import supervised
from agentgw_daemon.scheduler.job import NEEDS, Need

log = logging.getLogger(__name__)

LOOK_S: Final = 3.0
# linux/route.h
_RTF_UP: Final = 1
_RTF_REJECT: Final = 0x200
_MAINS: Final = frozenset({"Mains", "USB", "USB_C", "USB_PD", "Wireless"})
_MOST_BYTES: Final = 1 << 16

Look = Callable[[], Awaitable[bool | None]]
"""Tells whether something is there; None where that cannot be found out."""


class Surroundings:
    """Looks at the machine through the looks it is handed, one a need."""

    def __init__(self, looks: dict[Need, Look]) -> None:
        self._looks = looks
        self._told: set[Need] = set()

    async def met(self, asked: Iterable[Need]) -> frozenset[Need]:
        """The needs that are met, of those asked for; what is not asked for is not looked at and counts as there."""
        found = set(NEEDS)

        async def look_at(need: Need) -> None:
            answer: bool | None = None
            with trio.move_on_after(LOOK_S):
                answer = await self._looks[need]()
            if answer is None and need not in self._told:
                self._told.add(need)
                log.warning("it cannot be found out here whether there is what jobs need: %s; taken as there", need)
            if answer is False:
                found.discard(need)

        async with trio.open_nursery() as nursery:
            for need in frozenset(asked) & self._looks.keys():
                nursery.start_soon(supervised, f"looking for {need}", look_at, need)
        return frozenset(found)


def file_looks(proc: Path = Path("/proc"), sys: Path = Path("/sys")) -> dict[Need, Look]:
    """Looks at a network and at mains power, by files of the system."""
    return {
        "network": partial(_in_thread, has_network, proc / "net"),
        "ac": partial(_in_thread, is_on_mains, sys / "class" / "power_supply"),
    }


async def _in_thread(look: Callable[[Path], bool | None], where: Path) -> bool | None:
    # Abandoned when a driver hangs: the daemon goes on without the answer.
    return await trio.to_thread.run_sync(look, where, abandon_on_cancel=True)


def has_network(net: Path) -> bool | None:
    """Tells whether there is a route to everywhere, by the kernel's tables in this folder."""
    v4, v6 = _lines(net / "route"), _lines(net / "ipv6_route")
    if v4 is None and v6 is None:
        return None
    for fields in v4 or ():
        # Interface, destination, gateway, flags, …, mask; addresses in hexadecimal.
        if len(fields) > 7 and fields[1] == fields[7] == "00000000" and _number(fields[3]) & _RTF_UP:
            return True
    for fields in v6 or ():
        # Destination, its prefix, …, flags, interface. The kernel has a default route that rejects everything.
        if len(fields) > 9 and fields[1] == "00" and set(fields[0]) == {"0"} and fields[9] != "lo":
            flags = _number(fields[8])
            if flags & _RTF_UP and not flags & _RTF_REJECT:
                return True
    return False


def is_on_mains(supplies: Path) -> bool | None:
    """Tells whether mains power is there; a machine without a battery has nothing else."""
    try:
        folders = sorted(supplies.iterdir())
    except OSError:
        return None
    discharging = False
    for folder in folders:
        kind = _word(folder / "type")
        if kind in _MAINS and _word(folder / "online") == "1":
            return True
        # A mouse has a battery as well, which is not the machine's.
        if kind == "Battery" and _word(folder / "scope") != "Device" and _word(folder / "status") == "Discharging":
            discharging = True
    return not discharging


def _lines(file: Path) -> list[list[str]] | None:
    try:
        with file.open("rb") as opened:
            return [line.split() for line in opened.read(_MOST_BYTES).decode("ascii", "replace").splitlines()]
    except OSError:
        return None


def _word(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(64).decode("ascii", "replace").strip()
    except OSError:
        return ""


def _number(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0
